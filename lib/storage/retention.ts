// What a store is asked to forget: days of raw rows and of windows, whole, and what lies beside them by its age. What
// goes with a day of raw rows moves in the ledger from stored to expired, in the same transaction.
import type { DayKind, RawKind } from "./day.ts";

/** Kinds that have their floor in common: the first day that is kept. */
export type KindGroup = "raw" | "windows";

export const KINDS: { raw: readonly RawKind[]; windows: readonly ["windows"] } = {
  raw: ["events", "logs", "metrics", "spans"],
  windows: ["windows"],
};

/** A day of one kind that was dropped. */
export interface Retired {
  kind: DayKind;
  day: number;
  /** That the ledger counted as stored, and now as expired. */
  records: number;
}

export interface StorageSize {
  bytes: number;
  maxBytes: number;
}

export interface RetentionStore {
  /**
   * Raises the first day that is kept (it never sinks), so that no commit makes anew what is dropped; then drops the
   * oldest day before it, of one kind. To be called again until there is none; it may end anywhere and be begun anew.
   * @returns undefined: nothing lies before the floor any more
   * @throws StorageError
   */
  retire(group: KindGroup, floorDay: number): Promise<Retired | undefined>;
  /** The oldest day that has raw rows. */
  oldestRawDay(): Promise<number | undefined>;
  /** Drops dead letters that died before `beforeMs`, at most `limit`. @returns how many were dropped */
  dropDeadLetters(beforeMs: number, limit: number): Promise<number>;
  /** Drops series not seen since `day`, at most `limit`. @returns how many were dropped */
  dropSeries(day: number, limit: number): Promise<number>;
  /**
   * Drops the sources of epochs that were given up or replaced, that nobody has written to since `beforeMs` and of which
   * nothing is left. While there are any, queries look at each row's source.
   */
  dropSources(beforeMs: number): Promise<void>;
  /** Undefined: the store has no bound of its own. */
  size(): Promise<StorageSize | undefined>;
}
