/**
 * Karapace's consumer instances: subscriptions or assignments, positions, reads, commits. There is no read by offset:
 * a client assigns, seeks, reads. A commit of offset n reads back as n + 1, base_uri has no origin, an instance stays
 * until it is deleted. Facts: src/karapace/kafka_rest_apis/consumer_manager.py and its tests.
 */
import { Hono } from "hono";
import type { Groups } from "../../groups/groups.ts";
import type { TopicPartition } from "../../groups/committed-offsets.ts";
import { ApiError } from "../../http/api-error.ts";
import type { Bindings } from "../../http/read-body.ts";
import type { Log } from "../../log/log.ts";
import { encodeRecords } from "./records-answer.ts";
import { parseConsumerSettings, parseOffsets, parsePartitions } from "./consumer-requests.ts";
import { partitionNotFound, topicNotFound } from "./errors.ts";
import { type Ctx, negotiate, readJson } from "./request.ts";
import { answerJson } from "./topics.ts";

const MAX_BODY_BYTES = 1024 * 1024;
/** Karapace's consumer_request_timeout_ms. */
const READ_TIMEOUT_MS = 11_000;
/** What an answer may hold here, whatever max_bytes asks for: it is built in memory. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
/** librdkafka's auto.commit.interval.ms. */
const AUTO_COMMIT_MS = 5000;
/** librdkafka's word for "no offset". */
const OFFSET_INVALID = -1001;

const INSTANCE = "/consumers/:group/instances/:instance";

export interface KarapaceConsumerRoutesOptions {
  log: Log;
  groups: Groups;
}

