// One token bucket whose tokens may be lent. The rule: tokens + lent never exceed the burst, so a refill stops while
// loans stand. Pure arithmetic, `now` is passed in. Tokens below 0 are a debt (see `isCovered`).
import { LEASE_HOLD_MS, SLICE_MS } from "./lease.ts";
import type { Rate } from "./limits.ts";

export interface Bucket {
  tokens: number;
  /** Lent and not known to be used. */
  lent: number;
  atMs: number;
  /** No loans until then: a need near to the whole burst waits, which steady loans would keep out for ever. */
  savingUntilMs: number;
}

/** What is written down, so that an object that has lost its memory has no more tokens than it had. */
export interface SavedBucket extends Rate {
  tokens: number;
}

export function fullBucket({ burst }: Rate, nowMs: number): Bucket {
  return { tokens: burst, lent: 0, atMs: nowMs, savingUntilMs: 0 };
}

export function refill(bucket: Bucket, { burst, perSecond }: Rate, nowMs: number): void {
  // A clock that was set back refills nothing.
  if (nowMs <= bucket.atMs) return;
  const flowedIn = ((nowMs - bucket.atMs) * perSecond) / 1000;
  bucket.tokens = Math.min(bucket.tokens + flowedIn, Math.max(0, burst - bucket.lent));
  bucket.atMs = nowMs;
}

/**
 * A need above the whole burst (one request's records or bytes; never requests) would never fit. It passes once the
 * bucket is half full and leaves a debt that later ones wait for: refusing it for ever would lose telemetry, and the
 * rate holds in the long run. In any window at most burst + that need + rate × window is admitted then.
 */
export function isCovered({ tokens }: Bucket, { burst }: Rate, need: number): boolean {
  return need <= (need > burst ? tokens + need - burst / 2 : tokens) + ROUNDING;
}

/** Refills are sums of fractions: 99.99999999999999 tokens are 100. */
const ROUNDING = 1e-6;

/** @returns at least 1 */
export function waitMs({ tokens }: Bucket, { burst, perSecond }: Rate, need: number): number {
  const missing = (need > burst ? burst / 2 : need) - tokens;
  return Math.max(1, Math.ceil((missing / perSecond) * 1000));
}

/**
 * How much is lent beside a need that was met: a quarter of what is above half of the burst, so that no asker empties
 * the bucket and loans alone never refuse anyone; below that a slice, so that even an exhausted tenant does not cost
 * one call a request.
 */
export function lend(bucket: Bucket, { burst, perSecond }: Rate, wanted: number, nowMs: number): number {
  if (nowMs < bucket.savingUntilMs) return 0;
  const plenty = (bucket.tokens - burst / 2) / 4;
  const slice = Math.min(bucket.tokens, (perSecond * SLICE_MS) / 1000);
  const lent = Math.floor(Math.min(wanted, Math.max(plenty, slice), burst / 2 - bucket.lent));
  if (!(lent > 0)) return 0;
  bucket.tokens -= lent;
  bucket.lent += lent;
  return lent;
}

/** A need that was refused; loans stop for it where they could be what is in its way. */
export function noteRefusal(bucket: Bucket, { burst }: Rate, need: number, nowMs: number): void {
  if (need > 1 && need > burst / 2) bucket.savingUntilMs = nowMs + 2 * LEASE_HOLD_MS;
}

/**
 * What to write down. It is less than there is: so much may be spent before the next write, at most one a second at
 * the bucket's rate.
 */
export function toSave({ tokens }: Bucket, rate: Rate): SavedBucket {
  const ahead = Math.max(rate.perSecond, rate.burst / 8);
  return { ...rate, tokens: tokens - ahead - heldBack(rate) };
}

/** Whether what stands written would give more tokens than there are. */
export function isOutrun(bucket: Bucket, saved: SavedBucket, savedAtMs: number): boolean {
  const told = saved.tokens + ((bucket.atMs - savedAtMs) * saved.perSecond) / 1000;
  return Math.min(told + heldBack(saved), saved.burst) > bucket.tokens;
}

/** While loans stand the bucket may not refill, though what is written does: for at most one hold after a grant. */
function heldBack({ perSecond }: Rate): number {
  return (perSecond * LEASE_HOLD_MS) / 1000;
}

/**
 * The bucket after a loss of memory. Loans of the life before need no account: until they end, what was written stays
 * below what was there when they were made, and that was beside them.
 */
export function restored(saved: SavedBucket, savedAtMs: number, rate: Rate, nowMs: number): Bucket {
  const flowedIn = (Math.max(0, nowMs - savedAtMs) * saved.perSecond) / 1000;
  const tokens = Math.min(saved.tokens + flowedIn, saved.burst, rate.burst);
  return { tokens, lent: 0, atMs: nowMs, savingUntilMs: 0 };
}
