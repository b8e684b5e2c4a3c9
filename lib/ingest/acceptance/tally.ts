// What an isolate has accepted and not told yet: records by tenant and signal, given away in numbered deliveries. One
// that was not confirmed is given again as it was. Of each interval the keeper of the totals is told beforehand, with
// how many records it may come to, so that an isolate's death shows. Plain data, no promises: requests share it.
import type { Signal } from "../../telemetry/signal.ts";

/** More than this an isolate does not hold back willingly: at half of it a delivery is due, beyond it answers wait for one. */
export const MAX_UNREPORTED = 20_000;

/** The least that the keeper is told of an interval. */
const MIN_TOLD = 256;

/** A request that has not told its verdicts by then never will: its client went away, and it was ended. */
const ABANDONED_MS = 30_000;

/** An ended invocation may take its promise to deliver with it; after this much more another one takes over. */
const SLACK_MS = 2_000;

export interface Accepted {
  tenant: string;
  signal: Signal;
  /** Durable, in Kafka or in the spillway, and answered so. */
  accepted: number;
  /** Not answered as accepted, and yet perhaps in the log: an answer of Kafka's was lost, or the request ended early. */
  unconfirmed: number;
}

export interface AcceptanceDelivery {
  isolate: string;
  /** 1, 2, 3, …; the next is given only when this one is confirmed. */
  sequence: number;
  counts: Accepted[];
  /** Of its records, those that were answered before the keeper knew of the interval. */
  unregistered: number;
  /** Since it was first given, by the isolate's own clock. */
  ageMs: number;
  /** Requests are on their way: the next interval is open from now on, for at most so many records; 0: it is not. */
  nextAtMost: number;
}

/** An interval of which the keeper is to be told. */
export interface Opening {
  isolate: string;
  sequence: number;
  /** What the isolate may hold back in all while it is open. */
  atMost: number;
}

/** A request's records, from before they are written until their verdicts are known. */
export interface Hold {
  readonly tenant: string;
  readonly signal: Signal;
  readonly records: number;
  readonly sinceMs: number;
}

interface Interval {
  sequence: number;
  counts: Map<string, Accepted>;
  records: number;
  unregistered: number;
  /** The keeper may know of it. */
  isOpening: boolean;
  /** As confirmed by the keeper. */
  openAtMost: number;
}

interface Pending {
  delivery: Omit<AcceptanceDelivery, "ageMs" | "nextAtMost">;
  records: number;
  sinceMs: number;
}

export class AcceptanceTally {
  readonly #newId: () => string;
  /** Made at the first use: outside of requests a Worker has no randomness. */
  #isolate: string | undefined;
  #current = emptyInterval(1);
  #pending: Pending | undefined;
  readonly #holds = new Set<Hold>();
  #lastMs = Number.NEGATIVE_INFINITY;
  #promisedMs = Number.NEGATIVE_INFINITY;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  isolate(): string {
    return (this.#isolate ??= this.#newId());
  }

  /** Records of a request are about to be written. */
  hold(tenant: string, signal: Signal, records: number, nowMs: number): Hold {
    const hold = { tenant, signal, records, sinceMs: nowMs };
    this.#holds.add(hold);
    return hold;
  }

  /** What the keeper must know before records are answered as accepted; undefined: it does. */
  opening(): Opening | undefined {
    const interval = this.#current;
    const needed = this.unreported();
    if (interval.openAtMost >= needed) return undefined;
    interval.isOpening = true;
    return { isolate: this.isolate(), sequence: interval.sequence, atMost: boundOf(needed) };
  }

  /** The keeper knows. */
  opened({ sequence, atMost }: Opening): void {
    const interval = this.#current;
    if (interval.sequence === sequence) interval.openAtMost = Math.max(interval.openAtMost, atMost);
  }

