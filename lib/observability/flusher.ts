// Gives away what an isolate counted, in numbered deliveries. One that was not confirmed is given again under its number,
// as it was, so that whoever keeps the totals can tell it from a new one. Plain data, no promises: requests share it.
import type { Counts } from "./counts.ts";
import type { Registry } from "./registry.ts";

export interface Flush {
  isolate: string;
  /** 1, 2, 3, …; the next is given only when this one is confirmed. */
  sequence: number;
  counts: Counts;
}

/** Half of the time for which an isolate's number is remembered (stored-totals.ts): later it could be added twice. */
const GIVE_UP_MS = 30 * 60_000;

/** An ended invocation may take its promise to flush with it; after this much more another one takes over. */
const SLACK_MS = 2_000;

export class Flusher {
  readonly #registry: Registry;
  readonly #newId: () => string;
  /** Made at the first use: outside of requests a Worker has no randomness. */
  #isolate: string | undefined;
  #sequence = 0;
  #pending: { flush: Flush; sinceMs: number } | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #promisedMs = Number.NEGATIVE_INFINITY;

  constructor(registry: Registry, newId: () => string) {
    this.#registry = registry;
    this.#newId = newId;
  }

  isolate(): string {
    return (this.#isolate ??= this.#newId());
  }

  /** In how many ms the caller is to flush; undefined where there is nothing, or another has promised to. */
  promise(nowMs: number, intervalMs: number): number | undefined {
    if (!this.#pending && this.#registry.isEmpty()) return undefined;
    if (nowMs < this.#promisedMs + SLACK_MS) return undefined;
    const waitMs = Math.min(intervalMs, Math.max(0, this.#lastMs + intervalMs - nowMs));
    this.#promisedMs = nowMs + waitMs;
    return waitMs;
  }

  /** What is to be delivered now: the one not confirmed yet, or what has been counted since. */
  next(nowMs: number): Flush | undefined {
    this.#lastMs = nowMs;
    this.#promisedMs = Number.NEGATIVE_INFINITY;
    if (this.#pending && nowMs - this.#pending.sinceMs > GIVE_UP_MS) {
      this.#pending = undefined;
      this.#registry.count("weir_edge_flushes_lost_total", {});
    }
    if (!this.#pending && !this.#registry.isEmpty()) {
      const flush = { isolate: this.isolate(), sequence: ++this.#sequence, counts: this.#registry.take() };
      this.#pending = { flush, sinceMs: nowMs };
    }
    return this.#pending?.flush;
  }

  /** The delivery of this number is in the totals. */
  confirm(sequence: number): void {
    if (this.#pending?.flush.sequence === sequence) this.#pending = undefined;
  }
}
