// What every list has in common: `limit`, `from`, `to`, `cursor`, and the Link header to the next page.
import { Buffer } from "node:buffer";
import { ok, reject, type Result } from "../telemetry/result.ts";
import { formatMoment, momentToNanos, nanosToMoment, parseTimestamp } from "../telemetry/time.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** The sort key of a page's last row; its fields and order are the storage's (see PageKey there). */
export interface Cursor {
  time: string;
  source: number;
  partition: number;
  offset: number;
  idx: number;
}

export interface Page {
  limit: number;
  /** Nanoseconds since the epoch, decimal. */
  from: string | undefined;
  to: string | undefined;
  after: Cursor | undefined;
}

/** Times further off are these: all that is stored lies between, and they can be written in a Link. */
const EARLIEST_MS = Date.parse("1000-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59Z");

const UNITS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 7 * 86_400e3 };

export function parsePage(query: URLSearchParams, nowMs: number): Result<Page> {
  const limit = parseLimit(query.get("limit"));
  if (!limit.ok) return limit;
  const from = parseTime(query.get("from"), "from", nowMs);
  if (!from.ok) return from;
  const to = parseTime(query.get("to"), "to", nowMs);
  if (!to.ok) return to;
  const after = parseCursor(query.get("cursor"));
  if (!after.ok) return after;
  return ok({ limit: limit.value, from: from.value, to: to.value, after: after.value });
}

/** Refuses parameters that the endpoint does not know, so that a typing error does not silently widen a query. */
export function checkParameters(
  query: URLSearchParams,
  known: readonly string[],
  prefix?: string,
): Result<undefined> {
  for (const name of query.keys()) {
    if (known.includes(name) || (prefix !== undefined && name.startsWith(prefix))) continue;
    const also = prefix === undefined ? "" : ` and ${prefix}…`;
    return reject(
      "invalid_query",
      name.toWellFormed(),
      `is not a parameter here; there are ${known.join(", ")}${also}`,
    );
  }
  return ok(undefined);
}

function parseLimit(text: string | null): Result<number> {
  if (text === null) return ok(DEFAULT_LIMIT);
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) {
    return reject("invalid_query", "limit", `must be a whole number from 1 to ${MAX_LIMIT}`);
  }
  return ok(limit);
}

/** ISO 8601, an epoch number, `now`, or relative to now as in `-15m` (s m h d w). */
export function parseTime(text: string | null, name: string, nowMs: number): Result<string | undefined> {
  if (text === null) return ok(undefined);
  if (text === "now") return ok(momentToNanos({ ms: nowMs, subMs: 0 }));
  const relative = /^([+-])(\d{1,9})([smhdw])$/.exec(text);
  if (relative) {
    const [, sign, count, unit = "s"] = relative;
    const shiftMs = Number(count) * (UNITS[unit] ?? 0) * (sign === "-" ? -1 : 1);
    return ok(momentToNanos({ ms: Math.min(Math.max(nowMs + shiftMs, EARLIEST_MS), LATEST_MS), subMs: 0 }));
  }
  const moment = parseTimestamp(text, name);
  if (!moment.ok) {
    return reject("invalid_query", name, "must be ISO 8601, or relative as in -15m (s, m, h, d, w)");
  }
  return ok(momentToNanos(moment.value));
}

export function formatCursor({ time, source, partition, offset, idx }: Cursor): string {
  return toBase64Url([time, source, partition, offset, idx].join("."));
}

/** Of a list of names, in their order. */
export interface NamePage {
  limit: number;
  /** The last name of the page before; empty at the first. */
  after: string;
}

export function parseNamePage(query: URLSearchParams): Result<NamePage> {
  const limit = parseLimit(query.get("limit"));
  if (!limit.ok) return limit;
  const after = fromBase64Url(query.get("cursor") ?? "");
  if (after === undefined) return notACursor();
  return ok({ limit: limit.value, after });
}

export function nextNames(
  url: URL,
  { limit }: NamePage,
  rows: readonly { name: string }[],
): Record<string, string> {
  const last = rows.at(-1);
  return !last || rows.length < limit ? {} : linkTo(url, toBase64Url(last.name));
}

function toBase64Url(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function fromBase64Url(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(text, "base64url"));
  } catch {
    return undefined;
  }
}

const notACursor = () =>
  reject("invalid_query", "cursor", "is not a cursor of ours; take it from the Link header as it is");

function linkTo(url: URL, cursor: string): Record<string, string> {
  const next = new URL(url);
  next.searchParams.set("cursor", cursor);
  return { Link: `<${next.pathname}${next.search}>; rel="next"` };
}

function parseCursor(text: string | null): Result<Cursor | undefined> {
  if (text === null) return ok(undefined);
  const [time = "", ...rest] = (fromBase64Url(text) ?? "").split(".");
  if (rest.length !== 4 || !/^-?\d{1,19}$/.test(time) || !rest.every((part) => /^-?\d{1,16}$/.test(part)))
    return notACursor();
  const [source = 0, partition = 0, offset = 0, idx = 0] = rest.map(Number);
  return ok({ time, source, partition, offset, idx });
}

/** `Link: <…&cursor=…>; rel="next"`, when a full page suggests that there is more. */
export function nextLink(url: URL, page: Page, rows: readonly { key: Cursor }[]): Record<string, string> {
  const last = rows.at(-1);
  if (!last || rows.length < page.limit) return {};
  const next = new URL(url);
  // Relative times would move between two pages: they are pinned.
  if (page.from !== undefined) next.searchParams.set("from", formatMoment(nanosToMoment(page.from)));
  if (page.to !== undefined) next.searchParams.set("to", formatMoment(nanosToMoment(page.to)));
  return linkTo(next, formatCursor(last.key));
}
