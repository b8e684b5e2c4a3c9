import { beforeEach, describe, expect, it } from "vitest";
import { DAY_MS, dayOf } from "../../../lib/storage/day.ts";
import { createMemoryStore, type MemoryStore } from "../../../lib/storage/memory.ts";
import type { RetentionStore } from "../../../lib/storage/retention.ts";
import { retireOld } from "../../../lib/storage/retire.ts";
import { ledgerEntry, partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { log } from "../../contract/storage-case.ts";

const NOW = Date.parse("2026-11-21T10:00:00.000Z");
const TODAY = dayOf(NOW);
const KEPT = { rawDays: 7, windowsDays: 90 };

describe("one call of retention", () => {
  let store: MemoryStore;

  /** A log at each of the days, today being 0. */
  beforeEach(async () => {
    store = createMemoryStore();
    const days = [-60, -8, -7, -6, 0, 1];
    const logs = days.map((day, i) => ({
      tenant: "t",
      offset: i,
      index: 0,
      record: log({ timestamp: new Date(NOW + day * DAY_MS).toISOString() }),
    }));
    const id = { group: "g", topic: "t", partition: 0 };
    const ledger = [ledgerEntry("t", { stored: days.length })];
    await store.stream.commit(partitionCommit(id, { next: positionAt(6), rows: { logs }, ledger }));
  });

  const left = () => [...store.tables.rows.logs.values()].map(({ key }) => key.offset);
  const sized = (...shares: number[]): RetentionStore => ({
    ...store.retention,
    size: async () => ({
      bytes: (shares.length > 1 ? shares.shift()! : shares[0]!) * 1_000,
      maxBytes: 1_000,
    }),
  });

  it("keeps today and as many whole days as are asked for", async () => {
    const report = await retireOld(store.retention, KEPT, () => NOW);
    expect(left()).toEqual([2, 3, 4, 5]);
    expect(report.retired.map(({ day, records }) => [day - TODAY, records])).toEqual([
      [-60, 1],
      [-8, 1],
    ]);
    expect(report).toMatchObject({ early: [], isDone: true, size: undefined });
    expect(await store.stream.rawFloorDay()).toBe(TODAY - 7);
    expect(store.tables.floors.windows).toBe(TODAY - 90);
  });

  it("keeps all days while the database has room", async () => {
    expect((await retireOld(sized(0.89), KEPT, () => NOW)).early).toEqual([]);
    expect(left()).toEqual([2, 3, 4, 5]);
  });

  it("drops the oldest day early where it is nearly full, one a call, and never today's", async () => {
    const full = await retireOld(sized(0.9, 0.85), KEPT, () => NOW);
    expect(full.early.map(({ day, records }) => [day - TODAY, records])).toEqual([[-7, 1]]);
    expect(full.size?.bytes).toBe(850);
    expect(left()).toEqual([3, 4, 5]);
    expect(await store.stream.rawFloorDay()).toBe(TODAY - 6);
    await retireOld(sized(1), KEPT, () => NOW);
    expect(left()).toEqual([4, 5]);
    await retireOld(sized(1), KEPT, () => NOW);
    expect(left()).toEqual([4, 5]);
    expect(await store.stream.rawFloorDay()).toBe(TODAY - 5);
  });

  it("ends when its time is over, and goes on at the next call", async () => {
    let calls = 0;
    const slow = () => NOW + calls++ * 15_000;
    const report = await retireOld(store.retention, KEPT, slow);
    expect(report).toMatchObject({ retired: [{ day: TODAY - 60 }], isDone: false });
    expect(left()).toEqual([1, 2, 3, 4, 5]);
    await retireOld(store.retention, KEPT, () => NOW);
    expect(left()).toEqual([2, 3, 4, 5]);
  });

  it("drops dead letters after thirty days, however many there are", async () => {
    const letter = (offset: number) => ({
      tenant: "t",
      offset,
      index: -1,
      originalKey: null,
      originalValue: null,
      error: "e",
      errorType: "malformed_json",
      attempts: 1,
    });
    const id = { group: "g", topic: "t", partition: 1 };
    const old = Array.from({ length: 2_500 }, (_, i) => letter(i));
    const diedMs = NOW - 30 * DAY_MS;
    await store.stream.commit(partitionCommit(id, { deadLetters: old, committedAtMs: diedMs - 1 }));
    const kept = {
      from: positionAt(1),
      next: positionAt(2),
      deadLetters: [letter(9_999)],
      committedAtMs: diedMs,
    };
    await store.stream.commit(partitionCommit(id, kept));
    expect((await retireOld(store.retention, KEPT, () => NOW)).deadLetters).toBe(2_500);
    expect([...store.tables.deadLetters.values()].map(({ letter: one }) => one.offset)).toEqual([9_999]);
  });
});
