// What is told of a window that was read, and where pages of windows end, however they are read.
import { reject } from "../telemetry/result.ts";
import { DAY_MS } from "../windows/definition.ts";
import type { ReadWindow, WindowRow } from "../windows/merge.ts";
import { quantileOf, resultOfWhole, type WholeWindow } from "../windows/result.ts";
import type { WindowsRequest } from "./windows-request.ts";

/** Of a store: what of FoundWindow (lib/storage) is needed. */
export interface FoundRow extends WindowRow {
  labels: Record<string, string>;
  dueMs: number | null;
  revision: number;
}

/** Rows by their start: from ≤ start < to. */
export interface Starts {
  fromMs: number;
  toMs: number;
}

/** Asks the store for rows, those of the newest starts first; with a slice for those of its series (SeriesSlice) only. */
export type FindRows<R> = (
  range: Starts & { limit: number; series?: { from: string; below: string | undefined } },
) => Promise<R[]>;

/** What has a say in whether a window may still change. */
export interface Clock {
  nowMs: number;
  /** How long after its end a window may still change. */
  latenessMs: number;
}

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

/** A window merged, with what its rows say beside their states. */
export interface MergedWindow {
  startMs: number;
  endMs: number;
  whole: WholeWindow;
  /** Of one of its rows. */
  labels: Record<string, string>;
  revision: number;
  /** A result of it is still to be sent. */
  isDue: boolean;
}

/** As a list's largest `limit`: results of one start cannot stand on two pages. */
export const MAX_RESULTS = 1_000;

export function mergedOf<R extends FoundRow>({ startMs, endMs, whole, rows }: ReadWindow<R>): MergedWindow {
  return {
    startMs,
    endMs,
    whole,
    labels: rows[0]?.labels ?? {},
    revision: rows.reduce((sum, { revision }) => sum + revision, 0),
    isDue: rows.some(({ dueMs }) => dueMs !== null),
  };
}

export function answerOf(
  { startMs, endMs, whole, labels, revision, isDue }: MergedWindow,
  { aggregates, by }: WindowsRequest,
  { nowMs, latenessMs }: Clock,
): WindowAnswer {
  const result = resultOfWhole(whole, startMs, endMs);
  const figures: Record<string, number | null> = {};
  for (const { name, quantile } of aggregates) {
    const value =
      quantile === undefined ? result[name as keyof typeof result] : quantileOf(whole.partial, quantile);
    if (value !== undefined) figures[name] = value;
  }
  return {
    startMs,
    endMs,
    labels: by === undefined ? labels : pick(labels, by),
    figures,
    revision,
    // Where results are not sent, nothing is ever due.
    final: endMs + latenessMs <= nowMs && !isDue,
    isOpen: endMs > nowMs,
  };
}

/** Which rows make one window. */
export function grouping(by: readonly string[] | undefined): (row: FoundRow) => string {
  if (by === undefined) return ({ series }) => series;
  return ({ labels }) =>
    JSON.stringify(by.map((name) => (Object.hasOwn(labels, name) ? labels[name] : null)));
}

/** What must be read as a whole to be merged: sessions of one day may touch, those of two days never do. */
export function unitOf({ definition, stepMs }: WindowsRequest): number {
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
export function lookBackOf({ definition, stepMs }: WindowsRequest): number {
  return definition.kind === "session" ? 0 : (stepMs ?? definition.sizeMs);
}

/**
 * How many of the windows, newest first, make a page: whole starts, `limit` results at most.
 * @param hasFirst the first start belongs to it, however many results it has
 */
export function pageLength(
  windows: readonly { startMs: number }[],
  limit: number,
  hasFirst: boolean,
): number {
  let count = 0;
  for (let i = 1; i <= windows.length; i++) {
    const isWhole = windows[i]?.startMs !== windows[i - 1]?.startMs;
    if (isWhole && (i <= limit || (count === 0 && hasFirst))) count = i;
    if (i >= limit && (count > 0 || !hasFirst)) break;
  }
  return count;
}

export const tooMany = (what: string) =>
  reject("invalid_query", "name", `${what}: narrow it by label.…, or merge series by \`by\``);

export const tooManyResults = () => tooMany(`has more than ${MAX_RESULTS} results in a single window`);

/** However they are merged. */
export const tooManyRows = (what: string) =>
  reject("invalid_query", "name", `${what} in a single window: narrow it by label.…`);

/** Where they are merged, and still too many. */
export const tooManyMerged = (what: string) =>
  reject("invalid_query", "name", `${what}: narrow it by label.…, or merge series by fewer labels`);

export const floorTo = (ms: number, unitMs: number) => Math.floor(ms / unitMs) * unitMs;
export const ceilTo = (ms: number, unitMs: number) => Math.ceil(ms / unitMs) * unitMs;

function pick(labels: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
