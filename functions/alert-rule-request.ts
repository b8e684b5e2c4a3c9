// What the routes of alert rules have in common: which rule a request is about, whether one can be judged here, and how
// one is answered.
import type { z } from "zod";
import { formatDuration } from "../lib/alerts/duration.ts";
import { windowFor } from "../lib/alerts/evaluate-windows.ts";
import { placeFault, type AlertRule } from "../lib/alerts/rule.ts";
import { ofTenantShape, type alertRuleShape } from "../lib/http/alert-shape.ts";
import { checkParameters } from "../lib/query/page.ts";
import { ok, reject, type Rejection, type Result } from "../lib/telemetry/result.ts";
import { D1Alerts } from "../lib/storage/d1-alerts.ts";
import { judgedRules } from "./alert-rules.ts";
import { alertTenant } from "./alert-tenant.ts";
import type { AppContext } from "./request-context.ts";

export function askedTenant(c: AppContext): Result<string> {
  const known = checkParameters(new URL(c.req.url).searchParams, Object.keys(ofTenantShape.shape));
  return known.ok ? alertTenant(c, c.req.query("tenant")) : known;
}

export async function findRule(c: AppContext, id: string): Promise<Result<AlertRule>> {
  const tenant = askedTenant(c);
  if (!tenant.ok) return tenant;
  const rules = await judgedRules(c.env, tenant.value);
  const found = rules.find((rule) => rule.id === id && !rule.isDeleted);
  return found ? ok(found) : reject("not_found", "id", "names no alert rule here");
}

/** @returns undefined for a rule that can be judged here, for its tenant */
export function unfit(c: AppContext, rule: AlertRule): Rejection | undefined {
  const fault = placeFault(rule.tenant, rule.expression) ?? spanFault(c, rule);
  return fault === undefined ? undefined : reject("wrong_type", "expr", `cannot be taken: ${fault}`).error;
}

/** A rule that names a notifier that is not there would tell nobody. */
export async function unknownNotifier(
  c: AppContext,
  { tenant, notifiers }: AlertRule,
): Promise<Rejection | undefined> {
  if (!notifiers || notifiers.length === 0) return undefined;
  const known = await new D1Alerts(c.env.DB).notifiers(tenant);
  const place = notifiers.findIndex((id) => !known.some((one) => one.id === id));
  if (place === -1) return undefined;
  const there = known.map(({ id, name }) => `${id} (${name})`).join(", ");
  const message = `is the id of no notifier; ${there === "" ? "there are none" : `there are ${there}`}`;
  return reject("invalid_name", `notifiers[${place}]`, message).error;
}

/** Windows are the deployment's: not every span is made of them. */
function spanFault(c: AppContext, { expression: { subject } }: AlertRule): string | undefined {
  const { windows, config } = c.get("deployment");
  if (subject.kind !== "window" || windowFor(subject, windows)) return undefined;
  return `its span of ${formatDuration(subject.rangeMs)} is no multiple of a window of this deployment (${config.WINDOWS})`;
}

export function described(rule: AlertRule): z.output<typeof alertRuleShape> {
  const { id, tenant, name, expr, forMs, severity, annotations, repeatMs, notifiers, revision, fault } = rule;
  return {
    id,
    tenant,
    name,
    expr,
    for: formatDuration(forMs),
    severity,
    annotations,
    repeat_interval: formatDuration(repeatMs),
    notifiers: notifiers ?? null,
    enabled: rule.isEnabled,
    revision,
    created_at: rule.createdAt,
    created_by: rule.createdBy,
    updated_at: rule.updatedAt,
    updated_by: rule.updatedBy,
    last_error: fault?.message ?? null,
    failing_since: fault?.since ?? null,
  };
}
