// A store in memory: the interface's meaning in the plainest form, for tests of what stands on it. Each call is atomic,
// since nothing in it waits; it has no clock. Data is copied on its way in and out, as JSON like in a real store.
import { dailyRows } from "./day.ts";
import { createMemoryQueryStore } from "./memory-query.ts";
import { createMemoryRetention } from "./memory-retention.ts";
import {
  checkedCommit,
  emptyTables,
  isSamePosition,
  partitionKey,
  positionIn,
  type MemoryTables,
} from "./memory-tables.ts";
import { groupOfReader, readerOf } from "./groups.ts";
import type { RetentionStore } from "./retention.ts";
import type { EpochsBefore, PartitionId, PartitionSource, QueryStore, StreamStore } from "./storage.ts";

export interface MemoryStore {
  stream: StreamStore;
  query: QueryStore;
  retention: RetentionStore;
  /** All there is, to be looked at. */
  tables: MemoryTables;
}

export function createMemoryStore(): MemoryStore {
  const tables = emptyTables();
  return {
    stream: createMemoryStreamStore(tables),
    query: createMemoryQueryStore(tables),
    retention: createMemoryRetention(tables),
    tables,
  };
}

function createMemoryStreamStore(tables: MemoryTables): StreamStore {
  return {
    async position(id) {
      return positionIn(tables, id);
    },
    async commit(commit) {
      const ready = checkedCommit(tables, commit);
      return typeof ready === "string" ? ready : ready.apply();
    },
    async rehearse(commit) {
      dailyRows(commit.rows);
    },
    async claimed(keys) {
      return tables.claims.under(keys);
    },
    async windows(source, lookups) {
      return await tables.windows.windows(source, lookups);
    },
    async dueWindows(source, throughMs, limit) {
      return await tables.windows.dueWindows(source, throughMs, limit);
    },
    async windowHorizon(source) {
      return await tables.windows.windowHorizon(source);
    },
    async seriesLabels(places) {
      return await tables.windows.seriesLabels(places);
    },
    async rawFloorDay() {
      return tables.floors.raw;
    },
    async noteReplayed(ids) {
      const replayed = new Set(ids);
      for (const { letter } of tables.deadLetters.values()) if (replayed.has(letter.id)) letter.replays++;
    },
    async readThrough(id, position, atMs) {
      const stored = tables.partitions.get(partitionKey(id));
      if (!stored || !isSamePosition(positionIn(tables, id), position)) return;
      stored.progress.readThroughMs = Math.max(stored.progress.readThroughMs, atMs);
    },
    async dropClaims(beforeMs, limit) {
      return tables.claims.drop(beforeMs, limit);
    },
    // Which later epochs are seen the groups know (memory-groups.ts).
    async epochsBefore(source, fromOffset, toOffset) {
      return epochsIn(tables, source, { fromOffset, toOffset }, [{ epoch: 0, untilMs: null }]);
    },
    async outbox(id, limit, exceptTopics = []) {
      return [...tables.outbox.values()]
        .filter((row) => partitionKey(row) === partitionKey(id) && !exceptTopics.includes(row.entry.topic))
        .slice(0, limit)
        .map(({ entry }) => ({ ...entry }));
    },
    async sent(id, ids) {
      for (const one of ids) {
        const row = tables.outbox.get(one);
        if (row && partitionKey(row) === partitionKey(id)) tables.outbox.delete(one);
      }
    },
    async progress(groupPrefix) {
      return [...tables.partitions.values()]
        .filter(({ progress }) => progress.group.startsWith(groupPrefix))
        .map(({ progress }) => ({ ...progress }))
        .toSorted(byPartition);
    },
    async ledger(groupPrefix, tenant) {
      return [...tables.ledger.values()]
        .filter((row) => row.group.startsWith(groupPrefix) && (tenant === undefined || row.tenant === tenant))
        .map((row) => ({ ...row }))
        .toSorted(
          (a, b) =>
            byPartition(a, b) ||
            a.incarnation - b.incarnation ||
            a.epoch - b.epoch ||
            byText(a.tenant, b.tenant) ||
            byText(a.signal, b.signal),
        );
    },
  };
}

/** @param seen the epochs that queries see */
export function epochsIn(
  { sources, deadLetters }: MemoryTables,
  { group, topic, partition, incarnation, epoch: own }: PartitionSource,
  { fromOffset, toOffset }: { fromOffset: number; toOffset: number },
  seen: EpochsBefore["epochs"],
): EpochsBefore {
  const name = groupOfReader(group, own);
  const found: EpochsBefore = { epochs: [], dead: [] };
  for (const { epoch, untilMs } of seen) {
    const source = sources.find(
      (one) => one.topic === topic && one.incarnation === incarnation && one.epoch === epoch,
    );
    if (!source || epoch === own) continue;
    found.epochs.push({ epoch, untilMs });
    for (const { source: id, letter } of deadLetters.values()) {
      const isOf =
        id === source.id && letter.group === readerOf(name, epoch) && letter.partition === partition;
      if (isOf && letter.offset >= fromOffset && letter.offset < toOffset)
        found.dead.push({ epoch, offset: letter.offset, index: letter.index });
    }
  }
  return found;
}

const byPartition = (a: PartitionId, b: PartitionId) =>
  byText(a.group, b.group) || byText(a.topic, b.topic) || a.partition - b.partition;

const byText = (a: string, b: string) => (a < b ? -1 : Number(a > b));