export function karapaceConsumerRoutes({
  log,
  groups,
}: KarapaceConsumerRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  /** "group/instance" → the format it was made for. */
  const formats = new Map<string, string>();

  const names = (c: Ctx): { group: string; instance: string } => {
    const group = c.req.param("group") ?? "";
    const instance = c.req.param("instance") ?? "";
    if (!formats.has(instanceKey(group, instance))) {
      const message = `Consumer for ('${group}', '${instance}') not found among [${[...formats.keys()].join(", ")}]`;
      throw new ApiError(40403, message);
    }
    return { group, instance };
  };

  app.post("/consumers/:group", async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const group = c.req.param("group");
    const { name, format, reset, autoCommit } = parseConsumerSettings(json);
    const instance = groups.create(group, name, {
      reset,
      autoCommitMs: autoCommit ? AUTO_COMMIT_MS : undefined,
    });
    if (instance === undefined) throw new ApiError(40902, `Consumer ${name} already exists`);
    formats.set(instanceKey(group, instance), format);
    return answerJson(c, {
      base_uri: `consumers/${group}/instances/${instance}`,
      instance_id: instance,
    });
  });

  app.delete(INSTANCE, async (c) => {
    negotiate(c);
    const { group, instance } = names(c);
    formats.delete(instanceKey(group, instance));
    await groups.leave(group, instance);
    return noContent(c);
  });

  app.post(`${INSTANCE}/subscription`, async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const { group, instance } = names(c);
    const topics = json["topics"] ?? [];
    if (!Array.isArray(topics) || !topics.every((topic) => typeof topic === "string")) {
      throw new ApiError(422, "Topics is expected to be list of strings");
    }
    if (json["topic_pattern"] !== undefined) throw new ApiError(422, "topic_pattern is not supported here");
    if (topics.length === 0) {
      throw new ApiError(40903, "Neither topic_pattern nor topics are present in request");
    }
    if (groups.isAssigned(group, instance)) throw illegalChoice();
    groups.subscribe(group, instance, topics);
    return noContent(c);
  });

  app.get(`${INSTANCE}/subscription`, (c) => {
    negotiate(c);
    const { group, instance } = names(c);
    return answerJson(c, { topics: groups.subscription(group, instance) });
  });

  app.delete(`${INSTANCE}/subscription`, (c) => {
    negotiate(c);
    const { group, instance } = names(c);
    groups.subscribe(group, instance, []);
    groups.assign(group, instance, undefined);
    return noContent(c);
  });

  app.post(`${INSTANCE}/assignments`, async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const { group, instance } = names(c);
    const partitions = parsePartitions(json);
    if (groups.subscription(group, instance).length > 0) throw illegalChoice();
    groups.assign(group, instance, partitions);
    return noContent(c);
  });

  app.get(`${INSTANCE}/assignments`, async (c) => {
    negotiate(c);
    const { group, instance } = names(c);
    const owned = await groups.assignment(group, instance);
    const partitions = owned.map(({ topic, partition }) => ({ partition, topic }));
    return answerJson(c, { partitions });
  });

  app.post(`${INSTANCE}/positions`, async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const { group, instance } = names(c);
    for (const seek of parseOffsets(json)) {
      if (seek.offset < 0) throw new ApiError(50001, "offset must be a positive number");
      if (!(await groups.seek(group, instance, seek))) throw unassigned(seek);
    }
    return noContent(c);
  });

  for (const edge of ["beginning", "end"] as const) {
    app.post(`${INSTANCE}/positions/${edge}`, async (c) => {
      const { json } = await readJson(c, MAX_BODY_BYTES);
      negotiate(c);
      const { group, instance } = names(c);
      for (const each of parsePartitions(json)) {
        const { start, end } = await log.bounds(each.topic, each.partition);
        const offset = edge === "beginning" ? start : end;
        if (!(await groups.seek(group, instance, { ...each, offset }))) throw unassigned(each);
      }
      return noContent(c);
    });
  }

  app.get(`${INSTANCE}/records`, async (c) => {
    const { accepted } = negotiate(c);
    const { group, instance } = names(c);
    const format = formats.get(instanceKey(group, instance));
    if (accepted !== format) {
      const message = `Consumer format ${format} does not match the embedded format ${accepted ?? "None"}`;
      throw new ApiError(40601, message);
    }
    const timeoutMs = positiveQuery(c, "timeout") ?? READ_TIMEOUT_MS;
    const maxBytes = Math.min(positiveQuery(c, "max_bytes") ?? MAX_READ_BYTES, MAX_READ_BYTES);
    const parts = await groups.read(group, instance, { timeoutMs, maxBytes });
    return answerJson(c, encodeRecords(parts, format === "json" ? "json" : "binary"));
  });

  app.post(`${INSTANCE}/offsets`, async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const { group, instance } = names(c);
    const offsets = Object.keys(json).length === 0 ? [] : parseOffsets(json);
    for (const each of offsets) await checkExists(log, each);
    if (offsets.length === 0) await groups.commitRead(group, instance);
    else {
      await groups.commit(
        group,
        instance,
        offsets.map((each) => ({ ...each, offset: each.offset + 1 })),
      );
    }
    return noContent(c);
  });

  app.get(`${INSTANCE}/offsets`, async (c) => {
    const { json } = await readJson(c, MAX_BODY_BYTES);
    negotiate(c);
    const { group, instance } = names(c);
    const committed = await groups.committed(group, instance, parsePartitions(json));
    const offsets = committed.map(({ topic, partition, offset }) => ({
      metadata: "",
      offset: offset === -1 ? OFFSET_INVALID : offset,
      partition,
      topic,
    }));
    return answerJson(c, { offsets });
  });

  return app;
}

function instanceKey(group: string, instance: string): string {
  return JSON.stringify([group, instance]);
}

function noContent(c: Ctx): Response {
  return c.body(null, 204, { "content-type": "application/json" });
}

async function checkExists(log: Log, { topic, partition }: TopicPartition): Promise<void> {
  const partitions = (await log.topic(topic))?.partitions;
  if (partitions === undefined) throw topicNotFound(topic);
  if (partition < 0 || partition >= partitions) throw partitionNotFound(partition);
}

function positiveQuery(c: Ctx, name: string): number | undefined {
  const raw = c.req.query(name);
  if (raw === undefined) return undefined;
  if (/^\d{1,9}$/.test(raw)) return Number(raw);
  throw new ApiError(500, `Invalid request parameter ${raw}`);
}

function unassigned({ topic, partition }: TopicPartition): ApiError {
  return new ApiError(40903, `Partition ${topic}[${partition}] is unassigned`);
}

function illegalChoice(): ApiError {
  const message =
    "IllegalStateError: You must choose only one way to configure your consumer: (1) subscribe to specific topics by name, (2) subscribe to topics matching a regex pattern, (3) assign itself specific topic-partitions.";
  return new ApiError(40903, message);
}
