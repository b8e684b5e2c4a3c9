// Windows as they are read: partials of several partitions, and of several series where a query asks so, brought together.
// Partials of one series are merged; those of different series stay beside each other, since counters must not be mixed.
import type { WindowDefinition } from "./definition.ts";
import { copyPartial, merge, type WindowPartial } from "./partial.ts";
import { decodePartial } from "./partial-codec.ts";
import type { SeriesPart } from "./result.ts";
import { runsOf, spanOf } from "./sessions.ts";

/** What reading takes of a stored window. */
export interface WindowRow {
  series: string;
  startMs: number;
  endMs: number;
  /** As encodePartial made it. */
  state: string;
}

export interface ReadWindow<R extends WindowRow> {
  /** What `groupOf` said. */
  group: string;
  startMs: number;
  endMs: number;
  /** One for each series, for {@link resultOfParts} of result.ts. */
  parts: SeriesPart[];
  /** What went into it. */
  rows: R[];
}

/**
 * Tumbling and sliding windows are merged by start, sessions where they overlap or touch, of whatever partition. For the
 * growth of counters the rows of the windows just before the first one are to be given too.
 * @param groupOf which rows make one window; by default each series its own
 * @returns by start, then by group
 * @throws PartialStateError
 */
export function mergeAtRead<R extends WindowRow>(
  definition: WindowDefinition,
  rows: readonly R[],
  groupOf: (row: R) => string = ({ series }) => series,
): ReadWindow<R>[] {
  const windows: ReadWindow<R>[] = [];
  for (const [group, members] of by(rows, groupOf)) {
    const runs =
      definition.kind === "session" ? runsOf(members) : by(members, ({ startMs }) => startMs).values();
    for (const run of runs) windows.push({ group, ...spanOf(run), parts: partsOf(run), rows: run });
  }
  return inOrder(definition.kind === "session" ? windows : withPrevious(windows));
}

/**
 * Tumbling windows brought to a longer length.
 * @param sizeMs a multiple of theirs
 * @throws RangeError where it is none
 */
export function coarsen<R extends WindowRow>(
  windows: readonly ReadWindow<R>[],
  sizeMs: number,
): ReadWindow<R>[] {
  const coarse: ReadWindow<R>[] = [];
  for (const [group, members] of by(windows, ({ group }) => group)) {
    for (const [startMs, run] of by(members, ({ startMs }) => Math.floor(startMs / sizeMs) * sizeMs)) {
      const endMs = startMs + sizeMs;
      if (run.some((window) => sizeMs % (window.endMs - window.startMs) !== 0))
        throw new RangeError(
          `windows can be brought to a multiple of their length only, and ${sizeMs} ms is none`,
        );
      const parts = [
        ...by(
          run.flatMap(({ parts }) => parts),
          ({ series }) => series,
        ),
      ].map(([series, pieces]) => ({
        series,
        partial: mergeAll(pieces.map(({ partial }) => partial)),
      }));
      coarse.push({ group, startMs, endMs, parts, rows: run.flatMap(({ rows }) => rows) });
    }
  }
  return inOrder(withPrevious(coarse));
}

function partsOf(rows: readonly WindowRow[]): SeriesPart[] {
  return [...by(rows, ({ series }) => series)].map(([series, ofSeries]) => ({
    series,
    partial: mergeAll(ofSeries.map(({ state }) => decodePartial(state))),
  }));
}

/** In the order given: cumulative points beyond their cap are exact if the earlier windows come first. */
function mergeAll(partials: readonly WindowPartial[]): WindowPartial {
  const [first, ...others] = partials;
  const merged = copyPartial(first as WindowPartial);
  for (const other of others) merge(merged, other);
  return merged;
}

function inOrder<R extends WindowRow>(windows: readonly ReadWindow<R>[]): ReadWindow<R>[] {
  return windows.toSorted(
    (a, b) => a.startMs - b.startMs || (a.group < b.group ? -1 : Number(a.group > b.group)),
  );
}

/** Gives each part the partial of the same series whose window ends where its own starts. */
function withPrevious<R extends WindowRow>(windows: ReadWindow<R>[]): ReadWindow<R>[] {
  const ending = new Map<string, WindowPartial>();
  for (const { endMs, parts } of windows)
    for (const { series, partial } of parts)
      if (partial.counter || partial.seen) ending.set(`${series}/${endMs}`, partial);
  if (ending.size > 0)
    for (const { startMs, parts } of windows)
      for (const part of parts) part.previous = ending.get(`${part.series}/${startMs}`);
  return windows;
}

/** Grouped by key, groups and members in the order of the first. */
function by<T, K>(members: Iterable<T>, keyOf: (member: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const member of members) {
    const key = keyOf(member);
    const group = groups.get(key);
    if (group) group.push(member);
    else groups.set(key, [member]);
  }
  return groups;
}
