// One judgement of a tenant's alert rules, and who is woken to judge. Two judgements may overlap: they are made from one
// version, and the store records one of them. Sending is alert-delivery.ts's.
import type { Evaluation, ReadState } from "../lib/alerts/evaluate.ts";
import { isOfRule, type AlertInstance } from "../lib/alerts/instance.ts";
import { isEmpty, judge, type JudgedRule } from "../lib/alerts/judge.ts";
import { histogramsId } from "../lib/alerts/observe.ts";
import type { ProduceLatency } from "../lib/alerts/produce-latency.ts";
import { DEPLOYMENT, samplesId } from "../lib/alerts/rule.ts";
import type { Silence } from "../lib/alerts/silence.ts";
import { logger } from "../lib/observability/logger.ts";
import { D1AlertState } from "../lib/storage/d1-alert-state.ts";
import { D1Alerts } from "../lib/storage/d1-alerts.ts";
import type { AlertOwner } from "./objects/alert-owner.ts";
import { evaluateRule, metricsReadState, type RuleReading } from "./alert-evaluate.ts";
import { deploymentFacts } from "./alert-facts.ts";
import { faultOf, noteFaults } from "./alert-faults.ts";
import { isDefault, judgedRules } from "./alert-rules.ts";
import { alertSamples, pruneAlertSamples } from "./alert-samples.ts";
import { deploymentOf } from "./deployment.ts";
import { queryStoreOf } from "./storage.ts";

/** Rules that are evaluated at a time. */
const AT_ONCE = 4;

/** Silences that are looked at; a tenant has fewer. */
const MAX_SILENCES = 1_000;

export interface TickOptions {
  nowMs: number;
  /** Of the object that judges, for as long as it lives. */
  latency: ProduceLatency;
  context: Pick<ExecutionContext, "waitUntil">;
}

export interface TickResult {
  outcome: "recorded" | "fenced" | "unchanged";
  transitions: number;
  /** Whether there is anything to judge. */
  hasRules: boolean;
}

/** @throws StorageError */
export async function judgeTenant(env: Env, tenant: string, options: TickOptions): Promise<TickResult> {
  const { nowMs } = options;
  const state = new D1AlertState(env.DB);
  const alerts = new D1Alerts(env.DB);
  // Before all else that is read: what changes after it is fenced off.
  const version = await state.version(tenant);
  const [known, instances, silences, notifiers] = await Promise.all([
    judgedRules(env, tenant),
    state.instances(tenant) as Promise<AlertInstance[]>,
    alerts.silences(tenant, nowMs, MAX_SILENCES),
    alerts.notifiers(tenant),
  ]);
  const withAlerts = new Set(instances.map(({ rule }) => rule));
  // A default that was deleted has a row that stays, and is of interest while it has alerts.
  const rules = known.filter(({ id, isDeleted }) => !isDeleted || !isDefault(id) || withAlerts.has(id));
  const { evaluations, faults } = await evaluateAll(env, tenant, rules, instances, options);
  const judgement = judge({
    version: version + 1,
    nowMs,
    rules,
    evaluations,
    instances,
    silences: silences as ((typeof silences)[number] & Silence)[],
    notifiers: notifiers.map(({ id }) => id),
  });
  const hasRules = instances.length > 0 || rules.some(({ isEnabled, isDeleted }) => isEnabled || isDeleted);
  const result = { transitions: judgement.transitions.length, hasRules };
  const outcome = isEmpty(judgement)
    ? "unchanged"
    : await state.record(tenant, { from: version, to: version + 1 }, judgement, nowMs);
  await noteFaults(alerts, rules, faults, nowMs);
  if (outcome === "recorded")
    for (const { id, name, state: to } of judgement.transitions)
      if (to === "firing" || to === "resolved") logger.info(`alert_${to}`, { tenant, alert: id, name });
  return { ...result, outcome };
}

async function evaluateAll(
  env: Env,
  tenant: string,
  rules: readonly JudgedRule[],
  instances: readonly AlertInstance[],
  { nowMs, latency, context }: TickOptions,
): Promise<{ evaluations: Map<string, Evaluation>; faults: Map<string, string | undefined> }> {
  const query = queryStoreOf(env);
  const states = new Map<string, Promise<ReadState>>();
  const reading: RuleReading = {
    query,
    samples: (rule, limit) => alertSamples(env, tenant, [samplesId(rule)], limit + 1),
    hasHistograms: async (rule) => (await alertSamples(env, tenant, [histogramsId(rule)], 1)).length > 0,
    readState(does) {
      const asked = states.get(does) ?? metricsReadState(env, does, nowMs);
      states.set(does, asked);
      return asked;
    },
    facts: deploymentFacts(env, context, latency, nowMs),
    nowMs,
  };
  const evaluations = new Map<string, Evaluation>();
  const faults = new Map<string, string | undefined>();
  const waiting = rules.filter(({ isDeleted, isEnabled }) => isEnabled && !isDeleted);
  const work = async () => {
    for (let rule = waiting.shift(); rule; rule = waiting.shift()) {
      const { id } = rule;
      const own = instances.filter((one) => one.rule === id && isOfRule(one, rule));
      try {
        const byFingerprint = new Map(own.map((one) => [one.fingerprint, one]));
        const evaluation = await evaluateRule(env, rule, byFingerprint, reading);
        evaluations.set(id, evaluation);
        faults.set(id, evaluation.fault);
      } catch (error) {
        faults.set(id, faultOf(error));
        // One rule that cannot be evaluated leaves the others alone; its alerts stay as they are.
        logger.warn("alert_rule_failed", { tenant, rule: id, message: messageOf(error) });
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    query.close();
  }
  return { evaluations, faults };
}

export function alertOwnerOf(env: Env, tenant: string): DurableObjectStub<AlertOwner> {
  return env.ALERT_OWNER.getByName(tenant);
}

/** History and silences that are over are kept for so long. */
const HISTORY_MS = 90 * 86_400_000;
/** Series that nothing came of for so long are forgotten. */
const SAMPLES_MS = 7 * 86_400_000;
const PRUNE_LIMIT = 5_000;
const PRUNE_EVERY_MINUTES = 10;
const PRUNE_MINUTE = 3;

/** The cron's call: whoever has rules judges them, whatever alarms were lost. Never throws. */
export async function wakeAlerts(env: Env, now = () => Date.now()): Promise<void> {
  try {
    if (deploymentOf(env).config.ALERTING === "off") return;
    const state = new D1AlertState(env.DB);
    const tenants = new Set([DEPLOYMENT, ...(await state.tenants())]);
    await Promise.all([...tenants].map((tenant) => wakeOwner(env, tenant)));
    if (new Date(now()).getUTCMinutes() % PRUNE_EVERY_MINUTES !== PRUNE_MINUTE) return;
    await state.prune(now() - HISTORY_MS, PRUNE_LIMIT);
    await pruneAlertSamples(env, now() - SAMPLES_MS, PRUNE_LIMIT);
  } catch (error) {
    logger.error("alerts_not_woken", { message: messageOf(error) });
  }
}

/** Has a tenant's rules judged now. Never throws: the cron does it again. */
export async function wakeOwner(env: Env, tenant: string): Promise<void> {
  if (deploymentOf(env).config.ALERTING === "off") return;
  try {
    await alertOwnerOf(env, tenant).wake(tenant);
  } catch (error) {
    logger.warn("wake_failed", { alerts_of: tenant, message: messageOf(error) });
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
