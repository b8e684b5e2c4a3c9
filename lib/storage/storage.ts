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
  /** Counts how often the group was begun anew (a reset, a restored database); part of every row's key and every claim's. */
  epoch: number;
  /** Tells the message before `nextOffset` from any other, so that a topic made anew is known by it; null: none was read. */
  mark: string | null;
  /** Event time up to which the partition is taken to be complete, epoch ms; only ever grows. 0: nothing is known. */
  watermarkMs: number;
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
  /** How often it was tried. */
  attempts: number;
}

/**
 * That records of one batch were received: those of `bits`, in one acceptance of it. A record is stored once since its
 * bit may stand under its key and word in the rows of one acceptance at first, and later only beside it.
 */
export interface Claim {
  /** 16 bytes in hexadecimal: the batch's identity (lib/stream/identity.ts). */
  key: string;
  /** The records are those of the batch with an index from 32 × word on. */
  word: number;
  /** Which acceptance: a number below 2^48; 0 for a batch that is accepted once by its nature. */
  attempt: number;
  /** 32 bits, unsigned: bit i is record 32 × word + i. */
  bits: number;
}

/**
 * What a commit claims. The commit is taken back as a conflict where a row that is there forbids it. Judged by what was
 * there before the commit, not by one another.
 */
export interface NewClaims {
  /** None of the bits may be set in any row of the key and word, whatever its attempt. */
  first: Claim[];
  /** None of the bits may be set in the row of the key, word and attempt. */
  repeated: Claim[];
  /** The newest receipt in the batch, epoch ms: claims are dropped by it. Undefined where the batch has none. */
  receivedMs: number | undefined;
}

/** What a commit adds to the ledger, in records. */
export interface LedgerEntry {
  tenant: string;
  signal: Signal;
  stored: number;
  dead: number;
  late: number;
  /** Accepted a second time, and not stored a second time. */
  deduplicated: number;
  /** Copies in the log of what was accepted once (an answer of Kafka's was lost): no part of the balance. */
  redelivered: number;
  /** Of `stored`, `late` and `dead`: written to the topic by others, and so never accepted at the edge. */
  foreign: number;
}

/** What leaves Weir by a commit: it is sent at least once after it, under an id that never changes. */
export interface OutboxEntry {
  id: string;
  /** Where it goes. */
  topic: string;
  /** base64 */
  key: string | null;
  /** Text. */
  value: string;
}

/** A series is a metric's name with its labels; `series` is its id (lib/windows/series.ts). */
export interface SeriesSeen {
  tenant: string;
  name: string;
  /** 32 hexadecimal digits. */
  series: string;
  labels: Record<string, string>;
  /** When it was last seen, in whole days since 1970, UTC. */
  day: number;
}

export interface WindowPlace {
  tenant: string;
  name: string;
  series: string;
  /** Id of the window's definition, as in `5m` (lib/windows/definition.ts). */
  window: string;
  startMs: number;
}

/** What one partition holds of one series' window: a partial, merged with those of other partitions when it is read. */
export interface StoredWindow extends WindowPlace {
  endMs: number;
  /** At which watermark it is to be sent next; null once its final result was sent. */
  dueMs: number | null;
  /** How often a result of it with other contents was sent; 0: none was. */
  revision: number;
  /** The partial, encoded (lib/windows/partial-codec.ts). */
  state: string;
}

/** Windows of a series and a definition that start from `fromMs` to `toMs`, both included. */
export interface WindowLookup extends Omit<WindowPlace, "startMs"> {
  fromMs: number;
  toMs: number;
}

export interface WindowChanges {
  /** As they are now, whatever was there. */
  put: StoredWindow[];
  /** Those that were merged into another one (sessions). */
  removed: WindowPlace[];
  series: SeriesSeen[];
}

/** What a commit adds to the figures of the loop. */
export interface CommitStats {
  messages: number;
  /** From the fetch of the batch to its commit. */
  busyMs: number;
  /** How long the oldest message of the batch had been waiting since its receipt. */
  lagMs: number;
}

