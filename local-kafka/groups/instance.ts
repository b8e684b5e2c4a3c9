/** One consumer of a group, as it is kept in memory: what it wants, what it was given, how far it has read. */
import type { KnownPartition, TopicPartition } from "./committed-offsets.ts";

export interface ConsumerSettings {
  /** Where to read without a committed offset, or when the log no longer has the one that is due. */
  reset: OffsetReset;
  /** What was read is committed at a later read, no sooner than this after the last time. */
  autoCommitMs?: number | undefined;
}

/** `clamp`: at the log's start, and an offset out of its range becomes the nearest that is in it. */
export type OffsetReset = "clamp" | "earliest" | "latest" | "none";

export interface Position extends KnownPartition {
  /** Next offset to read. */
  offset: number;
}

export interface Instance {
  settings: ConsumerSettings;
  autoCommittedMs: number;
  topics: Set<string>;
  /** Partitions given by name instead of subscribed to. */
  assigned: readonly TopicPartition[] | undefined;
  /** By `positionKey`. */
  positions: Map<string, Position>;
  lastSeenMs: number;
  /** Reads of one instance take turns, so that none returns what another just did. */
  turn: Promise<unknown>;
}

/** A topic made anew under its old name starts anew. */
export function positionKey({ incarnation, partition }: KnownPartition): string {
  return `${incarnation}/${partition}`;
}
