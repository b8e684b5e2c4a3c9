// Alert rules: GET and POST /api/v1/alerts/rules, POST …/rules/test, GET and DELETE …/rules/{id}. PATCH is alert-rule-change.ts's.
import { Hono } from "hono";
import { z } from "zod";
import { MAX_INSTANCES } from "../lib/alerts/evaluate.ts";
import { ProduceLatency } from "../lib/alerts/produce-latency.ts";
import { MAX_RULES, newRuleShape, ruleIdShape, ruleOf, storedRule } from "../lib/alerts/rule.ts";
import { alertRuleShape, ofTenantShape, testedRuleShape } from "../lib/http/alert-shape.ts";
import { D1Alerts } from "../lib/storage/d1-alerts.ts";
import { ok, reject } from "../lib/telemetry/result.ts";
import { evaluateRule, metricsReadState, RuleError } from "./alert-evaluate.ts";
import { deploymentFacts } from "./alert-facts.ts";
import { askedTenant, described, findRule, unfit, unknownNotifier } from "./alert-rule-request.ts";
import { isDefault, judgedRules } from "./alert-rules.ts";
import { hasStoredHistograms, storedSamples } from "./alert-stored-samples.ts";
import { alertTenant, ALERTS_TAG, MAX_BODY_BYTES, newAlertId, READ, WRITE } from "./alert-tenant.ts";
import { wakeOwner } from "./alert-tick.ts";
import { defineRoute } from "./define-route.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { refuse, type AppContext, type AppEnv } from "./request-context.ts";
import { queryStoreOf } from "./storage.ts";

export const alertRules = new Hono<AppEnv>();

const PATH = "/api/v1/alerts/rules";
const parameters = { id: ruleIdShape };

defineRoute(
  alertRules,
  {
    name: "listAlertRules",
    method: "get",
    path: PATH,
    scope: READ,
    tag: ALERTS_TAG,
    summary: "The tenant's alert rules",
    query: ofTenantShape,
    answers: { 200: { description: "All of them, oldest first", content: z.array(alertRuleShape) } },
  },
  async (c) => {
    const tenant = askedTenant(c);
    if (!tenant.ok) return refuse(c, tenant.error);
    const rules = await judgedRules(c.env, tenant.value);
    return c.json(rules.filter(({ isDeleted }) => !isDeleted).map(described));
  },
);

defineRoute(
  alertRules,
  {
    name: "createAlertRule",
    method: "post",
    path: PATH,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Makes an alert rule",
    description: "It is judged within seconds.",
    body: { content: newRuleShape },
    answers: { 201: { description: "The rule", content: alertRuleShape } },
  },
  async (c) => {
    const rule = await ruleOfBody(c);
    if (!rule.ok) return rule.error;
    const { value } = rule;
    const unknown = await unknownNotifier(c, value.rule);
    if (unknown) return refuse(c, unknown);
    const row = { ...value.row, isDeleted: false };
    if (!(await new D1Alerts(c.env.DB).addRule(row, MAX_RULES))) {
      const message = `is one too many: a tenant has at most ${MAX_RULES}; delete one first`;
      return refuse(c, reject("forbidden", "", message).error, {}, "The rule");
    }
    c.executionCtx.waitUntil(wakeOwner(c.env, value.rule.tenant));
    return c.json(described(value.rule), 201);
  },
);

defineRoute(
  alertRules,
  {
    name: "testAlertRule",
    method: "post",
    path: `${PATH}/test`,
    scope: READ,
    tag: ALERTS_TAG,
    summary: "What a rule comes to now, without making it",
    description:
      "A rule on raw values is tried on the newest stored points; `for`, notifiers and texts are of no effect.",
    body: { content: newRuleShape },
    answers: { 200: { description: "By labels", content: testedRuleShape } },
  },
  async (c) => {
    const read = await ruleOfBody(c);
    if (!read.ok) return read.error;
    const { rule } = read.value;
    const nowMs = Date.now();
    const query = queryStoreOf(c.env);
    try {
      const { observations, isComplete, fault } = await evaluateRule(c.env, rule, new Map(), {
        query,
        samples: (one) => storedSamples(query, one, nowMs),
        hasHistograms: (one) => hasStoredHistograms(query, one, nowMs),
        readState: (does) => metricsReadState(c.env, does, nowMs),
        facts: deploymentFacts(c.env, c.executionCtx, new ProduceLatency(), nowMs),
        nowMs,
      });
      const results = observations
        .slice(0, MAX_INSTANCES)
        .map(({ labels, value, isViolated }) => ({ labels, value, violated: isViolated }));
      return c.json({ expr: rule.expr, complete: isComplete, error: fault ?? null, results });
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      return refuse(c, reject("wrong_type", "expr", `cannot be judged: ${error.message}`).error);
    } finally {
      query.close();
    }
  },
);

defineRoute(
  alertRules,
  {
    name: "getAlertRule",
    method: "get",
    path: `${PATH}/:id`,
    scope: READ,
    tag: ALERTS_TAG,
    summary: "One alert rule",
    parameters,
    query: ofTenantShape,
    answers: { 200: { description: "The rule", content: alertRuleShape } },
    problems: [404],
  },
  async (c) => {
    const found = await findRule(c, c.req.param("id"));
    return found.ok ? c.json(described(found.value)) : refuse(c, found.error);
  },
);

defineRoute(
  alertRules,
  {
    name: "deleteAlertRule",
    method: "delete",
    path: `${PATH}/:id`,
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Deletes an alert rule; its alerts are resolved",
    parameters,
    query: ofTenantShape,
    answers: { 200: { description: "The rule as it was", content: alertRuleShape } },
    problems: [404],
  },
  async (c) => {
    const found = await findRule(c, c.req.param("id"));
    if (!found.ok) return refuse(c, found.error);
    const { tenant, id } = found.value;
    const alerts = new D1Alerts(c.env.DB);
    if (isDefault(id))
      await alerts.deleteDefaultRule(tenant, id, new Date().toISOString(), c.get("principal").keyId);
    else await alerts.deleteRule(tenant, id);
    c.executionCtx.waitUntil(wakeOwner(c.env, tenant));
    return c.json(described(found.value));
  },
);

/** The rule that a body stands for, and how it is kept. */
async function ruleOfBody(c: AppContext) {
  const input = await readShape(c, newRuleShape, MAX_BODY_BYTES);
  if (!input.ok) return { ok: false as const, error: refuseAll(c, input.error) };
  const tenant = alertTenant(c, input.value.tenant);
  if (!tenant.ok) return { ok: false as const, error: refuse(c, tenant.error) };
  const row = {
    tenant: tenant.value,
    id: newAlertId(),
    rule: storedRule(input.value),
    createdAt: new Date().toISOString(),
    createdBy: c.get("principal").keyId,
  };
  const rule = ruleOf(row.rule, row);
  if (!rule) throw new Error("a rule that was taken cannot be read");
  const fault = unfit(c, rule);
  return fault ? { ok: false as const, error: refuse(c, fault) } : ok({ row, rule });
}
