import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addSum,
  addValue,
  canonicalParts,
  emptySum,
  meanOf,
  sumOf,
  type ExactSum,
} from "../../../lib/windows/exact-sum.ts";
import { exactSum } from "./samples.ts";

const RUNS = { seed: 20261121, numRuns: 3_000 };

const doubles = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -1_000, max: 1_000 }).map((n) => n / 10),
  fc.constantFrom(1e300, -1e300, 1e-300, 1, -1, 2 ** 53, 1e16, Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324),
);

function sumUp(values: readonly number[]): ExactSum {
  const sum = emptySum();
  for (const value of values) addValue(sum, value);
  return sum;
}

describe("an exact sum", () => {
  it("is the nearest double to the true sum", () => {
    fc.assert(
      fc.property(fc.array(doubles, { maxLength: 40 }), (values) => {
        expect(sumOf(sumUp(values)) + 0).toBe(exactSum(values) + 0);
      }),
      RUNS,
    );
  });

  it("has the same parts in whatever order values and sums are added", () => {
    fc.assert(
      fc.property(
        fc
          .array(doubles, { minLength: 2, maxLength: 30 })
          .chain((values) =>
            fc.tuple(
              fc.constant(values),
              fc.shuffledSubarray(values, { minLength: values.length }),
              fc.nat(values.length),
            ),
          ),
        ([values, mixed, cut]) => {
          const one = sumUp(values);
          const joined = sumUp(mixed.slice(0, cut));
          addSum(joined, sumUp(mixed.slice(cut)));
          expect(canonicalParts(joined.parts)).toEqual(canonicalParts(one.parts));
          expect(canonicalParts(joined.huge ?? [])).toEqual(canonicalParts(one.huge ?? []));
        },
      ),
      RUNS,
    );
  });

  it("loses nothing that plain addition loses", () => {
    expect(sumOf(sumUp([1e100, 1, -1e100]))).toBe(1);
    expect(sumOf(sumUp(Array.from({ length: 10 }, () => 0.1)))).toBe(1);
    expect(sumOf(sumUp([]))).toBe(0);
  });

  it("beyond the range is the greatest double, and still has its mean", () => {
    const sum = sumUp([1.7e308, 1.7e308, 1.7e308]);
    expect(sumOf(sum)).toBe(Number.MAX_VALUE);
    expect(meanOf(sum, 3) / 1.7e308).toBeCloseTo(1, 14);
    addSum(sum, sumUp([-1.7e308, -1.7e308, 3]));
    expect(sumOf(sum)).toBe(1.7e308);
    addValue(sum, -1.7e308);
    expect(sumOf(sum)).toBe(3);
  });
});
