// Reading: GET /api/v1/metrics, /metrics/names, /metrics/windows, /logs, /events, /traces, /traces/{id}. A key sees its
// own tenant, whatever it asks for.
import { Hono } from "hono";
import type { z } from "zod";
import { LABEL_PREFIX, labelsShape } from "../lib/http/page-shape.ts";
import { problem } from "../lib/http/problem.ts";
import {
  eventsQueryShape,
  eventsShape,
  logsQueryShape,
  logsShape,
  metricNamesQueryShape,
  metricNamesShape,
  metricsQueryShape,
  metricsShape,
  SPAN_STATUSES,
  traceIdShape,
  traceShape,
  tracesQueryShape,
  tracesShape,
  windowsQueryShape,
  windowsShape,
} from "../lib/http/query-shape.ts";
import {
  checkParameters,
  nextLink,
  nextNames,
  parseNamePage,
  parsePage,
  type Cursor,
  type Page,
} from "../lib/query/page.ts";
import { queryStoreOf } from "./storage.ts";
import { aliasedWindows, listWindows } from "./windows.ts";
import type { Found, PageRequest } from "../lib/storage/storage.ts";
import { MAX_LABELS } from "../lib/telemetry/limits.ts";
import { normalizeLevel } from "../lib/telemetry/log.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import { formatMoment, nanosToMoment } from "../lib/telemetry/time.ts";
import { defineRoute } from "./define-route.ts";
import { refuse, type AppContext, type AppEnv } from "./request-context.ts";

export const query = new Hono<AppEnv>();

defineRoute(
  query,
  {
    name: "listMetrics",
    method: "get",
    path: "/api/v1/metrics",
    scope: "query",
    tag: "Queries",
    summary: "Metric points, newest first",
    query: metricsQueryShape,
    answers: { 200: { description: "One page", content: metricsShape, headers: ["Link"] } },
  },
  (c) =>
    list(
      c,
      metricsQueryShape,
      (request) =>
        queryStoreOf(c.env).metrics({ ...request, name: c.req.query("name"), labels: labelsOf(c) }),
      () => aliasedWindows(c, queryStoreOf(c.env), labelsOf(c)),
    ),
);

defineRoute(
  query,
  {
    name: "listWindows",
    method: "get",
    path: "/api/v1/metrics/windows",
    scope: "query",
    tag: "Queries",
    summary: "Windows of a metric, newest first",
    description:
      "Count, sum, extremes and percentiles of each window and series, or of series merged `by` labels; percentiles " +
      "are off by 1 % at most. A page holds whole windows: more than `limit` results where one window has more.",
    query: windowsQueryShape,
    answers: { 200: { description: "One page", content: windowsShape, headers: ["Link"] } },
  },
  (c) => {
    const refused = checkList(c, windowsQueryShape);
    return refused ?? listWindows(c, queryStoreOf(c.env), labelsOf(c));
  },
);

defineRoute(
  query,
  {
    name: "listLogs",
    method: "get",
    path: "/api/v1/logs",
    scope: "query",
    tag: "Queries",
    summary: "Logs, newest first",
    query: logsQueryShape,
    answers: { 200: { description: "One page", content: logsShape, headers: ["Link"] } },
  },
  (c) =>
    list(c, logsQueryShape, (request) =>
      queryStoreOf(c.env).logs({
        ...request,
        text: c.req.query("q"),
        service: c.req.query("service"),
        level: normalizeLevel(c.req.query("level")),
      }),
    ),
);

defineRoute(
  query,
  {
    name: "listEvents",
    method: "get",
    path: "/api/v1/events",
    scope: "query",
    tag: "Queries",
    summary: "Events, newest first",
    query: eventsQueryShape,
    answers: { 200: { description: "One page", content: eventsShape, headers: ["Link"] } },
  },
  (c) =>
    list(c, eventsQueryShape, (request) =>
      queryStoreOf(c.env).events({ ...request, eventType: c.req.query("event_type") }),
    ),
);

/** Spans told of one trace; whoever has more of them looks into the log. */
const MAX_TRACE_SPANS = 10_000;

defineRoute(
  query,
  {
    name: "listTraces",
    method: "get",
    path: "/api/v1/traces",
    scope: "query",
    tag: "Queries",
    summary: "Traces by their root spans, newest first",
    query: tracesQueryShape,
    answers: { 200: { description: "One page", content: tracesShape, headers: ["Link"] } },
  },
  (c) => {
    const minDuration = parseMinDuration(c.req.query("min_duration_ms"));
    if (!minDuration.ok) return refuse(c, minDuration.error);
    const status = c.req.query("status");
    if (status !== undefined && !SPAN_STATUSES.some((known) => known === status)) {
      return refuse(c, reject("invalid_query", "status", `must be one of ${SPAN_STATUSES.join(", ")}`).error);
    }
    return list(c, tracesQueryShape, (request) =>
      queryStoreOf(c.env).traces({
        ...request,
        service: c.req.query("service"),
        name: c.req.query("name"),
        status,
        minDuration: minDuration.value,
      }),
    );
  },
);

