// The breaker before Kafka: pure arithmetic on plain data that can be written down; clock and chance are passed in.
// Closed it lets everything through and counts; it opens when calls fail, lets nothing through for a time that doubles
// with each failed trial, and is half-open then: one probe at a time. A success closes it.
import { z } from "zod";
import { isWithin } from "./timer.ts";

export const BREAKER_PHASES = ["closed", "open", "half-open"] as const;
export type BreakerPhase = (typeof BREAKER_PHASES)[number];

/** Calls within this time are judged together. */
export const WINDOW_MS = 10_000;
const SLOT_MS = 1_000;
/** Opens at this many failures in the window, and this share of its calls. */
export const MIN_FAILURES = 3;
const MIN_SHARE = 0.5;
/** How long it stays open at most: the first time, and after many failed trials. */
export const FIRST_OPEN_MS = 1_000;
export const MAX_OPEN_MS = 10_000;
/** And at least, whatever chance says. */
export const MIN_OPEN_MS = 100;
/** A probe that has not told how it went by then is given up, and another one may go. */
export const PROBE_LEASE_MS = 15_000;
/** Whoever meets another's probe asks again so soon, since most end at once. */
export const PROBE_WAIT_MS = 250;

const count = z.number().int().min(0);

export const breakerShape = z.object({
  v: z.literal(1),
  isOpen: z.boolean(),
  /** While open: when the first probe may go. */
  retryAtMs: z.number(),
  /** How long it was open at most the last time; 0: it is closed. */
  openMs: z.number(),
  /** Until when a probe is under way; 0: none is. */
  probeUntilMs: z.number(),
  /** Calls by second, oldest first; only while closed. */
  slots: z.array(z.object({ atMs: z.number(), ok: count, failed: count })),
});

export type Breaker = z.infer<typeof breakerShape>;

export interface CallReport {
  ok: number;
  failed: number;
}

/** Whether a call may be made; if not, when to ask again. */
export type Permission = { ok: true } | { ok: false; waitMs: number };

export function closedBreaker(): Breaker {
  return { v: 1, isOpen: false, retryAtMs: 0, openMs: 0, probeUntilMs: 0, slots: [] };
}

export function phaseOf({ isOpen, retryAtMs }: Breaker, nowMs: number): BreakerPhase {
  if (!isOpen) return "closed";
  return isAhead(retryAtMs, MAX_OPEN_MS, nowMs) ? "open" : "half-open";
}

/** A time further ahead than it was ever set was told by a clock that has been set back since. */
function isAhead(atMs: number, spanMs: number, nowMs: number): boolean {
  return nowMs < atMs && atMs <= nowMs + spanMs;
}

/** Whether a call may go now; while half-open it is the one probe. */
export function askToTry(breaker: Breaker, nowMs: number): { breaker: Breaker; answer: Permission } {
  if (!breaker.isOpen) return { breaker, answer: { ok: true } };
  if (isAhead(breaker.retryAtMs, MAX_OPEN_MS, nowMs))
    return { breaker, answer: { ok: false, waitMs: Math.ceil(breaker.retryAtMs - nowMs) } };
  if (isAhead(breaker.probeUntilMs, PROBE_LEASE_MS, nowMs)) {
    const leftMs = Math.ceil(breaker.probeUntilMs - nowMs);
    return { breaker, answer: { ok: false, waitMs: Math.min(PROBE_WAIT_MS, leftMs) } };
  }
  return { breaker: { ...breaker, probeUntilMs: nowMs + PROBE_LEASE_MS }, answer: { ok: true } };
}

/** How calls went, whoever made them. @param random from [0, 1) */
export function noteCalls(
  breaker: Breaker,
  { ok, failed }: CallReport,
  nowMs: number,
  random: number,
): Breaker {
  if (ok <= 0 && failed <= 0) return breaker;
  const isFailure = failed > 0 && failed >= MIN_SHARE * (ok + failed);
  if (breaker.isOpen) {
    // With a failure beside it a success may be of the time before it opened.
    if (failed === 0) return closedBreaker();
    // Stragglers of the calls that opened it tell nothing new.
    return phaseOf(breaker, nowMs) === "open" ? breaker : opened(breaker, nowMs, random);
  }
  const slots = withCalls(breaker.slots, { ok, failed }, nowMs);
  const sums = { ok: 0, failed: 0 };
  for (const slot of slots) {
    sums.ok += slot.ok;
    sums.failed += slot.failed;
  }
  const isFailing = sums.failed >= MIN_FAILURES && sums.failed >= MIN_SHARE * (sums.ok + sums.failed);
  // What succeeds at this moment is no reason to stop.
  return isFailing && isFailure ? opened(breaker, nowMs, random) : { ...breaker, slots };
}

/**
 * Calls that went well, until a failure is told: told alone it would look as if half of all calls failed where half of
 * one request's did.
 */
export class UntoldCalls {
  #ok = 0;
  #sinceMs = 0;

  /** @returns what is to be told; undefined: nothing is */
  reportOf({ ok, failed }: CallReport, isClosed: boolean, nowMs: number): CallReport | undefined {
    if (!isWithin(this.#sinceMs, WINDOW_MS, nowMs)) {
      this.#ok = 0;
      this.#sinceMs = nowMs;
    }
    if (isClosed) this.#ok += ok;
    if (isClosed && failed === 0) return undefined;
    if (ok === 0 && failed === 0) return undefined;
    const report = { ok: isClosed ? this.#ok : ok, failed };
    this.#ok = 0;
    return report;
  }
}

function opened({ openMs }: Breaker, nowMs: number, random: number): Breaker {
  const longest = Math.min(MAX_OPEN_MS, openMs === 0 ? FIRST_OPEN_MS : openMs * 2);
  const retryAtMs = nowMs + Math.max(MIN_OPEN_MS, Math.round(random * longest));
  return { v: 1, isOpen: true, retryAtMs, openMs: longest, probeUntilMs: 0, slots: [] };
}

function withCalls(slots: Breaker["slots"], { ok, failed }: CallReport, nowMs: number): Breaker["slots"] {
  const atMs = Math.floor(nowMs / SLOT_MS) * SLOT_MS;
  // A clock that was set back begins anew.
  const kept = slots.filter((slot) => slot.atMs > nowMs - WINDOW_MS && slot.atMs <= atMs);
  const last = kept.at(-1);
  if (last?.atMs !== atMs) return [...kept, { atMs, ok, failed }];
  return [...kept.slice(0, -1), { atMs, ok: last.ok + ok, failed: last.failed + failed }];
}
