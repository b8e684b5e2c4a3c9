// What this isolate counts, and its way into the totals of the whole deployment: by waitUntil behind answers, never in
// their way. Module scope holds plain data only; each delivery's promise belongs to the invocation that makes it.
import type { KafkaTransport } from "../lib/kafka/transport.ts";
import { addCounts, type Counts } from "../lib/observability/counts.ts";
import { Flusher } from "../lib/observability/flusher.ts";
import { logger } from "../lib/observability/logger.ts";
import { Registry } from "../lib/observability/registry.ts";
import { callObject } from "./object-call.ts";
import type { ShardTotals } from "./objects/edge-counters.ts";

/** Objects that share the isolates. Fewer of them later would leave the totals of the others out. */
const SHARDS = 4;

/** What one shard may take. */
const SHARD_DEADLINE_MS = 2_000;

export const edgeMetrics = new Registry();

const flusher = new Flusher(edgeMetrics, () => crypto.randomUUID());

/** The last totals that each shard told this isolate. */
const lastTotals = new Map<number, ShardTotals>();

type Invocation = Pick<ExecutionContext, "waitUntil">;

/** Has the counts given away within `intervalMs`, behind the answer. */
export function flushSoon(env: Env, context: Invocation, intervalMs: number): void {
  const waitMs = flusher.promise(Date.now(), intervalMs);
  if (waitMs === undefined) return;
  context.waitUntil(
    (async () => {
      if (waitMs > 0) await scheduler.wait(waitMs);
      await flushNow(env);
    })(),
  );
}

/** Gives away what is counted. What fails is kept and goes with a later one. */
export async function flushNow(env: Env): Promise<void> {
  // The second is what was counted while the first was not confirmed.
  for (let i = 0; i < 2; i++) {
    const flush = flusher.next(Date.now());
    if (!flush) return;
    const shard = Number.parseInt(flusher.isolate().slice(0, 8), 16) % SHARDS;
    // oxlint-disable-next-line no-await-in-loop -- the next has its number only when this one is confirmed
    const merged = await callObject(SHARD_DEADLINE_MS, async () => await shardOf(env, shard).merge(flush));
    if (!merged.ok) {
      logger.warn("edge_flush_failed", { sequence: flush.sequence, message: merged.message });
      return;
    }
    flusher.confirm(flush.sequence);
  }
}

export interface DeploymentTotals extends ShardTotals {
  /** Shards that did not answer. */
  errors: number;
}

/** Totals of all isolates, this one's latest included. */
export async function readTotals(env: Env): Promise<DeploymentTotals> {
  await flushNow(env);
  const answers = await Promise.all(
    Array.from({ length: SHARDS }, (_, i) =>
      callObject(SHARD_DEADLINE_MS, async () => await shardOf(env, i).read()),
    ),
  );
  const counts: Counts = new Map();
  let isolates = 0;
  let errors = 0;
  answers.forEach((answer, i) => {
    if (answer.ok) lastTotals.set(i, answer.value);
    else {
      errors++;
      logger.warn("edge_shard_unread", { shard: i, message: answer.message });
    }
    // A sum that falls because a shard is away would look like a restart, and be counted anew when it is back.
    const known = lastTotals.get(i);
    if (!known) return;
    addCounts(counts, known.counts);
    isolates += known.isolates;
  });
  return { counts, isolates, errors };
}

/** The same transport; what it writes is counted: messages by outcome, and their sizes. */
export function countProduced(transport: KafkaTransport, registry: Registry = edgeMetrics): KafkaTransport {
  const produce: KafkaTransport["produce"] = async (topic, records) => {
    const sent = (status: "success" | "failure", count: number) =>
      registry.count("kafka_messages_sent_total", { topic, status }, count);
    for (const { key, value } of records) {
      const bytes = (key?.length ?? 0) + (value?.length ?? 0);
      registry.observe("kafka_message_size_bytes", { topic }, bytes);
    }
    const startMs = Date.now();
    try {
      const outcomes = await transport.produce(topic, records);
      const good = outcomes.filter(({ ok }) => ok).length;
      sent("success", good);
      sent("failure", outcomes.length - good);
      return outcomes;
    } catch (error) {
      sent("failure", records.length);
      throw error;
    } finally {
      const seconds = Math.max(0, Date.now() - startMs) / 1000;
      registry.observe("kafka_produce_time_seconds", { topic }, seconds);
    }
  };
  return new Proxy(transport, {
    get(target, name) {
      if (name === "produce") return produce;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const shardOf = (env: Env, shard: number) => env.EDGE_COUNTERS.getByName(`shard-${shard}`);
