// Histograms of every kind as counts at values, for windows' percentiles. What a bucket hides stays hidden: its
// observations are spread over it, so that a percentile is off by no more than the bucket's own width; a bucket that is
// narrower than a sketch's error becomes one value. Nothing is believed of a histogram's form: it may come from anyone.
import type { JsonObject, JsonValue } from "../telemetry/json-value.ts";

/** A value, and how many observations stand for it: a whole number. */
export type Bin = [value: number, weight: number];

export interface Bins {
  count: number;
  sum: number;
  min?: number;
  max?: number;
  /** As many buckets as anybody likes: made when they are read. */
  bins: Iterable<Bin>;
}

type Extremes = Pick<Bins, "min" | "max">;

/** Narrower than a sketch's error on either side (lib/windows: 1 %). */
const NARROW = 1.02;

/** 2^(1/64): a bucket's middle is 0.54 % off at most, and more of them would say nothing to a sketch. */
const FINEST_SCALE = 6;

/** Of one histogram; with more, neighbours become one. Fewer would break the 1 % of those that are fine enough for it. */
const MAX_BUCKETS = 1_000;

/** Prometheus: bounds of its own, in `customValues`. */
const CUSTOM_BUCKETS = -53;

/** Where in a bucket its observations are put, the first one first: n of them always hold the places of n − 1. */
const SPREADS = {
  delta: [5, 7, 3, 9, 1].map((tenth) => tenth / 10),
  /** A window keeps many points of it. */
  cumulative: [3, 5, 1].map((sixth) => sixth / 6),
};

/**
 * `delta`: its own observations. `cumulative`: all since a start; two of them are subtracted, so that the same bucket
 * must give the same values, and min and max, which are the whole past's, are no part of it.
 */
export type Temporality = keyof typeof SPREADS;

/** An OTLP point, from a record's `detail.otlp.dataPoint`. */
export function explicitBins(point: JsonObject, temporality: Temporality): Bins {
  const extremes = extremesOf(point, temporality);
  return binsOf(point.count, point.sum, extremes, () => {
    const buckets = new Buckets(temporality, extremes);
    const bounds = listOf(point.explicitBounds).map(numberOf);
    buckets.addBounded(bounds, listOf(point.bucketCounts).map(countOf));
    return buckets.bins;
  });
}

/** An OTLP point, from a record's `detail.otlp.dataPoint`. */
export function exponentialBins(point: JsonObject, temporality: Temporality): Bins {
  const extremes = extremesOf(point, temporality);
  return binsOf(point.count, point.sum, extremes, () => {
    const buckets = new Buckets(temporality, extremes);
    const scale = numberOf(point.scale) ?? 0;
    for (const sign of [-1, 1] as const) {
      const side = objectOf(sign === 1 ? point.positive : point.negative);
      const counts = listOf(side?.bucketCounts).map(countOf);
      const offset = numberOf(side?.offset) ?? 0;
      buckets.addExponential(sign, scale, counts, (place) => offset + place);
    }
    buckets.add(0, 0, numberOf(point.zeroCount) ?? 0);
    return buckets.bins;
  });
}

/** Prometheus' native histogram, from `detail.prometheus.histogram`. */
export function nativeBins(histogram: JsonObject, temporality: Temporality): Bins {
  return binsOf(histogram.countInt ?? histogram.countFloat, histogram.sum, {}, () => {
    const buckets = new Buckets(temporality, {});
    const schema = numberOf(histogram.schema) ?? 0;
    for (const sign of [-1, 1] as const) {
      const side = sign === 1 ? "positive" : "negative";
      const counts = countsOf(histogram, side);
      const indices = indicesOf(listOf(histogram[`${side}Spans`]), counts.length);
      if (schema !== CUSTOM_BUCKETS) {
        // Its bucket i ends at base^i, where OTLP's begins.
        buckets.addExponential(sign, schema, counts, (place) => (indices[place] as number) - 1);
        continue;
      }
      const bounds = listOf(histogram.customValues).map(numberOf);
      const dense: number[] = [];
      for (const [place, index] of indices.entries()) {
        if (index >= 0 && index <= bounds.length) dense[index] = counts[place] as number;
      }
      buckets.addBounded(bounds, Array.from(dense, countOf));
    }
    buckets.add(0, 0, numberOf(histogram.zeroCountInt ?? histogram.zeroCountFloat) ?? 0);
    return buckets.bins;
  });
}

/** Without a bucket, a mean is all that is known: nothing for percentiles to be made of. */
function binsOf(
  count: JsonValue | undefined,
  sum: JsonValue | undefined,
  { min, max }: Extremes,
  make: () => Bin[],
): Bins {
  const made = new MadeBins(make);
  const bins: Bins = {
    count: numberOf(count) ?? totalOf(made, (_, weight) => weight),
    sum: numberOf(sum) ?? totalOf(made, (value, weight) => value * weight),
    bins: made,
  };
  if (min !== undefined) bins.min = min;
  if (max !== undefined) bins.max = max;
  return bins;
}

function totalOf(bins: Iterable<Bin>, of: (value: number, weight: number) => number): number {
  let sum = 0;
  for (const [value, weight] of bins) sum += of(value, weight);
  return sum;
}

/** Bins that are made when they are read: those of a whole commit would be a hundred times their bytes. */
class MadeBins implements Iterable<Bin> {
  readonly #make: () => Bin[];

  constructor(make: () => Bin[]) {
    this.#make = make;
  }

  [Symbol.iterator](): Iterator<Bin> {
    return this.#make().values();
  }
}

