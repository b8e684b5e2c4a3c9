// What the store in memory holds, and what a commit does to it.
import { momentToNanos, parseTimestamp } from "../telemetry/time.ts";
import { SIGNALS, type RecordOf, type Signal } from "../telemetry/signal.ts";
import { MemoryClaims } from "./memory-claims.ts";
import {
  StorageError,
  type LedgerRow,
  type OutboxEntry,
  type PageKey,
  type PartitionCommit,
  type PartitionId,
  type Position,
  type Progress,
  type Rows,
  type StoredDeadLetter,
} from "./storage.ts";

export interface MemorySource {
  id: number;
  topic: string;
  incarnation: number;
  epoch: number;
}

export interface MemoryRow<S extends Signal> {
  key: PageKey;
  tenant: string;
  record: RecordOf[S];
}

/** `deadLetter` with where it stands in lists. */
export interface MemoryDeadLetter {
  source: number;
  letter: StoredDeadLetter;
}

export interface MemoryTables {
  sources: MemorySource[];
  /** By {@link partitionKey}. */
  partitions: Map<string, { progress: Progress; mark: string | null }>;
  /** By place. */
  rows: { [S in Signal]: Map<string, MemoryRow<S>> };
  deadLetters: Map<string, MemoryDeadLetter>;
  claims: MemoryClaims;
  ledger: Map<string, LedgerRow>;
  /** By id, oldest first. */
  outbox: Map<string, PartitionId & { entry: OutboxEntry }>;
}

export function emptyTables(): MemoryTables {
  return {
    sources: [],
    partitions: new Map(),
    rows: { metrics: new Map(), logs: new Map(), events: new Map(), traces: new Map() },
    deadLetters: new Map(),
    claims: new MemoryClaims(),
    ledger: new Map(),
    outbox: new Map(),
  };
}

export function positionIn(tables: MemoryTables, id: PartitionId): Position | undefined {
  const stored = tables.partitions.get(partitionKey(id));
  if (!stored) return undefined;
  const { nextOffset, incarnation, epoch } = stored.progress;
  return { nextOffset, incarnation, epoch, mark: stored.mark };
}

/**
 * A commit that the tables would take now, or why not.
 * @throws StorageError `storage_rejected`
 */
export function checkedCommit(
  tables: MemoryTables,
  commit: PartitionCommit,
): "fenced" | "conflict" | { apply(rowsElsewhere?: number): "committed" } {
  const times = timesOf(commit.rows);
  if (!isSamePosition(positionIn(tables, commit), commit.from)) return "fenced";
  if (tables.claims.forbids(commit.claims)) return "conflict";
  return {
    apply(rowsElsewhere = 0) {
      applyCommit(tables, commit, times, rowsElsewhere);
      return "committed";
    },
  };
}

/** The mark is no part of it: it follows from the others. */
export function isSamePosition(a: Position | undefined, b: Position | undefined): boolean {
  if (!a || !b) return a === b;
  return a.nextOffset === b.nextOffset && a.incarnation === b.incarnation && a.epoch === b.epoch;
}

export const partitionKey = ({ group, topic, partition }: PartitionId) =>
  JSON.stringify([group, topic, partition]);

/** Nanoseconds of each record, in the rows' order; also the proof that the rows can be stored. */
export function timesOf(rows: Rows): Record<Signal, string[]> {
  const times = { metrics: [], logs: [], events: [], traces: [] } as Record<Signal, string[]>;
  for (const signal of SIGNALS) {
    for (const { record, tenant, offset, index } of rows[signal]) {
      const moment = parseTimestamp(record.timestamp);
      if (!moment.ok) {
        throw new StorageError(`record ${index} of ${tenant} at ${offset}: ${moment.error.message}`, {
          code: "storage_rejected",
        });
      }
      times[signal].push(momentToNanos(moment.value));
    }
  }
  return times;
}

