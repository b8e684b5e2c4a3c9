// What Weir asks of a store: commit a partition's progress together with its results, tell the progress, answer
// queries. A back end is one file that implements this and passes test/contract/storage.suite.ts.
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import type { NativeSignal, RecordOf } from "../telemetry/signal.ts";

export interface PartitionId {
  group: string;
  topic: string;
  partition: number;
}

export interface Position {
  nextOffset: number;
  /** Counts how often the topic was made anew; part of every row's key. */
  incarnation: number;
}

/** A record on its way into storage, with its place in Kafka. */
export interface Row<S extends NativeSignal> {
  tenant: string;
  /** Offset of the message. */
  offset: number;
  /** Place of the record in the message. */
  index: number;
  record: RecordOf[S];
}

export type Rows = { [S in NativeSignal]: Row<S>[] };

/** A message, or one record of it, that cannot be stored by a fault of its own. */
export interface DeadLetter {
  tenant: string;
  offset: number;
  /** −1 when the message as a whole could not be read. */
  index: number;
  /** base64 */
  originalKey: string | null;
  /** base64; null where there is none, or where it is too large to be kept */
  originalValue: string | null;
  error: string;
  errorType: string;
}

export interface PartitionCommit extends PartitionId {
  /** The position this batch was planned from; undefined when the group had never read the partition. */
  from: Position | undefined;
  next: Position;
  rows: Rows;
  deadLetters: DeadLetter[];
  /** Messages before `next` that retention removed before they were read. */
  expired: number;
  committedAtMs: number;
}

export interface Progress extends PartitionId {
  nextOffset: number;
  recordsTotal: number;
  deadTotal: number;
  expiredTotal: number;
  /** ISO 8601 */
  updatedAt: string;
}

export interface StreamStore {
  position(id: PartitionId): Promise<Position | undefined>;
  /**
   * One transaction: rows, dead letters and the next offset, or nothing.
   * @returns `fenced` when someone else has moved the position since `from` was read; nothing was written then
   * @throws StorageError
   */
  commit(commit: PartitionCommit): Promise<"committed" | "fenced">;
  progress(groupPrefix: string): Promise<Progress[]>;
}

/** Bounds of time, nanoseconds since the epoch as decimal text; from ≤ t < to. */
export interface TimeRange {
  from: string | undefined;
  to: string | undefined;
}

/** Where a page ended: the sort key of its last row. */
export interface PageKey {
  time: string;
  source: number;
  partition: number;
  offset: number;
  idx: number;
}

export interface PageRequest extends TimeRange {
  tenant: string;
  limit: number;
  after: PageKey | undefined;
}

export interface MetricQuery extends PageRequest {
  name: string | undefined;
  labels: Record<string, string>;
}

export interface LogQuery extends PageRequest {
  /** Text that the message holds, letter case aside. */
  text: string | undefined;
  service: string | undefined;
  level: string | undefined;
}

export interface EventQuery extends PageRequest {
  eventType: string | undefined;
}

export interface StoredMetric {
  name: string;
  value: number;
  labels: Record<string, string>;
}
export interface StoredLog {
  level: string;
  message: string;
  service: string | null;
  host: string | null;
  attributes: JsonObject;
}
export interface StoredEvent {
  event_type: string;
  data: JsonValue;
  id: string | null;
  key: string | null;
  attributes: JsonObject | null;
}

/** A stored record with its sort key. */
export type Found<T> = { key: PageKey; record: T };

export interface QueryStore {
  /** Newest first. */
  metrics(query: MetricQuery): Promise<Found<StoredMetric>[]>;
  logs(query: LogQuery): Promise<Found<StoredLog>[]>;
  events(query: EventQuery): Promise<Found<StoredEvent>[]>;
}

/** The store failed; nothing is known to have been written unless a later read shows it. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code = "storage_unavailable";
  readonly retryable = true;
}
