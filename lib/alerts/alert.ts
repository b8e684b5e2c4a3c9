// An alert as it is answered, recorded and sent, and a notification: what one notifier is told at a time, of one rule.
import type { AlertInstance, TransitionState } from "./instance.ts";
import type { AlertRule } from "./rule.ts";
import { fillTemplate } from "./template.ts";

export interface Alert {
  /** `tenant/rule/fingerprint/n`: of this transition for ever; who meets it twice has met one thing. */
  id: string;
  tenant: string;
  /** Id of the rule. */
  rule: string;
  name: string;
  expr: string;
  severity: string;
  state: TransitionState;
  labels: Record<string, string>;
  value: number;
  annotations: Record<string, string>;
  /** ISO 8601: since when the condition holds, or held until it was over. */
  since: string;
  /** ISO 8601: when it came to this state. */
  at: string;
  silenced: boolean;
}

export interface Notification {
  /** Stays the same however often it is sent. */
  id: string;
  status: "firing" | "resolved";
  tenant: string;
  rule: string;
  name: string;
  severity: string;
  alerts: Alert[];
}

/** Label values may be long, and stand in a text more than once. */
const MAX_ANNOTATION_CHARS = 2_000;
const MAX_ALERTS = 50;
/** A value of D1 takes 2 MB. */
const MAX_NOTIFICATION_CHARS = 250_000;

export function alertOf(
  rule: Pick<AlertRule, "tenant" | "id" | "name" | "expr" | "severity" | "annotations">,
  { labels, value, fingerprint, activeMs, sinceMs, n }: AlertInstance,
  state: TransitionState,
  silenced: boolean,
): Alert {
  const { tenant, id, name, expr, severity, annotations } = rule;
  return {
    id: `${tenant}/${id}/${fingerprint}/${n}`,
    tenant,
    rule: id,
    name,
    expr,
    severity,
    state,
    labels,
    value,
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([key, text]) => [
        key,
        fillTemplate(text, value, labels).slice(0, MAX_ANNOTATION_CHARS).toWellFormed(),
      ]),
    ),
    since: new Date(activeMs).toISOString(),
    at: new Date(sinceMs).toISOString(),
    silenced,
  };
}

/** Alerts of one rule as few notifications. @param id of the first; the others have its number behind it */
export function notificationsOf(
  id: string,
  { tenant, id: rule, name, severity }: Pick<AlertRule, "tenant" | "id" | "name" | "severity">,
  alerts: readonly Alert[],
): Notification[] {
  const parts: Alert[][] = [];
  let chars = 0;
  for (const alert of alerts) {
    const size = JSON.stringify(alert).length;
    const last = parts.at(-1);
    if (!last || last.length === MAX_ALERTS || chars + size > MAX_NOTIFICATION_CHARS) {
      parts.push([alert]);
      chars = size;
    } else {
      last.push(alert);
      chars += size;
    }
  }
  return parts.map((part, i) => ({
    id: i === 0 ? id : `${id}/${i}`,
    status: part.some(({ state }) => state === "firing") ? "firing" : "resolved",
    tenant,
    rule,
    name,
    severity,
    alerts: part,
  }));
}
