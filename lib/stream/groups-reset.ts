// What a reset asks for, made a plan: from which time each topic is built anew, and from where it is read for that. Only
// what the log holds whole can be built anew; the rest stays as the old epoch stored it.
import type { KafkaTransport } from "../kafka/transport.ts";
import type { GroupStart, TopicPlan } from "../storage/groups.ts";
import type { PartitionId, Position, StreamStore } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import { DAY_MS } from "../windows/definition.ts";
import { timeAt, type LogRange } from "./offset-at.ts";

/** A record's time may be ahead of its receipt by this (contracts.md, limits). */
const AHEAD_MS = 600_000;
/** What is repeated may repeat what was received this long before (contracts.md, Idempotency-Key). */
const CLAIMS_MS = 24 * 3_600_000;

export interface PartitionOffset {
  topic: string;
  partition: number;
  offset: number;
}

/** `offsets`: each topic from the oldest of the times of the messages there. */
export type ResetTo = "earliest" | { timeMs: number } | { offsets: readonly PartitionOffset[] };

/** A partition that the group reads, by its old reader. */
export interface ReadPartition extends PartitionId {
  signal: Signal;
}

export interface ResetDeps {
  transport: Pick<KafkaTransport, "fetch" | "earliestOffset" | "latestOffset">;
  store: Pick<StreamStore, "position" | "progress">;
  now(): number;
}

export type Planned = { ok: true; topics: TopicPlan[] } | { ok: false; reason: string };

interface Looked extends LogRange {
  position: Position | undefined;
  /** When its oldest message was written; undefined: none is kept, or none tells. */
  oldestMs: number | undefined;
}

/** @throws KafkaError, StorageError */
export async function planReset(
  partitions: readonly ReadPartition[],
  to: ResetTo,
  deps: ResetDeps,
): Promise<Planned> {
  const unfit = unfitOf(partitions, to, deps.now());
  if (unfit !== undefined) return { ok: false, reason: unfit };
  const looked = await Promise.all(partitions.map(async (one) => await look(one, deps)));
  const reader = partitions[0]?.group;
  const progress = reader === undefined ? [] : await deps.store.progress(reader);
  const topics: TopicPlan[] = [];
  for (const topic of new Set(looked.map((one) => one.topic))) {
    const own = looked.filter((one) => one.topic === topic);
    const fault = faultOf(topic, own);
    if (fault !== undefined) return { ok: false, reason: fault };
    const asked = await askedTime(topic, own, to, deps);
    if (typeof asked === "string") return { ok: false, reason: asked };
    const plan = planTopic(topic, own, asked, deps.now());
    const gonePartitions = progress
      .filter((one) => one.group === reader && one.topic === topic)
      .map(({ partition }) => partition)
      .filter((partition) => !own.some((one) => one.partition === partition));
    topics.push(gonePartitions.length === 0 ? plan : { ...plan, gonePartitions });
  }
  return { ok: true, topics };
}

/**
 * Where a group begins anew that stores nothing queries see.
 * @throws KafkaError
 */
export async function startOfReset(
  partitions: readonly ReadPartition[],
  to: ResetTo,
  deps: ResetDeps,
): Promise<{ ok: true; start: GroupStart } | { ok: false; reason: string }> {
  const unfit = unfitOf(partitions, to, deps.now());
  if (unfit !== undefined) return { ok: false, reason: unfit };
  if (to === "earliest") return { ok: true, start: to };
  if ("timeMs" in to) return { ok: true, start: to };
  const times: number[] = [];
  const looked = await Promise.all(partitions.map(async (one) => await look(one, deps)));
  for (const topic of new Set(to.offsets.map((one) => one.topic))) {
    const asked = await askedTime(topic, looked, to, deps);
    if (typeof asked === "string") return { ok: false, reason: asked };
    // At the end there is nothing to be read again.
    times.push(asked ?? deps.now());
  }
  return { ok: true, start: { timeMs: Math.min(...times) } };
}

/** What nothing would be built of: told rather than built. */
function unfitOf(partitions: readonly ReadPartition[], to: ResetTo, nowMs: number): string | undefined {
  if (to === "earliest") return undefined;
  if ("timeMs" in to)
    return to.timeMs > nowMs
      ? `${new Date(to.timeMs).toISOString()} lies ahead: give a time that is past`
      : undefined;
  const unread = to.offsets.find(
    ({ topic, partition }) => !partitions.some((one) => one.topic === topic && one.partition === partition),
  );
  return unread && `${unread.topic}/${unread.partition} is not read by this group`;
}

async function look(one: ReadPartition, { transport, store }: ResetDeps): Promise<Looked> {
  const { topic, partition, signal } = one;
  const position = await store.position(one);
  const earliest = await transport.earliestOffset(topic, partition, position?.nextOffset);
  const latest = await transport.latestOffset(topic, partition, position?.nextOffset);
  const log = { topic, partition, signal, earliest, latest };
  return { ...log, position, oldestMs: await timeAt(transport, log, earliest) };
}

function faultOf(topic: string, own: readonly Looked[]): string | undefined {
  for (const { partition, position, latest } of own)
    if (position && position.nextOffset > latest)
      return `${topic}/${partition} ends before what was read of it: resume it first, as another one`;
  const makings = new Set(own.flatMap(({ position }) => (position ? [position.incarnation] : [])));
  if (makings.size > 1)
    return `the partitions of ${topic} are of different makings of it: resume them all first`;
  return undefined;
}

/** @returns epoch ms; null: the topic is not asked for; a text: what is wrong */
async function askedTime(
  topic: string,
  own: readonly Looked[],
  to: ResetTo,
  { transport }: ResetDeps,
): Promise<number | null | string> {
  if (to === "earliest") return 0;
  if ("timeMs" in to) return to.timeMs;
  const times: number[] = [];
  for (const { partition, offset } of to.offsets.filter((one) => one.topic === topic)) {
    const log = own.find((one) => one.topic === topic && one.partition === partition) as Looked;
    if (offset < log.earliest || offset > log.latest)
      return `${topic}/${partition} holds ${log.earliest} to ${log.latest}, not ${offset}`;
    const timeMs = await timeAt(transport, log, offset);
    // At the end there is nothing that could be built anew.
    if (timeMs !== undefined) times.push(timeMs);
    else if (offset < log.latest)
      return `${topic}/${partition} tells no time at ${offset}: give a time instead`;
  }
  return times.length > 0 ? Math.min(...times) : null;
}

function planTopic(topic: string, own: readonly Looked[], askedMs: number | null, nowMs: number): TopicPlan {
  const incarnation = Math.max(0, ...own.map(({ position }) => position?.incarnation ?? 0));
  const plan = { topic, incarnation };
  if (askedMs === null) return { ...plan, fromTimeMs: null, start: { timeMs: nowMs - CLAIMS_MS } };
  // Of what was removed from the log nobody knows which times it had; all that is later than this is there.
  const shortened = own.filter(({ earliest }) => earliest > 0);
  const wholeFromMs = Math.max(0, ...shortened.map(({ oldestMs }) => (oldestMs ?? nowMs) + AHEAD_MS));
  const fromTimeMs = Math.max(
    Math.floor(askedMs / DAY_MS) * DAY_MS,
    Math.ceil(wholeFromMs / DAY_MS) * DAY_MS,
  );
  if (fromTimeMs <= 0) return { ...plan, fromTimeMs: 0, start: "earliest" };
  return { ...plan, fromTimeMs, start: { timeMs: Math.min(fromTimeMs, nowMs) - AHEAD_MS - CLAIMS_MS } };
}
