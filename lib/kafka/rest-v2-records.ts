// How the Kafka REST API version 2 writes messages: base64, in the binary format, so that Kafka holds exactly the bytes
// given. A null is left out: Redpanda's parser refuses it where it stands, Strimzi's bridge would take it for text.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import type { FetchedRecord, ProduceRecord } from "./transport.ts";

/** Both are matched exactly: a list, a wildcard or plain JSON is 406 or 415 at one proxy or another. */
export const V2 = "application/vnd.kafka.v2+json";
export const BINARY = "application/vnd.kafka.binary.v2+json";

export function topicPath(topic: string): string {
  return `/topics/${encodeURIComponent(topic)}`;
}

export function toWire({ partition, key, value, headers, timestampMs }: ProduceRecord): object {
  return {
    ...(key && { key: toBase64(key) }),
    ...(value && { value: toBase64(value) }),
    partition,
    // Strimzi's names; whoever does not take these is never sent any.
    ...(headers && {
      headers: headers.map((one) => ({ key: one.name, value: toBase64(one.value ?? NONE) })),
    }),
    ...(timestampMs !== undefined && { timestamp: timestampMs }),
  };
}

const NONE = new Uint8Array(0);

const wireRecords = z.array(
  z.object({
    partition: z.int().optional(),
    offset: z.int(),
    key: z.string().nullish(),
    value: z.string().nullish(),
    timestamp: z.int().nullish(),
    headers: z.array(z.object({ key: z.string(), value: z.string().nullish() })).nullish(),
  }),
);

/**
 * The messages of one partition from `offset` on: some proxies answer with whole batches, so earlier ones come along.
 * @throws KafkaError `bad_answer`
 */
export function fromWire(json: unknown, partition: number, offset: number, what: string): FetchedRecord[] {
  const parsed = wireRecords.safeParse(json);
  if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of records`);
  const found: FetchedRecord[] = [];
  for (const record of parsed.data) {
    if (record.offset < offset || (record.partition ?? partition) !== partition) continue;
    found.push({
      offset: record.offset,
      key: fromBase64(record.key),
      value: fromBase64(record.value),
      ...(record.headers && {
        headers: record.headers.map(({ key, value }) => ({ name: key, value: fromBase64(value) })),
      }),
      ...(typeof record.timestamp === "number" && { timestampMs: record.timestamp }),
    });
  }
  return found;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function fromBase64(text: string | null | undefined): Uint8Array | null {
  return text === null || text === undefined ? null : Buffer.from(text, "base64");
}
