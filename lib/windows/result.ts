// What a window says: the fields of contracts.md, from the partials of one series or of several.
import { addSum, addValue, emptySum, meanOf, sumOf, type ExactSum } from "./exact-sum.ts";
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
  increases: ExactSum | undefined;
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
  { partial, increases }: WholeWindow,
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
  if (increases) {
    result.increase = sumOf(increases);
    result.rate = result.increase / ((endMs - startMs) / 1_000);
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

/** Parts are needed one at a time. */
export function wholeOf(parts: Iterable<SeriesPart>, startMs: number): WholeWindow {
  const sum = new WholeSum();
  for (const part of parts) sum.addPart(part, startMs);
  return sum.whole();
}

/**
 * Adds up what series say of one window, in whatever order and by whichever steps. Counters are never mixed, their
 * increases are added. What it is given stays as it is, and is copied only where there is more than one.
 */
export class WholeSum {
  #partial: WindowPartial | undefined;
  #isOurs = false;
  #increases: ExactSum | undefined;

  addPart({ partial, previous }: SeriesPart, startMs: number): void {
    const { seen, counter } = partial;
    this.#addValues(partial, seen !== undefined);
    const growth = seen && growthOf(SEEN, seen, before(previous?.seen, startMs));
    if (growth) addSeen(this.#partial as WindowPartial, growth);
    const increase = counter && growthOf(COUNTER, counter, before(previous?.counter, startMs));
    if (increase !== undefined && Number.isFinite(increase))
      addValue((this.#increases ??= emptySum()), increase);
  }

  /** Those of other series. */
  add({ partial, increases }: WholeWindow): void {
    this.#addValues(partial, false);
    if (increases) addSum((this.#increases ??= emptySum()), increases);
  }

  whole(): WholeWindow {
    return { partial: this.#partial ?? emptyPartial(0), increases: this.#increases };
  }

  /** Not the points. @param isToChange more is to be added to them */
  #addValues(partial: WindowPartial, isToChange: boolean): void {
    const values = { ...partial, seen: undefined, counter: undefined };
    if (!this.#partial && !isToChange) {
      this.#partial = values;
      return;
    }
    if (!this.#isOurs) {
      const own = emptyPartial(0);
      if (this.#partial) merge(own, this.#partial);
      this.#partial = own;
      this.#isOurs = true;
    }
    merge(this.#partial as WindowPartial, values);
  }
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
