// What the whole deployment knows of Kafka's health: the breaker, and which shards of the spillway hold messages. There
// is one; it is written down, so a restart forgets nothing. Asked by the quota's objects, the spillway and isolates that
// met a failure; never by a request of the healthy path.
import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import {
  askToTry,
  breakerShape,
  closedBreaker,
  noteCalls,
  phaseOf,
  type Breaker,
  type CallReport,
  type Permission,
} from "../../lib/kafka/breaker.ts";
import type { KafkaClusterState } from "../../lib/kafka/cluster-state.ts";
import { logger } from "../../lib/observability/logger.ts";

const savedShards = z.array(z.number().int().min(0));

export class ClusterHealth extends DurableObject<Env> {
  // What another version wrote and cannot be read is begun anew: the next failures and the shards tell it again.
  #breaker: Breaker = breakerShape.safeParse(this.ctx.storage.kv.get("breaker")).data ?? closedBreaker();
  readonly #spilled = new Set(savedShards.safeParse(this.ctx.storage.kv.get("spilled")).data);

  // Async, though nothing in them waits: what they wrote is on disk before the answer leaves (the output gate).
  async state(): Promise<KafkaClusterState> {
    return this.#state();
  }

  async noteSpill(shard: number, isHolding: boolean): Promise<boolean> {
    if (this.#spilled.has(shard) !== isHolding) {
      if (isHolding) this.#spilled.add(shard);
      else this.#spilled.delete(shard);
      this.ctx.storage.kv.put("spilled", [...this.#spilled]);
    }
    return true;
  }

  async mayTry(): Promise<Permission> {
    const { breaker, answer } = askToTry(this.#breaker, Date.now());
    this.#keep(breaker);
    return answer;
  }

  async report(calls: CallReport): Promise<void> {
    const nowMs = Date.now();
    const before = this.#breaker;
    this.#keep(noteCalls(before, calls, nowMs, Math.random()));
    if (before.isOpen === this.#breaker.isOpen) return;
    if (this.#breaker.isOpen) logger.warn("breaker_opened", { open_ms: this.#breaker.retryAtMs - nowMs });
    else logger.info("breaker_closed", { spilled_shards: this.#spilled.size });
  }

  #state(): KafkaClusterState {
    const { retryAtMs } = this.#breaker;
    const spilled = [...this.#spilled].toSorted((a, b) => a - b);
    return { breaker: phaseOf(this.#breaker, Date.now()), retryAtMs, spilled };
  }

  #keep(breaker: Breaker): void {
    if (breaker === this.#breaker) return;
    this.#breaker = breaker;
    this.ctx.storage.kv.put("breaker", breaker);
  }
}
