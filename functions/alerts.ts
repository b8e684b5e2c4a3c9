// GET /api/v1/alerts: what is pending or firing now, and what was. With it the routes of rules, silences and notifiers.
import { Hono } from "hono";
import { z } from "zod";
import { alertOf, type Alert } from "../lib/alerts/alert.ts";
import type { AlertInstance } from "../lib/alerts/instance.ts";
import { isSilenced, silencedLabels, type Silence } from "../lib/alerts/silence.ts";
import { alertShape, alertsQueryShape, HISTORY_STATES } from "../lib/http/alert-shape.ts";
import { checkParameters, parseNamePage } from "../lib/query/page.ts";
import { D1AlertState, type TransitionKey } from "../lib/storage/d1-alert-state.ts";
import { D1Alerts } from "../lib/storage/d1-alerts.ts";
import { ok, reject, type Result } from "../lib/telemetry/result.ts";
import { alertNotifiers } from "./alert-notifiers.ts";
import { alertRuleChange } from "./alert-rule-change.ts";
import { alertRules } from "./alert-rule-routes.ts";
import { judgedRules } from "./alert-rules.ts";
import { alertSilences } from "./alert-silences.ts";
import { alertTenant, ALERTS_TAG, READ } from "./alert-tenant.ts";
import { defineRoute } from "./define-route.ts";
import { refuse, type AppEnv } from "./request-context.ts";

export const alerts = new Hono<AppEnv>();
alerts.route("/", alertRules);
alerts.route("/", alertRuleChange);
alerts.route("/", alertSilences);
alerts.route("/", alertNotifiers);

const MAX_SILENCES = 1_000;

defineRoute(
  alerts,
  {
    name: "listAlerts",
    method: "get",
    path: "/api/v1/alerts",
    scope: READ,
    tag: ALERTS_TAG,
    summary: "Alerts that are pending or firing, or the history, newest first",
    query: alertsQueryShape,
    answers: { 200: { description: "One page", content: z.array(alertShape), headers: ["Link"] } },
  },
  async (c) => {
    const url = new URL(c.req.url);
    const query = url.searchParams;
    const known = checkParameters(query, Object.keys(alertsQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const limitText = query.get("limit");
    const page = parseNamePage(new URLSearchParams(limitText === null ? {} : { limit: limitText }));
    if (!page.ok) return refuse(c, page.error);
    const after = parseCursor(query.get("cursor"));
    if (!after.ok) return refuse(c, after.error);
    const stateText = query.get("state");
    const state = HISTORY_STATES.find((one) => one === stateText);
    if (stateText !== null && state === undefined)
      return refuse(c, reject("invalid_query", "state", `must be one of ${HISTORY_STATES.join(", ")}`).error);
    const tenant = alertTenant(c, query.get("tenant") ?? undefined);
    if (!tenant.ok) return refuse(c, tenant.error);
    const { limit } = page.value;
    const found =
      state === undefined
        ? await active(c.env, tenant.value, after.value, limit)
        : await new D1AlertState(c.env.DB).transitions(
            tenant.value,
            state === "all" ? undefined : state,
            after.value,
            limit,
          );
    const rows = found.slice(0, limit);
    const last = rows.at(-1);
    const told = rows.map(({ alert }) => alert);
    if (!last || found.length <= limit) return c.json(told);
    url.searchParams.set("cursor", formatCursor(last.key));
    return c.json(told, 200, { Link: `<${url.pathname}${url.search}>; rel="next"` });
  },
);

async function active(
  env: Env,
  tenant: string,
  after: TransitionKey | undefined,
  limit: number,
): Promise<{ key: TransitionKey; alert: Alert }[]> {
  const nowMs = Date.now();
  const [rules, instances, silences] = await Promise.all([
    judgedRules(env, tenant),
    new D1AlertState(env.DB).instances(tenant) as Promise<AlertInstance[]>,
    new D1Alerts(env.DB).silences(tenant, nowMs, MAX_SILENCES) as Promise<Silence[]>,
  ]);
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  return instances
    .flatMap((instance) => {
      const rule = byId.get(instance.rule);
      if (!rule || instance.state === "inactive") return [];
      const silenced = isSilenced(silencedLabels(instance.labels, rule), silences, nowMs);
      const alert = alertOf(rule, instance, instance.state, silenced);
      return [{ key: { atMs: instance.sinceMs, id: alert.id }, alert }];
    })
    .toSorted((a, b) => byKey(b.key, a.key))
    .filter(({ key }) => after === undefined || byKey(key, after) < 0)
    .slice(0, limit + 1);
}

function byKey(a: TransitionKey, b: TransitionKey): number {
  return a.atMs - b.atMs || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function formatCursor({ atMs, id }: TransitionKey): string {
  return btoa(`${atMs} ${id}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function parseCursor(text: string | null): Result<TransitionKey | undefined> {
  if (text === null) return ok(undefined);
  let read = "";
  try {
    read = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    // Told below.
  }
  const [, atMs, id] = /^(\d{1,15}) ([\w/-]{1,300})$/.exec(read) ?? [];
  if (atMs === undefined || id === undefined)
    return reject(
      "invalid_query",
      "cursor",
      "is not a cursor of ours; take it from the Link header as it is",
    );
  return ok({ atMs: Number(atMs), id });
}
