// A rule that is changed in place: what it is then, and what of its past still counts. Pure. A rule that asks something
// else than before, or is enabled again, begins anew: its alerts are over, and what was sampled for it before is no more looked at.
import { formatDuration } from "./duration.ts";
import type { Expression } from "./expression.ts";
import { parseExpression } from "./parse-expression.ts";
import { ruleOf, storedRule, type AlertRule, type NewRule, type RuleChange, type RuleMarks } from "./rule.ts";

/** A rule as it would be written anew; `for` where the expression does not say it. */
export function writtenRule(rule: AlertRule): NewRule {
  const { name, expr, expression, forMs, severity, annotations, repeatMs, notifiers } = rule;
  return {
    name,
    expr,
    ...(expression.forMs === undefined && forMs > 0 && { for: formatDuration(forMs) }),
    severity,
    annotations,
    repeat_interval: formatDuration(repeatMs),
    ...(notifiers && { notifiers }),
    enabled: rule.isEnabled,
  };
}

/** As whoever changes it means it: yet to be checked as any rule that is written. */
export function mergedRule(rule: AlertRule, change: RuleChange): object {
  const expr = change.expr ?? (change.for === undefined ? rule.expr : withoutFor(rule.expr));
  const says = forOf(expr);
  const kept = says === undefined && rule.forMs > 0 ? formatDuration(rule.forMs) : undefined;
  const { for: _, notifiers: before, ...written } = writtenRule(rule);
  const span = change.for === undefined ? kept : (change.for ?? undefined);
  const notifiers = change.notifiers === undefined ? before : (change.notifiers ?? undefined);
  const { name, severity, annotations, repeat_interval, enabled } = change;
  const given = Object.entries({ name, severity, annotations, repeat_interval, enabled });
  return {
    ...written,
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    expr,
    ...(span !== undefined && { for: span }),
    ...(notifiers && { notifiers }),
  };
}

/** @returns what is to be kept; undefined where it is the same rule */
export function changedRule(
  rule: AlertRule,
  written: NewRule,
  at: string,
  by: string,
): (NewRule & RuleMarks) | undefined {
  const next = ruleOf(written, rule);
  if (!next) throw new Error("a rule that was taken cannot be read");
  if (JSON.stringify(writtenRule(next)) === JSON.stringify(writtenRule(rule))) return undefined;
  const revision = rule.revision + 1;
  const isNew = meaningOf(next.expression) !== meaningOf(rule.expression);
  const begins = isNew || (next.isEnabled && !rule.isEnabled);
  const keepsSamples = !begins || (rule.isEnabled && looksAtSame(rule.expression, next.expression));
  return {
    ...storedRule(written),
    revision,
    updated_at: at,
    updated_by: by,
    begun: begins ? revision : rule.begun,
    sampled: keepsSamples ? rule.sampled : revision,
    sampled_since: keepsSamples ? rule.sampledSince : at,
  };
}

/** What it asks, without for how long it must hold. */
function meaningOf({ subject, by, condition }: Expression): string {
  return JSON.stringify([subject, by ?? null, condition ?? null]);
}

/** Samples of an absence tell when a series was there, whatever the span; those of values tell what violated. */
function looksAtSame({ subject: a }: Expression, { subject: b }: Expression): boolean {
  if (a.kind !== "absent" || b.kind !== "absent") return false;
  return JSON.stringify(a.selector) === JSON.stringify(b.selector);
}

function forOf(expr: string): number | undefined {
  const parsed = parseExpression(expr);
  return parsed.ok ? parsed.value.forMs : undefined;
}

/** Where a rule says `for`, it ends with it. */
function withoutFor(expr: string): string {
  return forOf(expr) === undefined ? expr : expr.replace(/\sfor\s+\S+\s*$/, "").trimEnd();
}
