// The intake's use case, behind decoding: prepared messages go to Kafka, or into the spillway while Kafka is away, and
// each record gets its verdict. What is answered as accepted was acknowledged by one of them; nothing is claimed of
// anything else. Of one key nothing overtakes: what stands behind a message that is kept is kept, too.
import { KafkaError } from "../kafka/errors.ts";
import type { KafkaClusterState } from "../kafka/cluster-state.ts";
import { partitionOf } from "../kafka/partitioner.ts";
import { produceRequests } from "../kafka/request-size.ts";
import { produceWithRetry, type RetryOptions, type Timing } from "../kafka/retry.ts";
import { systemTimer, within, type Timer } from "../kafka/timer.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../kafka/transport.ts";
import { reject } from "../telemetry/result.ts";
import type { Signal } from "../telemetry/signal.ts";
import type { NotDurable, Prepared, Verdict } from "./prepared.ts";
import type { Appended, SpillPort } from "./spill/spill-port.ts";

/** Where there is a spillway to go to: what Kafka has not confirmed by then goes there. */
export const KAFKA_DEADLINE_MS = 5_000;

/** Within it, so that the last attempt has a second to be answered. */
export const RETRY_BEFORE_SPILL: RetryOptions = {
  maxAttempts: 4,
  baseDelayMs: 100,
  maxDelayMs: 2_000,
  deadlineMs: 4_000,
};

export interface Spill {
  port: SpillPort;
  state: KafkaClusterState;
}

export interface ProduceDeps {
  transport: KafkaTransport;
  topic: string;
  /** Its records are part of the ledger. */
  isCounted: boolean;
  /** Of the topic; or why they are not known, and so nothing can be produced. */
  partitions: number | KafkaError;
  tenant: string;
  signal: Signal;
  receivedMs: number;
  /** Undefined: what Kafka does not confirm is to be sent again by the client. */
  spill: Spill | undefined;
  retry: RetryOptions;
  timing: Timing;
  timer?: Timer;
}

export interface AcceptOutcome {
  /** One per record, in the request's order. */
  verdicts: Verdict[];
  /** Records that are durable, in Kafka or kept; and those of them that are kept. */
  accepted: number;
  spilled: number;
  /** Where the log grew: the owners of these partitions are to be woken. */
  grown: { topic: string; partition: number; offset: number }[];
  /** Produce requests, for the breaker: those of which something was written, and those of which nothing was. */
  calls: { ok: number; failed: number };
  /** Kafka's first, for the operator's log; what is kept may have met one, too. */
  failure: KafkaError | undefined;
  /** Records answered as `retry` that may have been written, or kept, all the same. */
  unconfirmed: number;
}

interface Item {
  record: ProduceRecord & { key: Uint8Array; value: Uint8Array };
  indices: number[];
  /** Why the spillway has not taken it. */
  refused?: NotKept;
  /** It was handed to Kafka or to the spillway, and nothing is known of what came of it. */
  isUnsure?: boolean;
}

type NotKept = Extract<Appended, { outcome: "full" | "failed" }>;

/** A message that is not in Kafka, and why; in the request's order. */
interface Missed {
  item: Item;
  error: KafkaError;
}

export async function produceMessages(
  { rejections, records, messages }: Prepared,
  deps: ProduceDeps,
): Promise<AcceptOutcome> {
  const { partitions, spill } = deps;
  const verdicts: Verdict[] = Array.from({ length: records });
  for (const [index, rejection] of rejections) verdicts[index] = { status: "rejected", rejection };
  const outcome: AcceptOutcome = {
    verdicts,
    accepted: 0,
    spilled: 0,
    grown: [],
    calls: { ok: 0, failed: 0 },
    failure: undefined,
    unconfirmed: 0,
  };
  const utf8 = new TextEncoder();
  const count = typeof partitions === "number" ? partitions : 1;
  const items = messages.map(({ key, value, indices }): Item => {
    const bytes = utf8.encode(key);
    return { record: { partition: partitionOf(bytes, count), key: bytes, value }, indices };
  });
  if (!spill) {
    refuse(outcome, await missedByKafka(items, outcome, deps));
    return outcome;
  }
  const { breaker, spilled, isOld = false } = spill.state;
  const isClear = breaker === "closed" && spilled.length === 0 && !isOld;
  const direct = isClear ? items : await keepBehind(items, outcome, deps, spill);
  const missed = await missedByKafka(direct, outcome, deps);
  if (missed.length > 0) await keepMissed(missed, outcome, deps, spill);
  return outcome;
}

