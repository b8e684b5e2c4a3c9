// GET /api/v1/stats: what the consumers have done and how quickly, from storage. What concerns all tenants needs the
// scope `operator`; a key with `query` alone sees its tenant's share, which the ledger has: how many records, and how
// many of them dead. Speed has no tenant.
import { Hono } from "hono";
import {
  DEFAULT_STATS_MINUTES,
  MAX_STATS_MINUTES,
  statsQueryShape,
  statsShape,
} from "../lib/http/stats-shape.ts";
import { checkParameters } from "../lib/query/page.ts";
import { statsLine, uptimeSeconds } from "../lib/query/stats.ts";
import { minuteOf } from "../lib/storage/consumer-stats.ts";
import { isReaderOf } from "../lib/storage/groups.ts";
import type { LedgerRow } from "../lib/storage/storage.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import { askedTenant } from "./asked-tenant.ts";
import { STATS_BOUNDS } from "./consumer-stats.ts";
import { defineRoute } from "./define-route.ts";
import type { Deployment } from "./deployment.ts";
import { refuse, type AppEnv } from "./request-context.ts";
import { statsStoreOf, streamStoreOf } from "./storage.ts";
import { subscriptionsOf } from "./subscriptions.ts";

export const stats = new Hono<AppEnv>();

const MINUTE_MS = 60_000;

defineRoute(
  stats,
  {
    name: "getStats",
    method: "get",
    path: "/api/v1/stats",
    scope: ["query", "operator"],
    tag: "Operations",
    summary: "What the consumers have done, and how quickly",
    description:
      "From storage: totals outlive restarts. `operator` sees the deployment's; a key with `query` alone, and whoever " +
      "names a `tenant`, that tenant's share, in which what has no tenant is null.",
    query: statsQueryShape,
    answers: { 200: { description: "In all, and by topic", content: statsShape } },
  },
  async (c) => {
    const query = new URL(c.req.url).searchParams;
    const known = checkParameters(query, Object.keys(statsQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const minutes = parseMinutes(query.get("minutes"));
    if (!minutes.ok) return refuse(c, minutes.error);
    const asked = askedTenant(c);
    if (!asked.ok) return asked.error;
    const deployment = c.get("deployment");
    return c.json(
      asked.value === undefined
        ? await ofDeployment(c.env, deployment, minutes.value, Date.now())
        : await ofTenant(c.env, deployment, asked.value),
    );
  },
);

function parseMinutes(text: string | null): Result<number> {
  if (text === null) return ok(DEFAULT_STATS_MINUTES);
  const minutes = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (minutes >= 1 && minutes <= MAX_STATS_MINUTES) return ok(minutes);
  return reject("invalid_query", "minutes", `must be a whole number from 1 to ${MAX_STATS_MINUTES}`);
}

async function ofDeployment(
  env: Env,
  deployment: Deployment,
  minutes: number,
  nowMs: number,
): Promise<object> {
  const from = minuteOf(nowMs) - minutes + 1;
  const all = await statsStoreOf(env).consumerStats(deployment.storageGroup, { from, to: from + minutes });
  const rows = all.filter(({ group }) => isReaderOf(group, deployment.storageGroup));
  const recent = { fromMs: from * MINUTE_MS, toMs: nowMs };
  return {
    tenant: null,
    ...statsLine(rows, recent, STATS_BOUNDS),
    uptime_sec: uptimeSeconds(rows, nowMs),
    topics: topicsOf(deployment).map(({ topic, signal }) => ({
      topic,
      signal,
      ...statsLine(
        rows.filter((row) => row.topic === topic),
        recent,
        STATS_BOUNDS,
      ),
    })),
  };
}

/** By the reader whose results queries see: what one before it did is not the tenant's any more. */
async function ofTenant(env: Env, deployment: Deployment, tenant: string): Promise<object> {
  const subscriptions = await subscriptionsOf(env);
  const readers = new Set(
    subscriptions.flatMap(({ name, group, building }) =>
      name === deployment.storageGroup && !building ? [group] : [],
    ),
  );
  const all = await streamStoreOf(env).ledger(deployment.storageGroup, tenant);
  const rows = all.filter(({ group }) => readers.has(group));
  return {
    tenant,
    ...shareOf(rows),
    uptime_sec: null,
    topics: topicsOf(deployment).map(({ topic, signal }) => ({
      topic,
      signal,
      ...shareOf(rows.filter((row) => row.topic === topic)),
    })),
  };
}

function shareOf(rows: readonly LedgerRow[]): object {
  return {
    processed: rows.reduce(
      (sum, { stored, dead, late, deduplicated, redelivered }) =>
        sum + stored + dead + late + deduplicated + redelivered,
      0,
    ),
    failed: null,
    dlq: rows.reduce((sum, { dead }) => sum + dead, 0),
    rate_per_sec: null,
    avg_processing_ms: null,
    p95: null,
    waited_p95_ms: null,
  };
}

function topicsOf({ rawTopics }: Deployment) {
  return [...rawTopics]
    .map(([topic, signal]) => ({ topic, signal }))
    .toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
}
