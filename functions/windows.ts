// Windows as queries see them: GET /api/v1/metrics/windows, and the names in GET /api/v1/metrics that stand for an
// aggregate of windows. A metric that has such a name itself goes first there; here, `window` tells the two apart.
import { nextLink, type Cursor, type Page } from "../lib/query/page.ts";
import type { WindowAnswer, WindowsPage } from "../lib/query/window-answer.ts";
import { readWindows } from "../lib/query/windows.ts";
import { parseWindowsRequest, windowAlias, type WindowsRequest } from "../lib/query/windows-request.ts";
import type { QueryStore } from "../lib/storage/storage.ts";
import { refuse, type AppContext } from "./request-context.ts";

/** GET /api/v1/metrics/windows, its parameters' names checked. */
export async function listWindows(
  c: AppContext,
  store: QueryStore,
  labels: Record<string, string>,
): Promise<Response> {
  const url = new URL(c.req.url);
  const nowMs = Date.now();
  const request = parseWindowsRequest(url.searchParams, c.get("deployment").windows, nowMs);
  if (!request.ok) return refuse(c, request.error);
  const page = await pageOf(c, store, request.value, labels, nowMs);
  if (!page.ok) return refuse(c, page.error);
  return c.json(page.value.windows.map(told), 200, linkAfter(url, request.value.page, page.value));
}

/**
 * GET /api/v1/metrics where nothing is found, if the name stands for windows: points at their starts.
 * @returns undefined where it stands for nothing that is kept, or a metric has that name
 */
export async function aliasedWindows(
  c: AppContext,
  store: QueryStore,
  labels: Record<string, string>,
): Promise<Response | undefined> {
  const name = c.req.query("name") ?? "";
  const alias = windowAlias(name);
  if (!alias) return undefined;
  const url = new URL(c.req.url);
  const nowMs = Date.now();
  const request = parseWindowsRequest(url.searchParams, c.get("deployment").windows, nowMs);
  if (!request.ok) return undefined;
  const { tenant } = c.get("principal");
  const [literal] = await store.metricNames({ tenant, prefix: name, after: "", limit: 1 });
  if (literal?.name === name) return undefined;
  const page = await pageOf(c, store, request.value, labels, nowMs);
  if (!page.ok) return refuse(c, page.error);
  const points = page.value.windows.map((window) => ({
    timestamp: new Date(window.startMs).toISOString(),
    name,
    value: window.figures[alias.aggregate] ?? null,
    labels: window.labels,
    detail: { window: alias.window, ...timesOf(window), ...stateOf(window) },
  }));
  return c.json(points, 200, linkAfter(url, request.value.page, page.value));
}

function pageOf(
  c: AppContext,
  store: QueryStore,
  request: WindowsRequest,
  labels: Record<string, string>,
  nowMs: number,
) {
  const { name, definition } = request;
  const { tenant } = c.get("principal");
  return readWindows(
    request,
    (range) => store.windows({ tenant, name, window: definition.id, labels, ...range }),
    nowMs,
    c.get("deployment").config.WINDOW_LATENESS_MS,
  );
}

function told(window: WindowAnswer): object {
  return { ...timesOf(window), labels: window.labels, ...window.figures, ...stateOf(window) };
}

function timesOf({ startMs, endMs }: WindowAnswer) {
  return { window_start: new Date(startMs).toISOString(), window_end: new Date(endMs).toISOString() };
}

function stateOf({ revision, final, isOpen }: WindowAnswer) {
  return { revision, final, ...(isOpen ? { partial: true as const } : {}) };
}

/** Windows are told apart by their starts alone: a page ends with a whole one. */
function cursorAt(startMs: number): Cursor {
  return { time: String(BigInt(startMs) * 1_000_000n), source: 0, partition: 0, offset: 0, idx: 0 };
}

function linkAfter(url: URL, page: Page, { windows, isMore }: WindowsPage): Record<string, string> {
  const rows = windows.map(({ startMs }) => ({ key: cursorAt(startMs) }));
  // Whether more is there is known here, where a list guesses it by a full page.
  return nextLink(url, { ...page, limit: isMore ? 0 : Number.POSITIVE_INFINITY }, rows);
}
