/**
 * Upstash's consumer groups. An instance is made by its first consume, whose headers say how it commits and where it
 * starts; by default it starts at the log's end and commits by itself. Facts: the client @upstash/kafka 1.3.5.
 */
import { Hono } from "hono";
import type { Groups } from "../../groups/groups.ts";
import type { ConsumerSettings } from "../../groups/instance.ts";
import { ApiError } from "../../http/api-error.ts";
import { type Bindings, readBody } from "../../http/read-body.ts";
import { KafkaError } from "../../log/kafka-error.ts";
import type { Log } from "../../log/log.ts";
import { toMessages } from "./messages.ts";
import { commitRequest, consumeRequest, parse, partitionsRequest } from "./requests.ts";

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_READ_BYTES = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 1000;
const DEFAULT_COMMIT_MS = 5000;
const DONE = { result: "Success", status: 200 };

export interface UpstashConsumerRoutesOptions {
  log: Log;
  groups: Groups;
}

export function upstashConsumerRoutes({
  log,
  groups,
}: UpstashConsumerRoutesOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();

  app.get("/consumers", async (c) => c.json(await groups.describe()));

  app.post("/consume/:group/:instance", async (c) => {
    const { group, instance } = c.req.param();
    const request = parse(consumeRequest, await readBody(c, MAX_BODY_BYTES));
    const topics = request.topic === undefined ? request.topics : [request.topic, ...request.topics];
    if (topics.length === 0) throw new ApiError(400, "topic or topics is missing");
    for (const topic of topics) {
      if ((await log.topic(topic)) === undefined) throw new KafkaError("unknown_topic_or_partition", topic);
    }
    groups.create(
      group,
      instance,
      parseSettings((name) => c.req.header(name)),
    );
    groups.subscribe(group, instance, topics);
    const timeoutMs = request.timeout ?? DEFAULT_TIMEOUT_MS;
    const parts = await groups.read(group, instance, { timeoutMs, maxBytes: MAX_READ_BYTES });
    return c.json(parts.flatMap(toMessages));
  });

  app.post("/commit/:group/:instance", async (c) => {
    const { group, instance } = c.req.param();
    const body = await readBody(c, MAX_BODY_BYTES);
    if (body.byteLength === 0) await groups.commitRead(group, instance);
    else await groups.commit(group, instance, parse(commitRequest, body));
    return c.json(DONE);
  });

  app.post("/committed/:group/:instance", async (c) => {
    const { group, instance } = c.req.param();
    const partitions = parse(partitionsRequest, await readBody(c, MAX_BODY_BYTES));
    return c.json(await groups.committed(group, instance, partitions));
  });

  app.post("/delete-consumer/:group/:instance", async (c) => {
    const { group, instance } = c.req.param();
    await groups.leave(group, instance);
    return c.json(DONE);
  });

  return app;
}

function parseSettings(header: (name: string) => string | undefined): ConsumerSettings {
  const reset = header("kafka-auto-offset-reset") ?? "latest";
  if (reset !== "earliest" && reset !== "latest" && reset !== "none") {
    throw new ApiError(400, `Invalid Kafka-Auto-Offset-Reset: ${reset}`);
  }
  const enable = header("kafka-enable-auto-commit") ?? "true";
  const interval = header("kafka-auto-commit-interval") ?? String(DEFAULT_COMMIT_MS);
  if (!["true", "false"].includes(enable) || !/^\d{1,9}$/.test(interval)) {
    throw new ApiError(400, "Invalid Kafka-Enable-Auto-Commit or Kafka-Auto-Commit-Interval");
  }
  return { reset, autoCommitMs: enable === "true" ? Number(interval) : undefined };
}
