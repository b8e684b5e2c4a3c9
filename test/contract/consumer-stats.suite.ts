// What every store promises of the consumers' figures: they are added up in the commits, by partition for all time and
// by minute, and those of old minutes can be dropped without touching the totals.
import { beforeEach, describe, expect, it } from "vitest";
import {
  minuteOf,
  PROCESSING_BOUNDS_MS,
  WAITING_BOUNDS_MS,
  type ConsumerStats,
  type StatsStore,
} from "../../lib/storage/consumer-stats.ts";
import type { DeadLetter, PartitionCommit } from "../../lib/storage/storage.ts";
import { ledgerEntry, partitionCommit, type CommitFields } from "./partition-commit.ts";

export interface StatsUnderTest {
  stats: StatsStore;
  /** Stores what a commit adds to the figures. */
  add(commit: PartitionCommit): Promise<void>;
}

const AT = Date.parse("2026-11-21T10:00:30.000Z");
const NOW = minuteOf(AT);
const ALL = { from: 0, to: NOW + 1_000 };

export function consumerStatsSuite(name: string, open: () => Promise<StatsUnderTest>): void {
  describe(`consumers' figures: ${name}`, () => {
    let stats: StatsStore;
    let add: (fields: CommitFields, place?: Partial<{ group: string; partition: number }>) => Promise<void>;
    let group: string;

    beforeEach(async () => {
      const opened = await open();
      stats = opened.stats;
      group = `g${crypto.randomUUID()}`;
      add = async (fields, place = {}) => {
        const id = { group, topic: "metrics.raw", partition: 0, ...place };
        await opened.add(partitionCommit(id, { committedAtMs: AT, ...fields }));
      };
    });

    const one = async (minutes = ALL): Promise<ConsumerStats> => {
      const rows = await stats.consumerStats(group, minutes);
      expect(rows).toHaveLength(1);
      return rows[0]!;
    };

    it("tells nothing of whom it does not know, and nothing of a commit that read nothing", async () => {
      expect(await stats.consumerStats(group, ALL)).toEqual([]);
      await add({ expired: 7 });
      expect(await stats.consumerStats(group, ALL)).toEqual([]);
    });

    it("adds up what commits tell", async () => {
      await add({
        stats: { messages: 4, busyMs: 10, lagMs: 120 },
        ledger: [
          ledgerEntry("a", { stored: 3, deduplicated: 2 }),
          ledgerEntry("b", { dead: 2, late: 1, redelivered: 5, foreign: 3 }),
        ],
        deadLetters: [deadLetter(7, 0), deadLetter(7, 3), deadLetter(9, -1)],
      });
      await add({
        stats: { messages: 1, busyMs: 2_000, lagMs: 4_000_000 },
        ledger: [ledgerEntry("a", { stored: 100 })],
        committedAtMs: AT + 5,
      });
      const { total, recent, ...row } = await one();
      expect(row).toEqual({
        group,
        topic: "metrics.raw",
        partition: 0,
        sinceMs: AT,
        committedAtMs: AT + 5,
        lagMs: 4_000_000,
      });
      expect(total).toMatchObject({
        messages: 5,
        failedMessages: 2,
        records: 113,
        deadLetters: 3,
        commits: 2,
        busyMs: 2_010,
      });
      // 2.5 ms each for four of them, which is a bound and so within it; 2 s for one.
      expect(total.processing).toEqual(
        [...PROCESSING_BOUNDS_MS, Infinity].map((bound) => (bound === 2.5 ? 4 : Number(bound === Infinity))),
      );
      expect(total.waiting).toEqual(
        [...WAITING_BOUNDS_MS, Infinity].map((bound) => Number(bound === 250 || bound === Infinity)),
      );
      expect(recent).toEqual(total);
    });

    it("keeps partitions and groups apart, in their order", async () => {
      const stored = { ledger: [ledgerEntry("a", { stored: 1 })] };
      await add(stored, { partition: 10 });
      await add(stored, { partition: 2 });
      await add(stored, { group: `${group}@1` });
      await add(stored, { group: `other${group}` });
      const rows = await stats.consumerStats(group, ALL);
      expect(rows.map((row) => [row.group, row.partition])).toEqual([
        [group, 2],
        [group, 10],
        [`${group}@1`, 0],
      ]);
      expect(rows.map(({ total }) => total.records)).toEqual([1, 1, 1]);
    });

    it("tells the minutes that are asked for: from the first on, without the last", async () => {
      for (const minute of [-2, -1, 0])
        await add({
          ledger: [ledgerEntry("a", { stored: 10 ** (minute + 2) })],
          committedAtMs: AT + minute * 60_000,
        });
      const records = async (from: number, to: number) =>
        (await one({ from: NOW + from, to: NOW + to })).recent.records;
      expect(await records(-2, 1)).toBe(111);
      expect(await records(-1, 1)).toBe(110);
      expect(await records(-2, 0)).toBe(11);
      expect(await records(-1, 0)).toBe(10);
      expect(await records(1, 2)).toBe(0);
      const { total, sinceMs } = await one({ from: NOW + 1, to: NOW + 2 });
      expect(total.records).toBe(111);
      expect(sinceMs).toBe(AT - 120_000);
    });

    it("drops minutes before the one that is named, and no total", async () => {
      for (const minute of [-2, -1, 0])
        await add({ ledger: [ledgerEntry("a", { stored: 1 })], committedAtMs: AT + minute * 60_000 });
      // Others may have left something in a store that cases share.
      expect(await stats.pruneStats(NOW - 1)).toBeGreaterThanOrEqual(1);
      expect(await stats.pruneStats(NOW - 1)).toBe(0);
      const { total, recent } = await one();
      expect(recent.records).toBe(2);
      expect(total.records).toBe(3);
    });

    it("takes a clock that was set back, and a time before 1970's second minute", async () => {
      await add({ ledger: [ledgerEntry("a", { stored: 1 })], stats: { messages: 1, busyMs: -5, lagMs: -9 } });
      await add({ ledger: [ledgerEntry("a", { stored: 1 })], committedAtMs: 1_000 });
      const { total, sinceMs, lagMs } = await one();
      expect(total).toMatchObject({ records: 2, commits: 2, busyMs: 0 });
      expect([sinceMs, lagMs]).toEqual([1_000, 0]);
    });
  });
}

function deadLetter(offset: number, index: number): DeadLetter {
  return {
    tenant: "b",
    offset,
    index,
    originalKey: null,
    originalValue: null,
    error: "e",
    errorType: "malformed_json",
    attempts: 1,
  };
}
