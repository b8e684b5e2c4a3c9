// The log of one partition in its Durable Object: what it keeps, what it lets go and when, and what it never makes.
import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { partitionLogs, topicDirectory } from "../../functions/embedded.ts";
import type { PartitionLog } from "../../functions/objects/partition-log.ts";
import { createEmbedded } from "../../lib/kafka/embedded/embedded.ts";
import type { AppendRecord, LogSettings } from "../../lib/kafka/embedded/objects.ts";
import { StoredLog } from "../../lib/kafka/embedded/stored-log.ts";
import { fromRpcResult, type RpcResult } from "../../lib/kafka/rpc-result.ts";
import type { FetchedRecord } from "../../lib/kafka/transport.ts";

const HOUR_MS = 3_600_000;
const NO_LIMIT: LogSettings = { retentionMs: -1, retentionBytes: -1 };

const transport = createEmbedded({
  logs: partitionLogs(env),
  directory: topicDirectory(env),
  defaultTopics: [],
});

let topic: string;
const stub = (): DurableObjectStub<PartitionLog> => env.PARTITION_LOG.getByName(`${topic}/0`);
const log = () => partitionLogs(env).of(topic, 0);
const ask = async <T>(answer: Promise<RpcResult<T>>): Promise<T> => fromRpcResult(await answer);
const make = async (settings: Partial<LogSettings> = {}) =>
  await ask(log().create(topic, 0, { ...NO_LIMIT, ...settings }));
const bytes = (size: number, fill = 120) => new Uint8Array(size).fill(fill);
const some = (count: number, size = 10): AppendRecord[] =>
  Array.from({ length: count }, () => ({ key: null, value: bytes(size) }));
const append = async (...records: AppendRecord[]) => await ask(log().append(records));
const read = async (offset: number, maxBytes = 1 << 20, waitMs = 0): Promise<FetchedRecord[]> =>
  await ask(log().read({ offset, maxBytes, waitMs }));
const bounds = async () => await ask(log().bounds());

/** Rows in the table, whatever the log says of itself. */
const rows = async (): Promise<number> =>
  await runInDurableObject(stub(), (_, { storage }) =>
    Number(storage.sql.exec("SELECT COUNT(*) AS rows FROM records").one().rows),
  );

/** The alarm is due now, or has just been; then runs it. */
const expectSoon = async () => {
  const alarmMs = await runInDurableObject(stub(), (_, { storage }) => storage.getAlarm());
  expect(alarmMs ?? 0).toBeLessThan(Date.now() + 1_000);
  await runDurableObjectAlarm(stub());
};

beforeEach(() => {
  topic = `t-${crypto.randomUUID()}`;
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("appends", () => {
  it("of many at once get offsets without a gap, each its own records together", async () => {
    await make();
    const bases = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        append(...Array.from({ length: 3 }, () => ({ key: null, value: bytes(1, i) }))),
      ),
    );
    expect(bases.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i * 3));
    const back = await read(0);
    expect(back.map(({ offset }) => offset)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    bases.forEach((base, i) => {
      expect(back.slice(base, base + 3).map(({ value }) => value?.[0])).toEqual([i, i, i]);
    });
  });

  it("happen whole or not at all", async () => {
    await make();
    await append(...some(2));
    expect(await log().append([...some(1), { key: null, value: bytes((1 << 20) + 1) }])).toMatchObject({
      ok: false,
      error: { code: "too_large" },
    });
    const unstorable = { key: null, value: bytes(1), timestampMs: Number.NaN };
    await runInDurableObject(stub(), (_, { storage }) => {
      const inside = new StoredLog(storage);
      expect(() => inside.append([...some(1), unstorable], Date.now())).toThrow("NOT NULL");
      expect(inside.bounds()).toEqual({ start: 0, end: 2 });
    });
    expect(await rows()).toBe(2);
    expect(await append(...some(1))).toBe(2);
  });

  it("carry a record of exactly 1 MiB, and no larger one", async () => {
    await transport.createTopic({ name: topic, partitions: 1, config: {} });
    const outcomes = await transport.produce(topic, [
      { partition: 0, key: bytes(10), value: bytes((1 << 20) - 10) },
      { partition: 0, key: bytes(10), value: bytes((1 << 20) - 9) },
      { partition: 0, key: null, value: bytes(1) },
    ]);
    expect(outcomes).toMatchObject([
      { ok: true, offset: 0 },
      { ok: false, error: { code: "too_large" } },
      { ok: true, offset: 1 },
    ]);
    expect((await read(0)).map(({ value }) => value?.length)).toEqual([(1 << 20) - 10]);
  });

  it("send a view's bytes, not the buffer behind it", async () => {
    await transport.createTopic({ name: topic, partitions: 1, config: {} });
    const behind = bytes(40 << 20);
    const outcomes = await transport.produce(topic, [
      {
        partition: 0,
        key: behind.subarray(0, 1),
        value: behind.subarray(5, 8),
        headers: [{ name: "h", value: behind.subarray(9).subarray(0, 2) }],
      },
    ]);
    expect(outcomes).toEqual([{ ok: true, partition: 0, offset: 0 }]);
    expect(await read(0)).toMatchObject([
      { key: bytes(1), value: bytes(3), headers: [{ name: "h", value: bytes(2) }] },
    ]);
  });

  it("keep null, empty and repeated headers, and the time of appending where a record has none", async () => {
    await make();
    const headers = [
      { name: "a", value: null },
      { name: "a", value: bytes(0) },
      { name: "", value: Uint8Array.of(0, 255) },
    ];
    const beforeMs = Date.now();
    await append({ key: bytes(0), value: null, headers }, { key: null, value: bytes(0), timestampMs: 0 });
    const [first, second] = await read(0);
    expect(first).toMatchObject({ key: bytes(0), value: null, headers });
    expect(first!.timestampMs).toBeGreaterThanOrEqual(beforeMs);
    expect(second).toMatchObject({ key: null, value: bytes(0), headers: [], timestampMs: 0 });
  });
});

