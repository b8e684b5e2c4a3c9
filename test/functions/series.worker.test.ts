// The Durable Object that counts series: how often it is asked and writes, that its state outlives it, and that two
// isolates come to the same answers.
import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { SeriesDirectory } from "../../functions/objects/series-directory.ts";
import { seriesDirectories } from "../../functions/series.ts";
import type { NameAsk, SeriesDirectories } from "../../lib/ingest/cardinality/directory.ts";
import { SeriesLimiter } from "../../lib/ingest/cardinality/series-limiter.ts";
import { type SeriesRef } from "../../lib/ingest/cardinality/series.ts";
import { MAX_FOLDED_PER_NAME, StoredSeries } from "../../lib/ingest/cardinality/stored-series.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");

let tenant: string;
beforeEach(() => {
  tenant = `t-${crypto.randomUUID()}`;
});

const ref = (name: string, user: number): SeriesRef => ({ name, labels: { user: String(user) } });
const some = (name: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ref(name, from + i));

/** Without the deadline: how fast this machine is has nothing to do with what is told here. */
const patient = { now: () => NOW_MS, after: () => () => undefined };
const limiterOf = (maxCached?: number) => new SeriesLimiter(maxCached, patient);

/** The real objects, and how often they were called. */
function counted() {
  const calls: string[] = [];
  const real = seriesDirectories(env);
  const directories: SeriesDirectories = {
    of: (of, shard) => {
      calls.push(`${of}/${shard}`);
      return real.of(of, shard);
    },
  };
  return { calls, directories };
}

const enforce = (limit: number) => ({ mode: "enforce", limit }) as const;

describe("through the objects", () => {
  it("steady traffic makes no call", async () => {
    const { calls, directories } = counted();
    const limiter = limiterOf();
    const points = [...some("a", 50), ...some("b", 50)];
    await limiter.admit(tenant, points, directories, enforce(100));
    expect(calls.length).toBeLessThanOrEqual(2);
    const before = calls.length;
    for (let i = 0; i < 20; i++) {
      expect(await limiter.admit(tenant, points, directories, enforce(100))).toMatchObject({
        over: 0,
        calls: 0,
      });
    }
    expect(calls).toHaveLength(before);
  });

  it("two isolates agree on what passes, whichever came first", async () => {
    const { directories } = counted();
    const [one, other] = [limiterOf(), limiterOf()];
    await one.admit(tenant, some("a", 6), directories, enforce(10));
    await other.admit(tenant, some("a", 6, 100), directories, enforce(10));
    const all = [...some("a", 6), ...some("a", 6, 100)];
    const folds = async (limiter: SeriesLimiter) => [
      ...(await limiter.admit(tenant, all, directories, enforce(10))).folds.keys(),
    ];
    expect(await folds(one)).toEqual([10, 11]);
    expect(await folds(other)).toEqual([10, 11]);
    expect(await folds(limiterOf())).toEqual([10, 11]);
  });

  it("many isolates at once admit no more than the limit", async () => {
    const { directories } = counted();
    const admissions = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        limiterOf().admit(tenant, some("a", 10, i * 10), directories, enforce(25)),
      ),
    );
    expect(admissions.reduce((sum, { unasked }) => sum + unasked, 0)).toBe(0);
    expect(admissions.reduce((sum, { over }) => sum + over, 0)).toBe(80 - 25);
  });

  it("what passed before an eviction passes after it, and what did not does not", async () => {
    const { directories } = counted();
    await limiterOf().admit(tenant, some("a", 12), directories, enforce(10));
    await abortAllDurableObjects();
    const again = await limiterOf().admit(tenant, some("a", 12).toReversed(), directories, enforce(10));
    expect(again).toMatchObject({ over: 2, unasked: 0 });
    expect([...again.folds.keys()]).toEqual([0, 1]);
  });

  it("takes the largest request in one call", async () => {
    const { calls, directories } = counted();
    const points = some("a", 10_000);
    const { over } = await limiterOf().admit(tenant, points, directories, enforce(9_000));
    expect(over).toBe(1_000);
    expect(calls).toHaveLength(1);
  });
});

/** Runs in an object of its own, with time as a parameter. */
async function within<T>(act: (series: StoredSeries, sql: SqlStorage) => T): Promise<T> {
  const stub: DurableObjectStub<SeriesDirectory> = env.SERIES.getByName(`${tenant}/stored`);
  return await runInDurableObject(stub, (_, { storage }) => act(new StoredSeries(storage), storage.sql));
}
const ask = (series: string[], folded = series.map(() => "f")): NameAsk[] => [{ name: "n", series, folded }];
const PASS = [{ folded: [], bare: [] }];

