// Partials against the reference of samples.ts: any order of arrival, any split into partials that are merged in any order,
// stored and read in between, gives what sorting everything and computing gives; and the same text when it is stored.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyPartial, emptyPartial, fold, merge, type WindowPartial } from "../../../lib/windows/partial.ts";
import { decodePartial, encodePartial } from "../../../lib/windows/partial-codec.ts";
import { resultOf, resultOfParts, type WindowResult } from "../../../lib/windows/result.ts";
import type { SampleValue } from "../../../lib/windows/sample.ts";
import {
  byTime,
  chance,
  DAY,
  exactIncrease,
  exactQuantile,
  exactSum,
  sample,
  shuffled,
  type TestSample,
} from "./samples.ts";

const MINUTE = 60_000;

const numbers = fc.oneof(
  fc.integer({ min: -50, max: 1_000 }),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 0.1, 1e300, -1e300),
);

const counts = fc.oneof(fc.nat(20), fc.nat(1_000_000), fc.double({ min: 0, max: 1e9, noNaN: true }));

const values: fc.Arbitrary<SampleValue> = fc.oneof(
  { weight: 3, arbitrary: numbers.map((value) => ({ kind: "number", value }) as const) },
  { weight: 3, arbitrary: counts.map((value) => ({ kind: "counter", value }) as const) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(fc.double({ min: -100, max: 1e5, noNaN: true }), fc.integer({ min: 1, max: 50 })), {
        minLength: 1,
        maxLength: 6,
      })
      .map((bins) => ({
        kind: "distribution" as const,
        count: bins.reduce((sum, [, weight]) => sum + weight, 0),
        sum: bins.reduce((sum, [value, weight]) => sum + value * weight, 0),
        bins,
      })),
  },
);

/** Of one window of a minute, from three partitions, at few times, so that there are ties. */
const streams: fc.Arbitrary<TestSample[]> = fc
  .array(
    fc.record({
      at: fc.nat(40),
      ns: fc.constantFrom(0, 0, 0, 1, 999_999),
      partition: fc.nat(2),
      value: values,
    }),
    {
      minLength: 1,
      maxLength: 40,
    },
  )
  .map((drawn) =>
    drawn.map(({ at, ns, partition, value }, i) =>
      sample(DAY + at * 1_000, value, {
        time: { ms: DAY + at * 1_000, ns },
        offset: i,
        index: i % 3,
        partition,
      }),
    ),
  );

/** Folds samples as they come into `pieces` partials, which are stored, read and merged in some order. */
function inPieces(samples: readonly TestSample[], pieces: number, seed: number): WindowPartial {
  const random = chance(seed);
  const partials = new Map<string, WindowPartial>();
  for (const one of shuffled(samples, random)) {
    const key = `${one.partition}/${Math.floor(random() * pieces)}`;
    const partial = partials.get(key) ?? emptyPartial(one.partition);
    partials.set(key, partial);
    fold(partial, one);
  }
  const merged = emptyPartial(0);
  for (const partial of shuffled([...partials.values()], random)) {
    const stored = decodePartial(encodePartial(partial));
    expect(encodePartial(stored)).toBe(encodePartial(partial));
    merge(merged, stored);
  }
  return merged;
}

/** The result by definition, but for percentiles. */
function reference(samples: readonly TestSample[], previous?: number): Partial<WindowResult> {
  const weighted = weightedValues(samples);
  const single = samples.filter(({ value }) => value.kind === "number" || value.kind === "counter");
  const last = single.toSorted(byTime).at(-1);
  const count = weighted.reduce((sum, [, weight]) => sum + weight, 0);
  const sum = exactSum(
    samples.map(({ value }) =>
      value.kind === "number" || value.kind === "counter" ? value.value : value.sum,
    ),
  );
  const increase = exactIncrease(
    samples.flatMap(({ time, value }) =>
      value.kind === "counter" ? { ms: time.ms, value: value.value } : [],
    ),
    previous,
  );
  return {
    count,
    sum,
    min: Math.min(...weighted.map(([value]) => value)) + 0,
    max: Math.max(...weighted.map(([value]) => value)) + 0,
    last: last && "value" in last.value ? last.value.value + 0 : null,
    ...(increase !== undefined && { increase }),
  };
}

