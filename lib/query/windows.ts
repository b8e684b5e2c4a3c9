// Reads windows page by page, the newest first: partials of all partitions, merged by series or by labels, brought to
// longer lengths where that is asked. A page ends with a whole start, so that a result is never in two parts. What a
// single page would have to read is bounded; what is told is let go of before more is read.
import { ok, reject, type Result } from "../telemetry/result.ts";
import { groupRows, mergeGroups, type ReadWindow, type WindowRow } from "../windows/merge.ts";
import { quantileOf, resultOfWhole } from "../windows/result.ts";
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

/** Rows of one page, and characters of their states, however they are asked for. */
export const MAX_ROWS = 20_000;
const MAX_CHARS = 12_000_000;
/** As a list's largest `limit`: results of one start cannot stand on two pages. */
export const MAX_RESULTS = 1_000;
const FIRST_LOOK = 60;
/** While nothing is known of how large the states are. */
const MAX_FIRST_LOOK = 200;
const MAX_LOOK = 4_000;
/** What a look is to bring at most, about. */
const LOOK_CHARS = 1_000_000;
/** Partitions that a series spans are few, as a rule one. */
const ROWS_PER_RESULT = 2;

/**
 * @param latenessMs how long after its end a window may still change
 * @param firstLook rows of the first look at the store, where a page of so few results needs no more
 */
export async function readWindows<R extends FoundRow>(
  request: WindowsRequest,
  find: FindRows<R>,
  nowMs: number,
  latenessMs: number,
  firstLook = FIRST_LOOK,
): Promise<Result<WindowsPage>> {
  const { definition, fromMs, toMs, page, stepMs } = request;
  const unitMs = unitOf(request);
  const lookBackMs = lookBackOf(request);
  const lowestMs = floorTo(fromMs, unitMs) - lookBackMs;
  const groupOf = grouping(request.by);
  const windows: WindowAnswer[] = [];
  /** Those that are read and not told yet; some are of windows before. */
  let rows: R[] = [];
  let toldFromMs = toMs;
  /** All rows with a start from here on are read. */
  let readFromMs = ceilTo(toMs, unitMs);
  let look = Math.min(MAX_FIRST_LOOK, firstLook + page.limit * ROWS_PER_RESULT);
  let left = MAX_ROWS;
  let chars = 0;
  let isAll = readFromMs <= lowestMs;
  while (!isAll && left > 0 && chars < MAX_CHARS && windows.length < page.limit) {
    const limit = Math.min(look, left);
    // oxlint-disable-next-line no-await-in-loop -- where the next look begins is known by this one
    const next = await find({ fromMs: lowestMs, toMs: readFromMs, limit });
    left -= next.length;
    isAll = next.length < limit;
    const lastMs = next.at(-1)?.startMs ?? lowestMs;
    const size = meanOf(next);
    // Of the last start there may be more.
    const whole = isAll ? next : next.filter(({ startMs }) => startMs > lastMs);
    if (whole.length === 0 && !isAll) {
      if (limit === MAX_ROWS || limit * size >= MAX_CHARS) break;
      left = MAX_ROWS;
      look = Math.min(MAX_ROWS, look * 4, Math.ceil(MAX_CHARS / size));
      continue;
    }
    for (const row of whole) {
      rows.push(row);
      chars += row.state.length;
    }
    look = Math.max(1, Math.min(MAX_LOOK, Math.floor(LOOK_CHARS / size)));
    readFromMs = isAll ? lowestMs : lastMs + 1;
    const readyMs = isAll ? fromMs : Math.max(fromMs, ceilTo(readFromMs, unitMs) + lookBackMs);
    if (readyMs >= toldFromMs) continue;
    const groups = groupRows(definition, rows, groupOf, stepMs).filter(({ startMs }) => startMs < toldFromMs);
    const ready = groups.filter(({ startMs }) => startMs >= readyMs).toReversed();
    const count = pageLength(ready, page.limit - windows.length, windows.length === 0);
    if (count > MAX_RESULTS) return tooMany(`has more than ${MAX_RESULTS} results`);
    const last = ready[count - 1];
    if (last) {
      const told: WindowAnswer[] = [];
      for (const window of mergeGroups(definition, groups, last.startMs))
        told.push(answerOf(window, request, nowMs, latenessMs));
      for (const answer of told.toReversed()) windows.push(answer);
    }
    if (count < ready.length) return ok({ windows, isMore: true });
    toldFromMs = readyMs;
    rows = rows.filter(({ startMs }) => startMs < readyMs);
  }
  if (windows.length === 0 && !isAll)
    return tooMany(`lies in more than ${MAX_ROWS} stored rows, or ${MAX_CHARS} characters of them,`);
  return ok({ windows, isMore: !isAll });
}

/** Characters of a row's state. */
function meanOf(rows: readonly FoundRow[]): number {
  let chars = 0;
  for (const { state } of rows) chars += state.length;
  return Math.max(1, chars / Math.max(1, rows.length));
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

/** What is cumulative counts from the window that ends where its own begins. */
function lookBackOf({ definition, stepMs }: WindowsRequest): number {
  return definition.kind === "session" ? 0 : (stepMs ?? definition.sizeMs);
}

function grouping(by: readonly string[] | undefined): (row: FoundRow) => string {
  if (by === undefined) return ({ series }) => series;
  return ({ labels }) =>
    JSON.stringify(by.map((name) => (Object.hasOwn(labels, name) ? labels[name] : null)));
}

/**
 * How many of the windows, newest first, make a page: whole starts, `limit` results at most.
 * @param hasFirst the first start belongs to it, however many results it has
 */
function pageLength(windows: readonly { startMs: number }[], limit: number, hasFirst: boolean): number {
  let count = 0;
  for (let i = 1; i <= windows.length; i++) {
    const isWhole = windows[i]?.startMs !== windows[i - 1]?.startMs;
    if (isWhole && (i <= limit || (count === 0 && hasFirst))) count = i;
    if (i >= limit && (count > 0 || !hasFirst)) break;
  }
  return count;
}

function answerOf<R extends FoundRow>(
  { startMs, endMs, whole, rows }: ReadWindow<R>,
  { aggregates, by }: WindowsRequest,
  nowMs: number,
  latenessMs: number,
): WindowAnswer {
  const result = resultOfWhole(whole, startMs, endMs);
  const figures: Record<string, number | null> = {};
  for (const { name, quantile } of aggregates) {
    const value =
      quantile === undefined ? result[name as keyof typeof result] : quantileOf(whole.partial, quantile);
    if (value !== undefined) figures[name] = value;
  }
  const labels = rows[0]?.labels ?? {};
  return {
    startMs,
    endMs,
    labels: by === undefined ? labels : pick(labels, by),
    figures,
    revision: rows.reduce((sum, { revision }) => sum + revision, 0),
    // Where results are not sent, nothing is ever due.
    final: endMs + latenessMs <= nowMs && rows.every(({ dueMs }) => dueMs === null),
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
