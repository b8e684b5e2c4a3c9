// The sum of finite doubles, exact and so in whatever order they come: an expansion of parts that do not overlap (J. R.
// Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997), rounded once, when it is read.

export interface ExactSum {
  /** By magnitude, the least first. */
  parts: number[];
  /** The same of huge values, each times 2^-200, so that no sum on the way is beyond the range of a double. */
  huge: number[] | undefined;
}

const HUGE = 2 ** 900;
const MAX_PART = 2 ** 960;
const DOWN = 2 ** -200;
const UP = 2 ** 200;

export function emptySum(): ExactSum {
  return { parts: [], huge: undefined };
}

export function copySum({ parts, huge }: ExactSum): ExactSum {
  return { parts: [...parts], huge: huge && [...huge] };
}

/** What is not finite adds nothing. */
export function addValue(sum: ExactSum, value: number): void {
  if (value < HUGE && value > -HUGE) addTo(sum.parts, value);
  else if (Number.isFinite(value)) addTo((sum.huge ??= []), value * DOWN);
}

export function addSum(into: ExactSum, { parts, huge }: ExactSum): void {
  for (const part of parts) addTo(into.parts, part);
  if (huge) for (const part of huge) addTo((into.huge ??= []), part);
}

/** @returns the double nearest to the sum; the greatest one, or its negative, where the sum is beyond the range */
export function sumOf(sum: ExactSum): number {
  const [value, scale] = rounded(sum);
  return clamp(value * scale);
}

/** @param count > 0 */
export function meanOf(sum: ExactSum, count: number): number {
  const [value, scale] = rounded(sum);
  const total = value * scale;
  return Number.isFinite(total) ? total / count : clamp((value / count) * scale);
}

/** Parts of the same exact value are the same after this, whatever was added in which order. */
export function canonicalParts(parts: readonly number[]): number[] {
  if (parts.length < 2) return [...parts];
  const rest = [...parts];
  const canonical: number[] = [];
  while (rest.length > 0) {
    const nearest = round(rest);
    canonical.push(nearest);
    addTo(rest, -nearest);
  }
  return canonical.toReversed();
}

/**
 * Parts that come from outside, put in order. Parts of our own are below this: 2^53 values below 2^900.
 * @returns undefined where one is beyond it
 */
export function restoredParts(parts: readonly number[]): number[] | undefined {
  const restored: number[] = [];
  for (const part of parts) {
    if (!(Math.abs(part) < MAX_PART)) return undefined;
    addTo(restored, part);
  }
  return restored;
}

/** The sum as a number times a power of two. */
function rounded({ parts, huge }: ExactSum): [value: number, scale: number] {
  if (!huge || huge.length === 0) return [round(parts), 1];
  const all = [...huge];
  for (const part of parts) addTo(all, part * DOWN);
  return [round(all), UP];
}

function clamp(value: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, value));
}

/** Adds a value; the parts stay without overlap. */
function addTo(parts: number[], value: number): void {
  let kept = 0;
  let carry = value;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as number;
    const high = carry + part;
    const low = Math.abs(carry) < Math.abs(part) ? carry - (high - part) : part - (high - carry);
    if (low !== 0) parts[kept++] = low;
    carry = high;
  }
  if (carry !== 0) parts[kept++] = carry;
  if (kept < parts.length) parts.length = kept;
}

/** The nearest double, ties to even. */
function round(parts: readonly number[]): number {
  let i = parts.length - 1;
  if (i < 0) return 0;
  let high = parts[i] as number;
  let low = 0;
  while (i > 0) {
    const before = high;
    const part = parts[--i] as number;
    high = before + part;
    low = part - (high - before);
    if (low !== 0) break;
  }
  // `high` was rounded from exactly half-way, without what lies below: that decides which way.
  if (i > 0 && Math.sign(low) === Math.sign(parts[i - 1] as number)) {
    const twice = low * 2;
    const other = high + twice;
    if (other - high === twice) return other;
  }
  return high;
}