describe("the stored series", () => {
  it("that are known pass even over a limit that was lowered", async () => {
    await within((series) => {
      expect(series.admit(3, ask(["a", "b", "c"]), NOW_MS)).toEqual(PASS);
      expect(series.admit(1, ask(["c", "d", "a"]), NOW_MS)).toEqual([{ folded: [1], bare: [] }]);
      expect(series.admit(4, ask(["d"]), NOW_MS)).toEqual(PASS);
    });
  });

  it("are forgotten after 24 idle hours, and those that were seen are not", async () => {
    await within((series) => {
      series.admit(2, ask(["a", "b"]), NOW_MS);
      series.admit(2, ask(["a"]), NOW_MS + 12 * HOUR_MS);
      expect(series.admit(2, ask(["c"]), NOW_MS + 24 * HOUR_MS)).toEqual([{ folded: [0], bare: [] }]);
      expect(series.admit(2, ask(["c", "a"]), NOW_MS + 25 * HOUR_MS)).toEqual(PASS);
      expect(series.admit(2, ask(["b"]), NOW_MS + 25 * HOUR_MS)).toEqual([{ folded: [0], bare: [] }]);
    });
  });

  it("write once an hour when they are seen", async () => {
    await within((series, sql) => {
      const changes = () => sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n;
      series.admit(9, ask(["a", "b"]), NOW_MS);
      const before = changes();
      for (let minute = 1; minute < 60; minute++) series.admit(9, ask(["a", "b"]), NOW_MS + minute * 60_000);
      expect(changes()).toBe(before);
      series.admit(9, ask(["a", "b"]), NOW_MS + HOUR_MS);
      expect(changes()).toBeGreaterThan(before);
    });
  });

  it("fold to so many sets of label names and no more, the same ones each time", async () => {
    await within((series) => {
      const names = Array.from({ length: MAX_FOLDED_PER_NAME + 3 }, (_, i) => `s${i}`);
      const shapes = names.map((name) => `shape of ${name}`);
      const [first] = series.admit(0, ask(names, shapes), NOW_MS);
      expect(first?.folded).toHaveLength(MAX_FOLDED_PER_NAME);
      expect(first?.bare).toEqual([MAX_FOLDED_PER_NAME, MAX_FOLDED_PER_NAME + 1, MAX_FOLDED_PER_NAME + 2]);
      expect(series.admit(0, ask(names, shapes), NOW_MS)).toEqual([first]);
      // Folded series take no room from the others.
      expect(series.admit(1, ask(["real"]), NOW_MS)).toEqual(PASS);
    });
  });

  it("and their counts are swept away by name", async () => {
    await within((series, sql) => {
      for (const name of ["x", "y", "z"]) series.admit(9, [{ name, series: ["a"], folded: ["f"] }], NOW_MS);
      const laterMs = NOW_MS + 30 * HOUR_MS;
      series.admit(9, [{ name: "y", series: ["b"], folded: ["f"] }], laterMs);
      const next = series.sweep("", 2, laterMs);
      expect(next).toBe("y");
      expect(series.sweep(next ?? "", 2, laterMs)).toBeUndefined();
      expect(sql.exec("SELECT name, series FROM series").toArray()).toEqual([{ name: "y", series: "b" }]);
      expect(sql.exec("SELECT name, active FROM names").toArray()).toEqual([{ name: "y", active: 1 }]);
      expect(series.isEmpty()).toBe(false);
    });
  });
});

describe("the object", () => {
  it("sweeps by an alarm while it holds anything, and answers null where its storage fails", async () => {
    const stub = env.SERIES.getByName(`${tenant}/0`);
    expect(await stub.admit(5, ask(["a"]))).toEqual(PASS);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    const alarmMs = await runInDurableObject(stub, async (_, { storage }) => {
      storage.sql.exec("UPDATE series SET seen_hour = 0");
      return await storage.getAlarm();
    });
    expect(alarmMs).toBeGreaterThan(Date.now());
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
    await runInDurableObject(stub, (_, { storage }) => storage.sql.exec("DROP TABLE series"));
    expect(await stub.admit(5, ask(["a"]))).toBeNull();
  });
});
