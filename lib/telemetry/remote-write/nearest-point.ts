// Which of a series' points an exemplar belongs to: the messages do not say it, so it is the nearest in time.

interface Timed {
  /** Milliseconds. */
  timestamp: bigint;
}

/** The order of the request stays where times are equal. */
export function byTime<T extends Timed>(points: readonly T[]): T[] {
  return points.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
}

/**
 * The later one of two that are as near, the last of all where the exemplar tells no time.
 * @param points at least one, by time
 */
export function nearest<T extends Timed>(points: readonly T[], timestamp: bigint): T {
  const at = (index: number) => points[index] as T;
  let low = 0;
  let high = points.length - 1;
  if (timestamp === 0n) return at(high);
  // The first point that is not before the exemplar, or the last of all.
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle).timestamp < timestamp) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return at(0);
  const before = at(low - 1);
  return distance(at(low).timestamp, timestamp) <= timestamp - before.timestamp ? at(low) : before;
}

function distance(a: bigint, b: bigint): bigint {
  return a < b ? b - a : a - b;
}
