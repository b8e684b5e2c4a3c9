// The limit against a model: what is known passes always, what is new passes while there is room, no point is lost, and
// a directory that fails or is late folds nothing.
import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NameAnswer, NameAsk, SeriesDirectories } from "../../../../lib/ingest/cardinality/directory.ts";
import { foldDataPoint } from "../../../../lib/ingest/cardinality/otlp-fold.ts";
import { SeriesLimiter, type CardinalityMode } from "../../../../lib/ingest/cardinality/series-limiter.ts";
import {
  foldedLabels,
  foldMetric,
  hashFolded,
  hashSeries,
  OTHER,
  type SeriesRef,
} from "../../../../lib/ingest/cardinality/series.ts";
import { NumberDataPointSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import type { Timer } from "../../../../lib/kafka/timer.ts";
import type { Metric } from "../../../../lib/telemetry/metric.ts";

/** Time that a test moves. */
class ManualTimer implements Timer {
  nowMs = Date.parse("2026-11-21T10:00:00.000Z");
  readonly #due = new Map<() => void, number>();

  now(): number {
    return this.nowMs;
  }

  after(ms: number, act: () => void): () => void {
    this.#due.set(act, this.nowMs + ms);
    return () => this.#due.delete(act);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const [act, dueMs] of this.#due) if (dueMs <= this.nowMs) act();
  }
}

/** The rule in its plainest form: sets that only grow. The stored one is tested inside workerd. */
function memoryDirectories() {
  const names = new Map<string, { series: Set<string>; folds: Set<string> }>();
  const calls: { directory: string; asks: readonly NameAsk[] }[] = [];
  const directories: SeriesDirectories = {
    of: (tenant, shard) => ({
      admit: async (limit, asks) => {
        calls.push({ directory: `${tenant}/${shard}`, asks });
        return asks.map(({ name, series, folded }): NameAnswer => {
          const known = names.get(`${tenant}/${name}`) ?? { series: new Set(), folds: new Set() };
          names.set(`${tenant}/${name}`, known);
          const answer: NameAnswer = { folded: [], bare: [] };
          series.forEach((one, place) => {
            if (known.series.has(one)) return;
            if (known.series.size < limit) known.series.add(one);
            else if (known.folds.size < 2 || known.folds.has(folded[place]!)) {
              known.folds.add(folded[place]!);
              answer.folded.push(place);
            } else answer.bare.push(place);
          });
          return answer;
        });
      },
    }),
  };
  return { directories, calls };
}

const open = (maxCached?: number) => {
  const timer = new ManualTimer();
  return { timer, limiter: new SeriesLimiter(maxCached, timer) };
};
const ref = (name: string, user: number): SeriesRef => ({ name, labels: { user: String(user), route: "/" } });
const some = (name: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ref(name, from + i));
const ENFORCE = { mode: "enforce", limit: 10 } as const;

describe("a series", () => {
  it("is its tenant, name and labels, whatever their order", () => {
    const hash = (tenant: string, name: string, labels: Record<string, string>) =>
      hashSeries(tenant, { name, labels });
    expect(hash("t", "n", { a: "1", b: "2" })).toBe(hash("t", "n", { b: "2", a: "1" }));
    const others = [
      hash("t", "n", { a: "1", b: "2" }),
      hash("u", "n", { a: "1", b: "2" }),
      hash("t", "m", { a: "1", b: "2" }),
      hash("t", "n", { a: "2", b: "1" }),
      hash("t", "n", { a: "1b", "": "2" }),
      hash("t", "n", { a: "12", b: "" }),
      hash("t", "n", { a: "1" }),
      hash("tn", "", { a: "1", b: "2" }),
      hash("t", "n", {}),
    ];
    expect(new Set(others).size).toBe(others.length);
    expect(others.every((one) => /^[0-9a-f]{16}$/.test(one))).toBe(true);
  });

  it("has a hash that spreads", () => {
    const seen = new Set<string>();
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 100_000; i++) {
      const hash = hashSeries("acme", { name: "requests", labels: { pod: `api-${i}`, zone: String(i % 7) } });
      seen.add(hash);
      buckets[Number.parseInt(hash[15]!, 16)]!++;
    }
    expect(seen.size).toBe(100_000);
    expect(Math.min(...buckets)).toBeGreaterThan(100_000 / 16 - 800);
  });

  it("that is folded keeps its point and its label names", () => {
    const metric: Metric = { timestamp: "t", name: "n", value: 7, labels: { a: "1", b: "2" }, id: "i" };
    foldMetric(metric, "names");
    expect(metric).toEqual({ timestamp: "t", name: "n", value: 7, labels: { a: OTHER, b: OTHER }, id: "i" });
    expect(hashSeries("t", metric)).toBe(hashFolded("t", { name: "n", labels: { b: "x", a: "y" } }));
    foldMetric(metric, "bare");
    expect(metric.labels).toEqual({ [OTHER]: OTHER });
  });

  it("that is folded as an OTLP point has texts for values", () => {
    const make = () =>
      create(NumberDataPointSchema, {
        timeUnixNano: 5n,
        value: { case: "asInt", value: 7n },
        attributes: [{ key: "a", value: { value: { case: "intValue", value: 1n } } }, { key: "b" }],
      });
    const point = make();
    foldDataPoint(point, "names");
    const keysAndValues = point.attributes.map(({ key, value }) => [
      key,
      value?.value.case,
      value?.value.value,
    ]);
    expect(keysAndValues).toEqual([
      ["a", "stringValue", OTHER],
      ["b", "stringValue", OTHER],
    ]);
    expect(point).toMatchObject({ timeUnixNano: 5n, value: make().value });
    foldDataPoint(point, "bare");
    expect(point.attributes.map(({ key }) => key)).toEqual([OTHER]);
  });
});

