// PATCH /api/v1/alerts/rules/{id}. A change is made of what the rule is: where somebody else changed it in between it is
// read again, so no change undoes what it does not name.
import { Hono } from "hono";
import { changedRule, mergedRule } from "../lib/alerts/change-rule.ts";
import { newRuleShape, ruleChangeShape, ruleIdShape, ruleOf } from "../lib/alerts/rule.ts";
import { alertRuleShape, ofTenantShape } from "../lib/http/alert-shape.ts";
import { parseShape } from "../lib/http/shape-fault.ts";
import { D1Alerts, type StoredAlertRule } from "../lib/storage/d1-alerts.ts";
import { reject } from "../lib/telemetry/result.ts";
import { described, findRule, unfit, unknownNotifier } from "./alert-rule-request.ts";
import { isDefault } from "./alert-rules.ts";
import { ALERTS_TAG, MAX_BODY_BYTES, WRITE } from "./alert-tenant.ts";
import { wakeOwner } from "./alert-tick.ts";
import { defineRoute } from "./define-route.ts";
import { readShape, refuseAll } from "./shape-body.ts";
import { refuse, type AppEnv } from "./request-context.ts";

export const alertRuleChange = new Hono<AppEnv>();

const ATTEMPTS = 3;

defineRoute(
  alertRuleChange,
  {
    name: "changeAlertRule",
    method: "patch",
    path: "/api/v1/alerts/rules/:id",
    scope: WRITE,
    tag: ALERTS_TAG,
    summary: "Changes an alert rule in place",
    description:
      "What is left out stays as it is. A rule that asks something else than before begins anew: its alerts are " +
      "resolved, and it is judged as one that was just made. So it is with one that is disabled and enabled again. " +
      "All else leaves its alerts as they are. With `revision` only that one is changed; else the answer is 409.",
    parameters: { id: ruleIdShape },
    query: ofTenantShape,
    body: { content: ruleChangeShape },
    answers: { 200: { description: "The rule as it is now", content: alertRuleShape } },
    problems: [404, 409],
  },
  async (c) => {
    const input = await readShape(c, ruleChangeShape, MAX_BODY_BYTES);
    if (!input.ok) return refuseAll(c, input.error);
    const change = input.value;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await findRule(c, c.req.param("id"));
      if (!found.ok) return refuse(c, found.error);
      const rule = found.value;
      const { tenant, id, revision, createdAt, createdBy } = rule;
      if (change.revision !== undefined && change.revision !== revision) {
        const message = `is ${revision} by now, since ${rule.updatedAt}; read the rule again`;
        return refuse(c, reject("rule_changed", "revision", message).error);
      }
      const merged = parseShape(newRuleShape, mergedRule(rule, change));
      if (!merged.ok) return refuseAll(c, merged.error);
      const kept = changedRule(rule, merged.value, new Date().toISOString(), c.get("principal").keyId);
      if (!kept) return c.json(described(rule));
      const next = ruleOf(kept, rule);
      if (!next) throw new Error("a rule that was taken cannot be read");
      const fault = unfit(c, next) ?? (change.notifiers ? await unknownNotifier(c, next) : undefined);
      if (fault) return refuse(c, fault);
      const row = { tenant, id, rule: kept, createdAt, createdBy, isDeleted: false };
      if (!(await write(c.env, row, revision))) continue;
      c.executionCtx.waitUntil(wakeOwner(c.env, tenant));
      return c.json(described(next));
    }
    const message = "is being changed by others; send the change again";
    return refuse(c, reject("rule_changed", "", message).error, {}, "The rule");
  },
);

async function write(env: Env, row: StoredAlertRule, from: number): Promise<boolean> {
  const alerts = new D1Alerts(env.DB);
  return isDefault(row.id) ? await alerts.changeDefaultRule(row, from) : await alerts.changeRule(row, from);
}
