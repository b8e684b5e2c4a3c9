// Silences: GET and POST /api/v1/alerts/silences, DELETE …/{id}, which ends one.
import { Hono } from "hono";
import { z } from "zod";
import { ruleIdShape } from "../lib/alerts/rule.ts";
import { MAX_SILENCES, newSilenceShape, type NewSilence } from "../lib/alerts/silence.ts";
import { ofTenantShape, silenceShape, silencesQueryShape } from "../lib/http/alert-shape.ts";
import { checkParameters, parseNamePage } from "../lib/query/page.ts";
import { D1Alerts, type StoredSilence } from "../lib/storage/d1-alerts.ts";
import { reject } from "../lib/telemetry/result.ts";
import { alertTenant, ALERTS_TAG, MAX_BODY_BYTES, newAlertId, READ, WRITE } from "./alert-tenant.ts";
import { defineRoute } from "./define-route.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { refuse, type AppEnv } from "./request-context.ts";

export const alertSilences = new Hono<AppEnv>();

const PATH = "/api/v1/alerts/silences";

defineRoute(
  alertSilences,
  {
    name: "listAlertSilences",
    method: "get",
    path: PATH,
    scope: READ,
    tag: ALERTS_TAG,
    summary: "Silences that are not over, newest first",
    query: silencesQueryShape,
    answers: { 200: { description: "At most `limit`", content: z.array(silenceShape) } },
  },
  async (c) => {
    const query = new URL(c.req.url).searchParams;
    const known = checkParameters(query, Object.keys(silencesQueryShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const page = parseNamePage(query);
    if (!page.ok) return refuse(c, page.error);
    const expired = query.get("expired") ?? "false";
    if (expired !== "true" && expired !== "false")
      return refuse(c, reject("invalid_query", "expired", "must be true or false").error);
    const tenant = alertTenant(c, query.get("tenant") ?? undefined);
    if (!tenant.ok) return refuse(c, tenant.error);
    const nowMs = Date.now();
    const afterMs = expired === "true" ? 0 : nowMs;
    const found = await new D1Alerts(c.env.DB).silences(tenant.value, afterMs, page.value.limit);
    return c.json(found.map((one) => described(tenant.value, one, nowMs)));
  },
);

defineRoute(
  alertSilences,
  {
    name: "createAlertSilence",
    method: "post",
    path: PATH,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Silences alerts for a while",
    description:
      "Alerts whose labels match all matchers are recorded, and notifiers are not told that they fire. Of those that " +
      "they were told of they are told the end. Beside its labels an alert has `alertname`, `rule` and `severity`.",
    body: { content: newSilenceShape },
    answers: { 201: { description: "The silence", content: silenceShape } },
  },
  async (c) => {
    const input = await readShape(c, newSilenceShape, MAX_BODY_BYTES);
    if (!input.ok) return refuseAll(c, input.error);
    const tenant = alertTenant(c, input.value.tenant);
    if (!tenant.ok) return refuse(c, tenant.error);
    const nowMs = Date.now();
    const silence = silenceOf(input.value, c.get("principal").keyId, nowMs);
    if (silence.endsMs <= Math.max(nowMs, silence.startsMs)) {
      const message = "must lie ahead, and behind `starts_at`";
      return refuse(c, reject("timestamp_out_of_range", "ends_at", message).error);
    }
    if (!(await new D1Alerts(c.env.DB).addSilence(tenant.value, silence, nowMs, MAX_SILENCES))) {
      const message = `is one too many: a tenant has at most ${MAX_SILENCES} that are not over; end one first`;
      return refuse(c, reject("forbidden", "", message).error, {}, "The silence");
    }
    return c.json(described(tenant.value, silence, nowMs), 201);
  },
);

defineRoute(
  alertSilences,
  {
    name: "endAlertSilence",
    method: "delete",
    path: `${PATH}/:id`,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Ends a silence now",
    parameters: { id: ruleIdShape },
    query: ofTenantShape,
    answers: { 200: { description: "The silence as it is now", content: silenceShape } },
    problems: [404],
  },
  async (c) => {
    const tenant = alertTenant(c, c.req.query("tenant"));
    if (!tenant.ok) return refuse(c, tenant.error);
    const nowMs = Date.now();
    const ended = await new D1Alerts(c.env.DB).endSilence(tenant.value, c.req.param("id"), nowMs);
    return ended
      ? c.json(described(tenant.value, ended, nowMs))
      : refuse(c, reject("not_found", "id", "names no silence here").error);
  },
);

function silenceOf(input: NewSilence, keyId: string, nowMs: number): StoredSilence {
  return {
    id: newAlertId(),
    matchers: input.matchers,
    startsMs: input.starts_at === undefined ? nowMs : Date.parse(input.starts_at),
    endsMs: Date.parse(input.ends_at),
    author: input.author ?? keyId,
    comment: input.comment,
    createdAt: new Date(nowMs).toISOString(),
    createdBy: keyId,
  };
}

function described(tenant: string, silence: StoredSilence, nowMs: number) {
  const { id, matchers, startsMs, endsMs, author, comment, createdAt, createdBy } = silence;
  const began = startsMs <= nowMs ? "active" : "pending";
  return {
    id,
    tenant,
    state: endsMs <= nowMs ? "expired" : began,
    matchers,
    starts_at: new Date(startsMs).toISOString(),
    ends_at: new Date(endsMs).toISOString(),
    author,
    comment,
    created_at: createdAt,
    created_by: createdBy,
  };
}