/** @returns what Kafka is to be tried with: all but what is kept behind others, or until Kafka is back */
async function keepBehind(
  items: readonly Item[],
  outcome: AcceptOutcome,
  deps: ProduceDeps,
  { port, state }: Spill,
): Promise<Item[]> {
  // Without partitions Kafka cannot be tried at all; what it missed is kept then, whatever stands before it.
  if (typeof deps.partitions !== "number") return [...items];
  const shards = byShard(items, port);
  const isUncertain = state.breaker !== "closed" || state.isOld === true;
  const direct = new Set<Item>(items);
  const refused: Missed[] = [];
  await Promise.all(
    [...shards].map(async ([shard, group]) => {
      const isHolding = state.spilled.includes(shard);
      if (!isUncertain && !isHolding) return;
      const appended = await append(port, shard, group, "behind", deps);
      if (appended.outcome === "direct") return;
      if (appended.outcome === "kept") noteSpilled(outcome, group, deps.topic);
      else for (const item of group) noteRefusal(item, appended);
      // In Kafka they would overtake what the shard holds. Of one that did not answer, and held nothing, there is
      // nothing to lose by trying.
      const isLeft = appended.outcome === "full" || (appended.outcome === "failed" && isHolding);
      for (const item of group) {
        if (appended.outcome === "kept" || isLeft) direct.delete(item);
        if (isLeft) refused.push({ item, error: notTried() });
      }
    }),
  );
  refuse(outcome, refused);
  return items.filter((item) => direct.has(item));
}

/** Produces them, in order. @returns what is not in Kafka and may get there later; all else has its verdict */
async function missedByKafka(
  items: readonly Item[],
  outcome: AcceptOutcome,
  deps: ProduceDeps,
): Promise<Missed[]> {
  const { topic, partitions } = deps;
  const missed: Missed[] = [];
  let failure = typeof partitions === "number" ? undefined : partitions;
  const timer = deps.timer ?? systemTimer;
  const untilMs = timer.now() + KAFKA_DEADLINE_MS;
  for (const chunk of produceRequests(items)) {
    // Once Kafka has failed for good, the rest is not tried: order within a key must hold.
    const results = failure ? undefined : await produceChunk(chunk, deps, untilMs - timer.now(), timer);
    let went: "ok" | "failed" | undefined;
    chunk.forEach((item, i) => {
      const result = results?.[i];
      if (result?.ok) {
        const { partition, offset } = result;
        for (const index of item.indices)
          outcome.verdicts[index] = { status: "ok", topic, partition, offset };
        outcome.accepted += item.indices.length;
        outcome.grown.push({ topic, partition, offset });
        went = "ok";
        return;
      }
      const error =
        result?.error ?? failure ?? new KafkaError("bad_answer", "nothing is known of this message");
      if (error.code === "too_large") return noteTooLarge(outcome, item);
      if (results && error.retryable) {
        went ??= "failed";
        item.isUnsure = true;
      }
      missed.push({ item, error });
    });
    failure ??= missed[0]?.error;
    if (went) outcome.calls[went]++;
  }
  outcome.failure = failure;
  return missed;
}

const notTried = () => new KafkaError("unavailable", "not tried: older messages wait for Kafka");

const late = () => new KafkaError("timeout", `not confirmed within ${KAFKA_DEADLINE_MS} ms`);