  note({ tenant, signal, accepted, unconfirmed }: Accepted): void {
    if (accepted + unconfirmed === 0) return;
    const { counts } = this.#current;
    const name = `${signal}/${tenant}`;
    const sum = counts.get(name) ?? { tenant, signal, accepted: 0, unconfirmed: 0 };
    sum.accepted += accepted;
    sum.unconfirmed += unconfirmed;
    counts.set(name, sum);
    this.#current.records += accepted + unconfirmed;
  }

  /** The verdicts on a request's records are noted. */
  release(hold: Hold): void {
    this.#holds.delete(hold);
  }

  /** So many records are answered now; where the keeper does not know of the interval, the delivery tells it. */
  answered(records: number): void {
    const { openAtMost } = this.#current;
    if (openAtMost < this.unreported())
      this.#current.unregistered += Math.min(records, this.#current.records);
  }

  /** Records that this isolate's end would leave uncertain. */
  unreported(): number {
    let records = this.#current.records + (this.#pending?.records ?? 0);
    for (const hold of this.#holds) records += hold.records;
    return records;
  }

  /** A delivery should not wait for its time. */
  isPressing(): boolean {
    return this.#current.records + (this.#pending?.records ?? 0) >= MAX_UNREPORTED / 2;
  }

  /** In how many ms the caller is to deliver; undefined where there is nothing, or another has promised to. */
  promise(nowMs: number, intervalMs: number): number | undefined {
    if (!this.#pending && !this.#isDue(nowMs)) return undefined;
    if (nowMs < this.#promisedMs + SLACK_MS) return undefined;
    const waitMs = Math.min(intervalMs, Math.max(0, this.#lastMs + intervalMs - nowMs));
    this.#promisedMs = nowMs + waitMs;
    return waitMs;
  }

  /** What is to be delivered now: what is not confirmed yet, or what came since. */
  next(nowMs: number): AcceptanceDelivery | undefined {
    this.#lastMs = nowMs;
    this.#promisedMs = Number.NEGATIVE_INFINITY;
    this.#giveUpAbandoned(nowMs);
    if (!this.#pending && this.#isDue(nowMs)) {
      const { sequence, counts, records, unregistered } = this.#current;
      const delivery = { isolate: this.isolate(), sequence, counts: [...counts.values()], unregistered };
      this.#pending = { delivery, records, sinceMs: nowMs };
      this.#current = emptyInterval(sequence + 1);
    }
    if (!this.#pending) return undefined;
    const { delivery, sinceMs } = this.#pending;
    const isBusy = this.#holds.size > 0 || this.#current.records > 0;
    if (isBusy) this.#current.isOpening = true;
    const nextAtMost = isBusy ? boundOf(this.unreported()) : 0;
    return { ...delivery, ageMs: nowMs - sinceMs, nextAtMost };
  }

  /** A delivery is in the totals, or refused for good. */
  confirm({ isolate, sequence, nextAtMost }: AcceptanceDelivery): void {
    if (this.#pending?.delivery.sequence !== sequence) return;
    this.#pending = undefined;
    if (nextAtMost > 0) this.opened({ isolate, sequence: sequence + 1, atMost: nextAtMost });
  }

  /** An interval that was opened is to be closed, though nothing came of it. */
  #isDue(nowMs: number): boolean {
    const { records, isOpening } = this.#current;
    if (records > 0) return true;
    if (!isOpening) return false;
    return [...this.#holds].every(({ sinceMs }) => nowMs - sinceMs > ABANDONED_MS);
  }

  #giveUpAbandoned(nowMs: number): void {
    for (const hold of this.#holds) {
      if (nowMs - hold.sinceMs <= ABANDONED_MS) continue;
      this.#holds.delete(hold);
      this.note({ ...hold, accepted: 0, unconfirmed: hold.records });
    }
  }
}

function emptyInterval(sequence: number): Interval {
  return { sequence, counts: new Map(), records: 0, unregistered: 0, isOpening: false, openAtMost: 0 };
}

/** Twice what there is and more, so that a growing interval is told of a few times only. */
const boundOf = (records: number) => Math.max(MIN_TOLD, 2 ** Math.ceil(Math.log2(2 * records)));
