// The one owner of a partition in a group: reads it to its end whenever it is woken, and goes on by alarm while there
// is more. It caches its position; should two ever run, the fence in the store lets one of them commit.
import { DurableObject } from "cloudflare:workers";
import { KafkaError } from "../../lib/kafka/errors.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { logger } from "../../lib/observability/logger.ts";
import type { StreamStore } from "../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../lib/stream/drain.ts";
import { resumePartition, type Resumed } from "../../lib/stream/resume.ts";
import type { DrainResult, DrainStep } from "../../lib/stream/run.ts";
import { backOffMs } from "../back-off.ts";
import { POKE_WINDOW_MS, wakeGroup, type Owned } from "../consume.ts";
import { deploymentOf } from "../deployment.ts";
import { advanceSwitches } from "../group-switch.ts";
import { Outgoing } from "../outgoing.ts";
import { beginReading, sourceOf, surroundingsOf } from "../reading.ts";
import { streamStoreOf } from "../storage.ts";
import { subscriptionOf, type Subscription } from "../subscriptions.ts";
import { openTransport } from "../transport.ts";

/** Pokes are gathered for this long before reading: fewer, larger commits (measured: 144 ms to queryable). */
const GATHER_MS = 100;

/** What one alarm may do: a free plan allows 50 outgoing calls an invocation, and a batch takes two. */
const BUDGET = { timeMs: 20_000, batches: 20 };

/** An alarm this long overdue is taken for lost, and set anew by whoever calls next. */
const LOST_ALARM_MS = 5_000;

/** The cluster's copy of the position is at most this stale, and a minute once the log is quiet. */
const MIRROR_INTERVAL_MS = 10_000;

/** An end that was announced and does not come is forgotten after this long. */
const REST_MS = 10_000;

/** How often a reader that is built beside another looks how far that one is. */
const FOLLOW_MS = 2_000;

interface StoredStatus {
  state: "running" | "retrying" | "stopped";
  error: string | null;
}

export interface ConsumerStatus extends StoredStatus {
  /** Tenants of whose records the store refuses nearly all, so that those are dead-lettered by whole messages. */
  tripped: string[];
}

export type ResumeAnswer = Resumed | { outcome: "not_stopped" } | { outcome: "failed"; message: string };

export class PartitionConsumer extends DurableObject<Env> {
  #openStore: StreamStore | undefined;
  #memory = newDrainMemory();
  /** When the pending alarm is due, as far as this life of the object knows. */
  #armedMs: number | undefined;
  /** Whether storage tells which partition this is, for alarms of a later life. */
  #isKnown = false;
  #wakes = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #lastPokeMs = 0;
  #lastFetchMs = 0;
  #recentOffset: number | undefined;
  #mirroredOffset: number | undefined;
  #mirrorAgainMs = 0;
  #status: StoredStatus | undefined;
  #tripped: string[] = [];
  readonly #outgoing = new Outgoing();
  /** Until then no batch is begun. */
  #restUntilMs = 0;
  #underWay: Promise<void> | undefined;
  /** What the group is to do has changed since it was asked. */
  #isHalted = false;