defineRoute(
  query,
  {
    name: "getTrace",
    method: "get",
    path: "/api/v1/traces/:id",
    scope: "query",
    tag: "Queries",
    summary: "One trace with its spans",
    description: `At most ${MAX_TRACE_SPANS} spans and 8 MB; \`truncated\` says where there are more.`,
    parameters: { id: traceIdShape },
    answers: { 200: { description: "The trace", content: traceShape } },
    problems: [404],
  },
  async (c) => {
    const id = c.req.param("id").toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(id)) {
      const { error } = reject("invalid_query", "id", "must be 32 hexadecimal digits");
      return refuse(c, error, {}, "The path");
    }
    const store = queryStoreOf(c.env);
    const { tenant } = c.get("principal");
    const [found, count] = await Promise.all([
      store.spans(tenant, id, MAX_TRACE_SPANS),
      store.spanCount(tenant, id),
    ]);
    if (found.length === 0) {
      const detail = "No span of this trace is stored. What was just accepted takes a moment.";
      return problem("not_found", { detail, requestId: c.get("requestId") });
    }
    const spans = found.map(timed);
    return c.json({ trace_id: id, spans, ...(count > spans.length ? { truncated: true } : {}) });
  },
);

defineRoute(
  query,
  {
    name: "listMetricNames",
    method: "get",
    path: "/api/v1/metrics/names",
    scope: "query",
    tag: "Queries",
    summary: "Names of metrics, in their order",
    query: metricNamesQueryShape,
    answers: { 200: { description: "One page", content: metricNamesShape, headers: ["Link"] } },
  },
  async (c) => {
    const url = new URL(c.req.url);
    const known = checkParameters(url.searchParams, Object.keys(metricNamesQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const page = parseNamePage(url.searchParams);
    if (!page.ok) return refuse(c, page.error);
    const { tenant } = c.get("principal");
    const names = await queryStoreOf(c.env).metricNames({
      tenant,
      prefix: c.req.query("prefix") ?? "",
      ...page.value,
    });
    return c.json(names, 200, nextNames(url, page.value, names));
  },
);

function parseMinDuration(text: string | undefined): Result<number | undefined> {
  if (text === undefined) return ok(undefined);
  const milliseconds = Number(text);
  if (text.trim() === "" || !(milliseconds >= 0 && milliseconds <= 1e12))
    return reject("invalid_query", "min_duration_ms", "must be a number of milliseconds");
  return ok(Math.round(milliseconds * 1e6));
}

/**
 * One page of a list: a plain array, newest first, the next page in `Link`.
 * @param whenEmpty another answer, where nothing is found
 */
async function list(
  c: AppContext,
  asked: z.ZodObject,
  find: (request: PageRequest) => Promise<Found<object>[]>,
  whenEmpty?: () => Promise<Response | undefined>,
): Promise<Response> {
  const refused = checkList(c, asked);
  if (refused) return refused;
  const url = new URL(c.req.url);
  const page = parsePage(url.searchParams, Date.now());
  if (!page.ok) return refuse(c, page.error);
  const found = await find({ tenant: c.get("principal").tenant, ...page.value });
  const other = found.length === 0 ? await whenEmpty?.() : undefined;
  return other ?? answerPage(c, url, page.value, found);
}

/** Refuses parameters that the list does not know, and more labels than a metric has. */
function checkList(c: AppContext, { shape }: z.ZodObject): Response | undefined {
  const url = new URL(c.req.url);
  const names = Object.keys(shape).filter((name) => shape[name] !== labelsShape);
  const prefix = names.length < Object.keys(shape).length ? LABEL_PREFIX : undefined;
  const known = checkParameters(url.searchParams, names, prefix);
  if (!known.ok) return refuse(c, known.error);
  const labels = [...url.searchParams.keys()].filter((name) => name.startsWith(LABEL_PREFIX));
  if (labels.length > MAX_LABELS) {
    const { error } = reject(
      "invalid_query",
      "label.…",
      `may stand at most ${MAX_LABELS} times, as often as a metric has labels`,
    );
    return refuse(c, error);
  }
  return undefined;
}

function labelsOf(c: AppContext): Record<string, string> {
  const labels: [string, string][] = [];
  for (const [name, value] of new URL(c.req.url).searchParams)
    if (name.startsWith(LABEL_PREFIX)) labels.push([name.slice(LABEL_PREFIX.length), value]);
  return Object.fromEntries(labels);
}

function answerPage(c: AppContext, url: URL, page: Page, found: { key: Cursor; record: object }[]): Response {
  return c.json(found.map(timed), 200, nextLink(url, page, found));
}

function timed<T extends object>({ key, record }: { key: Cursor; record: T }) {
  return { timestamp: formatMoment(nanosToMoment(key.time)), ...record };
}