async function produceChunk(
  chunk: readonly Item[],
  { transport, topic, retry, timing, spill }: ProduceDeps,
  leftMs: number,
  timer: Timer,
): Promise<ProduceOutcome[]> {
  const records = chunk.map(({ record }) => record);
  if (!spill) return await produceWithRetry(transport, topic, records, retry, timing);
  if (leftMs <= 0) return records.map(() => ({ ok: false, error: late() }));
  // Known to be away, or to be just back: one look is enough, for what cannot be kept.
  const maxAttempts = spill.state.breaker === "closed" ? retry.maxAttempts : 1;
  const options = { ...retry, maxAttempts, deadlineMs: Math.min(retry.deadlineMs, leftMs) };
  try {
    return await within(leftMs, produceWithRetry(transport, topic, records, options, timing), late, timer);
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    return records.map(() => ({ ok: false, error }));
  }
}

/** Into the spillway with what may yet reach Kafka, unless that has refused it before. */
async function keepMissed(
  missed: readonly Missed[],
  outcome: AcceptOutcome,
  deps: ProduceDeps,
  { port }: Spill,
): Promise<void> {
  const keepable = missed.filter(({ item, error }) => error.retryable && !item.refused);
  const shards = byShard(
    keepable.map(({ item }) => item),
    port,
  );
  await Promise.all(
    [...shards].map(async ([shard, group]) => {
      const appended = await append(port, shard, group, "failed", deps);
      if (appended.outcome === "kept") return noteSpilled(outcome, group, deps.topic);
      const refusal: NotKept =
        appended.outcome === "direct" ? { outcome: "failed", message: "not kept" } : appended;
      for (const item of group) noteRefusal(item, refusal);
    }),
  );
  refuse(
    outcome,
    missed.filter(({ item: { indices } }) => outcome.verdicts[indices[0] ?? 0]?.status !== "spilled"),
  );
}

async function append(
  port: SpillPort,
  shard: number,
  group: readonly Item[],
  why: "behind" | "failed",
  { topic, isCounted, tenant, signal, receivedMs }: ProduceDeps,
): Promise<Appended> {
  const about = { topic, tenant, signal, receivedMs };
  const messages = group.map(({ record: { key, value }, indices }) => ({
    ...about,
    key,
    value,
    records: isCounted ? indices.length : 0,
  }));
  return await port.append(shard, messages, why);
}

function byShard(items: readonly Item[], port: SpillPort): Map<number, Item[]> {
  const shards = new Map<number, Item[]>();
  for (const item of items) {
    const shard = port.shardOf(item.record.key);
    const group = shards.get(shard);
    if (group) group.push(item);
    else shards.set(shard, [item]);
  }
  return shards;
}

function noteSpilled(outcome: AcceptOutcome, group: readonly Item[], topic: string): void {
  const verdict: Verdict = { status: "spilled", topic };
  for (const { indices } of group) {
    for (const index of indices) outcome.verdicts[index] = verdict;
    outcome.accepted += indices.length;
    outcome.spilled += indices.length;
  }
}

function noteRefusal(item: Item, refusal: NotKept): void {
  item.refused = refusal;
  item.isUnsure ||= refusal.outcome === "failed";
}

function noteTooLarge({ verdicts }: AcceptOutcome, { record, indices }: Item): void {
  const { error: rejection } = reject(
    "record_too_large",
    "",
    `partition ${record.partition} refused the message as too large; raise the broker's message.max.bytes to 1 MiB or more`,
  );
  for (const index of indices) verdicts[index] = { status: "rejected", rejection };
}

export function kafkaMissed(error: KafkaError): NotDurable {
  return { reason: "kafka_unavailable", error, retryAfterMs: error.retryAfterMs };
}

/** Neither in Kafka nor kept: the client is to send them again. */
function refuse(outcome: AcceptOutcome, missed: readonly Missed[]): void {
  for (const { item, error } of missed) {
    const full = item.refused?.outcome === "full" ? item.refused : undefined;
    const why: NotDurable = full
      ? { reason: "spill_full", error, retryAfterMs: full.retryAfterMs }
      : kafkaMissed(error);
    const verdict: Verdict = { status: "retry", ...why };
    for (const index of item.indices) outcome.verdicts[index] = verdict;
    if (item.isUnsure) outcome.unconfirmed += item.indices.length;
  }
}
