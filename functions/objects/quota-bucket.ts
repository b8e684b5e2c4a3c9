// One tenant's token buckets, and the cluster's state for its isolates; its name is the tenant. It is asked about
// twice a second by each isolate that has traffic of the tenant, not at every request (lib/ingest/quota/lease.ts).
import { DurableObject } from "cloudflare:workers";
import type { ClusterState, LeaseAnswer, LeaseAsk } from "../../lib/ingest/quota/lease.ts";
import { TenantQuota } from "../../lib/ingest/quota/tenant-quota.ts";

export class QuotaBucket extends DurableObject<Env> {
  readonly #quota = new TenantQuota(
    {
      get: (key) => this.ctx.storage.kv.get(key),
      put: (key, value) => this.ctx.storage.kv.put(key, value),
    },
    crypto.randomUUID(),
  );
  /** Since this life began: how often it was asked. */
  #asks = 0;

  // Async, though nothing in it waits: what it wrote is on disk before the answer leaves (the output gate).
  async lease(ask: LeaseAsk): Promise<LeaseAnswer> {
    this.#asks++;
    return this.#quota.lease(ask, Date.now());
  }

  async setState(state: ClusterState): Promise<void> {
    this.#quota.setState(state);
  }

  async state(): Promise<ClusterState> {
    return this.#quota.state();
  }

  async asks(): Promise<number> {
    return this.#asks;
  }
}