function applyCommit(
  tables: MemoryTables,
  commit: PartitionCommit,
  times: Record<Signal, string[]>,
  rowsElsewhere: number,
): void {
  const { group, topic, partition, next, rows } = commit;
  const source = sourceOf(tables, topic, next);
  let records = rowsElsewhere;
  for (const signal of SIGNALS) {
    records += rows[signal].length;
    storeRows(tables, signal, rows, times, { source, partition });
  }
  storeDeadLetters(tables, commit, source);
  tables.claims.add(commit.claims, commit.committedAtMs);
  addLedger(tables, commit);
  for (const entry of commit.outbox) {
    if (!tables.outbox.has(entry.id))
      tables.outbox.set(entry.id, { group, topic, partition, entry: { ...entry } });
  }
  move(tables, commit, records);
}

/** Adds to a partition's totals and sets its position. */
function move(tables: MemoryTables, commit: PartitionCommit, records: number): void {
  const { group, topic, partition, next } = commit;
  const key = partitionKey(commit);
  const before = tables.partitions.get(key)?.progress;
  const isAnew = before?.incarnation !== next.incarnation || before.epoch !== next.epoch;
  tables.partitions.set(key, {
    mark: next.mark,
    progress: {
      group,
      topic,
      partition,
      nextOffset: next.nextOffset,
      incarnation: next.incarnation,
      epoch: next.epoch,
      recordsTotal: (before?.recordsTotal ?? 0) + records,
      deadTotal: (before?.deadTotal ?? 0) + commit.deadLetters.length,
      expiredTotal: (before?.expiredTotal ?? 0) + commit.expired,
      readThroughMs: Math.max(isAnew ? 0 : before.readThroughMs, commit.claims.receivedMs ?? 0),
      updatedAt: new Date(commit.committedAtMs).toISOString(),
    },
  });
}

function sourceOf(tables: MemoryTables, topic: string, { incarnation, epoch }: Position): number {
  const known = tables.sources.find(
    (source) => source.topic === topic && source.incarnation === incarnation && source.epoch === epoch,
  );
  if (known) return known.id;
  const id = tables.sources.length + 1;
  tables.sources.push({ id, topic, incarnation, epoch });
  return id;
}

function storeRows(
  tables: MemoryTables,
  signal: Signal,
  rows: Rows,
  times: Record<Signal, string[]>,
  { source, partition }: { source: number; partition: number },
): void {
  for (const [i, { tenant, offset, index, record }] of rows[signal].entries()) {
    const key: PageKey = { time: times[signal][i] as string, source, partition, offset, idx: index };
    const place = JSON.stringify([tenant, key]);
    if (!tables.rows[signal].has(place)) {
      (tables.rows[signal] as Map<string, MemoryRow<Signal>>).set(place, {
        key,
        tenant,
        record: copy(record),
      });
    }
  }
}

function storeDeadLetters(tables: MemoryTables, commit: PartitionCommit, source: number): void {
  const { group, topic, partition, next } = commit;
  for (const dead of commit.deadLetters) {
    const place = JSON.stringify([source, partition, dead.offset, dead.index, group]);
    if (tables.deadLetters.has(place)) continue;
    const letter: StoredDeadLetter = {
      ...dead,
      id: [group, topic, next.incarnation, partition, dead.offset, dead.index].join("/"),
      group,
      topic,
      incarnation: next.incarnation,
      partition,
      deadAt: new Date(commit.committedAtMs).toISOString(),
    };
    tables.deadLetters.set(place, { source, letter });
  }
}

function addLedger(tables: MemoryTables, { group, topic, partition, next, ledger }: PartitionCommit): void {
  const { incarnation, epoch } = next;
  for (const entry of ledger) {
    const place = JSON.stringify([group, topic, partition, incarnation, epoch, entry.tenant, entry.signal]);
    const sum = tables.ledger.get(place) ?? {
      group,
      topic,
      partition,
      incarnation,
      epoch,
      tenant: entry.tenant,
      signal: entry.signal,
      stored: 0,
      dead: 0,
      late: 0,
      deduplicated: 0,
      redelivered: 0,
      foreign: 0,
    };
    for (const count of COUNTS) sum[count] += entry[count];
    tables.ledger.set(place, sum);
  }
}

const COUNTS = ["stored", "dead", "late", "deduplicated", "redelivered", "foreign"] as const;

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value));
