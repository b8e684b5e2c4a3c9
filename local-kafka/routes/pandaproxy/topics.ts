/**
 * Redpanda's HTTP proxy, the part without consumer groups: topics, produce, read by offset, brokers, readiness.
 * Facts: src/v/pandaproxy/rest/handlers.cc and its tests; what differs is in local-kafka/README.md.
 */
import { type Context, Hono } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { BINARY_V2, JSON_V2, V2, acceptHeader, contentTypeHeader } from "../../http/media-type.ts";
import { int32Param, integerParam, textParam } from "../../http/params.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import type { Log } from "../../log/log.ts";
import { partitionPicker } from "../../log/pick-partition.ts";
import { JsonFault } from "./json-reader.ts";
import { type ProduceRecord, parseProduceRequest } from "./produce-request.ts";
import { encodeRecords } from "./records-answer.ts";

/** An answer holds at most this much of a log, whatever max_bytes asks for: it is built in memory. */
const MAX_FETCH_BYTES = 16 * 1024 * 1024;

export interface TopicRoutesOptions {
  log: Log;
  maxRequestBytes: number;
}

interface ProduceAnswer {
  partition: number;
  error_code?: number;
  offset: number;
}

export function topicRoutes({ log, maxRequestBytes }: TopicRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const pickPartition = partitionPicker(log);

  app.get("/brokers", (c) => {
    const format = acceptHeader(c.req.header("accept"), [V2], true);
    return c.body('{"brokers":[0]}', 200, { "content-type": format });
  });

  app.get("/status/ready", (c) => c.body(null, 200, { "content-type": BINARY_V2 }));

  app.get("/topics", async (c) => {
    const format = acceptHeader(c.req.header("accept"), [V2], true);
    const names = (await log.topics()).map(({ name }) => name);
    return c.body(JSON.stringify(names), 200, { "content-type": format });
  });

  app.post("/topics/:topic{[^/]*}", async (c) => {
    const format = contentTypeHeader(c.req.header("content-type"), [BINARY_V2, JSON_V2]);
    const answerFormat = acceptHeader(c.req.header("accept"), [V2], true);
    const topic = textParam("topic_name", rawSegment(c, 2));
    const records = parseBody(await readBody(c, maxRequestBytes), (body) =>
      parseProduceRequest(body, format),
    );
    const answers = await produce(log, topic, groupByPartition(records, await pickPartition(topic)));
    return c.body(JSON.stringify({ offsets: answers }), 200, { "content-type": answerFormat });
  });

  app.get("/topics/:topic{[^/]*}/partitions/:partition{[^/]*}/records", async (c) => {
    const format = acceptHeader(c.req.header("accept"), [BINARY_V2, JSON_V2]);
    // Redpanda's own test expects a missing offset to be told before a missing topic.
    const offset = integerParam("offset", c.req.query("offset"));
    const timeoutMs = int32Param("timeout", c.req.query("timeout"));
    const maxBytes = int32Param("max_bytes", c.req.query("max_bytes"));
    const topic = textParam("topic_name", rawSegment(c, 2));
    const partition = int32Param("partition_id", rawSegment(c, 4));
    const batches = await log.fetch(topic, partition, offset, {
      maxBytes: Math.min(maxBytes, MAX_FETCH_BYTES),
      timeoutMs,
      signal: timeoutMs > 0 ? c.req.raw.signal : undefined,
    });
    return c.body(encodeRecords([{ topic, partition, batches }], format), 200, { "content-type": format });
  });

  return app;
}

/** Runs a parser of this dialect; a fault in the JSON is 422. */
export function parseBody<T>(body: Buffer, parse: (body: Buffer) => T): T {
  try {
    return parse(body);
  } catch (error) {
    if (error instanceof JsonFault) throw new ApiError(422, error.message, { cause: error });
    throw error;
  }
}

/** The n-th segment of the path (the first is 1), still percent-encoded; empty segments count. */
export function rawSegment(c: Context, n: number): string | undefined {
  return c.req.path.split("/")[n];
}

/**
 * One batch per partition, and one entry per partition in the answer. A partition that is unknown, or a batch that is
 * too large, fails its own entry only. When storage or the cluster failed and nothing else was stored, the request fails
 * as a whole.
 */
async function produce(
  log: Log,
  topic: string,
  byPartition: Map<number, ProduceRecord[]>,
): Promise<ProduceAnswer[]> {
  let stored = 0;
  let broken: KafkaError | undefined;
  const answers = await Promise.all(
    [...byPartition].map(async ([partition, records]): Promise<ProduceAnswer> => {
      try {
        const offset = await log.append(topic, partition, records);
        stored += 1;
        return { partition, offset };
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        if (error.code === "kafka_storage_error" || error.isOutage) broken = error;
        return { partition, error_code: error.number, offset: -1 };
      }
    }),
  );
  if (broken !== undefined && stored === 0) throw broken;
  return answers;
}

function groupByPartition(
  records: readonly ProduceRecord[],
  pick: (record: ProduceRecord) => number,
): Map<number, ProduceRecord[]> {
  const byPartition = new Map<number, ProduceRecord[]>();
  for (const record of records) {
    const partition = record.partition ?? pick(record);
    const batch = byPartition.get(partition);
    if (batch === undefined) byPartition.set(partition, [record]);
    else batch.push(record);
  }
  return byPartition;
}
