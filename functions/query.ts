// Reading: GET /api/v1/metrics, /api/v1/logs, /api/v1/events. A key sees its own tenant, whatever it asks for.
import { Hono } from "hono";
import {
  checkParameters,
  nextLink,
  PAGE_PARAMETERS,
  parsePage,
  type Cursor,
  type Page,
} from "../lib/query/page.ts";
import { createD1QueryStore } from "../lib/storage/d1-query.ts";
import type { Found, PageRequest } from "../lib/storage/storage.ts";
import { MAX_LABELS } from "../lib/telemetry/limits.ts";
import { normalizeLevel } from "../lib/telemetry/log.ts";
import { reject } from "../lib/telemetry/result.ts";
import { formatMoment, nanosToMoment } from "../lib/telemetry/time.ts";
import { refuse, requireScope, type AppContext, type AppEnv } from "./request-context.ts";

export const query = new Hono<AppEnv>();

const LABEL_PREFIX = "label.";

query.get("/api/v1/metrics", requireScope("query"), (c) =>
  list(c, ["name"], LABEL_PREFIX, (request) => {
    const labels: Record<string, string> = {};
    for (const [name, value] of new URL(c.req.url).searchParams) {
      if (name.startsWith(LABEL_PREFIX)) labels[name.slice(LABEL_PREFIX.length)] = value;
    }
    return createD1QueryStore(c.env.DB).metrics({ ...request, name: c.req.query("name"), labels });
  }),
);

query.get("/api/v1/logs", requireScope("query"), (c) =>
  list(c, ["q", "service", "level"], undefined, (request) =>
    createD1QueryStore(c.env.DB).logs({
      ...request,
      text: c.req.query("q"),
      service: c.req.query("service"),
      level: normalizeLevel(c.req.query("level")),
    }),
  ),
);

query.get("/api/v1/events", requireScope("query"), (c) =>
  list(c, ["event_type"], undefined, (request) =>
    createD1QueryStore(c.env.DB).events({ ...request, eventType: c.req.query("event_type") }),
  ),
);

/** One page of a list: a plain array, newest first, the next page in `Link`. */
async function list(
  c: AppContext,
  filters: string[],
  prefix: string | undefined,
  find: (request: PageRequest) => Promise<Found<object>[]>,
): Promise<Response> {
  const url = new URL(c.req.url);
  const known = checkParameters(url.searchParams, [...filters, ...PAGE_PARAMETERS], prefix);
  if (!known.ok) return refuse(c, known.error);
  const page = parsePage(url.searchParams, Date.now());
  if (!page.ok) return refuse(c, page.error);
  const labels = [...url.searchParams.keys()].filter((name) => name.startsWith(LABEL_PREFIX));
  if (labels.length > MAX_LABELS) {
    const { error } = reject(
      "invalid_query",
      "label.…",
      `may stand at most ${MAX_LABELS} times, as often as a metric has labels`,
    );
    return refuse(c, error);
  }
  const found = await find({ tenant: c.get("principal").tenant, ...page.value });
  return answerPage(c, url, page.value, found);
}

function answerPage(c: AppContext, url: URL, page: Page, found: { key: Cursor; record: object }[]): Response {
  const body = found.map(({ key, record }) => ({
    timestamp: formatMoment(nanosToMoment(key.time)),
    ...record,
  }));
  return c.json(body, 200, nextLink(url, page, found));
}
