// Samples for the tests of windows, a source of chance that gives the same again, and the reference: what windows are by
// definition, from all samples at once, written without the code that is tested.
import type { Sample, SampleValue } from "../../../lib/windows/sample.ts";

export type TestSample = Pick<Sample, "time" | "offset" | "index" | "value"> & { partition: number };

/** 2026-11-21T00:00:00Z */
export const DAY = Date.UTC(2026, 10, 21);

/** Numbers from 0 up to, not including, 1. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j] as T, mixed[i] as T];
  }
  return mixed;
}

export function sample(ms: number, value: SampleValue | number, place: Partial<TestSample> = {}): TestSample {
  return {
    time: { ms, ns: 0 },
    offset: 0,
    index: 0,
    partition: 0,
    value: typeof value === "number" ? { kind: "number", value } : value,
    ...place,
  };
}

/** The sum, rounded once: each double is a whole number of 2^-1074. */
export function exactSum(values: readonly number[]): number {
  let total = 0n;
  for (const value of values) total += unitsOf(value);
  return fromUnits(total);
}

/** By nearest rank, as docs/windows.md has it. */
export function exactQuantile(values: readonly number[], perMille: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (BigInt(sorted.length) * BigInt(perMille) + 999n) / 1_000n;
  return sorted[Math.max(0, Number(rank) - 1)] as number;
}

/** By time; at one time, by where it stands in Kafka. */
export function byTime(a: TestSample, b: TestSample): number {
  return (
    a.time.ms - b.time.ms ||
    a.time.ns - b.time.ns ||
    a.partition - b.partition ||
    a.offset - b.offset ||
    a.index - b.index
  );
}

/** What a counter grew by: of one millisecond's points the greatest counts, and a fall is a beginning anew at 0. */
export function exactIncrease(
  points: readonly { ms: number; value: number }[],
  previous?: number,
): number | undefined {
  const greatest = new Map<number, number>();
  for (const { ms, value } of points) greatest.set(ms, Math.max(value, greatest.get(ms) ?? -Infinity));
  const line = [...greatest].toSorted(([a], [b]) => a - b).map(([, value]) => value);
  if (line.length === 0) return undefined;
  if (previous !== undefined) line.unshift(previous);
  if (line.length < 2) return undefined;
  let increase = 0;
  for (let i = 1; i < line.length; i++) {
    const [from, to] = [line[i - 1] as number, line[i] as number];
    increase += to < from ? to : to - from;
  }
  return increase;
}

function unitsOf(value: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const all = bits.getBigUint64(0);
  const exponent = Number((all >> 52n) & 0x7ffn);
  const fraction = all & ((1n << 52n) - 1n);
  const units = exponent === 0 ? fraction : (fraction | (1n << 52n)) << BigInt(exponent - 1);
  return value < 0 ? -units : units;
}

/** To the nearest double, ties to even; beyond the range the greatest. */
function fromUnits(units: bigint): number {
  const sign = units < 0n ? -1 : 1;
  const size = units < 0n ? -units : units;
  const excess = size.toString(2).length - 53;
  if (excess <= 0) return sign * Number(size) * Number.MIN_VALUE;
  const [half, rest] = [1n << BigInt(excess - 1), size & ((1n << BigInt(excess)) - 1n)];
  let kept = size >> BigInt(excess);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept++;
  // In steps, since a power of two may be beyond the range where the product is not.
  let value = Number(kept) * 2 ** -1_022;
  if (excess < 52) return (sign * value) / 2 ** (52 - excess);
  for (let left = excess - 52; left > 0; left -= 1_000) value *= 2 ** Math.min(left, 1_000);
  return sign * Math.min(Number.MAX_VALUE, value);
}
