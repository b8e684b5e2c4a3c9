// The keeper of one tenant's buckets: grants what a request needs, lends more beside it, and never has more to give
// than the limits allow, even after a loss of memory.
import { z } from "zod";
import {
  fullBucket,
  isCovered,
  isOutrun,
  lend,
  noteRefusal,
  refill,
  restored,
  toSave,
  waitMs,
  type Bucket,
  type SavedBucket,
} from "./bucket.ts";
import { LEASE_HOLD_MS, SLICE_MS, type Grant, type LeaseAsk, type LeaseReturn } from "./lease.ts";
import { DIMENSIONS, isSameLimits, type Amounts, type Dimension, type QuotaLimits } from "./limits.ts";

/** A Durable Object's synchronous key-value storage; an answer leaves only when what was put is on disk. */
export interface QuotaStore {
  get(key: string): unknown;
  put(key: string, value: unknown): void;
}

const savedBucket = z.object({ tokens: z.number(), burst: z.number(), perSecond: z.number() });
const savedGroup = z.object({
  v: z.literal(1),
  atMs: z.number(),
  buckets: z.object({
    requests: savedBucket.optional(),
    records: savedBucket.optional(),
    bytes: savedBucket.optional(),
  }),
});

interface Loan {
  amounts: Amounts;
  expiresAtMs: number;
}

/** The buckets of one name, one for each limited dimension. */
interface Group {
  limits: QuotaLimits;
  buckets: Map<Dimension, Bucket>;
  /** Oldest first, since all are for the same time. */
  loans: Map<string, Loan>;
  saved: { atMs: number; buckets: { [D in Dimension]?: SavedBucket | undefined } } | undefined;
}

export class TenantQuota {
  readonly #store: QuotaStore;
  /** Tells this life's loans from an earlier one's. */
  readonly #life: string;
  readonly #groups = new Map<string, Group>();
  #loans = 0;

  constructor(store: QuotaStore, life: string) {
    this.#store = store;
    this.#life = life;
  }

  lease({ bucket, limits, need, extra, returns }: LeaseAsk, nowMs: number): Grant {
    if (limits === null) return { isGranted: true, id: "", extra: {}, left: {} };
    const group = this.#group(bucket, limits, nowMs);
    settle(group, nowMs);
    for (const one of returns) takeBack(group, one);

    let refused: { dimension: Dimension; retryAfterMs: number } | undefined;
    for (const [dimension, held, rate] of limited(group)) {
      const needed = need[dimension] ?? 0;
      if (needed <= 0 || isCovered(held, rate, needed)) continue;
      noteRefusal(held, rate, needed, nowMs);
      const retryAfterMs = Math.max(SLICE_MS, waitMs(held, rate, needed));
      if (retryAfterMs > (refused?.retryAfterMs ?? 0)) refused = { dimension, retryAfterMs };
    }
    if (refused) return { isGranted: false, ...refused, left: leftOf(group) };

    const loan: Loan = { amounts: {}, expiresAtMs: nowMs + LEASE_HOLD_MS };
    for (const [dimension, held, rate] of limited(group)) {
      held.tokens -= Math.max(0, need[dimension] ?? 0);
      const lent = lend(held, rate, extra[dimension] ?? 0, nowMs);
      if (lent > 0) loan.amounts[dimension] = lent;
    }
    const id = `${this.#life}-${++this.#loans}`;
    if (Object.keys(loan.amounts).length > 0) group.loans.set(id, loan);
    this.#save(bucket, group, nowMs);
    return { isGranted: true, id, extra: { ...loan.amounts }, left: leftOf(group) };
  }

