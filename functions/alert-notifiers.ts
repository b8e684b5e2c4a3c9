// Notifiers: GET and POST /api/v1/alerts/notifiers, DELETE …/{id}. A URL may hold a secret: once taken, nobody is shown
// more of it than its host.
import { Hono } from "hono";
import { z } from "zod";
import { hostOf, urlFault } from "../lib/alerts/notifier-url.ts";
import { MAX_NOTIFIERS, newNotifierShape, webhookSecret } from "../lib/alerts/notifier.ts";
import { ruleIdShape } from "../lib/alerts/rule.ts";
import { madeNotifierShape, notifierShape, ofTenantShape } from "../lib/http/alert-shape.ts";
import { checkParameters } from "../lib/query/page.ts";
import { D1Alerts, type StoredNotifier } from "../lib/storage/d1-alerts.ts";
import { reject } from "../lib/telemetry/result.ts";
import { webhookSecretOf } from "./alert-delivery.ts";
import { alertTenant, ALERTS_TAG, MAX_BODY_BYTES, newAlertId, READ, WRITE } from "./alert-tenant.ts";
import { defineRoute } from "./define-route.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { refuse, type AppEnv } from "./request-context.ts";

export const alertNotifiers = new Hono<AppEnv>();

const PATH = "/api/v1/alerts/notifiers";

defineRoute(
  alertNotifiers,
  {
    name: "listAlertNotifiers",
    method: "get",
    path: PATH,
    scope: READ,
    tag: ALERTS_TAG,
    summary: "Who is told of alerts",
    query: ofTenantShape,
    answers: { 200: { description: "All of them, oldest first", content: z.array(notifierShape) } },
  },
  async (c) => {
    const known = checkParameters(new URL(c.req.url).searchParams, Object.keys(ofTenantShape.shape));
    if (!known.ok) return refuse(c, known.error);
    const tenant = alertTenant(c, c.req.query("tenant"));
    if (!tenant.ok) return refuse(c, tenant.error);
    return c.json((await new D1Alerts(c.env.DB).notifiers(tenant.value)).map(described));
  },
);

defineRoute(
  alertNotifiers,
  {
    name: "createAlertNotifier",
    method: "post",
    path: PATH,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Adds a webhook, or a Slack channel's incoming webhook",
    description:
      "The URL must be https and lead to a public address; redirects are not followed. The answer is the only place " +
      "where a webhook's secret is told.",
    body: { content: newNotifierShape },
    answers: { 201: { description: "The notifier", content: madeNotifierShape } },
    problems: [503],
  },
  async (c) => {
    const input = await readShape(c, newNotifierShape, MAX_BODY_BYTES);
    if (!input.ok) return refuseAll(c, input.error);
    const { name, kind, url } = input.value;
    const tenant = alertTenant(c, input.value.tenant);
    if (!tenant.ok) return refuse(c, tenant.error);
    const fault = urlFault(url, c.get("deployment").config.ENVIRONMENT === "development");
    if (fault !== undefined) return refuse(c, reject("wrong_type", "url", fault).error);
    const secret = webhookSecretOf(c.env);
    if (kind === "webhook" && secret === undefined) {
      const message = "of signatures is missing: the operator sets ALERT_WEBHOOK_SECRET";
      return refuse(c, reject("misconfigured", "", message).error, { "Retry-After": "60" }, "The secret");
    }
    const notifier = {
      tenant: tenant.value,
      id: newAlertId(),
      name,
      kind,
      url,
      createdAt: new Date().toISOString(),
      createdBy: c.get("principal").keyId,
    };
    if (!(await new D1Alerts(c.env.DB).addNotifier(notifier, MAX_NOTIFIERS))) {
      const message = `is one too many: a tenant has at most ${MAX_NOTIFIERS}; delete one first`;
      return refuse(c, reject("forbidden", "", message).error, {}, "The notifier");
    }
    const made = described({ ...notifier, sentTotal: 0, droppedTotal: 0, lastError: null });
    const isSigned = kind === "webhook" && secret !== undefined;
    return c.json(
      { ...made, secret: isSigned ? webhookSecret(secret, tenant.value, notifier.id) : null },
      201,
    );
  },
);

defineRoute(
  alertNotifiers,
  {
    name: "deleteAlertNotifier",
    method: "delete",
    path: `${PATH}/:id`,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Deletes a notifier, and what was yet to be sent to it",
    parameters: { id: ruleIdShape },
    query: ofTenantShape,
    answers: { 200: { description: "The notifier as it was", content: notifierShape } },
    problems: [404],
  },
  async (c) => {
    const tenant = alertTenant(c, c.req.query("tenant"));
    if (!tenant.ok) return refuse(c, tenant.error);
    const deleted = await new D1Alerts(c.env.DB).deleteNotifier(tenant.value, c.req.param("id"));
    return deleted
      ? c.json(described(deleted))
      : refuse(c, reject("not_found", "id", "names no notifier here").error);
  },
);

function described({ id, tenant, name, kind, url, ...rest }: StoredNotifier) {
  return {
    id,
    tenant,
    name,
    kind,
    host: hostOf(url),
    created_at: rest.createdAt,
    created_by: rest.createdBy,
    sent_total: rest.sentTotal,
    dropped_total: rest.droppedTotal,
    last_error: rest.lastError,
  };
}
