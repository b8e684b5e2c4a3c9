// The one owner of a partition in a group: reads it to its end whenever it is woken, and goes on by alarm while there
// is more. It caches its position; should two ever run, the fence in the store lets one of them commit.
import { DurableObject } from "cloudflare:workers";
import { KafkaError } from "../../lib/kafka/errors.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { logger } from "../../lib/observability/logger.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import type { Position } from "../../lib/storage/storage.ts";
import { drainPartition, type DrainResult, type DrainStep } from "../../lib/stream/drain.ts";
import { POKE_WINDOW_MS, type Owned } from "../consume.ts";
import { deploymentOf } from "../deployment.ts";
import { openTransport } from "../transport.ts";

/** Pokes are gathered for this long before reading: fewer, larger commits (measured: 144 ms to queryable). */
const GATHER_MS = 100;

/** What one alarm may do: a free plan allows 50 outgoing calls an invocation, and a batch takes two. */
const BUDGET = { timeMs: 20_000, batches: 20 };

/** An alarm this long overdue is taken for lost, and set anew by whoever calls next. */
const LOST_ALARM_MS = 5_000;

/** The cluster's copy of the position is at most this stale, and a minute once the log is quiet. */
const MIRROR_INTERVAL_MS = 10_000;

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 60_000;

export interface ConsumerStatus {
  state: "running" | "retrying" | "stopped";
  error: string | null;
}

export class PartitionConsumer extends DurableObject<Env> {
  #position: Position | undefined;
  /** When the pending alarm is due, as far as this life of the object knows. */
  #armedMs: number | undefined;
  /** Whether storage tells which partition this is, for alarms of a later life. */
  #isKnown = false;
  #failures = 0;
  #notBeforeMs = 0;
  #lastPokeMs = 0;
  #lastFetchMs = 0;
  #recentOffset: number | undefined;
  #mirroredOffset: number | undefined;
  #mirrorAgainMs = 0;
  #status: ConsumerStatus | undefined;

  /** The log grew, to a message at `offset`: read it soon. Many pokes make one reading. */
  async poke(owned: Owned, offset: number): Promise<void> {
    this.#recentOffset = offset;
    this.#lastPokeMs = Date.now();
    await this.#arm(owned, this.#lastPokeMs + GATHER_MS);
  }

  /** The cron's call: read now, whatever alarms were lost, from where the store says now. */
  async wake(owned: Owned): Promise<void> {
    this.#position = undefined;
    await this.#arm(owned, Date.now());
  }

