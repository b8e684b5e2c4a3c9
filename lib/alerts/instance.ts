// One alert of a rule: its labels and where it stands. Pure: the time is passed in, and one step goes from what was to
// what is. inactive → pending (while `for` runs) → firing → inactive, which is told as resolved.
import { shortHash } from "../telemetry/short-hash.ts";

export type InstanceState = "inactive" | "pending" | "firing";
/** What is recorded. From `pending` it goes back to `inactive`, from `firing` to `resolved`. */
export type TransitionState = "pending" | "firing" | "resolved" | "inactive";

export interface AlertInstance {
  rule: string;
  /** Of the labels. */
  fingerprint: string;
  labels: Record<string, string>;
  state: InstanceState;
  /** Since when it is in this state. */
  sinceMs: number;
  /** Since when the condition holds, or held last. */
  activeMs: number;
  value: number;
  /** Of the newest violation that was judged: nanoseconds as text. It makes no alert a second time. */
  seenViolation: string | null;
  /** When notifiers were last told that it fires; null: they were not. */
  toldMs: number | null;
  /** The number of its last transition, which is the version of the judgement that made it. */
  n: number;
  /** Of the rule as it was then; absent: of a rule that never began anew. */
  begun?: number;
}

/** What a rule's condition came to for one set of labels. */
export interface Observation {
  labels: Record<string, string>;
  value: number;
  isViolated: boolean;
  /** Of rules on raw values: the newest violation that went into it. */
  violation?: string | null;
}

export interface Step {
  after: AlertInstance;
  transition: TransitionState | undefined;
}

/** How long an alert that is over is remembered, and how old a violation may be that comes late. */
export const MEMORY_MS = 3_600_000;

/**
 * @param observation undefined: nothing is known, so nothing changes
 * @returns undefined where there is no alert and there was none
 */
export function step(
  rule: string,
  before: AlertInstance | undefined,
  observation: Observation | undefined,
  forMs: number,
  nowMs: number,
): Step | undefined {
  if (!observation) return before && { after: before, transition: undefined };
  const { labels, value, isViolated } = observation;
  if (!before && !isViolated) return undefined;
  const known: AlertInstance = before ?? {
    rule,
    fingerprint: fingerprintOf(labels),
    labels,
    state: "inactive",
    sinceMs: nowMs,
    activeMs: nowMs,
    value,
    seenViolation: null,
    toldMs: null,
    n: 0,
  };
  const seenViolation = laterOf(known.seenViolation, observation.violation ?? null);
  // A clock that was set back must not make it wait for ever.
  const now = { ...known, value, seenViolation, activeMs: Math.min(known.activeMs, nowMs) };
  const enter = (state: InstanceState, transition: TransitionState, activeMs: number): Step => ({
    after: { ...now, state, sinceMs: nowMs, activeMs, toldMs: state === "firing" ? null : now.toldMs },
    transition,
  });
  switch (known.state) {
    case "inactive":
      if (!isViolated) return { after: { ...known, seenViolation }, transition: undefined };
      return forMs > 0 ? enter("pending", "pending", nowMs) : enter("firing", "firing", nowMs);
    case "pending":
      if (!isViolated) return enter("inactive", "inactive", now.activeMs);
      return nowMs - now.activeMs >= forMs
        ? enter("firing", "firing", now.activeMs)
        : { after: now, transition: undefined };
    case "firing":
      return isViolated ? { after: now, transition: undefined } : enter("inactive", "resolved", now.activeMs);
  }
}

/** Whether it is an alert of the rule as it is now. */
export function isOfRule({ begun = 1 }: AlertInstance, rule: { begun: number }): boolean {
  return begun === rule.begun;
}

/** Whether an alert that is over may be forgotten: nothing that it has seen can be met again. */
export function isForgotten({ state, sinceMs, seenViolation }: AlertInstance, nowMs: number): boolean {
  const seenMs = seenViolation === null ? 0 : nanosToMs(seenViolation);
  return state === "inactive" && Math.max(sinceMs, seenMs) < nowMs - MEMORY_MS;
}

/** 32 hexadecimal digits, the same for the same labels in whatever order. */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return shortHash(JSON.stringify(entries)).key;
}

/** The later of two times in nanoseconds. */
export function laterOf(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return BigInt(a) >= BigInt(b) ? a : b;
}

export function nanosToMs(nanos: string): number {
  return Number(BigInt(nanos) / 1_000_000n);
}
