// What the rest of Weir sees of the spillway: messages go in by the shard of their key, and what is held can be told.
// The port never throws and never keeps its caller waiting beyond its deadline; what it answers as kept is on disk.
import type { KafkaErrorCode } from "../../kafka/errors.ts";
import { murmur2 } from "../../kafka/partitioner.ts";
import type { Signal } from "../../telemetry/signal.ts";

/** A message on its way to Kafka. Its partition is chosen when it is sent on, by the count of that moment. */
export interface SpillMessage {
  topic: string;
  key: Uint8Array;
  value: Uint8Array;
  tenant: string;
  signal: Signal;
  /** Records in it. */
  records: number;
  receivedMs: number;
}

/** `failed`: Kafka could not be reached with it. `behind`: nothing was tried, since others are held or the breaker is open. */
export type SpillReason = "behind" | "failed";

/**
 * What became of an append, as a whole. `direct`: nothing is held that it would stand behind, so the caller produces by
 * itself. `failed`: nothing is known of it.
 */
export type Appended =
  | { outcome: "kept" }
  | { outcome: "direct" }
  | { outcome: "full"; reason: string; retryAfterMs: number }
  | { outcome: "failed"; message: string };

export interface SpillPort {
  shardOf(key: Uint8Array): number;
  /** The messages are all of this shard, in the order in which they are to be sent. */
  append(shard: number, messages: readonly SpillMessage[], why: SpillReason): Promise<Appended>;
}

/** What is held of one tenant and signal. */
export interface TenantSpill {
  tenant: string;
  signal: Signal;
  records: number;
}

/** A message that Kafka refuses for itself; it is held beside the others, and tried again once an hour. */
export interface Refusal {
  topic: string;
  tenant: string;
  records: number;
  receivedMs: number;
  code: KafkaErrorCode;
  message: string;
}

/** What is held, the refused with it. */
export interface SpillSums {
  messages: number;
  records: number;
  bytes: number;
  /** When the oldest of those that wait was received, epoch ms, the refused left out; null: none waits. */
  oldestMs: number | null;
  /** Of `messages`: those that Kafka refuses for themselves. */
  refused: number;
}

export interface ShardSpill extends SpillSums {
  shard: number;
  /** Why it does not drain, or why it could not be asked; null: neither is so. */
  error: string | null;
  /** The oldest few. */
  refusals: Refusal[];
}

/** What was sent on within an hour: all of it stands in the log by `untilMs`, and may be unread. */
export interface Drained {
  /** The end of that hour. */
  untilMs: number;
  /** When the oldest of it was received. */
  oldestMs: number;
}

export interface SpillStatus extends SpillSums {
  /** False: a shard could not be asked, and what it holds is in none of the sums. */
  isComplete: boolean;
  shards: ShardSpill[];
  byTenant: TenantSpill[];
  /** Of all shards, by the hour. */
  drained: Drained[];
}

/** Non-negative, so that modulo any count of partitions gives Kafka's partition (partitioner.ts). */
export function keyHash(key: Uint8Array): number {
  return murmur2(key) & 0x7fffffff;
}

export function shardOf(key: Uint8Array, shards: number): number {
  return keyHash(key) % shards;
}
