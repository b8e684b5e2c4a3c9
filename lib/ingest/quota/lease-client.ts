// An isolate's side of one bucket: spends what was lent to it, and asks the object only when that runs out or runs
// old. Holds plain data, never a promise, so it may live in module scope; every call of a request goes by that
// request's own ports.
import { isWithin, type Timer } from "../../kafka/timer.ts";
import {
  LEASE_RENEW_MS,
  LEASE_SETTLE_MS,
  LEASE_USE_MS,
  SLICE_MS,
  type AskLease,
  type ClusterState,
  type LeaseAnswer,
  type LeaseReturn,
} from "./lease.ts";
import { HeldLeases } from "./held-leases.ts";
import { DIMENSIONS, type Amounts, type Dimension, type QuotaLimits } from "./limits.ts";
import { SpareBudget } from "./spare-budget.ts";

export interface LeasePorts {
  ask: AskLease;
  timer: Timer;
}

/**
 * How long an answer is waited for. An object on the other side of the earth answers within 400 ms; an answer after
 * LEASE_USE_MS would bring a lease that has ended.
 */
export const ASK_DEADLINE_MS = 500;

/** How soon a request that waits for another's answer looks for it. */
const LOOK_AGAIN_MS = 5;

/** After an ask that failed, how long the spare budget stands in before the object is asked again. */
export const FAILED_MS = 1_000;

export type Taken = (
  | { isGranted: true }
  | { isGranted: false; dimension: Dimension; retryAfterMs: number }
) & {
  /** The object did not answer, and the spare budget decided. */
  isFailedOpen: boolean;
  /** At most LEASE_USE_MS old; undefined while the object does not answer. */
  state: ClusterState | undefined;
  /** Whole tokens left, as far as this isolate knows: its own, and the bucket's when it last asked. */
  left: Amounts;
  /** Fetches the next lease, or gives the rest of this one back. To be run behind the answer. */
  after?: () => Promise<void>;
};

interface Refusal {
  sinceMs: number;
  retryAfterMs: number;
  dimension: Dimension;
  need: Amounts;
}

export class LeaseClient {
  readonly #bucket: string;
  readonly limits: QuotaLimits | null;
  readonly #spare: SpareBudget | undefined;
  readonly #held = new HeldLeases();
  /** Taken since `#sinceMs`: what the next lease is measured by. */
  #taken: Amounts = {};
  #sinceMs = 0;
  /** When the ask began that is under way; plain data, since its request may end before its answer comes. */
  #askedMs: number | undefined;
  /** Needs that came while it was, or were refused since. */
  #lined: Amounts = {};
  /** When the last answer was asked for; how much it lent, for which it is renewed before it runs out. */
  #answeredMs = Number.NEGATIVE_INFINITY;
  #lent = 0;
  #left: Amounts = {};
  #state: ClusterState | undefined;
  #refusal: Refusal | undefined;
  #failedMs = Number.NEGATIVE_INFINITY;

  constructor(bucket: string, limits: QuotaLimits | null, nowMs: number) {
    this.#bucket = bucket;
    this.limits = limits;
    this.#spare = limits ? new SpareBudget(limits, nowMs) : undefined;
  }

