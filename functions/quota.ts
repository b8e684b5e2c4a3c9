// The quota of a request: whose bucket it draws on, the object that keeps it, and what the answer's headers tell.
import type { ClusterState, LeaseAnswer } from "../lib/ingest/quota/lease.ts";
import { rateLimitHeaders } from "../lib/ingest/quota/headers.ts";
import type { LeaseClient, Taken } from "../lib/ingest/quota/lease-client.ts";
import { LeaseClients } from "../lib/ingest/quota/lease-clients.ts";
import {
  quotaLimits,
  type Amounts,
  type Dimension,
  type QuotaLimits,
  type QuotaOptions,
} from "../lib/ingest/quota/limits.ts";
import { systemTimer } from "../lib/kafka/timer.ts";
import { logger } from "../lib/observability/logger.ts";

/** What this isolate has been lent, of all tenants: plain data. */
const clients = new LeaseClients();

/** How often an object that does not answer is told. */
const TELL_INTERVAL_MS = 1_000;
let toldMs = 0;

export interface QuotaSubject {
  tenant: string;
  keyId: string;
  /** Of the key itself: it then has a bucket of its own, and does not draw on its tenant's. */
  limits?: QuotaOptions | undefined;
}

/** Fits `Rejection`. */
export interface QuotaRefusal {
  reason: "quota_exceeded";
  path: "";
  message: string;
}

/**
 * The quota of one request. In the intake, after authentication and before the body is read:
 *
 * ```ts
 * const quota = new RequestQuota(c.env, c.executionCtx, principal, tenantQuota);
 * const refusal = await quota.take({ requests: 1 });
 * if (refusal) return refuse(c, refusal, quota.headers(), "The quota");
 * ```
 *
 * after decoding, before producing: `await quota.take({ records: n, bytes: bytesAsSent })`, the same way; and
 * `quota.headers()` on every answer, whatever its status. A take never throws: while the object is away the isolate's
 * spare budget decides (`isFailedOpen`).
 */
export class RequestQuota {
  readonly #env: Env;
  readonly #context: Pick<ExecutionContext, "waitUntil">;
  readonly #subject: QuotaSubject;
  readonly #limits: QuotaLimits | null;
  readonly #client: LeaseClient;
  #left: Amounts = {};
  #refusal: { dimension: Dimension; retryAfterMs: number } | undefined;
  #state: ClusterState | undefined;
  #isFailedOpen = false;

  /** @param tenantQuota null: no quota, for tenants whose key has no limits; the lease is taken all the same */
  constructor(
    env: Env,
    context: Pick<ExecutionContext, "waitUntil">,
    subject: QuotaSubject,
    tenantQuota: QuotaOptions | null,
  ) {
    this.#env = env;
    this.#context = context;
    this.#subject = subject;
    const options = subject.limits ?? tenantQuota;
    this.#limits = options && quotaLimits(options);
    const bucket = subject.limits ? `key:${subject.keyId}` : "tenant";
    this.#client = clients.of(subject.tenant, bucket, this.#limits, Date.now());
  }

  /** All of the need or nothing. Without `requests` only what is limited is asked for. */
  async take(need: Amounts): Promise<QuotaRefusal | undefined> {
    const limits = this.#limits;
    const isConcerned = need.requests !== undefined || (need.records && limits?.records);
    if (!isConcerned && !(need.bytes && limits?.bytes)) return undefined;
    const taken = await this.#client.take(need, {
      ask: async (ask): Promise<LeaseAnswer> =>
        await this.#env.QUOTA.getByName(this.#subject.tenant).lease(ask),
      timer: systemTimer,
    });
    this.#note(taken);
    if (taken.after) this.#context.waitUntil(taken.after());
    if (taken.isGranted) return undefined;
    this.#refusal = taken;
    const whose = this.#subject.limits ? "key" : "tenant";
    return {
      reason: "quota_exceeded",
      path: "",
      message: `of the ${whose} has no ${taken.dimension} left for now; send the request again after Retry-After`,
    };
  }

  /** RateLimit, RateLimit-Policy, and after a refusal Retry-After. */
  headers(): Record<string, string> {
    return rateLimitHeaders(this.#limits, this.#left, this.#refusal);
  }

  /** What the cluster is in, at most a second old; undefined: no object answered. */
  get state(): ClusterState | undefined {
    return this.#state;
  }

  /** For the count of requests that no object has decided on. */
  get isFailedOpen(): boolean {
    return this.#isFailedOpen;
  }

  #note({ isFailedOpen, left, state }: Taken): void {
    this.#left = { ...this.#left, ...left };
    this.#state = state;
    if (!isFailedOpen) return;
    this.#isFailedOpen = true;
    const nowMs = Date.now();
    if (nowMs - toldMs < TELL_INTERVAL_MS) return;
    toldMs = nowMs;
    logger.warn("quota_object_away", { tenant: this.#subject.tenant });
  }
}
