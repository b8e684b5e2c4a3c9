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
import { KafkaError } from "../lib/kafka/errors.ts";
import type { Progress, QueryStore } from "../lib/storage/storage.ts";
import type { AskedFacts } from "./alert-facts.ts";
import { clusterOf } from "./cluster.ts";
import { deploymentOf } from "./deployment.ts";
import { streamStoreOf } from "./storage.ts";
import { subscriptionsOf, type Subscription } from "./subscriptions.ts";
import { openTransport } from "./transport.ts";

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
  /** Whether there are points that its rule on raw values cannot go by. */
  hasHistograms: (rule: AlertRule) => Promise<boolean>;
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
        if (subject.kind === "absent")
          return evaluateAbsence(expression, subject.rangeMs, samples, state, Date.parse(rule.sampledSince));
        const found = evaluateSamples(expression, samples, instances, state, nowMs);
        if (samples.length > 0 || !(await reading.hasHistograms(rule))) return found;
        const { name } = subject.selector;
        return { ...found, fault: `${name} is a histogram: use a window, such as p95(${name}, 5m)` };
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
  // First how far was read, then what was read by then.
  const state = await readState("storage");
  const plans = planWindows(subject, deploymentOf(env).windows, state, nowMs);
  if (!plans) throw new RuleError("no window of WINDOWS divides its span; take another span");
  const { name, matchers } = subject.selector;
  const { newest, read } = plans;
  const { window, toMs } = newest;
  const fromMs = Math.min(newest.fromMs, read.fromMs);
  const labels = requiredLabels(matchers);
  const rows = await query.windows({ tenant, name, window, labels, fromMs, toMs, limit: MAX_WINDOWS });
  if (rows.length >= MAX_WINDOWS) throw tooMany(`${MAX_WINDOWS} windows`);
  return evaluateWindows(expression, subject, plans, rows, state);
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
  const { times, isWhole } = await readThroughTimes(env, readers, progress, breaker === "closed");
  const throughMs = Math.min(nowMs, times.length === 0 ? 0 : Math.min(...times));
  // What is kept while Kafka is away is in no log yet.
  const isCurrent =
    throughMs >= nowMs - CURRENT_MS && isWhole && breaker === "closed" && spilled.length === 0;
  return { throughMs, isCurrent };
}

/**
 * Of each partition that is there: one that is gone holds nothing up, and one that was never read may hold anything
 * (`isWhole` is false). Where Kafka cannot be asked, what was read stands for what is there.
 */
async function readThroughTimes(
  env: Env,
  readers: readonly Pick<Subscription, "group" | "topic">[],
  progress: readonly Progress[],
  isKafkaThere: boolean,
): Promise<{ times: number[]; isWhole: boolean }> {
  const deployment = deploymentOf(env);
  const transport = openTransport(env, deployment);
  let isWhole = true;
  try {
    const times = readers.map(async ({ group, topic }) => {
      const rows = progress.filter((row) => row.group === group && row.topic === topic);
      let count = deployment.partitionCounts.known(topic, Date.now())?.count ?? Infinity;
      try {
        // No judgement waits for a Kafka that is known to be away.
        if (isKafkaThere) count = await deployment.partitionCounts.of(transport, topic, Date.now());
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
      }
      const there = rows.filter(({ partition }) => partition < count);
      isWhole &&= count === Infinity || there.length === count;
      return there.map(({ readThroughMs }) => readThroughMs);
    });
    return { times: (await Promise.all(times)).flat(), isWhole };
  } finally {
    await transport.close();
  }
}
