// What the store in memory holds, and what a commit does to it.
import { SIGNALS, type RecordOf, type Signal } from "../telemetry/signal.ts";
import { dailyRows, SIGNAL_OF, storedByDay, type DailyRows, type RawKind } from "./day.ts";
import { MemoryAlertSamples } from "./memory-alert-samples.ts";
import { MemoryClaims } from "./memory-claims.ts";
import { MemoryConsumerStats } from "./memory-consumer-stats.ts";
import { MemoryWindows } from "./memory-windows.ts";
import type {
  LedgerRow,
  OutboxEntry,
  PageKey,
  PartitionCommit,
  PartitionId,
  Position,
  Progress,
  StoredDeadLetter,
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
  /** How much of the ledger's `stored` lies in which day. */
  dayRows: { kind: RawKind; day: number; ledgerPlace: string; stored: number }[];
  /** The first day that is kept. */
  floors: { raw: number; windows: number };
  windows: MemoryWindows;
  alertSamples: MemoryAlertSamples;
  stats: MemoryConsumerStats;
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
    dayRows: [],
    floors: { raw: 0, windows: 0 },
    windows: new MemoryWindows(),
    alertSamples: new MemoryAlertSamples(),
    stats: new MemoryConsumerStats(),
    outbox: new Map(),
  };
}

export function positionIn(tables: MemoryTables, id: PartitionId): Position | undefined {
  const stored = tables.partitions.get(partitionKey(id));
  if (!stored) return undefined;
  const { nextOffset, incarnation, epoch, watermarkMs } = stored.progress;
  return { nextOffset, incarnation, epoch, mark: stored.mark, watermarkMs };
}

/**
 * A commit that the tables would take now, or why not.
 * @throws StorageError `storage_rejected`
 */
export function checkedCommit(
  tables: MemoryTables,
  commit: PartitionCommit,
): "fenced" | "conflict" | { apply(rowsElsewhere?: number): "committed" } {
  const daily = dailyRows(commit.rows);
  if (!isSamePosition(positionIn(tables, commit), commit.from)) return "fenced";
  if (tables.floors.raw > commit.rawFloorDay || tables.claims.forbids(commit.claims)) return "conflict";
  return {
    apply(rowsElsewhere = 0) {
      applyCommit(tables, commit, daily, rowsElsewhere);
      return "committed";
    },
  };
}

/** The mark is no part of it: it follows from the others. */
export function isSamePosition(a: Position | undefined, b: Position | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.nextOffset === b.nextOffset &&
    a.incarnation === b.incarnation &&
    a.epoch === b.epoch &&
    a.watermarkMs === b.watermarkMs
  );
}

export const partitionKey = ({ group, topic, partition }: PartitionId) =>
  JSON.stringify([group, topic, partition]);

function applyCommit(
  tables: MemoryTables,
  commit: PartitionCommit,
  daily: DailyRows,
  rowsElsewhere: number,
): void {
  const { group, topic, partition, next, rows } = commit;
  const source = sourceOf(tables, topic, next);
  let records = rowsElsewhere;
  for (const signal of SIGNALS) {
    records += rows[signal].length;
    storeRows(tables, signal, daily, { source, partition });
  }
  storeDeadLetters(tables, commit, source);
  tables.claims.add(commit.claims, commit.committedAtMs);
  addLedger(tables, commit, daily);
  tables.windows.apply(commit);
  tables.alertSamples.apply(commit);
  tables.stats.apply(commit);
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
      watermarkMs: next.watermarkMs,
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
  daily: DailyRows,
  { source, partition }: { source: number; partition: number },
): void {
  const stored = tables.rows[signal] as Map<string, MemoryRow<Signal>>;
  for (const { tenant, offset, index, time, record } of [...daily[signal].values()].flat()) {
    const key: PageKey = { time, source, partition, offset, idx: index };
    const place = JSON.stringify([tenant, key]);
    if (!stored.has(place)) stored.set(place, { key, tenant, record: copy(record) });
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
      replays: 0,
    };
    tables.deadLetters.set(place, { source, letter });
  }
}

function addLedger(
  tables: MemoryTables,
  { group, topic, partition, next, ledger }: PartitionCommit,
  daily: DailyRows,
): void {
  const { incarnation, epoch } = next;
  const placeOf = (tenant: string, signal: Signal) =>
    JSON.stringify([group, topic, partition, incarnation, epoch, tenant, signal]);
  for (const { kind, day, tenant, stored } of storedByDay(daily, ledger))
    tables.dayRows.push({ kind, day, ledgerPlace: placeOf(tenant, SIGNAL_OF[kind]), stored });
  for (const entry of ledger) {
    const place = placeOf(entry.tenant, entry.signal);
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
      expired: 0,
    };
    for (const count of COUNTS) sum[count] += entry[count];
    tables.ledger.set(place, sum);
  }
}

const COUNTS = ["stored", "dead", "late", "deduplicated", "redelivered", "foreign"] as const;

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value));
