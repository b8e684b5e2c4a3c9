// What grows: counters, and cumulative histograms, as points.ts wants them told.
import type { Growing } from "./points.ts";
import type { Distribution } from "./sample.ts";
import {
  addCounts,
  MAX_COUNT,
  addSketch,
  copySketch,
  emptySketch,
  SketchBuilder,
  type Bins,
  type Sketch,
} from "./sketch.ts";

/** A day of a counter that is read every three minutes, or an hour of one that is read every ten seconds. */
export const MAX_COUNTER_POINTS = 512;
/** Each holds a histogram. */
export const MAX_DISTRIBUTION_POINTS = 64;

export const COUNTER: Growing<number> = {
  maxPoints: MAX_COUNTER_POINTS,
  zero: 0,
  add: (a, b) => inRange(a + b),
  subtract: (from, other) => inRange(from - other),
  fell: (from, to) => to < from,
  greater: Math.max,
};

/** What a histogram has seen; never changed in place. */
export interface Seen {
  count: number;
  sum: number;
  sketch: Sketch;
}

export const SEEN: Growing<Seen> = {
  maxPoints: MAX_DISTRIBUTION_POINTS,
  zero: { count: 0, sum: 0, sketch: emptySketch() },
  add: (a, b) => ({
    count: addCounts(a.count, b.count),
    sum: inRange(a.sum + b.sum),
    sketch: combine(a.sketch, b.sketch, 1),
  }),
  subtract: (from, other) => ({
    count: from.count - other.count,
    sum: inRange(from.sum - other.sum),
    sketch: combine(from.sketch, other.sketch, -1),
  }),
  fell: (from, to) => to.count < from.count,
  greater: (a, b) => (compareSeen(a, b) >= 0 ? a : b),
};

export function seenOf(distribution: Distribution): Seen {
  const { sum, sketch } = binnedOf(distribution);
  return { count: roundCount(distribution.count), sum, sketch };
}

/** What follows from a distribution's bins. */
export interface Binned {
  /** The distribution's own; histograms that saw a NaN have one for a sum: then that of the bins. */
  sum: number;
  /** Of the bins' values; Infinity and -Infinity where there is none. */
  least: number;
  greatest: number;
  /** Not to be changed. */
  sketch: Sketch;
}

let newest: Distribution | undefined;
let newestBinned: Binned | undefined;

/** A sample is folded into several windows, one after the other: its bins are read once. */
export function binnedOf(distribution: Distribution): Binned {
  if (newest !== distribution || !newestBinned) {
    newestBinned = bin(distribution);
    newest = distribution;
  }
  return newestBinned;
}

/** Bins count that are of a finite value, and at least one. */
function bin({ sum, bins }: Distribution): Binned {
  const sketch = new SketchBuilder();
  let estimate = 0;
  let least = Infinity;
  let greatest = -Infinity;
  for (const [value, weight] of bins) {
    if (!Number.isFinite(value) || !(weight >= 0.5)) continue;
    const count = roundCount(weight);
    sketch.add(value, count);
    estimate = inRange(estimate + value * count);
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return {
    sum: Number.isFinite(sum) ? sum + 0 : inRange(estimate),
    least,
    greatest,
    sketch: sketch.finish(),
  };
}

export function roundCount(count: number): number {
  return Math.min(MAX_COUNT, Math.round(count));
}

/** Finite, so that nothing that follows from it is no number. */
function inRange(value: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, value));
}

/**
 * The sketch without counts below 0: they come of buckets that were put together between two points (an exponential
 * histogram that grew coarser), and are taken from the bins next above, or else below. The total stays.
 */
export function settle(sketch: Sketch): Sketch {
  const { positive, negative, zero } = sketch;
  const counts = [...negative.counts.toReversed(), zero, ...positive.counts];
  if (counts.every((count) => count >= 0)) return sketch;
  const places = [...counts.keys()];
  let owed = 0;
  for (const i of [...places, ...places.toReversed()]) {
    const left = (counts[i] as number) + owed;
    counts[i] = Math.max(0, left);
    owed = Math.min(0, left);
  }
  const below = negative.keys.length;
  return {
    zero: counts[below] as number,
    negative: kept(negative.keys, counts.slice(0, below).toReversed()),
    positive: kept(positive.keys, counts.slice(below + 1)),
  };
}

function kept(keys: readonly number[], counts: readonly number[]): Bins {
  const bins: Bins = { keys: [], counts: [] };
  counts.forEach((count, i) => {
    if (count <= 0) return;
    bins.keys.push(keys[i] as number);
    bins.counts.push(count);
  });
  return bins;
}

function combine(a: Sketch, b: Sketch, times: 1 | -1): Sketch {
  const sum = copySketch(a);
  addSketch(sum, b, times);
  return sum;
}

/** Any order does that is the same everywhere, with the count first. */
function compareSeen(a: Seen, b: Seen): number {
  return (
    a.count - b.count ||
    a.sum - b.sum ||
    a.sketch.zero - b.sketch.zero ||
    compareBins(a.sketch.positive, b.sketch.positive) ||
    compareBins(a.sketch.negative, b.sketch.negative)
  );
}

function compareBins(a: Bins, b: Bins): number {
  for (const field of ["keys", "counts"] as const) {
    const [mine, theirs] = [a[field], b[field]];
    if (mine.length !== theirs.length) return mine.length - theirs.length;
    for (let i = 0; i < mine.length; i++) {
      const difference = (mine[i] as number) - (theirs[i] as number);
      if (difference !== 0) return difference;
    }
  }
  return 0;
}