  /** The log grew, to a message at `offset`: read it soon. Many pokes make one reading. */
  async poke(owned: Owned, offset: number): Promise<void> {
    // Where a group begins with the latest, that is the first message it was woken for.
    if (this.#memory.position || this.#recentOffset === undefined || offset < this.#recentOffset)
      this.#recentOffset = offset;
    this.#lastPokeMs = Date.now();
    await this.#arm(owned, this.#lastPokeMs + GATHER_MS);
  }

  /** The cron's call: read now, whatever alarms were lost, from where the store says now. */
  async wake(owned: Owned): Promise<void> {
    this.#memory.position = undefined;
    this.#wakes++;
    this.#outgoing.lookAgain();
    await this.#arm(owned, Date.now());
  }

  async status(): Promise<ConsumerStatus> {
    return { ...(await this.#storedStatus()), tripped: this.#memory.trips.tripped(Date.now()) };
  }

  /** A person's word that the topic is another one now: it is read from its start, as such. Answers with values alone. */
  async resume(owned: Owned): Promise<ResumeAnswer> {
    try {
      if ((await this.#storedStatus()).state !== "stopped") return { outcome: "not_stopped" };
      const transport = openTransport(this.env, deploymentOf(this.env));
      let resumed: Resumed;
      try {
        resumed = await resumePartition(
          { ...owned, recentOffset: this.#recentOffset },
          { transport, store: this.#store(), now: Date.now },
        );
      } finally {
        await transport.close();
      }
      const { group, topic, partition } = owned;
      logger.warn("partition_resumed", { group, topic, partition, outcome: resumed.outcome });
      this.#memory.position = undefined;
      if (resumed.outcome === "resumed") await this.#setStatus({ state: "running", error: null });
      await this.#arm(owned, Date.now());
      return resumed;
    } catch (error) {
      return { outcome: "failed", message: messageOf(error) };
    }
  }

  /** One for the object's life: its connections may live as long. */
  #store(): StreamStore {
    return (this.#openStore ??= streamStoreOf(this.env));
  }

  /** Finishes the batch in hand and begins none for a while: what runs this object is about to end. */
  async rest(): Promise<void> {
    this.#restUntilMs = Date.now() + REST_MS;
    await this.#underWay?.catch(() => {});
  }

  /** What its group is to do has changed: finishes the batch in hand, and asks before it begins another. */
  async halt(): Promise<void> {
    this.#isHalted = true;
    await this.#underWay?.catch(() => {});
  }

  async #storedStatus(): Promise<StoredStatus> {
    this.#status ??= (await this.ctx.storage.get<StoredStatus>("status")) ?? {
      state: "running",
      error: null,
    };
    return this.#status;
  }

  override async alarm(): Promise<void> {
    const work = this.#work();
    this.#underWay = work;
    await work;
  }

  async #work(): Promise<void> {
    const owned = await this.ctx.storage.get<Owned>("owned");
    if (!owned) return;
    this.#armedMs = undefined;
    if (Date.now() < this.#restUntilMs) return await this.#arm(owned, this.#restUntilMs);
    // A failure is settled here, never thrown on, since alarms that fail are given up.
    let result: DrainResult | undefined;
    try {
      const isHalted = this.#isHalted;
      this.#isHalted = false;
      const subscription = await subscriptionOf(this.env, owned, isHalted ? 0 : undefined);
      // Nobody asks for this partition any more. Its position stays in the store.
      if (!subscription) return (await this.#sendRest(owned)) ? await this.#forget() : undefined;
      // It waits to be woken: by the cron, which finds it paused again, or by who lets it go on.
      if (subscription.isPaused) return void (await this.#sendRest(owned));
      result = await this.#drain(owned, subscription);
      if (subscription.building && (!result || result.state === "caught-up")) {
        await advanceSwitches(this.env, wakeGroup, subscription.name);
        // The reader that it follows goes on by itself, and tells nobody.
        await this.#arm(owned, Date.now() + FOLLOW_MS);
      }
    } catch (error) {
      return await this.#backOff(owned, messageOf(error));
    }
    if (result) await this.#settle(owned, result);
  }

  async #forget(): Promise<void> {
    this.#isKnown = false;
    this.#memory = newDrainMemory();
    await this.ctx.storage.deleteAll();
  }

  /** Called at each step of the loop; a test that needs a crash at a step overrides it. */
  protected async reached(step: DrainStep): Promise<void> {
    if (step === "before-fetch") this.#lastFetchMs = Date.now();
  }

  /** @returns undefined where there is nothing to be read yet */
  async #drain(owned: Owned, subscription: Subscription): Promise<DrainResult | undefined> {
    const deployment = deploymentOf(this.env);
    const transport = openTransport(this.env, deployment);
    // A copy: whoever wakes us meanwhile wants the next drain to ask the store, not this one to lose its place.
    const memory = { ...this.#memory };
    const wakes = this.#wakes;
    try {
      const reading = { owned, subscription, store: this.#store(), recentOffset: this.#recentOffset };
      if (!memory.position && !(await beginReading(reading, transport))) return undefined;
      const deps = {
        ...(await surroundingsOf(this.env, reading)),
        transport,
        reached: (step: DrainStep) => this.reached(step),
        isEnding: () => this.#isHalted || Date.now() < this.#restUntilMs,
      };
      const result = await drainPartition(sourceOf(reading, deployment), deps, BUDGET, memory);
      this.#memory = memory;
      if (result.outgoing > 0) this.#outgoing.expect();
      await this.#outgoing.send(owned, deployment, transport, this.#store());
      if (!subscription.building) await this.#mirror(owned, subscription.name, transport);
      // Who woke us meanwhile wants it looked up anew.
      if (this.#wakes !== wakes) this.#memory.position = undefined;
      return result;
    } finally {
      await transport.close();
    }
  }

  /** What its commits have left goes out, though it reads no more. @returns whether that is all; else it goes on later */
  async #sendRest(owned: Owned): Promise<boolean> {
    const deployment = deploymentOf(this.env);
    const transport = openTransport(this.env, deployment);
    try {
      await this.#outgoing.send(owned, deployment, transport, this.#store());
    } finally {
      await transport.close();
    }
    return !(await this.#armForRest(owned));
  }

  /** @returns whether something is left to be sent */
  async #armForRest(owned: Owned): Promise<boolean> {
    const { dueMs } = this.#outgoing;
    if (dueMs !== undefined) await this.#arm(owned, dueMs);
    return dueMs !== undefined;
  }

  /**
   * Tells the cluster how far the group has read, so that its consoles show lag. Nothing reads it back: what counts is
   * the position in storage.
   */
  async #mirror(
    { group: reader, topic, partition }: Owned,
    group: string,
    transport: KafkaTransport,
  ): Promise<void> {
    const next = this.#memory.position?.nextOffset;
    if (next === undefined || next === this.#mirroredOffset || Date.now() < this.#mirrorAgainMs) return;
    this.#mirrorAgainMs = Date.now() + MIRROR_INTERVAL_MS;
    try {
      if ((await transport.capabilities()).groupOffsets)
        await transport.commitOffset(group, topic, partition, next);
      this.#mirroredOffset = next;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      logger.warn("group_offset_not_mirrored", { group: reader, topic, partition, message: error.message });
    }
  }

  async #settle(owned: Owned, result: DrainResult): Promise<void> {
    const { group, topic, partition } = owned;
    const { records, deadLetters, expired, reason = null } = result;
    if (expired > 0) logger.error("messages_expired_unread", { group, topic, partition, messages: expired });
    if (deadLetters > 0)
      logger.warn("dead_letters", { group, topic, partition, records, dead_letters: deadLetters });
    this.#tellTripped(owned);
    // Whoever makes progress is not backing off, even where some calls fail.
    if (result.commits > 0 || result.state !== "failed") this.#failures = 0;
    switch (result.state) {
      case "caught-up":
        await this.#setStatus({ state: "running", error: null });
        // What an isolate held back within the poke window must not wait for the next poke.
        if (this.#lastFetchMs < this.#lastPokeMs + POKE_WINDOW_MS)
          await this.#arm(owned, this.#lastPokeMs + GATHER_MS);
        await this.#armForRest(owned);
        // Windows come to their end though nothing comes.
        if (result.wakeAtMs !== null) await this.#arm(owned, result.wakeAtMs);
        return;
      case "budget":
      case "fenced":
        await this.#setStatus({ state: "running", error: null });
        await this.#arm(owned, Date.now());
        return;
      case "stopped":
        await this.#setStatus({ state: "stopped", error: reason });
        logger.error("partition_stopped", { group, topic, partition, reason: reason ?? undefined });
        await this.#armForRest(owned);
        return;
      case "failed":
        await this.#backOff(owned, reason);
    }
  }

  #tellTripped({ group, topic, partition }: Owned): void {
    const tripped = this.#memory.trips.tripped(Date.now());
    const place = { group, topic, partition };
    for (const tenant of tripped)
      if (!this.#tripped.includes(tenant)) logger.error("tenant_tripped", { ...place, tenant });
    for (const tenant of this.#tripped)
      if (!tripped.includes(tenant)) logger.info("tenant_untripped", { ...place, tenant });
    this.#tripped = tripped;
  }

  async #backOff({ group, topic, partition }: Owned, reason: string | null): Promise<void> {
    this.#failures++;
    this.#notBeforeMs = Date.now() + backOffMs(this.#failures);
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
  async #setStatus(status: StoredStatus): Promise<void> {
    const before = await this.#storedStatus();
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