/** How many buckets a record's histogram has. */
export function bucketsOf(detail: JsonObject | undefined): number {
  const point = objectOf(objectOf(detail?.otlp)?.dataPoint) ?? {};
  const histogram = objectOf(objectOf(detail?.prometheus)?.histogram) ?? {};
  let buckets = listOf(point.bucketCounts).length;
  for (const side of ["positive", "negative"]) {
    buckets += listOf(objectOf(point[side])?.bucketCounts).length;
    buckets += listOf(histogram[`${side}Deltas`]).length + listOf(histogram[`${side}Counts`]).length;
  }
  return buckets;
}

/** What is in the buckets, and between which values. */
class Buckets {
  readonly #spread: readonly number[];
  readonly #min: number | undefined;
  readonly #max: number | undefined;
  readonly bins: Bin[] = [];

  constructor(temporality: Temporality, { min, max }: Extremes) {
    this.#spread = SPREADS[temporality];
    this.#min = min;
    this.#max = max;
  }

  /** Bucket i is between the bounds i − 1 and i; the first and the last have but one. */
  addBounded(bounds: readonly (number | undefined)[], counts: readonly number[]): void {
    const stride = strideOf(counts.length);
    for (let from = 0; from < counts.length; from += stride) {
      const to = Math.min(from + stride, counts.length);
      this.add(bounds[from - 1] ?? -Infinity, bounds[to - 1] ?? Infinity, total(counts, from, to));
    }
  }

  /**
   * Bucket i is between base^i and base^(i + 1), the base being 2^(2^−scale).
   * @param indexOf of the counts, by their places
   */
  addExponential(
    sign: 1 | -1,
    scale: number,
    counts: readonly number[],
    indexOf: (place: number) => number,
  ): void {
    const coarser = 2 ** Math.max(0, scale - FINEST_SCALE);
    const step = 2 ** -Math.min(scale, FINEST_SCALE);
    const byIndex = new Map<number, number>();
    for (const [place, count] of counts.entries()) {
      if (count === 0) continue;
      const index = Math.floor(indexOf(place) / coarser);
      byIndex.set(index, (byIndex.get(index) ?? 0) + count);
    }
    const stride = strideOf(byIndex.size);
    let lower: number | undefined;
    let held = 0;
    let number = 0;
    for (const [index, count] of byIndex) {
      lower ??= power(index * step);
      held += count;
      if (++number % stride !== 0 && number < byIndex.size) continue;
      const upper = power((index + 1) * step);
      if (sign === 1) this.add(lower, upper, held);
      else this.add(-upper, -lower, held);
      lower = undefined;
      held = 0;
    }
  }

  add(lower: number, upper: number, count: number): void {
    if (!(count > 0)) return;
    let from = Math.max(lower, this.#min ?? -Infinity);
    let to = Math.min(upper, this.#max ?? Infinity);
    // As Prometheus reads them: a first bucket of positive values begins at 0; a last one says no more than its bound.
    if (from === -Infinity) from = to > 0 && to !== Infinity ? 0 : to;
    if (to === Infinity) to = from;
    if (!Number.isFinite(from) || !Number.isFinite(to)) return;
    if (from >= to) this.bins.push([to, count]);
    else if (isNarrow(from, to)) this.bins.push([(2 * from * to) / (from + to), count]);
    else this.#addSpread(from, to, count);
  }

  #addSpread(from: number, to: number, count: number): void {
    const places = this.#spread.length;
    for (const [rank, part] of this.#spread.entries()) {
      const weight = Math.floor((count + places - 1 - rank) / places);
      if (weight > 0) this.bins.push([from * (1 - part) + to * part, weight]);
    }
  }
}

const strideOf = (buckets: number): number => Math.ceil(buckets / MAX_BUCKETS);

function isNarrow(from: number, to: number): boolean {
  return from > 0 ? to <= from * NARROW : to < 0 && from >= to * NARROW;
}

function power(exponent: number): number {
  return Math.min(2 ** exponent, Number.MAX_VALUE);
}

function total(counts: readonly number[], from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += counts[i] as number;
  return sum;
}

function extremesOf({ min, max }: JsonObject, temporality: Temporality): Extremes {
  const least = numberOf(min);
  const greatest = numberOf(max);
  if (temporality === "cumulative") return {};
  const isOrdered = least === undefined || greatest === undefined || least <= greatest;
  if (!isOrdered) return {};
  return {
    ...(least === undefined ? {} : { min: least }),
    ...(greatest === undefined ? {} : { max: greatest }),
  };
}

/** Of integer histograms the difference to the bucket before is given, of others the count. */
function countsOf(histogram: JsonObject, side: "positive" | "negative"): number[] {
  const floats = listOf(histogram[`${side}Counts`]);
  if (floats.length > 0) return floats.map(countOf);
  let count = 0;
  return listOf(histogram[`${side}Deltas`]).map((delta) => countOf((count += numberOf(delta) ?? 0)));
}

/** Of each bucket that is given: its index. Spans are counted no further than there are buckets. */
function indicesOf(spans: readonly JsonValue[], buckets: number): number[] {
  const indices: number[] = [];
  let index = 0;
  for (const span of spans) {
    const { offset, length } = objectOf(span) ?? {};
    index += numberOf(offset) ?? 0;
    const end = index + (numberOf(length) ?? 0);
    for (; index < end && indices.length < buckets; index++) indices.push(index);
  }
  while (indices.length < buckets) indices.push(index++);
  return indices;
}

/** 64-bit integers are texts; undefined for what is no finite number. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** Recording rules make fractions of counts; a bin holds whole ones. */
function countOf(value: JsonValue | undefined): number {
  return Math.max(0, Math.round(numberOf(value) ?? 0));
}

export function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
