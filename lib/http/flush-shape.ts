// POST /kafka/flush as zod shapes.
import { z } from "zod";

export const flushQueryShape = z.object({
  timeout_ms: z
    .string()
    .regex(/^\d{1,5}$/)
    .describe("how long it may take, in milliseconds: 0 to 25000, 10000 by default")
    .optional(),
});

export const flushShape = z
  .object({
    status: z
      .enum(["success", "partial"])
      .describe("`partial`: something is still held, or a shard did not answer"),
    message: z.string(),
    held: z.object({
      messages: z.int(),
      records: z.int(),
      bytes: z.int(),
      refused: z.int().describe("of `messages`: those that Kafka refuses for themselves"),
      oldest_ms: z.int().nullable().describe("how long ago the oldest was received"),
    }),
    shards: z
      .array(
        z.object({
          shard: z.int(),
          messages: z.int(),
          records: z.int(),
          error: z.string().nullable().describe("why it does not drain"),
          refusals: z.array(
            z.object({
              topic: z.string(),
              tenant: z.string(),
              records: z.int(),
              received: z.iso.datetime(),
              code: z.string(),
              message: z.string(),
            }),
          ),
        }),
      )
      .describe("those that hold something, or did not answer"),
  })
  .meta({ id: "Flush" });
