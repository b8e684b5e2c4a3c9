// What the consumers have done, as figures that are added up in the commits they tell of: by partition for all time,
// and by minute for a day. So whatever is shown of the loop comes from storage, and no restart begins it anew.
import type { PartitionCommit, PartitionId } from "./storage.ts";

/** Upper bounds of the buckets of time per message, ms; a last one is above them all. */
export const PROCESSING_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000] as const;

/** Upper bounds of the buckets of how long the oldest message of a batch had waited, ms; a last one is above them all. */
export const WAITING_BOUNDS_MS = [
  50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 60_000, 600_000, 3_600_000,
] as const;

/** Sums, each of which only grows. */
const SUMS = ["messages", "failed_messages", "records", "dead_letters", "commits", "busy_ms"] as const;

const bucketColumns = (name: string, bounds: readonly number[]) =>
  Array.from({ length: bounds.length + 1 }, (_, i) => `${name}_${i}`);

const PROCESSING_COLUMNS = bucketColumns("processing", PROCESSING_BOUNDS_MS);
const WAITING_COLUMNS = bucketColumns("waiting", WAITING_BOUNDS_MS);

/** The columns that a commit adds to, in the order of {@link addedBy}. */
export const ADDED_COLUMNS: readonly string[] = [...SUMS, ...PROCESSING_COLUMNS, ...WAITING_COLUMNS];

/** The row of all time, beside those of minutes. */
export const ALL_TIME = -1;

export const minuteOf = (ms: number) => Math.floor(ms / 60_000);

export interface ConsumerFigures {
  messages: number;
  /** Of which at least one dead letter came. */
  failedMessages: number;
  /** Whatever became of them. */
  records: number;
  deadLetters: number;
  commits: number;
  /** From fetch to commit. */
  busyMs: number;
  /** Messages by their share of the time from fetch to commit; as many as bounds, and one. */
  processing: number[];
  /** Commits by how long the oldest message had waited since its receipt. */
  waiting: number[];
}

/** Of one partition and reader. */
export interface ConsumerStats extends PartitionId {
  total: ConsumerFigures;
  /** Of the minutes that were asked for. */
  recent: ConsumerFigures;
  /** Of the first commit and the newest; epoch ms. */
  sinceMs: number;
  committedAtMs: number;
  /** How long the oldest message of the newest commit had waited. */
  lagMs: number;
}

/** Whole minutes since 1970: from ≤ minute < to. */
export interface Minutes {
  from: number;
  to: number;
}

export interface StatsStore {
  /** Of all readers whose group begins so, in their order. */
  consumerStats(groupPrefix: string, minutes: Minutes): Promise<ConsumerStats[]>;
  /** Drops the rows of minutes before this one. @returns how many were dropped */
  pruneStats(beforeMinute: number): Promise<number>;
}

/** What a commit adds, column by column; undefined where it read nothing. */
export function addedBy(commit: PartitionCommit): number[] | undefined {
  const { stats, deadLetters, ledger } = commit;
  if (!stats && deadLetters.length === 0 && ledger.length === 0) return undefined;
  const messages = stats?.messages ?? 0;
  const busyMs = Math.max(0, stats?.busyMs ?? 0);
  const failed = new Set(deadLetters.map(({ offset }) => offset)).size;
  const records = ledger.reduce(
    (sum, { stored, dead, late, deduplicated, redelivered }) =>
      sum + stored + dead + late + deduplicated + redelivered,
    0,
  );
  return [
    messages,
    failed,
    records,
    deadLetters.length,
    1,
    Math.round(busyMs),
    ...inBucket(PROCESSING_BOUNDS_MS, messages > 0 ? busyMs / messages : 0, messages),
    ...inBucket(WAITING_BOUNDS_MS, stats?.lagMs ?? 0, stats ? 1 : 0),
  ];
}

function inBucket(bounds: readonly number[], value: number, weight: number): number[] {
  const buckets = [...bounds, Infinity].map(() => 0);
  const place = bounds.findIndex((bound) => value <= bound);
  buckets[place === -1 ? bounds.length : place] = weight;
  return buckets;
}

/** @param valueOf the figure of one of {@link ADDED_COLUMNS} */
export function figuresFrom(valueOf: (column: string) => number): ConsumerFigures {
  return {
    messages: valueOf("messages"),
    failedMessages: valueOf("failed_messages"),
    records: valueOf("records"),
    deadLetters: valueOf("dead_letters"),
    commits: valueOf("commits"),
    busyMs: valueOf("busy_ms"),
    processing: PROCESSING_COLUMNS.map(valueOf),
    waiting: WAITING_COLUMNS.map(valueOf),
  };
}