/** The newest point of a series that an alert rule looks at, and the newest that violates it. */
export interface AlertSample {
  tenant: string;
  rule: string;
  series: string;
  name: string;
  labels: Record<string, string>;
  /** Nanoseconds since the epoch, decimal text. */
  time: string;
  value: number;
  violatedTime: string | null;
  violatedValue: number | null;
}

export interface PartitionCommit extends PartitionId {
  /** The position this batch was planned from; undefined when the group had never read the partition. */
  from: Position | undefined;
  next: Position;
  rows: Rows;
  deadLetters: DeadLetter[];
  claims: NewClaims;
  ledger: LedgerEntry[];
  outbox: OutboxEntry[];
  windows: WindowChanges;
  /** Of what alerts on raw values look at: each is merged with what is there by its times, in whatever order. */
  alertSamples: AlertSample[];
  stats: CommitStats | undefined;
  /** The first day (since 1970, UTC) whose raw rows are kept, as the batch was planned with; a conflict where it has moved. */
  rawFloorDay: number;
  /** Messages before `next` that retention removed before they were read. */
  expired: number;
  committedAtMs: number;
}

export interface Progress extends PartitionId {
  nextOffset: number;
  incarnation: number;
  epoch: number;
  recordsTotal: number;
  deadTotal: number;
  expiredTotal: number;
  /** All that was received before this is read, as far as this partition goes; epoch ms, 0: nothing is known. */
  readThroughMs: number;
  watermarkMs: number;
  /** ISO 8601 */
  updatedAt: string;
}

/** The ledger's sums of one partition and tenant since the group began on it. */
export interface LedgerRow extends LedgerEntry, PartitionId {
  incarnation: number;
  epoch: number;
  /** Stored once, and dropped at their age since: no part of `stored` any more. */
  expired: number;
}

/** Where a partition's windows lie. */
export type PartitionSource = PartitionId & Pick<Position, "incarnation" | "epoch">;

/** What queries see of the epochs before, and what died in them. */
export interface EpochsBefore {
  /** `untilMs`: what is from then on, a later one tells anew; null: none does. */
  epochs: { epoch: number; untilMs: number | null }[];
  /** Places of dead letters; an index of −1 stands for the message as a whole. */
  dead: { epoch: number; offset: number; index: number }[];
}