  async status(): Promise<ConsumerStatus> {
    this.#status ??= (await this.ctx.storage.get<ConsumerStatus>("status")) ?? {
      state: "running",
      error: null,
    };
    return this.#status;
  }

  override async alarm(): Promise<void> {
    const owned = await this.ctx.storage.get<Owned>("owned");
    if (!owned) return;
    this.#armedMs = undefined;
    // A failure is settled here, never thrown on, since alarms that fail are given up.
    let result: DrainResult;
    try {
      // Settings changed since: nobody asks for this partition any more. Its position stays in the store.
      const { subscriptions } = deploymentOf(this.env);
      if (!subscriptions.some(({ group, topic }) => group === owned.group && topic === owned.topic))
        return await this.ctx.storage.deleteAll();
      result = await this.#drain(owned);
    } catch (error) {
      return await this.#backOff(owned, error instanceof Error ? error.message : String(error));
    }
    await this.#settle(owned, result);
  }

  /** Called at each step of the loop; a test that needs a crash at a step overrides it. */
  protected async reached(step: DrainStep): Promise<void> {
    if (step === "before-fetch") this.#lastFetchMs = Date.now();
  }

  async #drain(owned: Owned): Promise<DrainResult> {
    const deployment = deploymentOf(this.env);
    const { config } = deployment;
    const transport = openTransport(this.env, deployment);
    try {
      const result = await drainPartition(
        {
          ...owned,
          startAt: config.KAFKA_AUTO_OFFSET_RESET,
          defaultTenant: config.DEFAULT_TENANT,
          recentOffset: this.#recentOffset,
        },
        {
          transport,
          store: createD1StreamStore(this.env.DB),
          now: Date.now,
          reached: (step) => this.reached(step),
        },
        BUDGET,
        this.#position,
      );
      this.#position = result.position;
      await this.#mirror(owned, transport);
      return result;
    } finally {
      await transport.close();
    }
  }

  /**
   * Tells the cluster how far the group has read, so that its consoles show lag. Nothing reads it back: what counts is
   * the position in storage.
   */
  async #mirror({ group, topic, partition }: Owned, transport: KafkaTransport): Promise<void> {
    const next = this.#position?.nextOffset;
    if (next === undefined || next === this.#mirroredOffset || Date.now() < this.#mirrorAgainMs) return;
    this.#mirrorAgainMs = Date.now() + MIRROR_INTERVAL_MS;
    try {
      if ((await transport.capabilities()).groupOffsets)
        await transport.commitOffset(group, topic, partition, next);
      this.#mirroredOffset = next;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      logger.warn("group_offset_not_mirrored", { group, topic, partition, message: error.message });
    }
  }

  async #settle(owned: Owned, result: DrainResult): Promise<void> {
    const { group, topic, partition } = owned;
    const { records, deadLetters, expired, reason = null } = result;
    if (expired > 0) logger.error("messages_expired_unread", { group, topic, partition, messages: expired });
    if (deadLetters > 0)
      logger.warn("dead_letters", { group, topic, partition, records, dead_letters: deadLetters });
    // Whoever makes progress is not backing off, even where some calls fail.
    if (result.commits > 0 || result.state !== "failed") this.#failures = 0;
    switch (result.state) {
      case "caught-up":
        await this.#setStatus({ state: "running", error: null });
        // What an isolate held back within the poke window must not wait for the next poke.
        if (this.#lastFetchMs < this.#lastPokeMs + POKE_WINDOW_MS)
          await this.#arm(owned, this.#lastPokeMs + GATHER_MS);
        return;
      case "budget":
      case "fenced":
        await this.#setStatus({ state: "running", error: null });
        await this.#arm(owned, Date.now());
        return;
      case "stopped":
        await this.#setStatus({ state: "stopped", error: reason });
        logger.error("partition_stopped", { group, topic, partition, reason: reason ?? undefined });
        return;
      case "failed":
        await this.#backOff(owned, reason);
    }
  }

  async #backOff({ group, topic, partition }: Owned, reason: string | null): Promise<void> {
    this.#failures++;
    const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(this.#failures, 16));
    const delayMs = ceilingMs / 2 + (Math.random() * ceilingMs) / 2;
    this.#notBeforeMs = Date.now() + delayMs;
    this.#armedMs = this.#notBeforeMs;
    logger.error("drain_failed", {
      group,
      topic,
      partition,
      failures: this.#failures,
      message: reason ?? undefined,
    });
    await this.#setStatus({ state: "retrying", error: reason });
    await this.ctx.storage.setAlarm(this.#notBeforeMs);
  }

  /** Kept in storage where it is not the usual one, so that it outlives the object's memory. */
  async #setStatus(status: ConsumerStatus): Promise<void> {
    const before = await this.status();
    this.#status = status;
    if (before.state === status.state && before.error === status.error) return;
    if (status.state === "running") await this.ctx.storage.delete("status");
    else await this.ctx.storage.put("status", status);
  }

  /** Sets the alarm unless an earlier one is set; never before a backoff ends. Touches no storage while one is pending. */
  async #arm(owned: Owned, atMs: number): Promise<void> {
    const wantedMs = Math.max(atMs, this.#notBeforeMs);
    const isPending = this.#armedMs !== undefined && this.#armedMs > Date.now() - LOST_ALARM_MS;
    if (isPending && (this.#armedMs ?? 0) <= wantedMs) return;
    this.#armedMs = wantedMs;
    if (!this.#isKnown) {
      const { group, topic, partition, signal } = owned;
      await this.ctx.storage.put("owned", { group, topic, partition, signal });
      this.#isKnown = true;
    }
    // An alarm that an earlier life of this object set is only ever replaced by an earlier one.
    const setMs = await this.ctx.storage.getAlarm();
    const isLost = setMs !== null && setMs < Date.now() - LOST_ALARM_MS;
    if (setMs === null || setMs > wantedMs || isLost) await this.ctx.storage.setAlarm(wantedMs);
  }
}
