// What a stored record gives to windows: one measured thing, of one series, at one time. Numbers are finite; what is
// not (a stale marker, NaN, an infinity) makes no sample.

/** A moment: milliseconds since the epoch, and the nanoseconds beyond them. */
export interface SampleTime {
  ms: number;
  /** 0 to 999,999 */
  ns: number;
}

/** Values with how often they occurred: a bucket by a value that stands for it. */
export interface Distribution {
  count: number;
  sum: number;
  /** The least and the greatest value; where they are not known, those of the bins are taken. */
  min?: number;
  max?: number;
  /** In any order; weights are whole numbers > 0. A value may stand more than once. May be made anew at each reading. */
  bins: Iterable<readonly [value: number, weight: number]>;
}

/**
 * - `counter`: a sum since its start, which only grows; a lower value is a reset (the process began anew).
 * - `distribution`: what was observed since the point before.
 * - `cumulative_distribution`: what was observed since its start. The value that stands for a bucket must follow from the
 *   bucket's bounds alone, never from `min` and `max`, so that one bucket has one value in all points.
 */
export type SampleValue =
  | { kind: "number"; value: number }
  | { kind: "counter"; value: number }
  | ({ kind: "distribution" } & Distribution)
  | ({ kind: "cumulative_distribution" } & Distribution);

export interface Sample {
  tenant: string;
  name: string;
  labels: Record<string, string>;
  /** As {@link seriesId} of lib/windows/series.ts makes it. */
  series: string;
  time: SampleTime;
  /** Of the message it came in. */
  offset: number;
  /** Its place in the message. */
  index: number;
  value: SampleValue;
}