export interface StreamStore {
  position(id: PartitionId): Promise<Position | undefined>;
  /**
   * One transaction: rows, dead letters, claims, ledger, outbox and the next offset, or nothing.
   * @returns `fenced` when someone else has moved the position since `from` was read; `conflict` when a claim forbids it,
   *   and the batch is to be planned anew by what `claimed` tells. Nothing was written in either case
   * @throws StorageError
   */
  commit(commit: PartitionCommit): Promise<"committed" | "fenced" | "conflict">;
  /**
   * Does the commit and takes it back: whether the store would take it. Judges the data alone, wherever the partition
   * stands and whatever is claimed.
   * @throws StorageError `storage_rejected` where the data is at fault
   */
  rehearse(commit: PartitionCommit): Promise<void>;
  /** The claims there are under these keys. */
  claimed(keys: readonly string[]): Promise<Claim[]>;
  /** The partition's windows that the look-ups name. */
  windows(source: PartitionSource, lookups: readonly WindowLookup[]): Promise<StoredWindow[]>;
  /** Those with `dueMs` ≤ `throughMs`, the first due first, at most `limit`. */
  dueWindows(source: PartitionSource, throughMs: number, limit: number): Promise<StoredWindow[]>;
  /** When the next of the partition's windows is due, and the newest start of each definition there is. */
  windowHorizon(
    source: PartitionSource,
  ): Promise<{ nextDueMs: number | null; newestStartMs: Record<string, number> }>;
  /** Labels of series, by id. */
  seriesLabels(
    places: readonly Pick<WindowPlace, "tenant" | "name" | "series">[],
  ): Promise<Map<string, Record<string, string>>>;
  /** The first day whose raw rows are kept. */
  rawFloorDay(): Promise<number>;
  /** The partition was read to its end at `atMs`, from `position`; nothing happens where the position has moved. */
  readThrough(id: PartitionId, position: Position, atMs: number): Promise<void>;
  /** Drops claims of batches received before `beforeMs`, at most `limit` rows. @returns how many were dropped */
  dropClaims(beforeMs: number, limit: number): Promise<number>;
  /**
   * Of the epochs of the group beside the source's own (its group is the reader) that queries see: how far they do, and
   * what died in them with offsets from ≤ offset < to.
   */
  epochsBefore(source: PartitionSource, fromOffset: number, toOffset: number): Promise<EpochsBefore>;
  /**
   * What is to be sent of this partition, oldest first: `limit` at most, fewer where they are large, none where none is.
   * @param exceptTopics what goes to these is left out
   */
  outbox(id: PartitionId, limit: number, exceptTopics?: readonly string[]): Promise<OutboxEntry[]>;
  /** These have been sent. */
  sent(id: PartitionId, ids: readonly string[]): Promise<void>;
  /** These dead letters have been written to their topics again, once more. */
  noteReplayed(ids: readonly string[]): Promise<void>;
  progress(groupPrefix: string): Promise<Progress[]>;
  /** @param tenant undefined: of all */
  ledger(groupPrefix: string, tenant: string | undefined): Promise<LedgerRow[]>;
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

/** Of what could not be stored, newest first. */
export interface DeadLetterQuery {
  /** Undefined: of all tenants. */
  tenant: string | undefined;
  /** The topic that they came from. */
  topic: string | undefined;
  errorType: string | undefined;
  /** When they died: from ≤ time < to, ISO 8601 in UTC with milliseconds. */
  from: string | undefined;
  to: string | undefined;
  limit: number;
  /** The id that the page before ended with; one that is not there, or another tenant's, gives an empty page. */
  after: string | undefined;
}

export interface StoredDeadLetter {
  /** `group/topic/incarnation/partition/offset/index` */
  id: string;
  group: string;
  tenant: string;
  topic: string;
  incarnation: number;
  partition: number;
  offset: number;
  /** −1: the message as a whole. */
  index: number;
  /** base64 */
  originalKey: string | null;
  /** base64; left out of lists */
  originalValue?: string | null;
  error: string;
  errorType: string;
  attempts: number;
  /** ISO 8601 */
  deadAt: string;
  /** How often it was written to its topic again. */
  replays: number;
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

/** Ids of series, 32 lower-case hexadecimal digits: from ≤ id < below. They are hashes, and so lie evenly. */
export interface SeriesSlice {
  from: string;
  /** Undefined: all from there on. */
  below: string | undefined;
}

export interface WindowQuery {
  tenant: string;
  name: string;
  window: string;
  labels: Record<string, string>;
  /** Only series whose ids lie in it; costs by those, and not by all of them. Left out: any. */
  series?: SeriesSlice;
  /** Starts: from ≤ start < to; epoch ms. */
  fromMs: number;
  toMs: number;
  /** Rows at most; those of the newest starts first. The last start may be incomplete where so many are returned. */
  limit: number;
}

export interface FoundWindow extends StoredWindow {
  labels: Record<string, string>;
  partition: number;
}

export interface QueryStore {
  /** Partials of windows, the newest start first. */
  windows(query: WindowQuery): Promise<FoundWindow[]>;
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
  /** Without their values. */
  deadLetters(query: DeadLetterQuery): Promise<StoredDeadLetter[]>;
  /** With its value. @param tenant undefined: whosever it is */
  deadLetter(id: string, tenant: string | undefined): Promise<StoredDeadLetter | undefined>;
}

/**
 * `storage_unavailable`: the store failed; nothing is known to have been written unless a later read shows it.
 * `storage_rejected`: it refused what it was given, and will again; nothing was written.
 */
export type StorageErrorCode = "storage_unavailable" | "storage_rejected";

export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: StorageErrorCode;
  readonly retryable: boolean;

  constructor(message: string, options: { cause?: unknown; code?: StorageErrorCode } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code ?? "storage_unavailable";
    this.retryable = this.code === "storage_unavailable";
  }
}
