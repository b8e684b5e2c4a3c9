// A DDSketch (Masson, Rim, Lee: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees, VLDB 2019): how
// many values fell into each bin, a bin being the numbers from γ^(k−1) to γ^k. Whatever lies in a bin is told by one number
// that is 1 % off at most. Counts are exact, so sketches merge in any order to the same.
//
// At most MAX_BINS bins a sign are kept, those furthest from 0; what is nearer to it counts in the nearest one kept. Which
// ones these are follows from the values alone, since a bin once left is never among the furthest again.

export interface Bins {
  /** Ascending. */
  keys: number[];
  counts: number[];
}

export interface Sketch {
  zero: number;
  positive: Bins;
  /** By their magnitude. */
  negative: Bins;
}

/** γ = 1.02: half a bin is 0.0099 of its middle, so that rounding never takes the error above 0.01. */
const GAMMA = 1.02;
const LOG_GAMMA = Math.log(GAMMA);
const KEYS_PER_LOG = 1 / LOG_GAMMA;
/** The number between γ^(k−1) and γ^k that has the same relative distance to both is this times the lower one. */
const MIDDLE = (2 * GAMMA) / (GAMMA + 1);
export const MAX_BINS = 2_048;
/** Doubles below this lose their relative precision: they count as 0. */
const LEAST = 2 ** -1_022;
/** Counts stay here from then on: any order gives the same, and what is stored can be read. */
export const MAX_COUNT = 2 ** 51;
/** Keys of the least and the greatest double, rounded away from 0. */
export const MAX_KEY = 36_000;

export function emptySketch(): Sketch {
  return { zero: 0, positive: { keys: [], counts: [] }, negative: { keys: [], counts: [] } };
}

export function copySketch({ zero, positive, negative }: Sketch): Sketch {
  return { zero, positive: copyBins(positive), negative: copyBins(negative) };
}

/** @param value finite */
export function addToSketch(sketch: Sketch, value: number, weight: number): void {
  if (value >= LEAST) addToBins(sketch.positive, keyOf(value), weight);
  else if (value <= -LEAST) addToBins(sketch.negative, keyOf(-value), weight);
  else sketch.zero = addCounts(sketch.zero, weight);
}

/** A sketch of many values: each alone would have to find its place among all others. */
export class SketchBuilder {
  readonly #positive = new Map<number, number>();
  readonly #negative = new Map<number, number>();
  #zero = 0;

  /** @param value finite */
  add(value: number, weight: number): void {
    if (value < LEAST && value > -LEAST) {
      this.#zero = addCounts(this.#zero, weight);
      return;
    }
    const counts = value > 0 ? this.#positive : this.#negative;
    const key = keyOf(Math.abs(value));
    counts.set(key, addCounts(counts.get(key) ?? 0, weight));
  }

  finish(): Sketch {
    return { zero: this.#zero, positive: binsOf(this.#positive), negative: binsOf(this.#negative) };
  }
}

function binsOf(counts: ReadonlyMap<number, number>): Bins {
  const keys = [...counts.keys()].toSorted((a, b) => a - b);
  const bins = { keys, counts: keys.map((key) => counts.get(key) as number) };
  if (keys.length > MAX_BINS) dropLowest(bins);
  return bins;
}

/** Adds `times` each of the other's values; with −1 it takes them away, and leaves what counts below 0 so. */
export function addSketch(into: Sketch, other: Sketch, times: 1 | -1 = 1): void {
  into.zero = addCounts(into.zero, times * other.zero);
  addBins(into.positive, other.positive, times);
  addBins(into.negative, other.negative, times);
}

/** How many values there are. */
export function countOf({ zero, positive, negative }: Sketch): number {
  let count = zero;
  for (const inBin of positive.counts) count += inBin;
  for (const inBin of negative.counts) count += inBin;
  return count;
}

/** About the value that has `rank` − 1 before it in ascending order. @param rank 1 to the count */
export function valueAt({ zero, positive, negative }: Sketch, rank: number): number {
  let before = 0;
  for (let i = negative.keys.length - 1; i >= 0; i--) {
    before += negative.counts[i] as number;
    if (before >= rank) return -middleOf(negative.keys[i] as number);
  }
  before += zero;
  if (before >= rank) return 0;
  for (let i = 0; i < positive.keys.length; i++) {
    before += positive.counts[i] as number;
    if (before >= rank) return middleOf(positive.keys[i] as number);
  }
  return positive.keys.length === 0 ? 0 : middleOf(positive.keys.at(-1) as number);
}

export function addCounts(a: number, b: number): number {
  return Math.min(MAX_COUNT, a + b);
}

/** The bin's number, from its key. */
function middleOf(key: number): number {
  return Math.exp((key - 1) * LOG_GAMMA) * MIDDLE;
}

function keyOf(magnitude: number): number {
  // `| 0` since −0.5 is rounded up to −0.
  return Math.ceil(Math.log(magnitude) * KEYS_PER_LOG) | 0;
}

function addToBins(bins: Bins, key: number, weight: number): void {
  const { keys, counts } = bins;
  const place = placeOf(keys, key);
  if (keys[place] === key) {
    counts[place] = addCounts(counts[place] as number, weight);
    return;
  }
  if (place === keys.length) {
    keys.push(key);
    counts.push(weight);
  } else {
    keys.splice(place, 0, key);
    counts.splice(place, 0, weight);
  }
  if (keys.length > MAX_BINS) dropLowest(bins);
}

/** Where the key is, or where it would be. */
function placeOf(keys: readonly number[], key: number): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as number) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function addBins(into: Bins, other: Bins, times: 1 | -1): void {
  if (other.keys.length === 0) return;
  const { keys, counts } = into;
  into.keys = [];
  into.counts = [];
  let i = 0;
  let j = 0;
  while (i < keys.length || j < other.keys.length) {
    const mine = i < keys.length ? (keys[i] as number) : Infinity;
    const theirs = j < other.keys.length ? (other.keys[j] as number) : Infinity;
    const key = Math.min(mine, theirs);
    let count = 0;
    if (mine === key) count += counts[i++] as number;
    if (theirs === key) count = addCounts(count, times * (other.counts[j++] as number));
    if (count === 0) continue;
    into.keys.push(key);
    into.counts.push(count);
  }
  if (into.keys.length > MAX_BINS) dropLowest(into);
}

function dropLowest({ keys, counts }: Bins): void {
  const excess = keys.length - MAX_BINS;
  for (let i = 0; i < excess; i++) counts[excess] = addCounts(counts[excess] as number, counts[i] as number);
  keys.splice(0, excess);
  counts.splice(0, excess);
}

function copyBins({ keys, counts }: Bins): Bins {
  return { keys: [...keys], counts: [...counts] };
}
