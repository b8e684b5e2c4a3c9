// Percentiles against exact ones, on values that are shaped as latencies are: 1 % off at most, also when the values came in
// a hundred pieces, and after storing.
import { describe, expect, it } from "vitest";
import { emptyPartial, fold, merge, type WindowPartial } from "../../../lib/windows/partial.ts";
import { decodePartial, encodePartial } from "../../../lib/windows/partial-codec.ts";
import { quantileOf } from "../../../lib/windows/result.ts";
import {
  addSketch,
  addToSketch,
  countOf,
  emptySketch,
  MAX_BINS,
  valueAt,
} from "../../../lib/windows/sketch.ts";
import { chance, exactQuantile, sample, shuffled } from "./samples.ts";

const PER_MILLE = [1, 10, 250, 500, 900, 950, 990, 999, 1_000];
const random = chance(42);

/** Standard normal. */
function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));

/** A service's day in ms: cache hits, reads, writes, retries after a timeout of 1 s, collector pauses, a slow hour. */
function serviceDay(): number[] {
  return times(20_000, (i) => {
    const kind = random();
    const base =
      kind < 0.55
        ? 0.8 + random() * 0.7
        : kind < 0.9
          ? Math.exp(2.4 + 0.5 * normal())
          : Math.exp(3.6 + 0.8 * normal());
    const retried = random() < 0.004 ? 1_000 : 0;
    const paused = i % 997 < 6 ? 180 + 40 * random() : 0;
    const slow = i > 14_000 && i < 15_000 ? 4 : 1;
    // Clocks tell microseconds.
    return Math.round((base * slow + retried + paused) * 1_000) / 1_000;
  });
}

const SHAPES: Record<string, number[]> = {
  "log-normal": times(50_000, () => Math.exp(3 + 1.1 * normal())),
  bimodal: times(50_000, () => (random() < 0.8 ? 5 + normal() * 0.5 : 400 + normal() * 60)),
  Pareto: times(50_000, () => 2 / (1 - random()) ** (1 / 1.3)),
  constant: times(1_000, () => 12.5),
  "a service's day": serviceDay(),
  "nanoseconds and days": times(20_000, () => 10 ** (random() * 14 - 9)),
  "of both signs, with zeros": times(20_000, (i) => (i % 5 === 0 ? 0 : normal() * 10 ** (i % 7))),
  "a few": [3, 1, 2],
};

function foldAll(values: readonly number[]): WindowPartial {
  const partial = emptyPartial(0);
  values.forEach((value, i) => fold(partial, sample(i, value, { offset: i })));
  return partial;
}

function expectClose(partial: WindowPartial, values: readonly number[]): void {
  for (const perMille of PER_MILLE) {
    const exact = exactQuantile(values, perMille);
    const told = quantileOf(partial, perMille / 1_000) ?? NaN;
    expect(Math.abs(told - exact), `p${perMille / 10}: ${told} for ${exact}`).toBeLessThanOrEqual(
      Math.abs(exact) * 0.01,
    );
  }
}

describe.each(Object.entries(SHAPES))("%s", (_shape, values) => {
  const whole = foldAll(values);

  it("is 1 % off at most", () => {
    expectClose(whole, values);
  });

  it("is the same in a hundred pieces, in any order", () => {
    const mixed = shuffled(values, random);
    const size = Math.ceil(mixed.length / 100);
    const pieces = times(100, (i) => foldAll(mixed.slice(i * size, (i + 1) * size)));
    const merged = emptyPartial(0);
    for (const piece of shuffled(pieces, random)) merge(merged, decodePartial(encodePartial(piece)));
    expect(merged.sketch).toEqual(whole.sketch);
    expectClose(merged, values);
  });

  it("is the same after storing", () => {
    expect(decodePartial(encodePartial(whole)).sketch).toEqual(whole.sketch);
  });
});

describe("a sketch", () => {
  it("is 1 % off at most for every double, however large or small", () => {
    const bits = new DataView(new ArrayBuffer(8));
    let worst = 0;
    for (let i = 0; i < 50_000; i++) {
      bits.setUint32(0, (random() * 0x7fe00000 + 0x100000) | 0);
      bits.setUint32(4, random() * 2 ** 32);
      const value = bits.getFloat64(0);
      const sketch = emptySketch();
      addToSketch(sketch, i % 2 === 0 ? value : -value, 1);
      // Of the greatest the middle of the bin may be beyond the range; a result is held to the maximum.
      const told = Math.min(Number.MAX_VALUE, Math.abs(valueAt(sketch, 1)));
      worst = Math.max(worst, Math.abs(told / value - 1));
    }
    expect(worst).toBeGreaterThan(0.0098);
    expect(worst).toBeLessThanOrEqual(0.01);
  });

  it("keeps the bins furthest from 0 where there are too many, in any order", () => {
    // 3,000 bins a sign, each with two values.
    const values = times(
      6_000,
      (i) => 1.02 ** (Math.floor(i / 2) - 1_000.5) * (i % 2 === 0 ? 1 : -1),
    ).flatMap((value) => [value, value]);
    const whole = emptySketch();
    for (const value of values) addToSketch(whole, value, 1);
    expect(whole.positive.keys).toHaveLength(MAX_BINS);
    expect(whole.positive.counts[0]).toBe((3_000 - MAX_BINS + 1) * 2);
    expect(new Set(whole.positive.counts.slice(1))).toEqual(new Set([2]));
    expect(countOf(whole)).toBe(values.length);
    for (let round = 0; round < 20; round++) {
      const pieces = times(7, emptySketch);
      for (const value of shuffled(values, random)) {
        const piece = pieces[Math.floor(random() * 7)];
        if (piece) addToSketch(piece, value, 1);
      }
      const merged = emptySketch();
      for (const piece of pieces) addSketch(merged, piece);
      expect(merged).toEqual(whole);
    }
  });
});
