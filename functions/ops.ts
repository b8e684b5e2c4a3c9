// Operations: GET /healthz, /kafka/status, /api/v1/lag. What concerns the whole deployment needs `operator`.
import { Hono } from "hono";
import { healthShape, kafkaStatusShape, lagShape } from "../lib/http/ops-shape.ts";
import type { SpillStatus } from "../lib/ingest/spill/spill-port.ts";
import { KafkaError, type KafkaErrorCode } from "../lib/kafka/errors.ts";
import type { KafkaTransport, TransportCapabilities } from "../lib/kafka/transport.ts";
import { spillStatus } from "./spill.ts";
import { streamStoreOf } from "./storage.ts";
import type { Progress } from "../lib/storage/storage.ts";
import { clusterOf } from "./cluster.ts";
import { ownedPartitions, ownerOf, type Owned } from "./consume.ts";
import { defineRoute } from "./define-route.ts";
import type { ConsumerStatus } from "./objects/partition-consumer.ts";
import type { AppEnv } from "./request-context.ts";
import { knownSubscriptions } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

export const ops = new Hono<AppEnv>();

defineRoute(
  ops,
  {
    name: "getHealth",
    method: "get",
    path: "/healthz",
    scope: "none",
    tag: "Operations",
    summary: "Whether the worker answers",
    answers: { 200: { description: "It does", content: healthShape } },
  },
  (c) => c.json({ status: "healthy" }),
);

defineRoute(
  ops,
  {
    name: "getKafkaStatus",
    method: "get",
    path: "/kafka/status",
    scope: "operator",
    tag: "Operations",
    summary: "The way to Kafka, and who reads what",
    answers: { 200: { description: "The state now", content: kafkaStatusShape } },
  },
  async (c) => {
    const deployment = c.get("deployment");
    const transport = openTransport(c.env, deployment);
    const topics = [...deployment.rawTopics.keys()];
    const subscriptions = await knownSubscriptions(c.env);
    const [kafka, { breaker }, spill, consumers] = await Promise.all([
      describeKafka(transport, topics),
      clusterOf(c.env).state(),
      spillStatus(c.env, deployment),
      ownedPartitions(c.env, deployment).then((owned) =>
        Promise.all(owned.map((one) => describeOwner(c.env, one))),
      ),
    ]).finally(() => c.executionCtx.waitUntil(transport.close()));
    return c.json({
      kafka_producer: kafka.error === undefined ? "connected" : "disconnected",
      kafka_consumer: consumerState(new Set(consumers.map(({ state }) => state)), kafka.error !== undefined),
      consumer_topics: topics,
      consumer_handlers: subscriptions.map(({ group, signal }) => `${group}:${signal}`),
      transport: transport.name,
      ...kafka,
      breaker,
      spill: describeSpill(spill, Date.now()),
      consumers,
    });
  },
);

defineRoute(
  ops,
  {
    name: "listLag",
    method: "get",
    path: "/api/v1/lag",
    scope: "operator",
    tag: "Operations",
    summary: "How far each partition is read",
    answers: { 200: { description: "By group, topic and partition", content: lagShape } },
  },
  async (c) => {
    const deployment = c.get("deployment");
    const transport = openTransport(c.env, deployment);
    try {
      const [owned, progress] = await Promise.all([
        ownedPartitions(c.env, deployment),
        streamStoreOf(c.env).progress(deployment.config.KAFKA_CONSUMER_GROUP),
      ]);
      return c.json(await Promise.all(owned.map((one) => lagOf(transport, one, progress))));
    } finally {
      c.executionCtx.waitUntil(transport.close());
    }
  },
);

function describeSpill(
  { messages, records, bytes, refused, oldestMs, shards }: SpillStatus,
  nowMs: number,
): object {
  const oldest = oldestMs === null ? null : Math.max(0, nowMs - oldestMs);
  const error = shards.find((shard) => shard.error !== null)?.error ?? null;
  return { messages, records, bytes, refused, oldest_ms: oldest, error };
}

interface OwnerStatus {
  group: string;
  topic: string;
  partition: number;
  state: ConsumerStatus["state"] | "unknown";
  error: string | null;
  tripped: string[];
}

/** One word for all owners: the worst of them. */
function consumerState(states: ReadonlySet<OwnerStatus["state"]>, isKafkaAway: boolean): string {
  if (states.has("stopped")) return "stopped";
  if (states.has("retrying") || states.has("unknown") || isKafkaAway) return "retrying";
  return "running";
}

interface KafkaStatus {
  acks: TransportCapabilities["acks"] | null;
  capabilities: TransportCapabilities | null;
  topics_missing?: string[];
  /** What is wrong and what to do about it, in one sentence. */
  error?: string;
  error_code?: KafkaErrorCode;
}

async function describeKafka(transport: KafkaTransport, wanted: string[]): Promise<KafkaStatus> {
  let known: Pick<KafkaStatus, "acks" | "capabilities"> = { acks: null, capabilities: null };
  try {
    const present = new Set(await transport.topics());
    const capabilities = await transport.capabilities();
    known = { acks: capabilities.acks, capabilities };
    const missing = wanted.filter((topic) => !present.has(topic));
    const fault = faultOf(capabilities, missing);
    return {
      ...known,
      topics_missing: missing,
      ...(fault ? { error: fault.message, error_code: fault.code } : {}),
    };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { ...known, error: error.message, error_code: error.code };
  }
}

/** What keeps records from being accepted though Kafka answers. */
function faultOf({ acks }: TransportCapabilities, missing: string[]): KafkaError | undefined {
  if (missing.length > 0) {
    const what = missing.length === 1 ? "topic is" : "topics are";
    return new KafkaError(
      "unknown_topic",
      `${missing.length} ${what} missing: ${missing.join(", ")}; make them with \`weir topics init\` or the cluster's own tool`,
    );
  }
  if (acks === "unconfirmed") {
    return new KafkaError(
      "misconfigured",
      "the proxy does not show with which acks it writes; set it to acks=all, then KAFKA_ACKS_CONFIRMED=all here",
    );
  }
  return undefined;
}

async function describeOwner(env: Env, owned: Owned): Promise<OwnerStatus> {
  const { group, topic, partition } = owned;
  try {
    const { state, error, tripped } = await ownerOf(env, owned).status();
    return { group, topic, partition, state, error, tripped };
  } catch (error) {
    // One owner that cannot be asked must not hide the others.
    return {
      group,
      topic,
      partition,
      state: "unknown",
      error: error instanceof Error ? error.message : String(error),
      tripped: [],
    };
  }
}

async function lagOf(transport: KafkaTransport, owned: Owned, progress: Progress[]): Promise<object> {
  const { group, topic, partition } = owned;
  const known = progress.find(
    (one) => one.group === group && one.topic === topic && one.partition === partition,
  );
  const row = {
    group,
    topic,
    partition,
    committed: known?.nextOffset ?? null,
    records: known?.recordsTotal ?? 0,
    dead_letters: known?.deadTotal ?? 0,
    expired: known?.expiredTotal ?? 0,
    updated_at: known?.updatedAt ?? null,
  };
  try {
    const start = known?.nextOffset ?? (await transport.earliestOffset(topic, partition));
    const end = await transport.latestOffset(topic, partition, start);
    return { ...row, end, lag: Math.max(0, end - start) };
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return { ...row, end: null, lag: null, error: `${error.code}: ${error.message}` };
  }
}
