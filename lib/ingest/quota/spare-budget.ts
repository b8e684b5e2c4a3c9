// What one isolate admits while the tenant's object does not answer. Telemetry must not be lost because the limiter is
// away, so it fails open, but not without bound: each isolate gives the limit's rate, a second's worth at once, and the
// caller counts it. Over all isolates that can be more than the limit: the one exception to "never", while it lasts.
import { fullBucket, isCovered, refill, waitMs, type Bucket } from "./bucket.ts";
import { DIMENSIONS, type Amounts, type Dimension, type QuotaLimits, type Rate } from "./limits.ts";

export class SpareBudget {
  readonly #rates = new Map<Dimension, Rate>();
  readonly #buckets = new Map<Dimension, Bucket>();

  /** It is kept for as long as the limits stand: an object that comes and goes does not fill it anew. */
  constructor(limits: QuotaLimits, nowMs: number) {
    for (const dimension of DIMENSIONS) {
      const rate = limits[dimension];
      if (!rate) continue;
      const spare = { ...rate, burst: Math.max(1, Math.min(rate.burst, rate.perSecond)) };
      this.#rates.set(dimension, spare);
      this.#buckets.set(dimension, fullBucket(spare, nowMs));
    }
  }

  /** @returns undefined when it was taken, else what ran out and for how long */
  take(need: Amounts, nowMs: number): { dimension: Dimension; retryAfterMs: number } | undefined {
    for (const [dimension, bucket, rate] of this.#list()) {
      refill(bucket, rate, nowMs);
      const needed = need[dimension] ?? 0;
      if (needed > 0 && !isCovered(bucket, rate, needed)) {
        return { dimension, retryAfterMs: waitMs(bucket, rate, needed) };
      }
    }
    for (const [dimension, bucket] of this.#list()) bucket.tokens -= Math.max(0, need[dimension] ?? 0);
    return undefined;
  }

  left(): Amounts {
    const left: Amounts = {};
    for (const [dimension, { tokens }] of this.#list()) left[dimension] = Math.max(0, Math.floor(tokens));
    return left;
  }

  #list(): [Dimension, Bucket, Rate][] {
    const list: [Dimension, Bucket, Rate][] = [];
    for (const [dimension, bucket] of this.#buckets) {
      const rate = this.#rates.get(dimension);
      if (rate) list.push([dimension, bucket, rate]);
    }
    return list;
  }
}
