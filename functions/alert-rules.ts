// The alert rules as they are judged and as the consumer group `alerting` looks at records by them.
import { DEFAULT_RULES } from "../lib/alerts/default-rules.ts";
import type { JudgedRule } from "../lib/alerts/judge.ts";
import { observe } from "../lib/alerts/observe.ts";
import { writtenRule } from "../lib/alerts/change-rule.ts";
import { DEPLOYMENT, ruleOf, type AlertRule } from "../lib/alerts/rule.ts";
import { D1Alerts, type StoredAlertRule } from "../lib/storage/d1-alerts.ts";
import type { Observer } from "../lib/stream/run.ts";
import { logger } from "../lib/observability/logger.ts";

/** A rule is looked at by records that are read so long after it was made, or sooner. */
const RULES_MAX_AGE_MS = 5_000;

/** Those that are deleted and not yet gone among them. @param tenant undefined: of all. @throws StorageError */
export async function judgedRules(env: Env, tenant: string | undefined): Promise<JudgedRule[]> {
  const rows = await new D1Alerts(env.DB).rules(tenant);
  const ofDefaults = new Map<string, StoredAlertRule>();
  const rules = rows.flatMap((row): JudgedRule[] => {
    if (row.tenant === DEPLOYMENT && isDefault(row.id)) {
      ofDefaults.set(row.id, row);
      return [];
    }
    const rule = ruleOf(row.rule, row);
    if (rule) return [{ ...rule, isDeleted: row.isDeleted }];
    logger.warn("alert_rule_unreadable", { tenant: row.tenant, rule: row.id });
    return [];
  });
  if (tenant !== undefined && tenant !== DEPLOYMENT) return rules;
  return [...DEFAULT_RULES.map((rule) => defaultWith(rule, ofDefaults.get(rule.id))), ...rules];
}

/** One of the defaults has a row once it was changed or deleted, or could not be judged. */
function defaultWith(rule: AlertRule, row: StoredAlertRule | undefined): JudgedRule {
  if (!row || row.isDeleted) return { ...rule, isDeleted: row !== undefined };
  return { ...(ruleOf({ ...writtenRule(rule), ...(row.rule as object) }, rule) ?? rule), isDeleted: false };
}

export function isDefault(id: string): boolean {
  return DEFAULT_RULES.some((rule) => rule.id === id);
}

const observers = new WeakMap<Env, { observer: Observer; readMs: number }>();

/** What the group `alerting` does with the rows that it reads. @throws StorageError where the rules cannot be read */
export async function alertObserver(env: Env): Promise<Observer> {
  const known = observers.get(env);
  const nowMs = Date.now();
  if (known && nowMs >= known.readMs && nowMs - known.readMs < RULES_MAX_AGE_MS) return known.observer;
  const rules = await judgedRules(env, undefined);
  const looking = observe(rules.filter(({ isDeleted, isEnabled }) => isEnabled && !isDeleted));
  const observer: Observer = {
    isIdle: looking.isIdle,
    samplesOf: ({ metrics }) => looking.samplesOf(metrics, Date.now()),
  };
  observers.set(env, { observer, readMs: nowMs });
  return observer;
}