  #group(name: string, limits: QuotaLimits, nowMs: number): Group {
    const known = this.#groups.get(name);
    if (known && isSameLimits(known.limits, limits)) return known;
    if (known) {
      settle(known, nowMs);
      const buckets = new Map<Dimension, Bucket>();
      for (const dimension of DIMENSIONS) {
        const rate = limits[dimension];
        if (!rate) continue;
        const held = known.buckets.get(dimension) ?? fullBucket(rate, nowMs);
        buckets.set(dimension, { ...held, tokens: Math.min(held.tokens, rate.burst) });
      }
      // What is written flows in at the former rate, so it is written anew with the next grant.
      const changed: Group = { limits, buckets, loans: known.loans, saved: undefined };
      this.#groups.set(name, changed);
      return changed;
    }
    const group = this.#restore(name, limits, nowMs);
    this.#groups.set(name, group);
    return group;
  }

  #restore(name: string, limits: QuotaLimits, nowMs: number): Group {
    const stored = this.#store.get(`bucket:${name}`);
    const saved = stored === undefined ? undefined : savedGroup.safeParse(stored);
    const buckets = new Map<Dimension, Bucket>();
    for (const dimension of DIMENSIONS) {
      const rate = limits[dimension];
      if (!rate) continue;
      const before = saved?.data?.buckets[dimension];
      const bucket = before
        ? restored(before, saved.data?.atMs ?? nowMs, rate, nowMs)
        : fullBucket(rate, nowMs);
      // What a later version wrote cannot be read: it was in use, so it begins empty.
      if (saved?.success === false) bucket.tokens = 0;
      buckets.set(dimension, bucket);
    }
    return { limits, buckets, loans: new Map(), saved: undefined };
  }

  #save(name: string, group: Group, nowMs: number): void {
    const { saved } = group;
    const isCurrent =
      saved &&
      limited(group).every(([dimension, held]) => {
        const written = saved.buckets[dimension];
        return written && !isOutrun(held, written, saved.atMs);
      });
    if (isCurrent) return;
    const buckets: { [D in Dimension]?: SavedBucket } = {};
    for (const [dimension, held, rate] of limited(group)) buckets[dimension] = toSave(held, rate);
    group.saved = { atMs: nowMs, buckets };
    this.#store.put(`bucket:${name}`, { v: 1, ...group.saved });
  }
}

function limited({ limits, buckets }: Group): [Dimension, Bucket, { burst: number; perSecond: number }][] {
  const list: [Dimension, Bucket, { burst: number; perSecond: number }][] = [];
  for (const [dimension, bucket] of buckets) {
    const rate = limits[dimension];
    if (rate) list.push([dimension, bucket, rate]);
  }
  return list;
}

/** Brings the buckets to now; each loan that ended on the way let the refill go on from its own end. */
function settle(group: Group, nowMs: number): void {
  for (const [id, { amounts, expiresAtMs }] of group.loans) {
    if (expiresAtMs > nowMs) break;
    for (const [dimension, held, rate] of limited(group)) {
      refill(held, rate, expiresAtMs);
      held.lent -= amounts[dimension] ?? 0;
    }
    group.loans.delete(id);
  }
  for (const [, held, rate] of limited(group)) refill(held, rate, nowMs);
}

/**
 * A loan that has expired is not taken back: whoever looked at the bucket since has counted it as spent. One that
 * tells of more than the loan still holds comes late, after a newer one.
 */
function takeBack(group: Group, { id, returned, kept }: LeaseReturn): void {
  const loan = group.loans.get(id);
  if (!loan) return;
  const isSound = DIMENSIONS.every((dimension) => {
    const [back, stays] = [returned[dimension] ?? 0, kept[dimension] ?? 0];
    return back >= 0 && stays >= 0 && back + stays <= (loan.amounts[dimension] ?? 0);
  });
  if (!isSound) return;
  let isOver = true;
  for (const [dimension, held] of limited(group)) {
    const stays = kept[dimension] ?? 0;
    held.lent -= (loan.amounts[dimension] ?? 0) - stays;
    held.tokens += returned[dimension] ?? 0;
    loan.amounts[dimension] = stays;
    if (stays > 0) isOver = false;
  }
  if (isOver) group.loans.delete(id);
}

function leftOf(group: Group): Amounts {
  const left: Amounts = {};
  for (const [dimension, { tokens }] of limited(group)) left[dimension] = Math.max(0, Math.floor(tokens));
  return left;
}
