// Windows as they are read: partials of several partitions, and of several series where a query asks so, brought together.
// Partials of one series are merged; those of different series are added up, since counters must not be mixed. Rows are
// decoded one at a time: a partial has many times the size of its text.
import type { WindowDefinition } from "./definition.ts";
import { merge, type WindowPartial } from "./partial.ts";
import { decodePartial } from "./partial-codec.ts";
import { newestOf } from "./points.ts";
import { wholeOf, type PreviousWindow, type SeriesPart, type WholeWindow } from "./result.ts";
import { runsOf, spanOf } from "./sessions.ts";

/** What reading takes of a stored window. */
export interface WindowRow {
  series: string;
  startMs: number;
  endMs: number;
  /** As encodePartial made it. */
  state: string;
}

/** Rows that make one window. */
export interface WindowGroup<R extends WindowRow> {
  /** What `groupOf` said. */
  group: string;
  startMs: number;
  endMs: number;
  rows: R[];
}

export interface ReadWindow<R extends WindowRow> extends WindowGroup<R> {
  whole: WholeWindow;
}

/**
 * Tumbling and sliding windows go together by start, sessions where they overlap or touch, of whatever partition.
 * @param groupOf which rows make one window; by default each series its own
 * @param stepMs length to which tumbling windows are brought, a multiple of theirs; undefined: their own
 * @returns by start, then by group
 * @throws RangeError where the step is no multiple
 */
export function groupRows<R extends WindowRow>(
  definition: WindowDefinition,
  rows: readonly R[],
  groupOf: (row: R) => string = ({ series }) => series,
  stepMs?: number,
): WindowGroup<R>[] {
  const windows: WindowGroup<R>[] = [];
  for (const [group, members] of grouped(rows, groupOf)) {
    if (stepMs !== undefined) {
      if (members.some(({ startMs, endMs }) => stepMs % (endMs - startMs) !== 0))
        throw new RangeError(
          `windows can be brought to a multiple of their length only, and ${stepMs} ms is none`,
        );
      for (const [startMs, run] of grouped(members, (row) => Math.floor(row.startMs / stepMs) * stepMs))
        windows.push({ group, startMs, endMs: startMs + stepMs, rows: run });
      continue;
    }
    const runs =
      definition.kind === "session" ? runsOf(members) : grouped(members, ({ startMs }) => startMs).values();
    for (const run of runs) windows.push({ group, ...spanOf(run), rows: run });
  }
  return windows.toSorted(
    (a, b) => a.startMs - b.startMs || (a.group < b.group ? -1 : Number(a.group > b.group)),
  );
}

/**
 * Reads windows one after the other.
 * @param groups as {@link groupRows} gave them; for the growth of counters with the windows just before the first one
 * @param fromMs those that start before are read for that alone
 * @throws PartialStateError
 */
export function* mergeGroups<R extends WindowRow>(
  { kind }: WindowDefinition,
  groups: readonly WindowGroup<R>[],
  fromMs = -Infinity,
): Generator<ReadWindow<R>> {
  /** By series and end, the earliest end first. */
  const ending = new Map<string, { endMs: number; previous: PreviousWindow }>();
  for (const group of groups) {
    const { startMs, endMs, rows } = group;
    for (const [key, before] of ending) {
      if (before.endMs >= startMs) break;
      ending.delete(key);
    }
    if (startMs < fromMs && (endMs < fromMs || kind === "session")) continue;
    const parts = partsOf(rows, (series, { counter, seen }) => {
      const before = ending.get(`${series}/${startMs}`)?.previous;
      if ((counter || seen) && kind !== "session") {
        const previous = { counter: counter && newestOf(counter), seen: seen && newestOf(seen) };
        ending.set(`${series}/${endMs}`, { endMs, previous });
      }
      return before;
    });
    const whole = wholeOf(parts, startMs);
    if (startMs >= fromMs) yield { ...group, whole };
  }
}

/** One for each series, each made when it is asked for. */
function* partsOf(
  rows: readonly WindowRow[],
  previousOf: (series: string, partial: WindowPartial) => PreviousWindow | undefined,
): Generator<SeriesPart> {
  for (const [series, ofSeries] of grouped(rows, ({ series }) => series)) {
    // Cumulative points beyond their cap are exact if the earlier windows come first, each of all partitions.
    let partial: WindowPartial | undefined;
    const starts = [...grouped(ofSeries, ({ startMs }) => startMs)].toSorted(([a], [b]) => a - b);
    for (const [, [first, ...others]] of starts) {
      const one = decodePartial((first as WindowRow).state);
      for (const { state } of others) merge(one, decodePartial(state));
      if (partial) merge(partial, one);
      else partial = one;
    }
    if (partial) yield { series, partial, previous: previousOf(series, partial) };
  }
}

/** Grouped by key, groups and members in the order of the first. */
export function grouped<T, K>(members: Iterable<T>, keyOf: (member: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const member of members) {
    const key = keyOf(member);
    const group = groups.get(key);
    if (group) group.push(member);
    else groups.set(key, [member]);
  }
  return groups;
}
