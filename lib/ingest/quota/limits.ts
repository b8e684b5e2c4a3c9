// What a tenant or a key may spend, in each dimension: so much at once (burst), and so much a second.

export const DIMENSIONS = ["requests", "records", "bytes"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** How much of each dimension; what is not named is 0. */
export type Amounts = Partial<Record<Dimension, number>>;

/** A token bucket's size, and what flows into it. */
export interface Rate {
  burst: number;
  perSecond: number;
}

/** A dimension that is not named has no limit. */
export type QuotaLimits = Partial<Record<Dimension, Rate>>;

/** As an operator states it. Records and bytes have the window of the requests: burst ÷ requestsPerSecond. */
export interface QuotaOptions {
  requestsPerSecond: number;
  /** Requests at once. */
  burst: number;
  recordsPerSecond?: number | undefined;
  bytesPerSecond?: number | undefined;
}

/** Contract: 1,000 at once and 100 a second. */
export const DEFAULT_QUOTA: QuotaOptions = { requestsPerSecond: 100, burst: 1_000 };

/** @throws RangeError when a number is not above 0, or the burst is below one request: nothing would ever pass */
export function quotaLimits(options: QuotaOptions): QuotaLimits {
  const { requestsPerSecond, burst, recordsPerSecond, bytesPerSecond } = options;
  for (const value of [requestsPerSecond, burst - 1 + Number.MIN_VALUE, recordsPerSecond, bytesPerSecond]) {
    if (value !== undefined && !(value > 0 && Number.isFinite(value))) {
      throw new RangeError(
        `a quota's rates must be above 0 and its burst at least 1: ${JSON.stringify(options)}`,
      );
    }
  }
  const windowSeconds = burst / requestsPerSecond;
  const limits: QuotaLimits = { requests: { burst, perSecond: requestsPerSecond } };
  for (const [dimension, perSecond] of [
    ["records", recordsPerSecond],
    ["bytes", bytesPerSecond],
  ] as const) {
    if (perSecond !== undefined) {
      limits[dimension] = { burst: Math.max(1, perSecond * windowSeconds), perSecond };
    }
  }
  return limits;
}

export function isSameLimits(a: QuotaLimits | null, b: QuotaLimits | null): boolean {
  if (a === null || b === null) return a === b;
  return DIMENSIONS.every(
    (dimension) =>
      a[dimension]?.burst === b[dimension]?.burst && a[dimension]?.perSecond === b[dimension]?.perSecond,
  );
}
