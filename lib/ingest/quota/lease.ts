// What an isolate and the object that keeps a tenant's buckets say to one another, and the times both must keep.
//
// Never over-admit: tokens that are lent count against the bucket's size until they are reported used, given back, or
// expire, so what can be admitted in any window is at most burst + rate × window. The isolate counts a lease's time
// from before it asked, the object from when it heard, so the isolate's end comes first whatever their clocks show.
import type { Amounts, Dimension, QuotaLimits } from "./limits.ts";

/** How long the object counts lent tokens as usable. */
export const LEASE_HOLD_MS = 1_000;

/**
 * How long an isolate uses them, from when it asked. Shorter than the hold, because a Worker's clock stands still
 * while it computes (developers.cloudflare.com/workers/runtime-apis/performance): this much decoding is forgiven.
 */
export const LEASE_USE_MS = 750;

/** Of a lease; a request after this fetches the next one in the background. */
export const LEASE_RENEW_MS = 450;

/** Of a lease; what is left of it then, unrenewed, is given back. */
export const LEASE_SETTLE_MS = 650;

/** A lease while the bucket is low holds this much of its rate; whoever was refused asks again no sooner. */
export const SLICE_MS = 50;

/**
 * What the cluster is in, for all isolates of a tenant: opaque here, handed out with each lease, so that every isolate
 * that admits a request has seen what it was a second ago.
 */
export interface ClusterState {
  [name: string]: Leaf | { [name: string]: Leaf };
}

/** Not JSON of any depth: the types of a call between objects do not end on a type that holds itself. */
type Leaf = string | number | boolean | null | (string | number)[];

export interface LeaseAsk {
  /** Which of the tenant's buckets: `tenant`, or `key:<id>` for a key with limits of its own. */
  bucket: string;
  /** Null: no quota; the lease then only carries the state. */
  limits: QuotaLimits | null;
  /** Admitted at once, all of it or nothing. */
  need: Amounts;
  /** Lent beside it where there is plenty, to be used within LEASE_USE_MS. */
  extra: Amounts;
  returns: LeaseReturn[];
}

/** What became of an earlier lease. Whatever is neither given back nor kept was used. */
export interface LeaseReturn {
  id: string;
  /** The isolate has given these up before it sent this. */
  returned: Amounts;
  kept: Amounts;
}

/** What the buckets grant. */
export type Grant = (
  | { isGranted: true; id: string; extra: Amounts }
  | {
      isGranted: false;
      /** What ran out. */
      dimension: Dimension;
      /** When the need can be met at the earliest. */
      retryAfterMs: number;
    }
) & {
  /** Tokens in the bucket after this, whole, never below 0. */
  left: Amounts;
};

export type LeaseAnswer = Grant & { state: ClusterState };

/** Throws, or does not answer, when the object is away. */
export type AskLease = (ask: LeaseAsk) => Promise<LeaseAnswer>;
