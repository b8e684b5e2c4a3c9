// What Weir asks of a store: commit a partition's progress together with its results, tell the progress, answer
// queries. A back end is one file that implements this and passes test/contract/storage.suite.ts.
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";
import type { Metric } from "../telemetry/metric.ts";
import type { RecordOf, Signal } from "../telemetry/signal.ts";

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
export interface Row<S extends Signal> {
  tenant: string;
  /** Offset of the message. */
  offset: number;
  /** Place of the record in the message. */
  index: number;
  record: RecordOf[S];
}

export type Rows = { [S in Signal]: Row<S>[] };

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

export interface TraceQuery extends PageRequest {
  service: string | undefined;
  name: string | undefined;
  status: string | undefined;
  /** Nanoseconds. */
  minDuration: number | undefined;
}

export interface NameQuery {
  tenant: string;
  /** Names that begin so. */
  prefix: string;
  /** Where the page before ended. */
  after: string;
  limit: number;
}

export interface StoredMetric {
  name: string;
  /** As in Metric: null where the point is not one number, a text where it is no finite one. */
  value: Metric["value"];
  labels: Record<string, string>;
  kind?: string;
  detail?: JsonObject;
}
export interface StoredMetricName {
  name: string;
  /** Of the newest point. */
  kind: string | null;
  /** ISO 8601 */
  last_timestamp: string;
}
export interface StoredLog {
  level: string;
  message: string;
  service: string | null;
  host: string | null;
  attributes: JsonObject;
  detail?: JsonObject;
}
export interface StoredSpan {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  name: string;
  kind: string;
  status: string;
  service: string | null;
  host: string | null;
  duration_ms: number;
  attributes: JsonObject;
  detail: JsonObject;
}
/** A trace by its root span. */
export interface StoredTrace {
  trace_id: string;
  name: string;
  service: string | null;
  status: string;
  duration_ms: number;
  /** Of its spans that are stored; at most 1,000 are counted. */
  span_count: number;
  error_count: number;
  services: string[];
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
  /** By root spans. */
  traces(query: TraceQuery): Promise<Found<StoredTrace>[]>;
  /** The spans of a trace, earliest first, at most `limit`, and at most some 8 MB of them. */
  spans(tenant: string, traceId: string, limit: number): Promise<Found<StoredSpan>[]>;
  spanCount(tenant: string, traceId: string): Promise<number>;
  /** In the order of the names' code points. */
  metricNames(query: NameQuery): Promise<StoredMetricName[]>;
}

/** The store failed; nothing is known to have been written unless a later read shows it. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code = "storage_unavailable";
  readonly retryable = true;
}
