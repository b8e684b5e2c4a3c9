/**
 * Upstash's Kafka REST API without its consumers: produce, fetch, offsets, topics. Keys, values and headers are text.
 * Facts: the client @upstash/kafka 1.3.5; the service itself is gone.
 */
import { Hono } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import type { Log, LogRecord } from "../../log/log.ts";
import { partitionPicker } from "../../log/pick-partition.ts";
import { toMessages } from "./messages.ts";
import { type Message, fetchRequest, parse, partitionsRequest, produceRequest } from "./requests.ts";

const MAX_BODY_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 1000;
const MAX_FETCH_BYTES = 1024 * 1024;

export interface UpstashTopicRoutesOptions {
  log: Log;
  now: () => number;
  maxRequestBytes: number;
}

export function upstashTopicRoutes({
  log,
  now,
  maxRequestBytes,
}: UpstashTopicRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const pickPartition = partitionPicker(log);

  app.get("/topics", async (c) => {
    const topics = await log.topics();
    return c.json(Object.fromEntries(topics.map(({ name, partitions }) => [name, partitions])));
  });

  app.post("/produce", async (c) => {
    const messages = parse(produceRequest, await readBody(c, maxRequestBytes));
    const placed = [];
    for (const message of messages) {
      const record = toRecord(message, now());
      const partition = message.partition ?? (await pickPartition(message.topic))(record);
      placed.push({ ...message, record, partition });
    }
    // Before anything is stored: a request is refused as a whole.
    for (const { topic, partition } of placed) await checkPartition(log, topic, partition);
    const stored = await Promise.all(
      placed.map(async ({ topic, partition, record }) => ({
        topic,
        partition,
        offset: await log.append(topic, partition, [record]),
        timestamp: record.timestampMs,
      })),
    );
    return c.json(stored);
  });

  app.post("/fetch", async (c) => {
    const request = parse(fetchRequest, await readBody(c, MAX_BODY_BYTES));
    const wanted = [...request.topicPartitionOffsets];
    if (request.topic !== undefined) {
      wanted.push({ topic: request.topic, partition: request.partition, offset: request.offset });
    }
    if (wanted.length === 0) throw new ApiError(400, "topic or topicPartitionOffsets is missing");
    const enough = new AbortController();
    const read = async (timeoutMs: number): Promise<ReturnType<typeof toMessages>[]> =>
      Promise.all(
        wanted.map(async ({ topic, partition, offset }) => {
          const options = { maxBytes: MAX_FETCH_BYTES, timeoutMs, signal: enough.signal };
          const batches = await log.fetch(topic, partition, offset, options);
          if (batches.length > 0) enough.abort();
          return toMessages({ topic, partition, fromOffset: offset, batches });
        }),
      );
    let found = (await read(0)).flat();
    if (found.length === 0) found = (await read(request.timeout ?? DEFAULT_TIMEOUT_MS)).flat();
    // One topic an answer, as the service did.
    return c.json(found.filter(({ topic }) => topic === found[0]?.topic));
  });

  app.post("/offsets/:when", async (c) => {
    const when = c.req.param("when");
    if (!/^(earliest|latest|\d{1,15})$/.test(when)) throw new ApiError(400, `Invalid timestamp: ${when}`);
    const partitions = parse(partitionsRequest, await readBody(c, MAX_BODY_BYTES));
    const offsets = partitions.map(async ({ topic, partition }) => {
      const { start, end } = await log.bounds(topic, partition);
      if (when === "earliest") return { topic, partition, offset: start };
      if (when === "latest") return { topic, partition, offset: end };
      return { topic, partition, offset: await offsetAt(log, topic, partition, Number(when)) };
    });
    return c.json(await Promise.all(offsets));
  });

  return app;
}

async function checkPartition(log: Log, topic: string, partition: number): Promise<void> {
  const partitions = (await log.topic(topic))?.partitions ?? 0;
  if (partition < 0 || partition >= partitions) throw new KafkaError("unknown_topic_or_partition");
}

function toRecord(
  { key, value, timestamp, headers = [] }: Message,
  nowMs: number,
): LogRecord & { timestampMs: number } {
  return {
    key: key === undefined ? null : Buffer.from(key),
    value: Buffer.from(value),
    timestampMs: timestamp ?? nowMs,
    headers: headers.map((header) => ({ name: header.key, value: Buffer.from(header.value) })),
  };
}

/** The first offset whose record is no older than `timestampMs`; the log's end when there is none. */
async function offsetAt(log: Log, topic: string, partition: number, timestampMs: number): Promise<number> {
  let { start: offset } = await log.bounds(topic, partition);
  for (;;) {
    const options = { maxBytes: MAX_FETCH_BYTES, timeoutMs: 0 };
    // eslint-disable-next-line no-await-in-loop -- each read starts where the last one ended
    const batches = await log.fetch(topic, partition, offset, options);
    if (batches.length === 0) return offset;
    for (const { baseOffset, appendedMs, records } of batches) {
      const at = records.findIndex((record) => (record.timestampMs ?? appendedMs) >= timestampMs);
      if (at !== -1) return baseOffset + at;
      offset = baseOffset + records.length;
    }
  }
}
