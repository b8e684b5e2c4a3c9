/**
 * Karapace's REST proxy, the part without consumers: brokers, topics, partitions, produce. A produce answers one entry
 * per record, in their order; one that fails makes the whole answer 422. Facts:
 * src/karapace/kafka_rest_apis/__init__.py and tests/integration/kafka_rest_apis/test_rest.py.
 */
import { Hono } from "hono";
import { ApiError } from "../../http/api-error.ts";
import { JSON_V2 } from "../../http/media-type.ts";
import type { Bindings } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import type { Log, TopicDescription } from "../../log/log.ts";
import { type ProduceRecord } from "../pandaproxy/produce-request.ts";
import { partitionPicker } from "../../log/pick-partition.ts";
import { partitionNotFound, topicNotFound } from "./errors.ts";
import { parseProduce } from "./produce-request.ts";
import { type Ctx, negotiate, readJson } from "./request.ts";

export interface KarapaceTopicRoutesOptions {
  log: Log;
  maxRequestBytes: number;
}

type ProduceAnswer = { offset: number; partition: number } | { error: string; error_code: number };

export function karapaceTopicRoutes({
  log,
  maxRequestBytes,
}: KarapaceTopicRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  const pickPartition = partitionPicker(log);

  const findTopic = async (name: string, code: 40401 | 40403 = 40401): Promise<TopicDescription> => {
    const topic = await log.topic(name);
    if (topic === undefined) throw topicNotFound(name, code);
    return topic;
  };

  const produce = async (c: Ctx): Promise<Response> => {
    const { json, bytes } = await readJson(c, maxRequestBytes);
    const { embedded } = negotiate(c);
    const topic = await findTopic(c.req.param("topic") ?? "");
    const inPath = c.req.param("partition") === undefined ? undefined : findPartition(c, topic);
    const records = parseProduce(json, bytes, embedded);
    const pick = await pickPartition(topic.name);
    const offsets = await Promise.all(
      records.map((record) => append(log, topic.name, record, record.partition ?? inPath ?? pick(record))),
    );
    const answer = {
      key_schema_id: json["key_schema_id"] ?? null,
      value_schema_id: json["value_schema_id"] ?? null,
      offsets,
    };
    return answerJson(c, answer, offsets.some((entry) => "error" in entry) ? 422 : 200);
  };

  app.get("/brokers", (c) => {
    negotiate(c);
    return answerJson(c, { brokers: [0] });
  });

  app.get("/topics", async (c) => {
    negotiate(c);
    const topics = await log.topics();
    return answerJson(
      c,
      topics.map(({ name }) => name),
    );
  });

  app.get("/topics/:topic", async (c) => {
    negotiate(c);
    const topic = await findTopic(c.req.param("topic"), 40403);
    const { retentionMs, retentionBytes } = await log.retention(topic.name);
    const configs = {
      "cleanup.policy": "delete",
      "retention.bytes": String(retentionBytes),
      "retention.ms": String(retentionMs),
    };
    return answerJson(c, { configs, name: topic.name, partitions: describePartitions(topic) });
  });

  app.post("/topics/:topic", produce);
  app.post("/topics/:topic/partitions/:partition", produce);

  app.get("/topics/:topic/partitions", async (c) => {
    negotiate(c);
    return answerJson(c, describePartitions(await findTopic(c.req.param("topic"))));
  });

  app.get("/topics/:topic/partitions/:partition", async (c) => {
    negotiate(c);
    return answerJson(c, describePartition(findPartition(c, await findTopic(c.req.param("topic")))));
  });

  app.get("/topics/:topic/partitions/:partition/offsets", async (c) => {
    negotiate(c);
    const topic = await findTopic(c.req.param("topic"));
    const { start, end } = await log.bounds(topic.name, findPartition(c, topic));
    return answerJson(c, { beginning_offset: start, end_offset: end });
  });

  return app;
}

function findPartition(c: Ctx, topic: TopicDescription): number {
  const raw = c.req.param("partition") ?? "";
  if (!/^-?\d{1,9}$/.test(raw)) throw new ApiError(404, `Partition ${raw} not found`);
  const partition = Number(raw);
  if (partition < 0 || partition >= topic.partitions) throw partitionNotFound(partition);
  return partition;
}

/** Every answer has the same media type, whatever the request asked for. */
export function answerJson(c: Ctx, body: unknown, status: 200 | 422 = 200): Response {
  return c.body(JSON.stringify(body), status, { "content-type": JSON_V2 });
}

function describePartitions(topic: TopicDescription): object[] {
  return Array.from({ length: topic.partitions }, (_, partition) => describePartition(partition));
}

function describePartition(partition: number): object {
  return { leader: 0, partition, replicas: [{ broker: 0, in_sync: true, leader: true }] };
}

async function append(
  log: Log,
  topic: string,
  record: ProduceRecord,
  partition: number,
): Promise<ProduceAnswer> {
  try {
    const offset = await log.append(topic, partition, [record]);
    // The client library behind Karapace takes a message without a value for none at all.
    const hasValue = record.value !== null && record.value.byteLength > 0;
    return hasValue ? { offset, partition } : { offset: -1, partition: 0 };
  } catch (error) {
    if (!(error instanceof KafkaError) || error.isOutage) throw error;
    return produceError(error);
  }
}

/** 2: the producer may try again. */
function produceError({ code, message }: KafkaError): ProduceAnswer {
  switch (code) {
    case "unknown_topic_or_partition":
      return {
        error: "This request is for a topic or partition that does not exist on this broker.",
        error_code: 2,
      };
    case "message_too_large":
      return {
        error:
          "The server has a configurable maximum message size to avoid unbounded memory allocation. This error is thrown if the client attempt to produce a message larger than this maximum.",
        error_code: 1,
      };
    case "kafka_storage_error":
    case "not_enough_replicas":
    case "not_enough_replicas_after_append":
      return { error: message, error_code: 2 };
    default:
      return { error: message, error_code: 1 };
  }
}
