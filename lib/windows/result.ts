// What a window says: the fields of contracts.md, from the partials of one series or of several.
import { addValue, emptySum, meanOf, sumOf } from "./exact-sum.ts";
import { COUNTER, SEEN, settle, type Seen } from "./growing.ts";
import { emptyPartial, merge, type WindowPartial } from "./partial.ts";
import { growthOf, newestBefore, type Points } from "./points.ts";
import { addCounts, addSketch, countOf, valueAt } from "./sketch.ts";

export interface WindowResult {
  /** Of values; where a series is a cumulative distribution, how many it came to see. */
  count: number;
  sum: number;
  /** null here and below: there is none (nothing was counted; distributions have no `last`). */
  avg: number | null;
  min: number | null;
  max: number | null;
  last: number | null;
  p50: number | null;
  p90: number | null;
  p95: number | null;
  p99: number | null;
  /** Of counters only, and only where there are two points to tell it by: how much it grew, resets counted in. */
  increase?: number;
  /** `increase` by second of the window's length. */
  rate?: number;
}

/** One series' part of a window that is read. */
export interface SeriesPart {
  series: string;
  partial: WindowPartial;
  /** A window before it: growth counts from its newest point before the start. */
  previous?: WindowPartial | undefined;
}

/**
 * Of one series' window.
 * @param previous a window before it, from whose newest point before `startMs` growth counts; else from the window's first
 */
export function resultOf(
  partial: WindowPartial,
  startMs: number,
  endMs: number,
  previous?: WindowPartial,
): WindowResult {
  return resultOfParts([{ series: "", partial, previous }], startMs, endMs);
}

/** Over several series: counters are never mixed, their increases are added. */
export function resultOfParts(parts: readonly SeriesPart[], startMs: number, endMs: number): WindowResult {
  const whole = addUp(parts, startMs);
  const { count, sum, min, max, last } = whole;
  const result: WindowResult = {
    count,
    sum: sumOf(sum),
    avg: count === 0 ? null : meanOf(sum, count),
    min: Number.isFinite(min) ? min : null,
    max: Number.isFinite(max) ? max : null,
    last: last ? last.value : null,
    p50: quantile(whole, 0.5),
    p90: quantile(whole, 0.9),
    p95: quantile(whole, 0.95),
    p99: quantile(whole, 0.99),
  };
  const increase = increaseOf(parts, startMs);
  if (increase !== undefined) {
    result.increase = increase;
    result.rate = increase / ((endMs - startMs) / 1_000);
  }
  return result;
}

/**
 * A quantile by nearest rank: the least value that at least the share `q` of all is not above. 1 % off at most.
 * @param q above 0, at most 1, to a millionth
 * @returns null where nothing was counted
 */
export function quantileOf(parts: readonly SeriesPart[], startMs: number, q: number): number | null {
  return quantile(addUp(parts, startMs), q);
}

/** All series as one, with what cumulative distributions came to see. */
function addUp(parts: readonly SeriesPart[], startMs: number): WindowPartial {
  const [first] = parts;
  if (parts.length === 1 && first && !first.partial.seen) return first.partial;
  const whole = emptyPartial(0);
  for (const { partial, previous } of parts) {
    const { seen, ...values } = partial;
    merge(whole, { ...values, seen: undefined, counter: undefined });
    const growth = seen && growthOf(SEEN, seen, before(previous?.seen, startMs));
    if (growth) addSeen(whole, growth);
  }
  return whole;
}

function addSeen(whole: WindowPartial, { count, sum, sketch: grown }: Seen): void {
  if (count <= 0) return;
  const sketch = settle(grown);
  whole.count = addCounts(whole.count, count);
  addValue(whole.sum, sum);
  addSketch(whole.sketch, sketch);
  const total = countOf(sketch);
  if (total === 0) return;
  whole.min = Math.min(whole.min, valueAt(sketch, 1));
  whole.max = Math.max(whole.max, valueAt(sketch, total));
}

function increaseOf(parts: readonly SeriesPart[], startMs: number): number | undefined {
  const sum = emptySum();
  let isKnown = false;
  for (const { partial, previous } of parts) {
    const increase =
      partial.counter && growthOf(COUNTER, partial.counter, before(previous?.counter, startMs));
    if (increase === undefined || !Number.isFinite(increase)) continue;
    addValue(sum, increase);
    isKnown = true;
  }
  return isKnown ? sumOf(sum) : undefined;
}

function before<V>(previous: Points<V> | undefined, startMs: number): V | undefined {
  return previous && newestBefore(previous, startMs);
}

function quantile({ sketch, min, max }: WindowPartial, q: number): number | null {
  const total = countOf(sketch);
  if (total === 0) return null;
  // In whole numbers: 0.95 × 20 is 19, and not a little more.
  const rank = Math.ceil((total * Math.round(q * 1e6)) / 1e6);
  if (rank <= 1) return min;
  if (rank >= total) return max;
  return Math.min(max, Math.max(min, valueAt(sketch, rank)));
}