function weightedValues(samples: readonly TestSample[]): [number, number][] {
  return samples.flatMap(({ value }): [number, number][] =>
    value.kind === "number" || value.kind === "counter"
      ? [[value.value, 1]]
      : Array.from(value.bins, ([bin, weight]) => [bin, weight]),
  );
}

describe("a window", () => {
  it("equals the reference, whatever the order and the split (4,000 streams)", () => {
    fc.assert(
      fc.property(
        streams,
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        fc.option(counts, { nil: undefined }),
        (samples, pieces, seed, before) => {
          const merged = inPieces(samples, pieces, seed);
          const previous = emptyPartial(1);
          if (before !== undefined) fold(previous, sample(DAY - 1, { kind: "counter", value: before }));
          const { increase, ...expected } = reference(samples, before);
          const result = resultOf(merged, DAY, DAY + MINUTE, previous);
          expect(result).toMatchObject(expected);
          if (increase === undefined) expect(result).not.toHaveProperty("increase");
          else expect(result.increase).toBeCloseTo(increase, 4);
          if (increase !== undefined) expect(result.rate).toBeCloseTo(increase / 60, 4);
          const all = weightedValues(samples).flatMap(([value, weight]) =>
            Array.from({ length: weight }, () => value),
          );
          for (const [name, perMille] of [
            ["p50", 500],
            ["p90", 900],
            ["p95", 950],
            ["p99", 990],
          ] as const) {
            const exact = exactQuantile(all, perMille);
            // Below the least normal double there is only 0.
            expect(Math.abs((result[name] ?? NaN) - exact)).toBeLessThanOrEqual(
              Math.abs(exact) * 0.01 + 3e-308,
            );
          }
        },
      ),
      { seed: 7, numRuns: 4_000 },
    );
  });

  it("is stored as the same text, whatever the order and the split (2,000 streams)", () => {
    fc.assert(
      fc.property(streams, fc.nat(), fc.nat(), (samples, a, b) => {
        const one = samples.map((given) => ({ ...given, partition: 0 }));
        const together = emptyPartial(0);
        for (const given of one.toSorted(byTime)) fold(together, given);
        expect(encodePartial(inPieces(one, 1, a))).toBe(encodePartial(together));
        expect(encodePartial(inPieces(one, 5, b))).toBe(encodePartial(together));
      }),
      { seed: 8, numRuns: 2_000 },
    );
  });

  it("that is copied is another one", () => {
    fc.assert(
      fc.property(streams, streams, (samples, more) => {
        const partial = inPieces(samples, 2, 1);
        const before = encodePartial(partial);
        const copy = copyPartial(partial);
        for (const given of more) fold(copy, given);
        merge(copy, partial);
        expect(encodePartial(partial)).toBe(before);
      }),
      { seed: 9, numRuns: 300 },
    );
  });

  it("of what is no number adds nothing", () => {
    const partial = emptyPartial(3);
    const empty = encodePartial(partial);
    for (const value of [NaN, Infinity, -Infinity]) {
      fold(partial, sample(0, value));
      fold(partial, sample(0, { kind: "counter", value }));
    }
    fold(partial, sample(0, { kind: "distribution", count: 0, sum: 0, bins: [] }));
    expect(encodePartial(partial)).toBe(empty);
    expect(resultOf(partial, 0, MINUTE)).toEqual({
      count: 0,
      sum: 0,
      avg: null,
      min: null,
      max: null,
      last: null,
      p50: null,
      p90: null,
      p95: null,
      p99: null,
    });
  });
});