describe("a read", () => {
  it("gives about as many bytes as were asked for, and at least one record", async () => {
    await make();
    await append(...some(100, 1_000));
    expect(await read(0, 10_500)).toHaveLength(10);
    expect(await read(95, 10_500)).toHaveLength(5);
    expect(await read(50, 0)).toHaveLength(1);
  });

  it("never gives more than a call may carry", async () => {
    await make();
    for (let i = 0; i < 12; i++) await append(...some(1, 1_000_000));
    expect(await read(0, 1 << 30)).toHaveLength(8);
    await append(...some(10_050, 0));
    expect(await read(12, 1 << 30)).toHaveLength(10_000);
  });

  it("that waits ends when a record comes, or its time is over", async () => {
    await make();
    const beganMs = performance.now();
    const waiting = [read(0, 1_000, 20_000), read(0, 1_000, 20_000)];
    await append(...some(1));
    for (const records of await Promise.all(waiting)) expect(records).toHaveLength(1);
    expect(await read(1, 1_000, 50)).toEqual([]);
    expect(performance.now() - beganMs).toBeLessThan(10_000);
  });

  it("that waits is told when what it waits for is deleted before it looks", async () => {
    await make();
    const waiting = log().read({ offset: 0, maxBytes: 1_000, waitMs: 20_000 });
    await runInDurableObject(stub(), async (object: PartitionLog) => {
      const appended = object.append(some(2));
      await object.deleteRecords(2);
      await appended;
    });
    expect(await waiting).toMatchObject({ ok: false, error: { code: "offset_out_of_range" } });
  });
});

describe("a log that was not created", () => {
  it("is unknown to every call, and keeps nothing", async () => {
    const calls = [
      log().append(some(1)),
      log().read({ offset: 0, maxBytes: 1, waitMs: 0 }),
      log().bounds(),
      log().deleteRecords(0),
    ];
    for (const answer of await Promise.all(calls))
      expect(answer).toMatchObject({ ok: false, error: { code: "unknown_topic" } });
    await runInDurableObject(stub(), async (_, { storage }) => {
      expect(storage.sql.exec("SELECT name FROM sqlite_master").toArray()).toEqual([]);
      expect(await storage.getAlarm()).toBeNull();
    });
  });
});

