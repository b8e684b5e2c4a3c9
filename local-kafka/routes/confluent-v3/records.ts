/**
 * Producing in the shape of Confluent's REST API v3. `records` takes concatenated JSON objects and answers one for each,
 * in order and while the request still runs: the HTTP status is 200 whatever becomes of them. `records:batch` answers
 * 207. There are no reads. Facts: api/v3/openapi.yaml and resources/v3/ProduceAction.java of confluentinc/kafka-rest.
 */
import { Hono } from "hono";
import { z } from "zod";
import { ApiError, toApiError } from "../../http/api-error.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import type { Log, LogRecord } from "../../log/log.ts";
import { partitionPicker } from "../../log/pick-partition.ts";
import { JsonSplitter } from "./concatenated-json.ts";
import { type RecordRequest, parseRecordRequest, toRecord } from "./record-request.ts";
import { type Ctx, checkCluster, topicName, unknownTopic } from "./topics.ts";

/** Kafka REST's default of api.v3.produce.batch.max.entries. */
const MAX_BATCH_ENTRIES = 10;
const TOPIC = "/v3/clusters/:cluster/topics/:topic";

const batchRequest = z.object({
  entries: z.array(z.looseObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,80}$/) })),
});

export interface ConfluentRecordRoutesOptions {
  log: Log;
  now: () => number;
  maxRequestBytes: number;
  onFault: (error: unknown) => void;
}

export function confluentRecordRoutes({
  log,
  now,
  maxRequestBytes,
  onFault,
}: ConfluentRecordRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const pickPartition = partitionPicker(log);

  const produce = async (topic: string, request: RecordRequest): Promise<object> => {
    const description = await log.topic(topic);
    if (description === undefined) throw unknownTopic();
    const { record } = request;
    const partition = request.partition ?? (await pickPartition(topic))(record);
    if (partition < 0 || partition >= description.partitions) {
      throw new ApiError(40402, "Partition not found.");
    }
    // The proxy stamps what has no timestamp, so that its answer can say which.
    record.timestampMs ??= now();
    const offset = await log.append(topic, partition, [record]);
    return {
      cluster_id: await log.clusterId(),
      topic_name: topic,
      partition_id: partition,
      offset,
      timestamp: new Date(record.timestampMs).toISOString(),
      ...sizes(request, record),
    };
  };

  /** A record's answer, also when it failed. */
  const answerOne = async (topic: string, bytes: Buffer): Promise<object> => {
    try {
      return { error_code: 200, ...(await produce(topic, parseRecordRequest(bytes))) };
    } catch (error) {
      return failure(error, onFault);
    }
  };

  async function* answers(c: Ctx, topic: string): AsyncGenerator<string> {
    const source = (c.env as Bindings | undefined)?.incoming ?? c.req.raw.body;
    const splitter = new JsonSplitter();
    for await (const chunk of (source ?? []) as AsyncIterable<Uint8Array>) {
      const objects = splitter.push(chunk);
      // Together: what arrived together shares an fsync.
      const done = await Promise.all(objects.map((bytes) => answerOne(topic, bytes)));
      if (done.length > 0) yield done.map((answer) => `${JSON.stringify(answer)}\r\n`).join("");
      if (splitter.pendingBytes > maxRequestBytes) {
        yield JSON.stringify({ error_code: 413, message: "HTTP 413 Payload Too Large" });
        return;
      }
    }
    if (splitter.isCut) {
      yield JSON.stringify({ error_code: 400, message: "Error processing message: unexpected end of input" });
    }
  }

  app.post(`${TOPIC}/records`, async (c) => {
    checkCluster(c, await log.clusterId());
    checkJson(c);
    return c.body(streamOf(answers(c, topicName(c))), 200, { "content-type": "application/json" });
  });

  app.post(`${TOPIC}/records:batch`, async (c) => {
    checkCluster(c, await log.clusterId());
    checkJson(c);
    const topic = topicName(c);
    const entries = parseBatch(await readBody(c, maxRequestBytes));
    const successes: object[] = [];
    const failures: object[] = [];
    const done = await Promise.allSettled(
      entries.map(async (entry) => produce(topic, toRecord(entry, Buffer.from(JSON.stringify(entry))))),
    );
    for (const [i, result] of done.entries()) {
      const id = entries[i]?.id;
      if (result.status === "fulfilled") successes.push({ id, ...result.value });
      else failures.push({ id, ...failure(result.reason, onFault) });
    }
    return c.json({ successes, failures }, 207);
  });

  return app;
}

function sizes({ keyType, valueType }: RecordRequest, { key, value }: LogRecord): object {
  return {
    ...(keyType === undefined ? {} : { key: { type: keyType, size: key?.byteLength ?? 0 } }),
    ...(valueType === undefined ? {} : { value: { type: valueType, size: value?.byteLength ?? 0 } }),
  };
}

function failure(error: unknown, onFault: (error: unknown) => void): { error_code: number; message: string } {
  const { code, message } = toApiError(error, onFault);
  return { error_code: code, message };
}

function checkJson(c: Ctx): void {
  const [type] = (c.req.header("content-type") ?? "").split(";");
  if (type?.trim() !== "application/json") throw new ApiError(415, "HTTP 415 Unsupported Media Type");
}

function parseBatch(body: Buffer): z.infer<typeof batchRequest>["entries"] {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch (error) {
    throw new ApiError(400, "Bad Request: the body is not JSON.", { cause: error });
  }
  const request = batchRequest.safeParse(json);
  if (!request.success) throw new ApiError(400, `Bad Request: ${z.prettifyError(request.error)}`);
  const { entries } = request.data;
  if (new Set(entries.map(({ id }) => id)).size < entries.length) {
    throw new ApiError(42208, "Batch entry IDs are not distinct.");
  }
  if (entries.length === 0) throw new ApiError(42208, "Empty batch.");
  if (entries.length > MAX_BATCH_ENTRIES) throw new ApiError(42208, "Too many entries in batch.");
  return entries;
}

function streamOf(pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
