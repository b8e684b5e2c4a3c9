// Points of something that only grows and sometimes begins anew (a counter, a cumulative histogram), sorted by time, so that
// growth and resets come out right in whatever order they arrived. Of two points of one millisecond the greater one counts.
//
// The newest points are kept, as many as `Growing.maxPoints` says; older ones become the head: exact up to then, but what
// arrives for a time inside of it is passed over, and heads of two partitions that overlap are joined by their ends.

/** What the points' values are: a group, with a sense for resets. */
export interface Growing<V> {
  maxPoints: number;
  zero: V;
  add(a: V, b: V): V;
  subtract(from: V, other: V): V;
  /** Whether something began anew between two points that follow one another. */
  fell(from: V, to: V): boolean;
  greater(a: V, b: V): V;
}

export interface Points<V> {
  head: Head<V> | undefined;
  /** Ascending, each after the head's last. */
  times: number[];
  values: V[];
}

export interface Head<V> {
  firstMs: number;
  first: V;
  lastMs: number;
  last: V;
  /** What was reached before each reset, added up. */
  dropped: V;
}

export function emptyPoints<V>(): Points<V> {
  return { head: undefined, times: [], values: [] };
}

/** The values are shared: they are never changed in place. */
export function copyPoints<V>({ head, times, values }: Points<V>): Points<V> {
  return { head: head && { ...head }, times: [...times], values: [...values] };
}

export function addPoint<V>(growing: Growing<V>, points: Points<V>, ms: number, value: V): void {
  const { head, times, values } = points;
  if (head && ms <= head.lastMs) {
    if (ms < head.firstMs) goBack(growing, head, ms, value);
    return;
  }
  let place = times.length;
  while (place > 0 && (times[place - 1] as number) > ms) place--;
  if (place > 0 && times[place - 1] === ms) {
    values[place - 1] = growing.greater(values[place - 1] as V, value);
    return;
  }
  if (place === times.length) {
    times.push(ms);
    values.push(value);
  } else {
    times.splice(place, 0, ms);
    values.splice(place, 0, value);
  }
  if (times.length > growing.maxPoints) foldOldest(growing, points);
}

/** Adds the other's points; `other` stays as it is. */
export function mergePoints<V>(growing: Growing<V>, into: Points<V>, other: Points<V>): void {
  const sorted = mergeSorted(growing, into, other);
  if (into.head && other.head) into.head = joinHeads(growing, into.head, other.head, sorted);
  else if (other.head) into.head = { ...other.head };
  const { head } = into;
  const { times, values } = sorted;
  if (head) {
    let before = times.findIndex((ms) => ms >= head.firstMs);
    if (before < 0) before = times.length;
    while (before-- > 0) goBack(growing, head, times[before] as number, values[before] as V);
    const inside = times.findLastIndex((ms) => ms <= head.lastMs) + 1;
    times.splice(0, inside);
    values.splice(0, inside);
  }
  into.times = times;
  into.values = values;
  while (into.times.length > growing.maxPoints) foldOldest(growing, into);
}

/**
 * How much it grew from `before` on, else from the first point.
 * @returns undefined where that takes one point more
 */
export function growthOf<V>(growing: Growing<V>, { head, values }: Points<V>, before?: V): V | undefined {
  const here = values.length + (head ? 2 : 0);
  if (here === 0 || (here === 1 && before === undefined)) return undefined;
  const start = before ?? (head ? head.first : values[0]);
  if (start === undefined) return undefined;
  let last: V = start;
  let dropped = growing.zero;
  const goOn = (to: V) => {
    if (growing.fell(last, to)) dropped = growing.add(dropped, last);
    last = to;
  };
  if (head) {
    goOn(head.first);
    dropped = growing.add(dropped, head.dropped);
    last = head.last;
  }
  values.forEach(goOn);
  return growing.subtract(growing.add(last, dropped), start);
}

/** The newest value before a time. */
export function newestBefore<V>({ head, times, values }: Points<V>, ms: number): V | undefined {
  for (let i = times.length - 1; i >= 0; i--) if ((times[i] as number) < ms) return values[i];
  if (!head || head.firstMs >= ms) return undefined;
  return head.lastMs < ms ? head.last : head.first;
}

/** As much of them as {@link newestBefore} asks of a window that is over. */
export function newestOf<V>({ head, times, values }: Points<V>): Points<V> {
  return { head: times.length === 0 ? head : undefined, times: times.slice(-1), values: values.slice(-1) };
}

function foldOldest<V>(growing: Growing<V>, points: Points<V>): void {
  const ms = points.times.shift() as number;
  const value = points.values.shift() as V;
  points.head ??= { firstMs: ms, first: value, lastMs: ms, last: value, dropped: growing.zero };
  goTo(growing, points.head, ms, value);
}

function goTo<V>(growing: Growing<V>, head: Head<V>, ms: number, value: V): void {
  if (growing.fell(head.last, value)) head.dropped = growing.add(head.dropped, head.last);
  head.lastMs = ms;
  head.last = value;
}

function goBack<V>(growing: Growing<V>, head: Head<V>, ms: number, value: V): void {
  if (growing.fell(value, head.first)) head.dropped = growing.add(head.dropped, value);
  head.firstMs = ms;
  head.first = value;
}

/** One after the other it is exact, with the points between them. Of two that overlap the later end is taken. */
function joinHeads<V>(
  growing: Growing<V>,
  a: Head<V>,
  b: Head<V>,
  { times, values }: Pick<Points<V>, "times" | "values">,
): Head<V> {
  const [early, late] =
    a.firstMs < b.firstMs || (a.firstMs === b.firstMs && a.lastMs >= b.lastMs) ? [a, b] : [b, a];
  const head = { ...early };
  if (late.firstMs > early.lastMs) {
    times.forEach((ms, i) => {
      if (ms > early.lastMs && ms < late.firstMs) goTo(growing, head, ms, values[i] as V);
    });
    goTo(growing, head, late.firstMs, late.first);
    head.dropped = growing.add(head.dropped, late.dropped);
    head.lastMs = late.lastMs;
    head.last = late.last;
  } else if (late.lastMs > early.lastMs) {
    goTo(growing, head, late.lastMs, late.last);
  }
  return head;
}

function mergeSorted<V>(
  growing: Growing<V>,
  a: Points<V>,
  b: Points<V>,
): Pick<Points<V>, "times" | "values"> {
  const times: number[] = [];
  const values: V[] = [];
  let i = 0;
  let j = 0;
  while (i < a.times.length || j < b.times.length) {
    const mine = a.times[i] ?? Infinity;
    const theirs = b.times[j] ?? Infinity;
    if (mine === theirs) {
      times.push(mine);
      values.push(growing.greater(a.values[i++] as V, b.values[j++] as V));
    } else if (mine < theirs) {
      times.push(mine);
      values.push(a.values[i++] as V);
    } else {
      times.push(theirs);
      values.push(b.values[j++] as V);
    }
  }
  return { times, values };
}