describe("retention", () => {
  it("by age lets go what was appended too long ago, by the alarm, whatever the records' own times", async () => {
    await make({ retentionMs: HOUR_MS });
    const startMs = Date.now();
    await append({ key: null, value: bytes(1), timestampMs: 0 }, ...some(2));
    vi.setSystemTime(startMs + HOUR_MS / 2);
    await append(...some(2));
    await runDurableObjectAlarm(stub());
    expect(await bounds()).toEqual({ start: 0, end: 5 });
    vi.setSystemTime(startMs + HOUR_MS + 1_000);
    await runDurableObjectAlarm(stub());
    expect(await bounds()).toEqual({ start: 3, end: 5 });
    expect(await rows()).toBe(2);
    await expect(read(2)).rejects.toMatchObject({ code: "offset_out_of_range" });
    expect(await read(3)).toHaveLength(2);
  });

  it("wakes itself for the next record to come of age", async () => {
    await make({ retentionMs: HOUR_MS });
    const startMs = Date.now();
    await append(...some(1));
    await runDurableObjectAlarm(stub());
    const nextMs = await runInDurableObject(stub(), (_, { storage }) => storage.getAlarm());
    expect(nextMs).toBeGreaterThanOrEqual(startMs + HOUR_MS);
    expect(nextMs).toBeLessThan(startMs + HOUR_MS + 60_000);
  });

  it("of everything keeps the offsets, through a restart too", async () => {
    await make({ retentionMs: HOUR_MS });
    await append(...some(1_000));
    vi.setSystemTime(Date.now() + 2 * HOUR_MS);
    await runDurableObjectAlarm(stub());
    expect(await rows()).toBe(0);
    await abortAllDurableObjects();
    expect(await bounds()).toEqual({ start: 1_000, end: 1_000 });
    expect(await append(...some(1))).toBe(1_000);
    await abortAllDurableObjects();
    expect(await bounds()).toEqual({ start: 1_000, end: 1_001 });
  });

  it("by size lets the oldest go as new ones come, and keeps at least what the limit says", async () => {
    await make({ retentionBytes: 10_000 });
    for (let i = 0; i < 50; i++) await append(...some(2, 968));
    expect(await bounds()).toEqual({ start: 90, end: 100 });
    expect(await rows()).toBe(10);
    await append(...some(1, 50_000));
    expect(await bounds()).toEqual({ start: 100, end: 101 });
  });

  it("counts right after a restart", async () => {
    await make({ retentionBytes: 10_000 });
    for (let i = 0; i < 10; i++) await append(...some(2, 968));
    await abortAllDurableObjects();
    for (let i = 0; i < 10; i++) await append(...some(2, 968));
    expect(await bounds()).toEqual({ start: 30, end: 40 });
  });

  it("goes in bounded steps", async () => {
    await make({ retentionMs: HOUR_MS });
    await append(...some(1_000));
    await runInDurableObject(stub(), (_, { storage }) => {
      const inside = new StoredLog(storage);
      const laterMs = Date.now() + 2 * HOUR_MS;
      expect(inside.expire(laterMs, 600)).toMatchObject({ hasMore: true, forced: 0 });
      expect(inside.bounds()).toEqual({ start: 600, end: 1_000 });
      expect(inside.expire(laterMs, 600)).toEqual({ hasMore: false, forced: 0, nextMs: undefined });
      expect(inside.bounds()).toEqual({ start: 1_000, end: 1_000 });
    });
  });

  it("follows a change of settings", async () => {
    await make();
    await append(...some(100, 968));
    await make({ retentionBytes: 5_000 });
    await expectSoon();
    expect(await bounds()).toEqual({ start: 95, end: 100 });
  });

  it("lets the oldest go before the database is full, and says so", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
    await make();
    await runInDurableObject(stub(), (_, { storage }) => {
      const inside = new StoredLog(storage, 2_000_000);
      let forced = 0;
      for (let i = 0; i < 200; i++) {
        inside.append(some(1, 100_000), Date.now());
        if (inside.isOverfull()) forced += inside.expire(Date.now(), 18).forced;
        expect(storage.sql.databaseSize).toBeLessThan(2_300_000);
      }
      const { start, end } = inside.bounds();
      expect(forced).toBe(start);
      expect(end - start).toBeGreaterThan(15);
    });
    const full = vi.spyOn(StoredLog.prototype, "isOverfull").mockReturnValue(true);
    const drop = vi
      .spyOn(StoredLog.prototype, "expire")
      .mockReturnValue({ forced: 3, hasMore: false, nextMs: undefined });
    await abortAllDurableObjects();
    await append(...some(1));
    await append(...some(1));
    expect([full, drop].map(({ mock }) => mock.calls.length)).toEqual([2, 2]);
    expect(told).toHaveBeenCalledOnce();
    expect(JSON.parse(String(told.mock.calls[0]?.[0]))).toMatchObject({
      event: "partition_log_full",
      topic,
      partition: 0,
      records_dropped: 3,
    });
  });

  it("frees the room of deleted records afterwards", async () => {
    await make();
    await append(...some(1_000));
    await ask(log().deleteRecords(999));
    expect(await bounds()).toEqual({ start: 999, end: 1_000 });
    await expect(log().deleteRecords(1_001)).resolves.toMatchObject({
      error: { code: "offset_out_of_range" },
    });
    await ask(log().deleteRecords(5));
    await expectSoon();
    expect(await rows()).toBe(1);
    expect(await bounds()).toEqual({ start: 999, end: 1_000 });
  });
});
