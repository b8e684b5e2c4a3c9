// Many isolates and one object in virtual time: calls take as long as a test says, get lost, and the object loses its
// memory. Everything runs on one queue of happenings, so that a run is the same every time.
import type { Timer } from "../../../../lib/kafka/timer.ts";
import { LeaseClient, type Taken } from "../../../../lib/ingest/quota/lease-client.ts";
import type { LeaseAnswer, LeaseAsk } from "../../../../lib/ingest/quota/lease.ts";
import type { Amounts, QuotaLimits } from "../../../../lib/ingest/quota/limits.ts";
import { TenantQuota } from "../../../../lib/ingest/quota/tenant-quota.ts";

/** What becomes of one call. */
export interface Call {
  thereMs: number;
  backMs: number;
  isAskLost: boolean;
  isAnswerLost: boolean;
}

export interface Admission {
  atMs: number;
  amounts: Amounts;
}

interface Happening {
  atMs: number;
  run: () => void;
}

export class Simulation {
  nowMs = 1_000_000;
  readonly admitted: Admission[] = [];
  readonly refused: { atMs: number; isolate: number; need: Amounts }[] = [];
  failedOpen = 0;
  asks = 0;
  writes = 0;
  readonly #isolates: { client: LeaseClient; timer: Timer }[];
  readonly #nextCall: () => Call;
  readonly #disk = new Map<string, unknown>();
  readonly #queue: Happening[] = [];
  #quota: TenantQuota;
  #lives = 0;

  /** @param clocks for each isolate, how far its clock is from the object's: whatever it likes */
  constructor(limits: QuotaLimits | null, clocks: number[], nextCall: () => Call) {
    this.#nextCall = nextCall;
    this.#quota = this.#newLife();
    this.#isolates = clocks.map((offsetMs) => {
      const timer: Timer = {
        now: () => this.nowMs + offsetMs,
        after: (ms, act) => this.at(this.nowMs + ms, act),
      };
      return { client: new LeaseClient("tenant", limits, timer.now()), timer };
    });
  }

  /** @returns what gives it up */
  at(atMs: number, run: () => void): () => void {
    const happening = { atMs, run };
    let low = 0;
    for (let high = this.#queue.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.#queue[middle]!.atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, happening);
    return () => {
      happening.run = () => {};
    };
  }

  request(atMs: number, isolate: number, need: Amounts = { requests: 1 }): void {
    this.at(atMs, () => void this.#take(isolate, need));
  }

  /** The object goes and comes back with what is on disk. */
  evict(atMs: number): void {
    this.at(atMs, () => {
      this.#quota = this.#newLife();
    });
  }

  /** What is in the bucket now. */
  left(limits: QuotaLimits): Amounts {
    return this.#quota.lease({ bucket: "tenant", limits, need: {}, extra: {}, returns: [] }, this.nowMs).left;
  }

  async run(): Promise<void> {
    for (;;) {
      const next = this.#queue.shift();
      if (!next) return;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      // As many turns as the longest chain of promises between two happenings takes, and some more.
      for (let turn = 0; turn < 24; turn++) await Promise.resolve();
    }
  }

  async #take(isolate: number, need: Amounts): Promise<void> {
    const { client, timer } = this.#isolates[isolate]!;
    // Decided at the object: then that is when it was admitted. From a lease: now.
    let decidedMs: number | undefined;
    const ask = async (asked: LeaseAsk) => await this.#call(asked, (atMs) => (decidedMs ??= atMs));
    const taken: Taken = await client.take(need, { ask, timer });
    if (taken.isFailedOpen) this.failedOpen++;
    else if (taken.isGranted) this.admitted.push({ atMs: decidedMs ?? this.nowMs, amounts: need });
    else this.refused.push({ atMs: this.nowMs, isolate, need });
    if (taken.after) await taken.after();
  }

  async #call(asked: LeaseAsk, heard: (atMs: number) => void): Promise<LeaseAnswer> {
    this.asks++;
    const call = this.#nextCall();
    const ask = structuredClone(asked);
    return await new Promise<LeaseAnswer>((resolve, reject) => {
      if (call.isAskLost) {
        this.at(this.nowMs + call.thereMs, () => reject(new Error("lost")));
        return;
      }
      this.at(this.nowMs + call.thereMs, () => {
        heard(this.nowMs);
        const answer = { ...this.#quota.lease(ask, Math.floor(this.nowMs)), state: {} };
        this.at(this.nowMs + call.backMs, () =>
          call.isAnswerLost ? reject(new Error("lost")) : resolve(answer),
        );
      });
    });
  }

  #newLife(): TenantQuota {
    const store = {
      get: (key: string) => structuredClone(this.#disk.get(key)),
      put: (key: string, value: unknown) => {
        this.writes++;
        this.#disk.set(key, structuredClone(value));
      },
    };
    return new TenantQuota(store, `life-${++this.#lives}`);
  }
}

/**
 * The ideal token bucket: admissions that it would all have let through are at most burst + rate × window in every
 * window.
 * @returns the deepest that it went below 0
 */
export function overdraft(admitted: Admission[], limits: QuotaLimits, dimension: keyof QuotaLimits): number {
  const { burst, perSecond } = limits[dimension]!;
  let tokens = burst;
  let atMs = 0;
  let deepest = 0;
  for (const one of admitted.toSorted((a, b) => a.atMs - b.atMs)) {
    tokens = Math.min(burst, tokens + ((one.atMs - atMs) * perSecond) / 1000);
    atMs = one.atMs;
    tokens -= one.amounts[dimension] ?? 0;
    deepest = Math.max(deepest, -tokens);
  }
  return deepest;
}