describe("counters", () => {
  const counter = (ms: number, value: number, place?: Partial<TestSample>) =>
    sample(ms, { kind: "counter", value }, place);
  const increaseOf = (points: TestSample[], previous?: WindowPartial) => {
    const partial = emptyPartial(0);
    for (const point of points) fold(partial, point);
    return resultOf(partial, 0, 10_000, previous).increase;
  };

  it("grow from point to point, from 0 after a fall, and from the window before", () => {
    expect(increaseOf([counter(0, 10), counter(1_000, 15), counter(2_000, 3), counter(3_000, 8)])).toBe(13);
    expect(increaseOf([counter(3_000, 8), counter(0, 10), counter(2_000, 3), counter(1_000, 15)])).toBe(13);
    expect(increaseOf([counter(0, 10)])).toBeUndefined();
    const previous = emptyPartial(0);
    fold(previous, counter(-2_000, 3));
    fold(previous, counter(-1_000, 4));
    // Of its window, and later than the start of ours: a sliding window before it.
    fold(previous, counter(500, 9));
    expect(increaseOf([counter(0, 10)], previous)).toBe(6);
  });

  it("of several series are not mixed", () => {
    const parts = [0, 1].map((i) => {
      const partial = emptyPartial(0);
      for (let at = 0; at < 5; at++) fold(partial, counter(at * 1_000 + i, at * 10 + i * 1_000));
      return { series: `${i}`, partial };
    });
    expect(resultOfParts(parts, 0, 10_000)).toMatchObject({ count: 10, increase: 80, rate: 8 });
  });

  it("beyond 512 points grow as they do below, in order and nearly in order", () => {
    const random = chance(3);
    for (let round = 0; round < 50; round++) {
      let value = 0;
      const points = Array.from({ length: 1_500 }, (_, i) => {
        value = random() < 0.02 ? Math.floor(random() * 5) : value + Math.floor(random() * 20);
        return counter(i * 1_000, value, { offset: i });
      });
      // Out of place by 200 at most.
      const late = points
        .map((point, i) => ({ point, at: i + random() * 200 }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ point }) => point);
      const exact = exactIncrease(points.map((point) => ({ ms: point.time.ms, value: valueOf(point) })));
      expect(increaseOf(points)).toBe(exact);
      expect(increaseOf(late)).toBe(exact);
      // Windows one after the other, each with points that it no longer has, as a longer range has them.
      const merged = emptyPartial(0);
      for (const half of [points.slice(0, 700), points.slice(700)]) {
        const partial = emptyPartial(0);
        for (const point of half) fold(partial, point);
        merge(merged, decodePartial(encodePartial(partial)));
      }
      expect(resultOf(merged, 0, 1).increase).toBe(exact);
      expect(merged.counter?.times).toHaveLength(512);
      expect(encodePartial(merged).length).toBeLessThan(6_000);
    }
  });

  it("beyond 512 points pass over what comes for a time long past, but for what was before all", () => {
    const points = Array.from({ length: 600 }, (_, i) => counter((i + 10) * 1_000, i + 100));
    expect(increaseOf([...points, counter(30_500, 1)])).toBe(599);
    expect(increaseOf([...points, counter(5_000, 40)])).toBe(659);
    expect(increaseOf([...points, counter(5_000, 900)])).toBe(699);
  });

  it("of two partitions beyond 512 points are taken by their ends where they overlap", () => {
    const halves = [0, 1].map((parity) => {
      const partial = emptyPartial(parity);
      for (let i = parity; i < 1_400; i += 2) fold(partial, counter(i * 1_000, i * 3));
      return partial;
    });
    for (const [a, b] of [halves, halves.toReversed()]) {
      const merged = copyPartial(a as WindowPartial);
      merge(merged, b as WindowPartial);
      expect(resultOf(merged, 0, 1).increase).toBe(1_399 * 3);
    }
  });
});

