// One shard of the spillway: keeps messages while Kafka is away, and sends them on by alarm when it is back. Every method
// answers with a value; what was answered as kept is on disk before the answer leaves (the output gate).
import { DurableObject } from "cloudflare:workers";
import type { DrainResult } from "../../lib/ingest/spill/drain-spill.ts";
import type { Appended, SpillMessage, SpillReason } from "../../lib/ingest/spill/spill-port.ts";
import { SpillShard, type ShardReport } from "../../lib/ingest/spill/spill-shard.ts";
import { StoredQueue } from "../../lib/ingest/spill/stored-queue.ts";
import type { Timing } from "../../lib/kafka/retry.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { logger } from "../../lib/observability/logger.ts";
import { clusterOf } from "../cluster.ts";
import { pokeOwners } from "../consume.ts";
import { deploymentOf } from "../deployment.ts";
import { openTransport } from "../transport.ts";

/** An alarm this long overdue is taken for lost, and set anew by whoever calls next. */
const LOST_ALARM_MS = 5_000;

const RESTART_MS = 10_000;

/** A method's value, or what went wrong. */
export type Told<T> = { ok: true; value: T } | { ok: false; message: string };

export class Spillway extends DurableObject<Env> {
  #shard: SpillShard | undefined;
  /** When the pending alarm is due, as far as this life of the object knows. */
  #armedMs: number | undefined;

  async append(shard: number, messages: readonly SpillMessage[], why: SpillReason): Promise<Told<Appended>> {
    return await this.#told(shard, (one) => one.append(messages, why));
  }

  async status(shard: number): Promise<Told<ShardReport>> {
    return await this.#told(shard, async (one) => one.report());
  }

  /** Drains now. @returns what is held at the end */
  async flush(shard: number, deadlineMs: number): Promise<Told<ShardReport>> {
    return await this.#told(shard, (one) => one.flush(deadlineMs));
  }

  /** The cron's call: what is held is drained, whatever alarms were lost. */
  async wake(shard: number): Promise<Told<void>> {
    return await this.#told(shard, (one) => one.wake());
  }

  override async alarm(): Promise<void> {
    this.#armedMs = undefined;
    const shard = this.ctx.storage.kv.get<number>("shard");
    if (shard === undefined) return;
    const done = await this.#told(shard, (one) => one.alarm());
    // Settings that are wrong: whoever mends them deploys anew, and the alarm is still there.
    if (!done.ok) await this.#arm(Date.now() + RESTART_MS);
  }

  /** For one drain; a test that needs a crash in the midst of it overrides it. */
  protected openTransport(): KafkaTransport {
    return openTransport(this.env, deploymentOf(this.env));
  }

  /** Clock, chance and waiting; a test overrides them. */
  protected timing(): Timing | undefined {
    return undefined;
  }

  async #told<T>(shard: number, act: (one: SpillShard) => Promise<T>): Promise<Told<T>> {
    try {
      return { ok: true, value: await act((this.#shard ??= this.#open(shard))) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      logger.error("spill_shard_failed", { shard, message });
      return { ok: false, message };
    }
  }

  #open(shard: number): SpillShard {
    const { config, partitionCounts } = deploymentOf(this.env);
    if (this.ctx.storage.kv.get("shard") !== shard) this.ctx.storage.kv.put("shard", shard);
    const timing = this.timing();
    return new SpillShard(shard, {
      queue: new StoredQueue(this.ctx.storage),
      limits: { maxBytes: config.SPILL_MAX_BYTES, maxAgeMs: config.SPILL_MAX_AGE_MS },
      cluster: clusterOf(this.env),
      openTransport: () => this.openTransport(),
      partitionsOf: (transport, topic) => partitionCounts.of(transport, topic, Date.now()),
      arm: (atMs) => this.#arm(atMs),
      grown: (places) => pokeOwners(this.env, places),
      drained: (result) => logDrain(shard, result),
      ...(timing && { timing }),
    });
  }

  /** Sets the alarm unless an earlier one is set. */
  async #arm(atMs: number): Promise<void> {
    const pendingMs = this.#armedMs ?? 0;
    if (pendingMs > Date.now() - LOST_ALARM_MS && pendingMs <= atMs) return;
    this.#armedMs = atMs;
    await this.ctx.storage.setAlarm(atMs);
  }
}

function logDrain(shard: number, { sent, refused, topics }: DrainResult): void {
  const [held] = [...topics.values()].filter((one) => one.state === "held");
  const message = held && `${held.error.code}: ${held.error.message}`;
  if (held || refused > 0) logger.warn("spill_held_up", { shard, sent, refused, message });
  else logger.info("spill_drained", { shard, sent });
}
