// Mergeable state of one window of one series: count, exact sum, min, max, last, a sketch for percentiles, and the points of
// what is cumulative. Folding and merging go by the samples' times and places alone: any order, any split into partials
// gives the same (for cumulative points: as long as their caps are not met, see points.ts).
import { addSum, addValue, copySum, emptySum, type ExactSum } from "./exact-sum.ts";
import { binnedOf, COUNTER, roundCount, SEEN, seenOf, type Seen } from "./growing.ts";
import { addPoint, copyPoints, emptyPoints, mergePoints, type Points } from "./points.ts";
import type { Distribution, Sample, SampleTime } from "./sample.ts";
import { addCounts, addSketch, addToSketch, copySketch, emptySketch, type Sketch } from "./sketch.ts";

/** The newest number; of two at one time, that of the higher partition, then offset, then index. */
export interface LastValue {
  ms: number;
  ns: number;
  partition: number;
  offset: number;
  index: number;
  value: number;
}

export interface WindowPartial {
  /** Of which partition the samples are that are folded into it. */
  readonly partition: number;
  /** Numbers and counters by one each, and what distributions count. Cumulative distributions count in the result only. */
  count: number;
  sum: ExactSum;
  /** Infinity and -Infinity while there is none. */
  min: number;
  max: number;
  sketch: Sketch;
  /** Of numbers and counters. */
  last: LastValue | undefined;
  /** Of counters. */
  counter: Points<number> | undefined;
  /** Of cumulative distributions. */
  seen: Points<Seen> | undefined;
}

/** What is folded of a sample. */
export type FoldedSample = Pick<Sample, "time" | "offset" | "index" | "value">;

export function emptyPartial(partition: number): WindowPartial {
  return {
    partition,
    count: 0,
    sum: emptySum(),
    min: Infinity,
    max: -Infinity,
    sketch: emptySketch(),
    last: undefined,
    counter: undefined,
    seen: undefined,
  };
}

/** A copy that shares nothing that is ever changed. */
export function copyPartial(partial: WindowPartial): WindowPartial {
  return {
    ...partial,
    sum: copySum(partial.sum),
    sketch: copySketch(partial.sketch),
    last: partial.last && { ...partial.last },
    counter: partial.counter && copyPoints(partial.counter),
    seen: partial.seen && copyPoints(partial.seen),
  };
}

/** Adds a sample, in place. Numbers that are not finite, and distributions that are empty, add nothing. */
export function fold(partial: WindowPartial, { time, offset, index, value }: FoldedSample): void {
  switch (value.kind) {
    case "number":
      foldNumber(partial, time, offset, index, value.value);
      return;
    case "counter":
      if (!Number.isFinite(value.value)) return;
      foldNumber(partial, time, offset, index, value.value);
      addPoint(COUNTER, (partial.counter ??= emptyPoints()), time.ms, value.value + 0);
      return;
    case "distribution":
      if (isCounted(value)) foldDistribution(partial, value);
      return;
    case "cumulative_distribution":
      // One that has seen nothing yet is where growth begins.
      if (value.count >= 0) addPoint(SEEN, (partial.seen ??= emptyPoints()), time.ms, seenOf(value));
  }
}

/** Adds a partial of the same series, in place; `other` stays as it is and shares nothing that is ever changed. */
export function merge(into: WindowPartial, other: WindowPartial): void {
  into.count = addCounts(into.count, other.count);
  addSum(into.sum, other.sum);
  into.min = Math.min(into.min, other.min);
  into.max = Math.max(into.max, other.max);
  addSketch(into.sketch, other.sketch);
  if (other.last && (!into.last || isNewer(other.last, into.last))) into.last = { ...other.last };
  if (other.counter) mergePoints(COUNTER, (into.counter ??= emptyPoints()), other.counter);
  if (other.seen) mergePoints(SEEN, (into.seen ??= emptyPoints()), other.seen);
}

function isNewer(a: LastValue, b: LastValue): boolean {
  const difference =
    a.ms - b.ms || a.ns - b.ns || a.partition - b.partition || a.offset - b.offset || a.index - b.index;
  // A second value of one place: there is none, but for a caller that folds a sample twice.
  return difference === 0 ? a.value > b.value : difference > 0;
}

function foldNumber(
  partial: WindowPartial,
  { ms, ns }: SampleTime,
  offset: number,
  index: number,
  given: number,
): void {
  if (!Number.isFinite(given)) return;
  // Without the sign of 0, which would tell which of two came first.
  const value = given + 0;
  partial.count = addCounts(partial.count, 1);
  addValue(partial.sum, value);
  if (value < partial.min) partial.min = value;
  if (value > partial.max) partial.max = value;
  addToSketch(partial.sketch, value, 1);
  const { partition, last } = partial;
  if (last === undefined) partial.last = { ms, ns, partition, offset, index, value };
  else if (ms > last.ms || (ms === last.ms && isNewer({ ms, ns, partition, offset, index, value }, last))) {
    last.ms = ms;
    last.ns = ns;
    last.partition = partition;
    last.offset = offset;
    last.index = index;
    last.value = value;
  }
}

function foldDistribution(partial: WindowPartial, distribution: Distribution): void {
  const { count, min, max } = distribution;
  const { sum, least, greatest, sketch } = binnedOf(distribution);
  partial.count = addCounts(partial.count, roundCount(count));
  addValue(partial.sum, sum);
  addSketch(partial.sketch, sketch);
  if (min === undefined) partial.min = Math.min(partial.min, least + 0);
  else if (Number.isFinite(min)) partial.min = Math.min(partial.min, min + 0);
  if (max === undefined) partial.max = Math.max(partial.max, greatest + 0);
  else if (Number.isFinite(max)) partial.max = Math.max(partial.max, max + 0);
}

function isCounted({ count }: Distribution): boolean {
  return count >= 0.5;
}
