// One judgement of a tenant's rules: from what is known and what the rules came to now, to what is to be recorded and
// sent. Pure; whoever records it does so in one transaction, or not at all.
import { alertOf, notificationsOf, type Alert } from "./alert.ts";
import type { Evaluation } from "./evaluate.ts";
import {
  fingerprintOf,
  isForgotten,
  isOfRule,
  step,
  type AlertInstance,
  type Observation,
  type Step,
} from "./instance.ts";
import type { AlertRule } from "./rule.ts";
import { isSilenced, silencedLabels, type Silence } from "./silence.ts";

/** The target that stands for the topic of alerts. */
export const TOPIC_TARGET = "topic";

export interface JudgedRule extends AlertRule {
  /** Its alerts are to be resolved, and then it goes. */
  isDeleted: boolean;
}

export interface JudgementInput {
  /** Of this judgement: the number of its transitions. Greater than any before. */
  version: number;
  nowMs: number;
  rules: readonly JudgedRule[];
  /** By the rule's id; none where it could not be evaluated: nothing of that rule changes. */
  evaluations: ReadonlyMap<string, Evaluation>;
  instances: readonly AlertInstance[];
  silences: readonly Silence[];
  /** Ids. */
  notifiers: readonly string[];
}

export interface Outgoing {
  id: string;
  /** Id of a notifier, or {@link TOPIC_TARGET}. */
  target: string;
  /** JSON: an Alert for the topic, a Notification for a notifier. */
  body: string;
}

export interface Judgement {
  put: AlertInstance[];
  forgotten: Pick<AlertInstance, "rule" | "fingerprint">[];
  transitions: Alert[];
  outbox: Outgoing[];
  /** Rules that are deleted and have no alerts any more. */
  goneRules: string[];
}

export function judge(input: JudgementInput): Judgement {
  const judgement: Judgement = { put: [], forgotten: [], transitions: [], outbox: [], goneRules: [] };
  const byRule = new Map<string, Map<string, AlertInstance>>();
  for (const instance of input.instances) {
    const known = byRule.get(instance.rule) ?? new Map<string, AlertInstance>();
    byRule.set(instance.rule, known.set(instance.fingerprint, instance));
  }
  for (const rule of input.rules) {
    judgeRule(rule, byRule.get(rule.id) ?? new Map<string, AlertInstance>(), input, judgement);
    byRule.delete(rule.id);
  }
  // Of rules that nobody knows any more, or nobody can read.
  for (const instances of byRule.values())
    for (const { rule, fingerprint } of instances.values()) judgement.forgotten.push({ rule, fingerprint });
  return judgement;
}

/** Whether there is nothing to record. */
export function isEmpty({ put, forgotten, transitions, outbox, goneRules }: Judgement): boolean {
  return [put, forgotten, transitions, outbox, goneRules].every(({ length }) => length === 0);
}

function judgeRule(
  rule: JudgedRule,
  instances: ReadonlyMap<string, AlertInstance>,
  { version, nowMs, evaluations, silences, notifiers }: JudgementInput,
  judgement: Judgement,
): void {
  const evaluation: Evaluation =
    rule.isDeleted || !rule.isEnabled
      ? { observations: [], isComplete: true }
      : (evaluations.get(rule.id) ?? { observations: [], isComplete: false });
  const observed = new Map(evaluation.observations.map((one) => [fingerprintOf(one.labels), one]));
  const told: Alert[] = [];
  let left = 0;
  for (const fingerprint of new Set([...instances.keys(), ...observed.keys()])) {
    const before = instances.get(fingerprint);
    const stepped = stepOf(rule, before, observed.get(fingerprint) ?? ceased(before, evaluation), nowMs);
    if (!stepped) {
      if (before) judgement.forgotten.push({ rule: rule.id, fingerprint });
      continue;
    }
    const { transition } = stepped;
    let { after } = stepped;
    const silenced = isSilenced(silencedLabels(after.labels, rule), silences, nowMs);
    const isDue =
      after.state === "firing" &&
      !silenced &&
      (after.toldMs === null || nowMs - after.toldMs >= rule.repeatMs || after.toldMs > nowMs);
    // What they were told of they hear the end of, silenced or not.
    const isOver = transition === "resolved" && before?.toldMs !== null;
    if (transition) {
      after = { ...after, n: version };
      const alert = alertOf(rule, after, transition, silenced);
      judgement.transitions.push(alert);
      judgement.outbox.push({ id: alert.id, target: TOPIC_TARGET, body: JSON.stringify(alert) });
    }
    if (isDue) told.push(alertOf(rule, after, "firing", false));
    if (isOver) told.push(alertOf(rule, after, "resolved", silenced));
    if (isDue || isOver) after = { ...after, toldMs: isDue ? nowMs : null };
    if (isForgotten(after, nowMs) || (rule.isDeleted && after.state === "inactive" && !transition)) {
      if (before) judgement.forgotten.push({ rule: rule.id, fingerprint });
      continue;
    }
    left++;
    if (!before || !isSame(before, after)) judgement.put.push(after);
  }
  if (rule.isDeleted && left === 0) judgement.goneRules.push(rule.id);
  for (const target of notifiers) {
    if (told.length === 0 || rule.notifiers?.includes(target) === false) continue;
    const id = `${rule.tenant}/${rule.id}/${target}/${version}`;
    for (const one of notificationsOf(id, rule, told))
      judgement.outbox.push({ id: one.id, target, body: JSON.stringify(one) });
  }
}

/** @returns undefined where there is no alert; what there was before is to be forgotten */
function stepOf(
  rule: JudgedRule,
  before: AlertInstance | undefined,
  observation: Observation | undefined,
  nowMs: number,
): Step | undefined {
  const known = before && isOfRule(before, rule) ? before : undefined;
  // What was found by a rule that asked something else is over first, whatever is known now; the new begins after it.
  if (before && !known && before.state !== "inactive")
    return step(rule.id, before, over(before), rule.forMs, nowMs);
  const stepped = step(rule.id, known, observation, rule.forMs, nowMs);
  if (!stepped || rule.begun === 1) return stepped;
  return { ...stepped, after: { ...stepped.after, begun: rule.begun } };
}

/** A series that is no longer there violates nothing; where that is not certain, nothing is known of it. */
function ceased(before: AlertInstance | undefined, { isComplete }: Evaluation): Observation | undefined {
  return before && isComplete ? over(before) : undefined;
}

function over({ labels, value }: AlertInstance): Observation {
  return { labels, value, isViolated: false };
}

function isSame(a: AlertInstance, b: AlertInstance): boolean {
  return (
    a.state === b.state &&
    a.sinceMs === b.sinceMs &&
    a.activeMs === b.activeMs &&
    a.value === b.value &&
    a.seenViolation === b.seenViolation &&
    a.toldMs === b.toldMs &&
    a.n === b.n &&
    a.begun === b.begun
  );
}
