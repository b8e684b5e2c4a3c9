// One shard of a tenant's Idempotency-Keys: `${tenant}/${shard}` is its name. A claim is on disk before it is answered.
import { DurableObject } from "cloudflare:workers";
import type { Claim } from "../../lib/ingest/idempotency.ts";
import { StoredClaims } from "../../lib/ingest/stored-claims.ts";

/** Keys come of age one by one; they go in company. */
const PRUNE_INTERVAL_MS = 3600 * 1000;

/** Steps that one alarm takes; between two of them claims have their turn. */
const ALARM_STEPS = 64;

export class IdempotencyKeys extends DurableObject<Env> {
  readonly #claims = new StoredClaims(this.ctx.storage);
  #isArmed = false;

  async claim(key: Uint8Array, body: Uint8Array): Promise<Claim> {
    const claim = this.#claims.claim(key, body, Date.now());
    if (!this.#isArmed) {
      if ((await this.ctx.storage.getAlarm()) === null) await this.#arm(Date.now() + PRUNE_INTERVAL_MS);
      this.#isArmed = true;
    }
    return claim;
  }

  async count(): Promise<number> {
    return this.#claims.count;
  }

  override async alarm(): Promise<void> {
    this.#isArmed = false;
    for (let step = 1; ; step++) {
      const dueMs = this.#claims.prune(Date.now());
      if (dueMs === undefined) return;
      if (dueMs > Date.now() || step === ALARM_STEPS) {
        const soonestMs = dueMs > Date.now() ? Date.now() + PRUNE_INTERVAL_MS : Date.now();
        await this.#arm(Math.max(dueMs, soonestMs));
        return;
      }
      await scheduler.wait(0);
    }
  }

  async #arm(atMs: number): Promise<void> {
    await this.ctx.storage.setAlarm(atMs);
    this.#isArmed = true;
  }
}
