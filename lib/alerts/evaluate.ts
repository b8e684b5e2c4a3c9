// What a rule's condition comes to, from data that was read for it. Pure. What is not known is said to be not known: an
// alert neither fires nor resolves because a reader stands still.
import {
  holds,
  isMatched,
  groupLabels,
  type DeploymentSubject,
  type Expression,
  type Selector,
} from "./expression.ts";
import {
  fingerprintOf,
  laterOf,
  MEMORY_MS,
  nanosToMs,
  type AlertInstance,
  type Observation,
} from "./instance.ts";

export interface Evaluation {
  observations: Observation[];
  /** Whether an alert that has no observation has ceased; else nothing is known of it. */
  isComplete: boolean;
  /** Why it could not be told; absent: it could. */
  fault?: string;
}

/** A series without a new value for so long no longer violates anything. */
export const STALE_MS = 5 * 60_000;

/** Alerts of one rule. A rule with more is to be grouped. */
export const MAX_INSTANCES = 1_000;

/** Fits AlertSample of lib/storage. */
export interface SeriesSample {
  labels: Record<string, string>;
  /** Nanoseconds since the epoch. */
  time: string;
  value: number;
  violatedTime: string | null;
  violatedValue: number | null;
}

/** What the rules' reader has read. */
export interface ReadState {
  /** All that was received before this is known. */
  throughMs: number;
  /** Whether that is as new as it should be. */
  isCurrent: boolean;
}

/** A rule on raw values: by the newest point of each series, and by violations since the judgement before. */
export function evaluateSamples(
  { by, condition }: Expression,
  samples: readonly SeriesSample[],
  instances: ReadonlyMap<string, AlertInstance>,
  { throughMs, isCurrent }: ReadState,
  nowMs: number,
): Evaluation {
  const groups = new Map<string, Observation>();
  for (const { labels: all, time, value, violatedTime, violatedValue } of samples) {
    const labels = groupLabels(by, all);
    const fingerprint = fingerprintOf(labels);
    const seen = instances.get(fingerprint)?.seenViolation ?? null;
    const isStale = nanosToMs(time) < Math.min(throughMs, nowMs) - STALE_MS;
    const isNow =
      !isStale && condition !== undefined && holds(condition.comparison, value, condition.threshold);
    const isSpike =
      violatedTime !== null &&
      (seen === null || BigInt(violatedTime) > BigInt(seen)) &&
      nanosToMs(violatedTime) >= nowMs - MEMORY_MS;
    const one: Observation = {
      labels,
      value: isSpike && !isNow ? (violatedValue ?? value) : value,
      isViolated: isNow || isSpike,
      violation: violatedTime,
    };
    const known = groups.get(fingerprint);
    groups.set(fingerprint, known ? joined(known, one) : one);
  }
  return { observations: [...groups.values()], isComplete: isCurrent };
}

/** A group violates where one of its series does, and has that one's value. */
function joined(a: Observation, b: Observation): Observation {
  const shown = b.isViolated && !a.isViolated ? b : a;
  return { ...shown, violation: laterOf(a.violation ?? null, b.violation ?? null) };
}

/**
 * Absence, by the newest point of each group. The value is for how many seconds nothing came.
 * @param sinceMs from when on it can be known: the rule was made then
 */
export function evaluateAbsence(
  { by }: Expression,
  rangeMs: number,
  samples: readonly Pick<SeriesSample, "labels" | "time">[],
  { throughMs, isCurrent }: ReadState,
  sinceMs: number,
): Evaluation {
  const groups = new Map<string, { labels: Record<string, string>; newestMs: number }>();
  // Without any reading not even presence is known.
  if (throughMs === 0) return { observations: [], isComplete: false };
  // Without groups the metric as a whole is looked for, which may never have been there.
  const groupBy = by ?? [];
  if (groupBy.length === 0) groups.set(fingerprintOf({}), { labels: {}, newestMs: sinceMs });
  for (const { labels: all, time } of samples) {
    const labels = groupLabels(groupBy, all);
    const fingerprint = fingerprintOf(labels);
    const newestMs = Math.max(groups.get(fingerprint)?.newestMs ?? 0, nanosToMs(time));
    groups.set(fingerprint, { labels, newestMs });
  }
  const observations = [...groups.values()].map(({ labels, newestMs }): Observation => {
    const awayMs = Math.max(0, throughMs - newestMs);
    return { labels, value: Math.floor(awayMs / 1_000), isViolated: awayMs >= rangeMs };
  });
  // Whoever has not read the newest cannot say that it is not there; that it is there he can.
  return { observations: observations.filter((one) => isCurrent || !one.isViolated), isComplete: isCurrent };
}

/** What the deployment tells of itself; null: it could not be asked. */
export interface DeploymentFacts {
  /** By group; null where a partition could not be asked. */
  lag(): Promise<{ group: string; lag: number | null }[] | null>;
  deadLetters(rangeMs: number): Promise<number | null>;
  produceP99Ms(): Promise<number | null>;
  /** 0: it is empty. */
  spillAgeMs(): Promise<number | null>;
}

export async function evaluateDeployment(
  { condition }: Expression,
  subject: DeploymentSubject,
  facts: DeploymentFacts,
): Promise<Evaluation> {
  const observations: Observation[] = [];
  let isComplete = true;
  const add = (labels: Record<string, string>, value: number | null) => {
    if (value === null || !condition) isComplete = false;
    else
      observations.push({
        labels,
        value,
        isViolated: holds(condition.comparison, value, condition.threshold),
      });
  };
  switch (subject.kind) {
    case "lag": {
      const lags = await facts.lag();
      for (const { group, lag } of lags ?? []) if (isOfGroup(group, subject.group)) add({ group }, lag);
      isComplete &&= lags !== null;
      break;
    }
    case "dead_letters":
      add({}, await facts.deadLetters(subject.rangeMs));
      break;
    case "produce_p99":
      add({}, await facts.produceP99Ms());
      break;
    case "spill_age":
      add({}, await facts.spillAgeMs());
      break;
  }
  return { observations, isComplete };
}

/** A group that began anew reads as `name@epoch`. */
function isOfGroup(reader: string, group: string | undefined): boolean {
  return group === undefined || reader === group || reader.startsWith(`${group}@`);
}

export function isSelected(
  selector: Selector,
  name: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return name === selector.name && isMatched(selector.matchers, labels);
}
