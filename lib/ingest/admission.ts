// The gate before the bodies: an isolate has 128 MB for all its requests, so what is in flight is weighed, and a
// request that does not fit is told to come again (503 `overloaded`) instead of bringing the others down with it.
import { MAX_BODY_BYTES } from "../telemetry/limits.ts";

/** Of the 128 MB; the rest is the program, the caches, and the one body that is being decoded at a time. */
const MAX_WEIGHT = 48 * 1024 * 1024;

/** A decoded body with what is made of it: 10 MiB of JSON took 37 MB at worst (limits.ts), messages come beside it. */
const DECODED_FACTOR = 4;

/**
 * A request whose client went away may end without a word, its `leave` never called. No body takes longer to read and
 * produce than this.
 */
const MAX_STAY_MS = 60_000;

export interface Ticket {
  /**
   * Says how many bytes the decoded body has.
   * @returns false when that does not fit beside the others: answer `overloaded`, and drop the body
   */
  weigh(decodedBytes: number): boolean;
  /** When everything of the request is done. A second time does nothing. */
  leave(): void;
}

export class AdmissionGate {
  readonly #maxWeight: number;
  readonly #now: () => number;
  readonly #inside = new Map<Ticket, { weight: number; sinceMs: number }>();
  #weight = 0;

  constructor(now: () => number, maxWeight = MAX_WEIGHT) {
    this.#now = now;
    this.#maxWeight = maxWeight;
  }

  /**
   * @param bytesExpected Content-Length; undefined (chunked) counts as the largest body there may be
   * @returns undefined: overloaded. A request that would be alone always gets in.
   */
  enter(bytesExpected: number | undefined): Ticket | undefined {
    const weight = Math.min(bytesExpected ?? MAX_BODY_BYTES, MAX_BODY_BYTES);
    if (!this.#fits(weight)) return undefined;
    const ticket: Ticket = {
      weigh: (decodedBytes) => this.#weigh(ticket, decodedBytes * DECODED_FACTOR),
      leave: () => this.#leave(ticket),
    };
    this.#inside.set(ticket, { weight, sinceMs: this.#now() });
    this.#weight += weight;
    return ticket;
  }

  /** Bytes in flight, weighed. */
  get weight(): number {
    return this.#weight;
  }

  #weigh(ticket: Ticket, weight: number): boolean {
    const held = this.#inside.get(ticket);
    // Swept out as too old: it is not counted any more, and may end as it is.
    if (!held) return true;
    const before = held.weight;
    this.#weight -= before;
    held.weight = 0;
    const isFit = this.#inside.size === 1 || this.#fits(weight);
    held.weight = isFit ? weight : before;
    this.#weight += held.weight;
    return isFit;
  }

  #fits(weight: number): boolean {
    if (this.#weight + weight > this.#maxWeight) this.#sweep();
    return this.#inside.size === 0 || this.#weight + weight <= this.#maxWeight;
  }

  #sweep(): void {
    const nowMs = this.#now();
    for (const [ticket, { sinceMs }] of this.#inside) {
      if (nowMs - sinceMs < MAX_STAY_MS) return;
      this.#leave(ticket);
    }
  }

  #leave(ticket: Ticket): void {
    this.#weight -= this.#inside.get(ticket)?.weight ?? 0;
    this.#inside.delete(ticket);
  }
}

/** The isolate's own. */
export const admission = new AdmissionGate(() => Date.now());