  /** All of the need or nothing. A refusal comes from the object itself, or is one that it gave SLICE_MS ago or so. */
  async take(need: Amounts, ports: LeasePorts): Promise<Taken> {
    const { timer } = ports;
    const sinceMs = timer.now();
    let isLined = false;
    for (;;) {
      const nowMs = timer.now();
      const taken = this.#decide(need, nowMs, ports);
      if (taken) return taken;
      if (!this.#isAsking(nowMs) || nowMs >= sinceMs + ASK_DEADLINE_MS)
        return await this.#takeThere(need, ports);
      // One call brings enough for all; its promise belongs to another request, so this one looks again by itself.
      if (!isLined) add(this.#lined, need);
      isLined = true;
      await pause(timer, LOOK_AGAIN_MS);
    }
  }

  /** By what is known here; undefined: the object is to be asked. */
  #decide(need: Amounts, nowMs: number, ports: LeasePorts): Taken | undefined {
    this.#held.expire(nowMs);
    if (this.#isFresh(nowMs) && this.#held.spend(this.#limitedPart(need))) {
      add(this.#taken, need);
      return this.#granted(this.#isDue(nowMs) ? () => this.#renew(ports) : undefined);
    }
    const refusal = this.#refusal;
    if (refusal && isWithin(refusal.sinceMs, refusal.retryAfterMs, nowMs) && isAtLeast(need, refusal)) {
      // The first to be let through again asks for the others, too.
      add(this.#lined, need);
      return this.#refused(refusal.dimension, refusal.sinceMs + refusal.retryAfterMs - nowMs);
    }
    return this.#hasFailed(nowMs) ? this.#failOpen(need, nowMs) : undefined;
  }

  async #takeThere(need: Amounts, ports: LeasePorts): Promise<Taken> {
    const { limits } = this;
    const { timer } = ports;
    const lined = this.#lined;
    const short = DIMENSIONS.filter(
      (dimension) => limits?.[dimension] && this.#held.sum(dimension) < (need[dimension] ?? 0),
    );
    const extra = this.#wanted(need, short, timer.now());
    const returns = this.#held.giveUp((dimension) => (short.includes(dimension) ? 0 : Infinity));
    const answer = await this.#ask(need, extra, returns, ports);
    if (!answer) return this.#failOpen(need, timer.now());
    if (!answer.isGranted) {
      const { dimension, retryAfterMs } = answer;
      this.#refusal = { sinceMs: timer.now(), retryAfterMs, dimension, need };
      return this.#refused(dimension, retryAfterMs);
    }
    add(this.#taken, need);
    // The object has been asked for the others' needs, too, and has no more: to ask for each would tell the same.
    const dry = DIMENSIONS.find(
      (dimension) => (lined[dimension] ?? 0) > 0 && (answer.left[dimension] ?? 1) < 1,
    );
    if (dry)
      this.#refusal = { sinceMs: timer.now(), retryAfterMs: SLICE_MS, dimension: dry, need: { [dry]: 1 } };
    return this.#granted(isLending(answer) ? () => this.#settle(answer.id, ports) : undefined);
  }

  #granted(after: (() => Promise<void>) | undefined): Taken {
    const shared = { isFailedOpen: false, state: this.#state, left: this.#known() };
    return { isGranted: true, ...shared, ...(after ? { after } : {}) };
  }

  #refused(dimension: Dimension, retryAfterMs: number): Taken {
    const left = { ...this.#known(), [dimension]: 0 };
    return { isGranted: false, dimension, retryAfterMs, isFailedOpen: false, state: this.#state, left };
  }

  #failOpen(need: Amounts, nowMs: number): Taken {
    const refusal = this.#spare?.take(need, nowMs);
    const shared = { isFailedOpen: true, state: undefined, left: this.#spare?.left() ?? {} };
    return refusal ? { isGranted: false, ...refusal, ...shared } : { isGranted: true, ...shared };
  }

  /** @returns undefined when the object failed or was late; what it may have granted then expires unused */
  async #ask(
    need: Amounts,
    extra: Amounts,
    returns: LeaseReturn[],
    { ask, timer }: LeasePorts,
  ): Promise<LeaseAnswer | undefined> {
    const sentAtMs = timer.now();
    this.#askedMs = sentAtMs;
    this.#lined = {};
    this.#taken = {};
    this.#sinceMs = sentAtMs;
    let answer: LeaseAnswer | undefined;
    try {
      const asked = ask({ bucket: this.#bucket, limits: this.limits, need, extra, returns });
      answer = await inTime(asked, timer);
    } catch {
      answer = undefined;
    }
    if (this.#askedMs === sentAtMs) this.#askedMs = undefined;
    if (!answer) {
      this.#failedMs = timer.now();
      return undefined;
    }
    this.#failedMs = Number.NEGATIVE_INFINITY;
    // One that was asked for later may have been answered sooner; one from ahead is of a clock that was set back.
    if (sentAtMs >= this.#answeredMs || timer.now() < this.#answeredMs) {
      this.#answeredMs = sentAtMs;
      this.#state = answer.state;
      this.#left = answer.left;
    }
    if (answer.isGranted) {
      this.#refusal = undefined;
      // Where less came than was wanted the bucket is low: to ask early again would bring nothing.
      const lent = answer.extra.requests ?? 0;
      this.#lent = lent < (extra.requests ?? 0) ? 0 : lent;
      if (isLending(answer)) {
        this.#held.add(answer.id, sentAtMs, answer.extra);
      }
    }
    return answer;
  }

  async #renew(ports: LeasePorts): Promise<void> {
    const nowMs = ports.timer.now();
    if (this.#isAsking(nowMs) || this.#hasFailed(nowMs)) return;
    const extra = this.#wanted({}, DIMENSIONS, nowMs);
    // What comes in while the answer is on its way is met by what is kept.
    const spanMs = Math.max(1, nowMs - this.#sinceMs);
    const perSlice = (dimension: Dimension) =>
      Math.ceil(((this.#taken[dimension] ?? 0) * 2 * SLICE_MS) / spanMs) + 1;
    const returns = this.#held.giveUp(perSlice);
    this.#held.markReplaced();
    const answer = await this.#ask({}, extra, returns, ports);
    if (answer?.isGranted && isLending(answer)) await this.#settle(answer.id, ports);
  }

  /** Gives back what a lease still holds shortly before it ends, unless the next one has been fetched. */
  async #settle(id: string, ports: LeasePorts): Promise<void> {
    const sentAtMs = this.#held.sentAtMs(id);
    if (sentAtMs === undefined) return;
    await pause(ports.timer, Math.max(0, sentAtMs + LEASE_SETTLE_MS - ports.timer.now()));
    this.#held.expire(ports.timer.now());
    const returned = this.#held.drop(id);
    if (!returned) return;
    await this.#ask({}, {}, [{ id, returned, kept: {} }], ports);
  }

  /** Nothing is due for a trickle: it asks when it needs. */
  #isDue(nowMs: number): boolean {
    if (this.#isAsking(nowMs) || this.#hasFailed(nowMs) || (this.#taken.requests ?? 0) < 2) return false;
    const isOld = nowMs >= this.#answeredMs + LEASE_RENEW_MS;
    return isOld || (this.limits !== null && this.#held.sum("requests") * 4 < this.#lent);
  }

  /**
   * As much as came in the time of one lease, but no more than twice what was seen, so that guesses stay small; and
   * what waits here for it.
   */
  #wanted(need: Amounts, dimensions: readonly Dimension[], nowMs: number): Amounts {
    const extra: Amounts = {};
    const spanMs = Math.max(1, nowMs - this.#sinceMs);
    for (const dimension of dimensions) {
      if (!this.limits?.[dimension]) continue;
      const taken = this.#taken[dimension] ?? 0;
      const expected = Math.min((taken * LEASE_USE_MS) / spanMs, 2 * taken);
      const wanted = Math.floor(Math.max(expected, this.#lined[dimension] ?? 0));
      if (wanted > (need[dimension] ?? 0)) extra[dimension] = wanted - (need[dimension] ?? 0);
    }
    return extra;
  }

  #hasFailed(nowMs: number): boolean {
    return isWithin(this.#failedMs, FAILED_MS, nowMs);
  }

  #isAsking(nowMs: number): boolean {
    return this.#askedMs !== undefined && isWithin(this.#askedMs, ASK_DEADLINE_MS, nowMs);
  }

  /** A lease also carries the state, so that without a fresh answer nothing passes, limited or not. */
  #isFresh(nowMs: number): boolean {
    return isWithin(this.#answeredMs, LEASE_USE_MS, nowMs);
  }

  #limitedPart(need: Amounts): Amounts {
    const part: Amounts = {};
    for (const dimension of DIMENSIONS) {
      const amount = need[dimension] ?? 0;
      if (amount > 0 && this.limits?.[dimension]) part[dimension] = amount;
    }
    return part;
  }

  #known(): Amounts {
    const left: Amounts = {};
    for (const dimension of DIMENSIONS) {
      if (this.limits?.[dimension])
        left[dimension] = (this.#left[dimension] ?? 0) + this.#held.sum(dimension);
    }
    return left;
  }
}

function isLending({ extra }: LeaseAnswer & { isGranted: true }): boolean {
  return Object.keys(extra).length > 0;
}

function add(sum: Amounts, need: Amounts): void {
  for (const dimension of DIMENSIONS) {
    const amount = need[dimension] ?? 0;
    if (amount > 0) sum[dimension] = (sum[dimension] ?? 0) + amount;
  }
}

async function pause(timer: Timer, ms: number): Promise<void> {
  await new Promise<void>((resolve) => void timer.after(ms, resolve));
}

/** @returns undefined when ASK_DEADLINE_MS come first */
async function inTime(asked: Promise<LeaseAnswer>, timer: Timer): Promise<LeaseAnswer | undefined> {
  let giveUp: (() => void) | undefined;
  const late = new Promise<undefined>((resolve) => {
    giveUp = timer.after(ASK_DEADLINE_MS, () => resolve(undefined));
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    giveUp?.();
  }
}

/** Whether a need is no smaller than one that was refused, and so cannot be met before it. */
function isAtLeast(need: Amounts, { dimension, need: refused }: Refusal): boolean {
  return (need[dimension] ?? 0) >= (refused[dimension] ?? 0);
}
