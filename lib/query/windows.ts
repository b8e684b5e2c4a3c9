// Reads windows page by page, the newest first: partials of all partitions, merged by series or by labels, brought to
// longer lengths where that is asked. A page ends with a whole start, so that a result is never in two parts. What a
// single page would have to read is bounded.
import { ok, reject, type Result } from "../telemetry/result.ts";
import { coarsen, mergeAtRead, type ReadWindow, type WindowRow } from "../windows/merge.ts";
import { quantileOf, resultOfParts } from "../windows/result.ts";
import type { WindowsRequest } from "./windows-request.ts";
import { DAY_MS } from "../windows/definition.ts";

/** Of a store: what of FoundWindow (lib/storage) is needed. */
export interface FoundRow extends WindowRow {
  labels: Record<string, string>;
  dueMs: number | null;
  revision: number;
}

/** Asks the store for rows by their start, from ≤ start < to, those of the newest starts first. */
export type FindRows<R> = (range: { fromMs: number; toMs: number; limit: number }) => Promise<R[]>;

export interface WindowAnswer {
  startMs: number;
  endMs: number;
  labels: Record<string, string>;
  /** By the names of the request's aggregates; one that a window has not is left out (`increase` of a gauge). */
  figures: Record<string, number | null>;
  /** Sum over the partials: it grows with each change that was sent. */
  revision: number;
  /** Nothing is expected to come any more. */
  final: boolean;
  /** It ends in the future. */
  isOpen: boolean;
}

export interface WindowsPage {
  windows: WindowAnswer[];
  /** There may be older ones than those. */
  isMore: boolean;
}

/** Rows of one page, however they are asked for; each may have some kilobytes. */
export const MAX_ROWS = 20_000;
/** As a list's largest `limit`: results of one start cannot stand on two pages. */
export const MAX_RESULTS = 1_000;
const FIRST_LOOK = 500;
const MAX_LOOK = 4_000;
/** Partitions that a series spans are few, as a rule one. */
const ROWS_PER_RESULT = 2;

/** @param firstLook rows of the first look at the store, where a page of so few results needs no more */
export async function readWindows<R extends FoundRow>(
  request: WindowsRequest,
  find: FindRows<R>,
  nowMs: number,
  firstLook = FIRST_LOOK,
): Promise<Result<WindowsPage>> {
  const { fromMs, toMs, page } = request;
  const unitMs = unitOf(request);
  const lookBackMs = lookBackOf(request);
  const lowestMs = floorTo(fromMs, unitMs) - lookBackMs;
  const groupOf = grouping(request.by);
  const rows: R[] = [];
  const found = new Set<string>();
  /** All rows with a start from here on are read. */
  let readFromMs = ceilTo(toMs, unitMs);
  let look = Math.min(MAX_LOOK, firstLook + page.limit * ROWS_PER_RESULT);
  let left = MAX_ROWS;
  let isAll = readFromMs <= lowestMs;
  const ready = () => (isAll ? fromMs : ceilTo(readFromMs, unitMs) + lookBackMs);
  while (!isAll && left > 0 && found.size < page.limit) {
    const limit = Math.min(look, left);
    // oxlint-disable-next-line no-await-in-loop -- where the next look begins is known by this one
    const next = await find({ fromMs: lowestMs, toMs: readFromMs, limit });
    left -= next.length;
    isAll = next.length < limit;
    const lastMs = next.at(-1)?.startMs ?? lowestMs;
    // Of the last start there may be more.
    const whole = isAll ? next : next.filter(({ startMs }) => startMs > lastMs);
    if (whole.length === 0 && !isAll) {
      if (limit === MAX_ROWS) break;
      left = MAX_ROWS;
      look = Math.min(MAX_ROWS, look * 4);
      continue;
    }
    for (const row of whole) rows.push(row);
    readFromMs = isAll ? lowestMs : lastMs + 1;
    found.clear();
    for (const row of rows) {
      const start = request.stepMs === undefined ? row.startMs : floorTo(row.startMs, unitMs);
      if (start >= ready() && start < toMs) found.add(`${start} ${groupOf(row)}`);
    }
  }
  const windows = merged(request, rows, groupOf)
    .filter(({ startMs }) => startMs >= Math.max(fromMs, ready()) && startMs < toMs)
    .toReversed();
  const count = pageLength(windows, page.limit);
  if (count > MAX_RESULTS) return tooMany(`has more than ${MAX_RESULTS} results`);
  if (count === 0 && !isAll) return tooMany(`lies in more than ${MAX_ROWS} stored rows`);
  return ok({
    windows: windows.slice(0, count).map((window) => answerOf(window, request, nowMs)),
    isMore: count < windows.length || !isAll,
  });
}

