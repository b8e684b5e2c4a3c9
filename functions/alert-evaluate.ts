// Reads what a tenant's rules look at, and says what each comes to now.
import {
  evaluateAbsence,
  evaluateDeployment,
  evaluateSamples,
  MAX_INSTANCES,
  type Evaluation,
  type ReadState,
} from "../lib/alerts/evaluate.ts";
import { evaluateWindows, planWindows, type WindowSubject } from "../lib/alerts/evaluate-windows.ts";
import type { Matcher } from "../lib/alerts/expression.ts";
import type { AlertInstance } from "../lib/alerts/instance.ts";
import type { AlertRule } from "../lib/alerts/rule.ts";
import type { QueryStore } from "../lib/storage/storage.ts";
import type { AskedFacts } from "./alert-facts.ts";
import { clusterOf } from "./cluster.ts";
import { deploymentOf } from "./deployment.ts";
import { streamStoreOf } from "./storage.ts";
import { subscriptionsOf } from "./subscriptions.ts";

/** Partials read for one rule: each may have some kilobytes. */
const MAX_WINDOWS = 10_000;

/** A reader that has not come to its log's end for so long stands still; one that has nothing to read looks each minute. */
const CURRENT_MS = 180_000;

/** A rule that cannot be judged as it is; the message says how to mend it. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}

/** Fits AlertSample. */
export interface RuleSample {
  labels: Record<string, string>;
  time: string;
  value: number;
  violatedTime: string | null;
  violatedValue: number | null;
}

export interface RuleReading {
  query: Pick<QueryStore, "windows">;
  /** Of the rule, more than `limit` where there are more. */
  samples: (rule: AlertRule, limit: number) => Promise<readonly RuleSample[]>;
  /** How far the readers of raw values and of windows have come. */
  readState: (does: "alerting" | "storage") => Promise<ReadState>;
  facts: AskedFacts;
  nowMs: number;
}

/** @throws RuleError, StorageError, PartialStateError */
export async function evaluateRule(
  env: Env,
  rule: AlertRule,
  instances: ReadonlyMap<string, AlertInstance>,
  reading: RuleReading,
): Promise<Evaluation> {
  const { expression } = rule;
  const { subject } = expression;
  const { nowMs } = reading;
  const evaluation = await (async () => {
    switch (subject.kind) {
      case "raw":
      case "absent": {
        const [samples, state] = await Promise.all([
          reading.samples(rule, MAX_WINDOWS),
          reading.readState("alerting"),
        ]);
        // More series than are read: of those beyond nobody would know.
        if (samples.length > MAX_WINDOWS) throw tooMany(`${MAX_WINDOWS} series`);
        return subject.kind === "raw"
          ? evaluateSamples(expression, samples, instances, state, nowMs)
          : evaluateAbsence(expression, subject.rangeMs, samples, state, Date.parse(rule.sampledSince));
      }
      case "window":
        return await windowRule(env, rule, subject, reading);
      case "lag":
      case "dead_letters":
      case "produce_p99":
      case "spill_age": {
        const found = await evaluateDeployment(expression, subject, reading.facts);
        const fault = reading.facts.faults.get(subject.kind);
        return fault === undefined ? found : { ...found, fault };
      }
    }
  })();
  if (evaluation.observations.length > MAX_INSTANCES) throw tooMany(`${MAX_INSTANCES} alerts`);
  return evaluation;
}

async function windowRule(
  env: Env,
  { tenant, expression }: AlertRule,
  subject: WindowSubject,
  { query, readState, nowMs }: RuleReading,
): Promise<Evaluation> {
  const plan = planWindows(subject, deploymentOf(env).windows, nowMs);
  if (!plan) throw new RuleError("no window of WINDOWS divides its span; take another span");
  const { name, matchers } = subject.selector;
  const { window, fromMs, toMs } = plan;
  const labels = requiredLabels(matchers);
  // First how far was read, then what was read by then.
  const { isCurrent } = await readState("storage");
  const rows = await query.windows({ tenant, name, window, labels, fromMs, toMs, limit: MAX_WINDOWS });
  if (rows.length >= MAX_WINDOWS) throw tooMany(`${MAX_WINDOWS} windows`);
  return evaluateWindows(expression, subject, plan, rows, isCurrent);
}

/** What the store can leave out by itself; an empty value stands for a label that is not there. */
function requiredLabels(matchers: readonly Matcher[]): Record<string, string> {
  const required = matchers.filter(({ isEqual, value }) => isEqual && value !== "");
  return Object.fromEntries(required.map(({ name, value }) => [name, value]));
}

function tooMany(what: string): RuleError {
  return new RuleError(`it has more than ${what}; look at fewer labels, or group by some`);
}

/** How far the readers of metrics have come that raw rules, or windows, go by; the partition that is behind counts. */
export async function metricsReadState(
  env: Env,
  does: "alerting" | "storage",
  nowMs: number,
): Promise<ReadState> {
  const store = streamStoreOf(env);
  const [{ breaker, spilled }, subscriptions, progress] = await Promise.all([
    clusterOf(env).state(),
    subscriptionsOf(env),
    store.progress(deploymentOf(env).config.KAFKA_CONSUMER_GROUP).finally(() => store.close()),
  ]);
  const readers = subscriptions.filter(
    (one) =>
      one.does === does && one.signal === "metrics" && !one.building && (does === "alerting" || one.isShown),
  );
  const times = progress
    .filter((row) => readers.some(({ group, topic }) => group === row.group && topic === row.topic))
    .map(({ readThroughMs }) => readThroughMs);
  const throughMs = Math.min(nowMs, times.length === 0 ? 0 : Math.min(...times));
  // What is kept while Kafka is away is in no log yet.
  const isCurrent = throughMs >= nowMs - CURRENT_MS && breaker === "closed" && spilled.length === 0;
  return { throughMs, isCurrent };
}
