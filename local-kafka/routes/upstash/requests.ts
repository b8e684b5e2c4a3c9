/** The bodies of Upstash's endpoints: one object or several, as the endpoint says. Anything else is 400. */
import { z } from "zod";
import { ApiError } from "../../http/api-error.ts";

const topicPartition = z.object({ topic: z.string(), partition: z.int().min(0) });
const topicPartitionOffset = topicPartition.extend({ offset: z.int() });
const timeoutMs = z.int().min(0).optional();

const message = z.object({
  topic: z.string(),
  value: z.string(),
  key: z.string().optional(),
  partition: z.int().min(0).optional(),
  timestamp: z.int().min(0).optional(),
  headers: z.array(z.object({ key: z.string(), value: z.string() })).optional(),
});

export const produceRequest = oneOrMany(message);
export const partitionsRequest = oneOrMany(topicPartition);
export const commitRequest = oneOrMany(topicPartitionOffset);

export const fetchRequest = z.object({
  topic: z.string().optional(),
  partition: z.int().min(0).default(0),
  offset: z.int().default(0),
  topicPartitionOffsets: z.array(topicPartitionOffset).default([]),
  timeout: timeoutMs,
});

export const consumeRequest = z.object({
  topic: z.string().optional(),
  topics: z.array(z.string()).default([]),
  timeout: timeoutMs,
});

export type Message = z.infer<typeof message>;

/** Throws 400. */
export function parse<T extends z.ZodType>(schema: T, body: Buffer): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch (error) {
    throw new ApiError(400, "Invalid JSON in the request body", { cause: error });
  }
  const request = schema.safeParse(json);
  if (!request.success) throw new ApiError(400, z.prettifyError(request.error));
  return request.data;
}

function oneOrMany<T extends z.ZodType>(schema: T) {
  return z.union([z.array(schema), schema.transform((one) => [one])]);
}
