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
  previous?: PreviousWindow | undefined;
}

/** What is asked of a window before. */
export type PreviousWindow = Pick<WindowPartial, "counter" | "seen">;

/** All series' parts of a window as one. */
export interface WholeWindow {
  /** Of its values, with what cumulative distributions came to see. It may be a part's own, and is not to be changed. */
  partial: WindowPartial;
  /** Undefined: nothing of it is a counter with two points to tell it by. */
  increase: number | undefined;
}

/**
 * Of one series' window.
 * @param previous a window before it, from whose newest point before `startMs` growth counts; else from the window's first
 */
export function resultOf(
  partial: WindowPartial,
  startMs: number,
  endMs: number,
  previous?: PreviousWindow,
): WindowResult {
  return resultOfParts([{ series: "", partial, previous }], startMs, endMs);
}

/** Over several series. */
export function resultOfParts(parts: readonly SeriesPart[], startMs: number, endMs: number): WindowResult {
  return resultOfWhole(wholeOf(parts, startMs), startMs, endMs);
}

export function resultOfWhole(
  { partial, increase }: WholeWindow,
  startMs: number,
  endMs: number,
): WindowResult {
  const { count, sum, min, max, last } = partial;
  const result: WindowResult = {
    count,
    sum: sumOf(sum),
    avg: count === 0 ? null : meanOf(sum, count),
    min: Number.isFinite(min) ? min : null,
    max: Number.isFinite(max) ? max : null,
    last: last ? last.value : null,
    p50: quantileOf(partial, 0.5),
    p90: quantileOf(partial, 0.9),
    p95: quantileOf(partial, 0.95),
    p99: quantileOf(partial, 0.99),
  };
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
export function quantileOf({ sketch, min, max }: WindowPartial, q: number): number | null {
  const total = countOf(sketch);
  if (total === 0) return null;
  // In whole numbers: 0.95 × 20 is 19, and not a little more.
  const rank = Math.ceil((total * Math.round(q * 1e6)) / 1e6);
  if (rank <= 1) return min;
  if (rank >= total) return max;
  return Math.min(max, Math.max(min, valueAt(sketch, rank)));
}

/** Counters are never mixed, their increases are added. Parts are needed one at a time. */
export function wholeOf(parts: Iterable<SeriesPart>, startMs: number): WholeWindow {
  let whole: WindowPartial | undefined;
  let isOurs = false;
  const increases = emptySum();
  let isKnown = false;
  for (const { partial, previous } of parts) {
    const { seen, counter } = partial;
    if (!whole && !seen) whole = partial;
    else {
      if (!isOurs) whole = withValues(emptyPartial(0), whole);
      isOurs = true;
      whole = withValues(whole as WindowPartial, partial);
    }
    const growth = seen && growthOf(SEEN, seen, before(previous?.seen, startMs));
    if (growth) addSeen(whole, growth);
    const increase = counter && growthOf(COUNTER, counter, before(previous?.counter, startMs));
    if (increase === undefined || !Number.isFinite(increase)) continue;
    addValue(increases, increase);
    isKnown = true;
  }
  return { partial: whole ?? emptyPartial(0), increase: isKnown ? sumOf(increases) : undefined };
}

/** Adds another's values, and not its points. */
function withValues(whole: WindowPartial, other: WindowPartial | undefined): WindowPartial {
  if (other) merge(whole, { ...other, seen: undefined, counter: undefined });
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

function before<V>(previous: Points<V> | undefined, startMs: number): V | undefined {
  return previous && newestBefore(previous, startMs);
}
