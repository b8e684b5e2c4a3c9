// One tenant's token buckets, and the cluster's state for its isolates; its name is the tenant. It is asked about
// twice a second by each isolate that has traffic of the tenant, not at every request (lib/ingest/quota/lease.ts).
import { DurableObject } from "cloudflare:workers";
import type { ClusterState, LeaseAnswer, LeaseAsk } from "../../lib/ingest/quota/lease.ts";
import { TenantQuota } from "../../lib/ingest/quota/tenant-quota.ts";
import { toClusterState } from "../../lib/kafka/cluster-state.ts";
import { isWithin, within } from "../../lib/kafka/timer.ts";
import { clusterHealth } from "../cluster.ts";

/** How old the state that is handed out may be; with a lease's own time an isolate sees a change within a second. */
const STATE_MAX_AGE_MS = 200;

/** Older than this it is told as old: then requests ask the spillway itself. */
const STATE_OLD_MS = 1_000;

/** What asking for it may add to a lease, which has ASK_DEADLINE_MS in all. */
const STATE_DEADLINE_MS = 150;

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
  /** As last told. */
  #state: ClusterState = {};
  #askedStateMs = Number.NEGATIVE_INFINITY;
  #toldStateMs = Number.NEGATIVE_INFINITY;
  /** Of those who ask at one time, one asks for all. */
  #askingState: Promise<void> | undefined;

  // What it wrote is on disk before the answer leaves (the output gate).
  async lease(ask: LeaseAsk): Promise<LeaseAnswer> {
    this.#asks++;
    if (!isWithin(this.#askedStateMs, STATE_MAX_AGE_MS, Date.now())) this.#askingState ??= this.#askState();
    await this.#askingState;
    const isOld = !isWithin(this.#toldStateMs, STATE_OLD_MS, Date.now());
    return {
      ...this.#quota.lease(ask, Date.now()),
      state: isOld ? { ...this.#state, isOld } : this.#state,
    };
  }

  async asks(): Promise<number> {
    return this.#asks;
  }

  /** Never throws: while the state is not to be had, the last known stays. */
  async #askState(): Promise<void> {
    try {
      const late = () => new Error(`no answer within ${STATE_DEADLINE_MS} ms`);
      const state = await within(STATE_DEADLINE_MS, clusterHealth(this.env).state(), late);
      this.#state = toClusterState(state);
      this.#toldStateMs = Date.now();
    } catch {
      // Tolerated by design: nobody's request fails for it, and whoever meets Kafka's failure tells of it.
    } finally {
      this.#askedStateMs = Date.now();
      this.#askingState = undefined;
    }
  }
}