describe("the limiter", () => {
  it("asks once for what it does not know, and then never for an hour", async () => {
    const { timer, limiter } = open();
    const { directories, calls } = memoryDirectories();
    const points = [...some("a", 8), ...some("b", 8), ...some("a", 8)];
    await limiter.admit("acme", points, directories, ENFORCE);
    expect(new Set(calls.map(({ directory }) => directory)).size).toBe(calls.length);
    expect(calls.flatMap(({ asks }) => asks.flatMap(({ series }) => series))).toHaveLength(16);
    const before = calls.length;
    for (let i = 0; i < 59; i++) {
      timer.pass(60_000);
      expect((await limiter.admit("acme", points, directories, ENFORCE)).calls).toBe(0);
    }
    timer.pass(60_001);
    await limiter.admit("acme", points, directories, ENFORCE);
    expect(calls.length).toBe(before * 2);
  });

  it("makes at most one call to a directory, for any number of names", async () => {
    const { directories, calls } = memoryDirectories();
    const points = Array.from({ length: 1_000 }, (_, i) => ref(`name-${i}`, 0));
    const { calls: made } = await open().limiter.admit("acme", points, directories, ENFORCE);
    expect(made).toBe(8);
    expect(calls).toHaveLength(8);
  });

  it("does not ask for a point without labels", async () => {
    const { directories } = memoryDirectories();
    const admission = await open().limiter.admit("acme", [{ name: "up", labels: {} }], directories, {
      mode: "enforce",
      limit: 0,
    });
    expect(admission).toEqual({ folds: new Map(), over: 0, unasked: 0, calls: 0 });
  });

  it("folds every point over the limit, and gives it another chance after a minute", async () => {
    const { timer, limiter } = open();
    const { directories, calls } = memoryDirectories();
    const points = [...some("a", 12), ref("a", 11)];
    const first = await limiter.admit("acme", points, directories, ENFORCE);
    expect([...first.folds.keys()]).toEqual([10, 11, 12]);
    expect(first.over).toBe(3);
    const again = await limiter.admit("acme", points, directories, ENFORCE);
    expect(again.folds).toEqual(first.folds);
    expect(calls).toHaveLength(1);
    timer.pass(60_001);
    await limiter.admit("acme", points, directories, ENFORCE);
    expect(calls).toHaveLength(2);
    expect(calls[1]?.asks[0]?.series).toHaveLength(2);
  });

  it("in passive mode counts the same and folds nothing; off, it does nothing", async () => {
    const admit = async (mode: CardinalityMode) => {
      const { directories, calls } = memoryDirectories();
      const { folds, over } = await open().limiter.admit("acme", some("a", 12), directories, {
        mode,
        limit: 10,
      });
      return { folds: folds.size, over, calls: calls.length };
    };
    expect(await admit("enforce")).toEqual({ folds: 2, over: 2, calls: 1 });
    expect(await admit("passive")).toEqual({ folds: 0, over: 2, calls: 1 });
    expect(await admit("off")).toEqual({ folds: 0, over: 0, calls: 0 });
  });

  it("keeps tenants apart", async () => {
    const { limiter } = open();
    const { directories } = memoryDirectories();
    await limiter.admit("acme", some("a", 10), directories, ENFORCE);
    expect((await limiter.admit("other", some("a", 10), directories, ENFORCE)).over).toBe(0);
    expect((await limiter.admit("acme", some("a", 1, 99), directories, ENFORCE)).over).toBe(1);
  });

  it("lets everything pass where a directory fails, and leaves it alone for a while", async () => {
    const { timer, limiter } = open();
    let calls = 0;
    const failing: SeriesDirectories = {
      of: () => {
        calls++;
        throw new Error("overloaded");
      },
    };
    const none: SeriesDirectories = { of: () => ({ admit: async () => (calls++, null) }) };
    expect(await limiter.admit("acme", some("a", 12), failing, ENFORCE)).toEqual({
      folds: new Map(),
      over: 0,
      unasked: 12,
      calls: 1,
    });
    expect(await limiter.admit("acme", some("a", 12), none, ENFORCE)).toMatchObject({
      unasked: 12,
      calls: 0,
    });
    timer.pass(2_001);
    expect(await limiter.admit("acme", some("a", 12), none, ENFORCE)).toMatchObject({
      unasked: 12,
      calls: 1,
    });
    timer.pass(2_001);
    const { directories } = memoryDirectories();
    expect(await limiter.admit("acme", some("a", 12), directories, ENFORCE)).toMatchObject({
      unasked: 0,
      over: 2,
    });
    expect(calls).toBe(2);
  });

  it("waits 250 ms for a late one, and no more", async () => {
    const { timer, limiter } = open();
    let settled = false;
    const late: SeriesDirectories = { of: () => ({ admit: () => new Promise(() => undefined) }) };
    const admission = limiter.admit("acme", some("a", 3), late, ENFORCE).then((value) => {
      settled = true;
      return value;
    });
    timer.pass(249);
    await Promise.resolve();
    expect(settled).toBe(false);
    timer.pass(1);
    expect(await admission).toMatchObject({ unasked: 3, calls: 1 });
  });

  it("holds no more than it may", async () => {
    const { limiter } = open(100);
    const { directories, calls } = memoryDirectories();
    const options = { mode: "enforce", limit: 10_000 } as const;
    await limiter.admit("acme", some("a", 1_000), directories, options);
    await limiter.admit("acme", some("a", 1_000), directories, options);
    expect(calls[1]?.asks[0]?.series).toHaveLength(900);
  });
});