const tooMany = (what: string) =>
  reject(
    "invalid_query",
    "name",
    `${what} in a single window: narrow it by label.…, or merge series by \`by\``,
  );

/** What must be read as a whole to be merged: sessions of one day may touch, those of two days never do. */
function unitOf({ definition, stepMs }: WindowsRequest): number {
  if (stepMs !== undefined) return stepMs;
  switch (definition.kind) {
    case "tumbling":
      return definition.sizeMs;
    case "sliding":
      return definition.slideMs;
    case "session":
      return DAY_MS;
  }
}

/** Increases count from the window that ends where theirs begins. */
function lookBackOf({ definition, aggregates, stepMs }: WindowsRequest): number {
  if (!aggregates.some(({ name }) => name === "increase" || name === "rate")) return 0;
  if (definition.kind === "session") return 0;
  return stepMs ?? definition.sizeMs;
}

function grouping(by: readonly string[] | undefined): (row: FoundRow) => string {
  if (by === undefined) return ({ series }) => series;
  return ({ labels }) =>
    JSON.stringify(by.map((name) => (Object.hasOwn(labels, name) ? labels[name] : null)));
}

/** By start, then group. */
function merged<R extends FoundRow>(
  { definition, stepMs }: WindowsRequest,
  rows: readonly R[],
  groupOf: (row: R) => string,
): ReadWindow<R>[] {
  const windows = mergeAtRead(definition, rows, groupOf);
  return stepMs === undefined ? windows : coarsen(windows, stepMs);
}

/** How many of the windows, newest first, make a page: whole starts, `limit` results at most but for the first start. */
function pageLength(windows: readonly { startMs: number }[], limit: number): number {
  let count = 0;
  for (let i = 1; i <= windows.length; i++) {
    const isWhole = windows[i]?.startMs !== windows[i - 1]?.startMs;
    if (isWhole && (i <= limit || count === 0)) count = i;
    if (i >= limit && count > 0) break;
  }
  return count;
}

function answerOf<R extends FoundRow>(
  { startMs, endMs, parts, rows }: ReadWindow<R>,
  { aggregates, by }: WindowsRequest,
  nowMs: number,
): WindowAnswer {
  const result = resultOfParts(parts, startMs, endMs);
  const figures: Record<string, number | null> = {};
  for (const { name, quantile } of aggregates) {
    const value =
      quantile === undefined ? result[name as keyof typeof result] : quantileOf(parts, startMs, quantile);
    if (value !== undefined) figures[name] = value;
  }
  const labels = rows[0]?.labels ?? {};
  return {
    startMs,
    endMs,
    labels: by === undefined ? labels : pick(labels, by),
    figures,
    revision: rows.reduce((sum, { revision }) => sum + revision, 0),
    final: rows.every(({ dueMs }) => dueMs === null),
    isOpen: endMs > nowMs,
  };
}

function pick(labels: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

const floorTo = (ms: number, unitMs: number) => Math.floor(ms / unitMs) * unitMs;
const ceilTo = (ms: number, unitMs: number) => Math.ceil(ms / unitMs) * unitMs;