describe("histograms", () => {
  const seen = (ms: number, ...bins: [number, number][]) =>
    sample(ms, {
      kind: "cumulative_distribution",
      count: bins.reduce((sum, [, weight]) => sum + weight, 0),
      sum: bins.reduce((sum, [value, weight]) => sum + value * weight, 0),
      bins,
    });
  const folded = (...points: TestSample[]) => {
    const partial = emptyPartial(0);
    for (const point of points) fold(partial, point);
    return partial;
  };

  it("of what was seen since the point before are added up", () => {
    const partial = folded(
      sample(0, {
        kind: "distribution",
        count: 3,
        sum: 7,
        min: 0.5,
        max: 4,
        bins: [
          [1, 2],
          [3, 1],
        ],
      }),
      sample(1, { kind: "distribution", count: 1, sum: NaN, bins: [[10, 1]] }),
    );
    const result = resultOf(partial, 0, MINUTE);
    expect(result).toMatchObject({ count: 4, sum: 17, avg: 4.25, min: 0.5, max: 10, last: null });
    expect((result.p50 ?? 0) / 1).toBeCloseTo(1, 1);
  });

  it("that are cumulative tell what came to be seen, resets counted in", () => {
    const points = [
      seen(0, [1, 10], [5, 2]),
      seen(1_000, [1, 12], [5, 2]),
      seen(2_000, [1, 1]),
      seen(3_000, [1, 1], [100, 4]),
    ];
    for (let round = 0; round < 20; round++) {
      const partial = folded(...shuffled(points, chance(round)));
      const result = resultOf(decodePartial(encodePartial(partial)), 0, MINUTE);
      // 2, then 1 from 0, then 4.
      expect(result).toMatchObject({ count: 7, sum: 403 });
      expect(result.p50).toBeGreaterThan(99);
      expect(result.p50).toBeLessThan(101);
      expect(result.min).toBeCloseTo(1, 1);
    }
    const previous = folded(seen(-5, [1, 4], [5, 2]));
    expect(resultOf(folded(...points), 0, MINUTE, previous)).toMatchObject({ count: 13, sum: 409 });
    expect(resultOf(folded(seen(0, [1, 4])), 0, MINUTE)).toMatchObject({
      count: 0,
      sum: 0,
      avg: null,
      p99: null,
    });
  });

  it("that are cumulative and come from 0 tell all of it", () => {
    expect(resultOf(folded(seen(0), seen(1, [7, 3])), 0, MINUTE)).toMatchObject({ count: 3, sum: 21 });
  });

  it("that grow coarser lose no count", () => {
    // Two buckets put together: what stood for them stands no more.
    const partial = folded(seen(0, [1, 10], [2, 10]), seen(1_000, [1.5, 24]));
    const result = resultOf(partial, 0, MINUTE);
    expect(result).toMatchObject({ count: 4, sum: 6 });
    expect(result.max).toBeLessThan(2.1);
    expect(result.min).toBeGreaterThan(0.9);
  });

  it("beyond 64 points tell what they do below", () => {
    const random = chance(11);
    const state = new Map<number, number>();
    const points = Array.from({ length: 300 }, (_, i) => {
      if (random() < 0.03) state.clear();
      for (let n = 0; n < 5; n++) {
        const bucket = 2 ** Math.floor(random() * 8);
        state.set(bucket, (state.get(bucket) ?? 0) + 1);
      }
      return seen(i * 1_000, ...[...state].map(([value, weight]): [number, number] => [value, weight]));
    });
    const late = points
      .map((point, i) => ({ point, at: i + random() * 30 }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ point }) => point);
    const expected = exactIncrease(points.map((point) => ({ ms: point.time.ms, value: countOf(point) })));
    const whole = resultOf(folded(...points), 0, MINUTE);
    expect(whole.count).toBe(expected);
    expect(resultOf(decodePartial(encodePartial(folded(...late))), 0, MINUTE)).toEqual(whole);
    expect(encodePartial(folded(...points)).length).toBeLessThan(4_000);
  });
});

function valueOf({ value }: TestSample): number {
  return "value" in value ? value.value : NaN;
}

function countOf({ value }: TestSample): number {
  return "count" in value ? value.count : NaN;
}