describe("for any traffic", () => {
  const request = fc.array(
    fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: 0, max: 30 }), fc.constantFrom("x", "y", "z")),
    { maxLength: 40 },
  );

  it("known series pass, none is lost, and no name has more series than its limit and the folded ones", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(request, fc.integer({ min: 0, max: 2 * 3_600_000 }), fc.nat(1)), { maxLength: 12 }),
        fc.integer({ min: 0, max: 12 }),
        async (requests, limit) => {
          const { directories } = memoryDirectories();
          const isolates = [open(20), open(20)];
          const passed = new Map<string, Set<string>>();
          const totals = new Map<string, number>();
          for (const [points, waitMs, which] of requests) {
            const { timer, limiter } = isolates[which]!;
            timer.pass(waitMs);
            const refs = points.map(([name, value, label]) => ({ name, labels: { [label]: String(value) } }));
            const { folds, over } = await limiter.admit("acme", refs, directories, {
              mode: "enforce",
              limit,
            });
            expect(over).toBe(folds.size);
            refs.forEach(({ name, labels }, place) => {
              const fold = folds.get(place);
              const key = JSON.stringify(labels);
              const known = passed.get(name) ?? new Set();
              passed.set(name, known);
              if (known.has(key)) expect(fold).toBeUndefined();
              if (!fold) known.add(key);
              const kept = JSON.stringify(fold ? foldedLabels(Object.keys(labels), fold) : labels);
              totals.set(`${name}${kept}`, (totals.get(`${name}${kept}`) ?? 0) + 1);
            });
          }
          const sent = requests.reduce((sum, [points]) => sum + points.length, 0);
          expect([...totals.values()].reduce((sum, count) => sum + count, 0)).toBe(sent);
          for (const known of passed.values()) expect(known.size).toBeLessThanOrEqual(limit);
          // Beside the limit: two folded series with names, and the bare one.
          for (const name of passed.keys()) {
            const series = [...totals.keys()].filter((key) => key.startsWith(name)).length;
            expect(series).toBeLessThanOrEqual(limit + 3);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
