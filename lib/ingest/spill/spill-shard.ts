// One shard of the spillway, wherever it lives: takes messages while Kafka is away, sends them on when it is back, and
// tells the cluster's state when it begins and ends to hold any. What it keeps in memory may be lost at any point: the
// queue is on disk, and what the cluster was told is told again.
import type { KafkaError } from "../../kafka/errors.ts";
import type { KafkaClusterState } from "../../kafka/cluster-state.ts";
import { systemTiming, type Timing } from "../../kafka/retry.ts";
import { within } from "../../kafka/timer.ts";
import type { KafkaTransport } from "../../kafka/transport.ts";
import { drainSpill, type DrainResult, type Grown } from "./drain-spill.ts";
import type { Appended, Drained, ShardSpill, SpillMessage, SpillReason, TenantSpill } from "./spill-port.ts";
import { heldBytesOf, type StoredQueue } from "./stored-queue.ts";

/** What one alarm may do: a free plan allows 50 outgoing calls an invocation. */
const BUDGET = { timeMs: 20_000, calls: 40 };

/** The first drain after an append, with jitter: a passing fault is over soon, and the shards do not come together. */
const FIRST_DRAIN_MS = 500;

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;

/** What the cluster's state was is taken for what it is, for this long. */
const STATE_TTL_MS = 200;

/** So little is drained in one call or two: what comes meanwhile waits for them, and goes to Kafka by itself. */
const LAST_BYTES = 1_000_000;
const LAST_CALL_MS = 1_000;

/** What could not be told to the cluster is told again after this. */
const RETELL_MS = 1_000;

/** A full shard asks its clients to come again after this. */
const FULL_RETRY_MS = 30_000;

export interface ShardPorts {
  queue: StoredQueue;
  limits: { maxBytes: number; maxAgeMs: number };
  /** functions/cluster.ts: none of it throws. */
  cluster: {
    state(): Promise<KafkaClusterState>;
    mayTry(): Promise<{ ok: true } | { ok: false; waitMs: number }>;
    report(calls: { ok: number; failed: number }): Promise<void>;
    noteSpill(shard: number, isHolding: boolean): Promise<boolean>;
  };
  /** For one drain, which closes it. */
  openTransport(): KafkaTransport;
  /** @throws KafkaError */
  partitionsOf(transport: KafkaTransport, topic: string): Promise<number>;
  /** Sees to it that `alarm` is called at that time or before. Written down together with what was written before. */
  arm(atMs: number): Promise<void>;
  grown(places: Grown[]): Promise<void>;
  /** What a drain came to, for the log. */
  drained(result: DrainResult): void;
  timing?: Timing;
}

export interface ShardReport extends ShardSpill {
  byTenant: TenantSpill[];
  drained: Drained[];
}

/** A topic that could not be drained. */
interface Wait {
  failures: number;
  untilMs: number;
  error: KafkaError;
}

export class SpillShard {
  readonly #shard: number;
  readonly #ports: ShardPorts;
  readonly #timing: Timing;
  readonly #waits = new Map<string, Wait>();
  #draining: Promise<DrainResult | undefined> | undefined;
  /** What the cluster's state has of this shard, as far as this life knows. */
  #told: boolean | undefined;
  #telling: Promise<void> | undefined;
  #tellAgainMs = 0;
  /** No drain before this, since the breaker says so. */
  #breakerUntilMs = 0;
  #state: { is: KafkaClusterState; atMs: number } | undefined;

  constructor(shard: number, ports: ShardPorts) {
    this.#shard = shard;
    this.#ports = ports;
    this.#timing = ports.timing ?? systemTiming;
  }

  async append(messages: readonly SpillMessage[], why: SpillReason): Promise<Appended> {
    const { queue } = this.#ports;
    const isHeldBefore = () => messages.some(({ topic }) => queue.holds(topic));
    // Else a shard to which messages always come while it drains would never be empty.
    if (why === "behind" && isHeldBefore()) await this.#lastCall();
    if (why === "behind" && !isHeldBefore()) {
      await this.#tell();
      const { breaker } = await this.#clusterState();
      // Looked at again, and then nothing waits until it is said: another's append may have come meanwhile.
      if (breaker === "closed" && !isHeldBefore()) return { outcome: "direct" };
    }
    const full = this.#fullness(messages);
    if (full) return { outcome: "full", reason: full, retryAfterMs: FULL_RETRY_MS };
    try {
      queue.append(messages);
    } catch (error) {
      return { outcome: "failed", message: `shard ${this.#shard} could not write: ${messageOf(error)}` };
    }
    const firstMs = this.#timing.now() + FIRST_DRAIN_MS * (0.5 + this.#timing.random() / 2);
    await this.#ports.arm(
      Math.max(firstMs, this.#breakerUntilMs, ...messages.map(({ topic }) => this.#dueMs(topic))),
    );
    // Whoever is told that it is kept must find all isolates queue behind it, as soon as they can know.
    await this.#tell();
    return { outcome: "kept" };
  }

  report(): ShardReport {
    const { queue } = this.#ports;
    const [wait] = [...this.#waits].filter(([topic]) => queue.holds(topic)).map(([, one]) => one);
    const error = wait ? `${wait.error.code}: ${wait.error.message}` : null;
    return {
      shard: this.#shard,
      ...queue.sums(),
      error,
      refusals: queue.refusals(),
      byTenant: queue.byTenant(),
      drained: queue.drained(),
    };
  }

  /** Settles every failure by itself: alarms that fail are given up. */
  async alarm(): Promise<void> {
    try {
      await this.#drain({ isForced: false });
      const nextMs = this.#nextMs();
      if (nextMs !== undefined) await this.#ports.arm(nextMs);
    } catch {
      await this.#ports.arm(this.#timing.now() + BACKOFF_MAX_MS);
    }
  }

  /** Sees to an alarm where one is needed, whatever was lost, and tells the cluster again. */
  async wake(): Promise<void> {
    this.#told = undefined;
    this.#tellAgainMs = 0;
    await this.#tell();
    const nextMs = this.#nextMs();
    if (nextMs !== undefined) await this.#ports.arm(nextMs);
  }

  /** Drains now, whatever was to be waited for, and once more as long as that may help. Ends by `deadlineMs`. */
  async flush(deadlineMs: number): Promise<ShardReport> {
    const timing = this.#timing;
    const untilMs = timing.now() + deadlineMs;
    for (let failures = 0; timing.now() < untilMs;) {
      // A drain that goes on beyond is the alarm's: what it sent is not undone.
      const result = await this.#drainWithin(untilMs - timing.now());
      const states = [...(result?.topics.values() ?? [])];
      if (states.some(({ state }) => state === "budget")) continue;
      if (!states.some((one) => one.state === "held" && one.error.retryable)) break;
      const delayMs = timing.random() * Math.min(2_000, 100 * 2 ** failures++);
      if (timing.now() + delayMs >= untilMs) break;
      await timing.sleep(delayMs);
    }
    const nextMs = this.#nextMs();
    if (nextMs !== undefined) await this.#ports.arm(nextMs);
    return this.report();
  }

  async #drainWithin(timeoutMs: number): Promise<DrainResult | undefined> {
    try {
      return await within(timeoutMs, this.#drain({ isForced: true }), () => new Error("late"));
    } catch {
      return undefined;
    }
  }

  /** One at a time: whoever comes while one goes on waits for it, and forces another. */
  async #drain({ isForced }: { isForced: boolean }): Promise<DrainResult | undefined> {
    while (this.#draining) await this.#draining.catch(() => undefined);
    this.#draining = this.#drainOnce(isForced);
    try {
      return await this.#draining;
    } finally {
      this.#draining = undefined;
    }
  }

  async #drainOnce(isForced: boolean): Promise<DrainResult | undefined> {
    const { queue, cluster } = this.#ports;
    const timing = this.#timing;
    await this.#tell();
    const topics = queue.topics().filter((topic) => isForced || this.#dueMs(topic) <= timing.now());
    const refusedUntilMs = isForced ? Number.MAX_SAFE_INTEGER : timing.now();
    const refusedMs = queue.refusedAgainMs;
    if (topics.length === 0 && (refusedMs === null || refusedMs > refusedUntilMs)) return undefined;
    const { breaker } = await cluster.state();
    if (breaker !== "closed" && !isForced) {
      const may = await cluster.mayTry();
      if (!may.ok) {
        this.#breakerUntilMs = timing.now() + may.waitMs + timing.random() * Math.min(may.waitMs, 1_000);
        return undefined;
      }
    }
    const transport = this.#ports.openTransport();
    const going: Promise<void>[] = [];
    // A failure is told at once, with what went well before it; and a success where all wait for one.
    let untoldOk = 0;
    let isAwaited = breaker !== "closed";
    let hasFailed = false;
    const called = (isOk: boolean) => {
      if (isOk) untoldOk++;
      else hasFailed = true;
      if (isOk && !isAwaited) return;
      going.push(cluster.report({ ok: untoldOk, failed: isOk ? 0 : 1 }));
      untoldOk = 0;
      isAwaited &&= !isOk;
    };
    try {
      const result = await drainSpill(
        { topics, refusedUntilMs, isProbe: breaker !== "closed", budget: BUDGET },
        {
          queue,
          transport,
          partitionsOf: (topic) => this.#ports.partitionsOf(transport, topic),
          called,
          grown: (places) => void going.push(this.#ports.grown(places)),
          now: () => timing.now(),
        },
      );
      if (hasFailed && untoldOk > 0) going.push(cluster.report({ ok: untoldOk, failed: 0 }));
      this.#settle(result);
      this.#ports.drained(result);
      await this.#tell();
      return result;
    } finally {
      await Promise.allSettled([...going, transport.close()]);
    }
  }

  #settle({ topics }: DrainResult): void {
    const timing = this.#timing;
    for (const [topic, result] of topics) {
      if (result.state !== "held") {
        this.#waits.delete(topic);
        continue;
      }
      const { error } = result;
      const failures = (this.#waits.get(topic)?.failures ?? 0) + 1;
      const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 16));
      const delayMs = Math.max(timing.random() * ceilingMs, error.retryAfterMs ?? 0);
      this.#waits.set(topic, { failures, untilMs: timing.now() + Math.min(delayMs, BACKOFF_MAX_MS), error });
    }
  }

  #dueMs(topic: string): number {
    return this.#waits.get(topic)?.untilMs ?? 0;
  }

  /** Waits for a drain that is about to end, and goes well. */
  async #lastCall(): Promise<void> {
    if (!this.#draining || this.#waits.size > 0 || this.#ports.queue.bytes > LAST_BYTES) return;
    if ((await this.#clusterState()).breaker !== "closed") return;
    await within(LAST_CALL_MS, this.#draining, () => new Error("late")).catch(() => undefined);
  }

  /** When there is something to do next; undefined: nothing is held, and the cluster knows. */
  #nextMs(): number | undefined {
    const drainMs = this.#nextDrainMs();
    if (this.#told === this.#ports.queue.holds()) return drainMs;
    return Math.min(drainMs ?? Infinity, Math.max(this.#timing.now(), this.#tellAgainMs));
  }

  #nextDrainMs(): number | undefined {
    const { queue } = this.#ports;
    const dues = queue.topics().map((topic) => this.#dueMs(topic));
    const refusedMs = queue.refusedAgainMs;
    if (refusedMs !== null) dues.push(refusedMs);
    if (dues.length === 0) return undefined;
    return Math.max(this.#timing.now(), this.#breakerUntilMs, Math.min(...dues));
  }

  /** Why nothing more is taken. What is held is never dropped for it. */
  #fullness(messages: readonly SpillMessage[]): string | undefined {
    const { queue, limits } = this.#ports;
    const mend = "mend the way to Kafka (GET /kafka/status tells what is wrong), or raise";
    const bytes = messages.reduce((sum, message) => sum + heldBytesOf(message), queue.bytes);
    if (bytes > limits.maxBytes)
      return `shard ${this.#shard} of the spillway holds ${queue.bytes} bytes of at most ${limits.maxBytes}: ${mend} SPILL_MAX_BYTES`;
    // By topic: one that cannot be drained is no reason to refuse the others.
    for (const topic of new Set(messages.map((one) => one.topic))) {
      const ageMs = this.#timing.now() - (queue.firstWaitingMs(topic) ?? Infinity);
      if (ageMs >= limits.maxAgeMs)
        return `shard ${this.#shard} of the spillway has held messages of ${topic} for ${Math.round(ageMs / 1000)} s, and for ${limits.maxAgeMs / 1000} s at most: ${mend} SPILL_MAX_AGE_MS`;
    }
    return undefined;
  }

  async #clusterState(): Promise<KafkaClusterState> {
    const nowMs = this.#timing.now();
    if (!this.#state || nowMs - this.#state.atMs >= STATE_TTL_MS)
      this.#state = { is: await this.#ports.cluster.state(), atMs: nowMs };
    return this.#state.is;
  }

  /** The cluster's state has it right when this ends, or an alarm is set to tell it again. */
  async #tell(): Promise<void> {
    const isKnown = this.#told === this.#ports.queue.holds() || this.#timing.now() < this.#tellAgainMs;
    if (!this.#telling && isKnown) return;
    await (this.#telling ??= this.#tellOn());
  }

  async #tellOn(): Promise<void> {
    const { queue, cluster } = this.#ports;
    try {
      // Until it stands still: what is held may change while it is told.
      for (let isHolding = queue.holds(); this.#told !== isHolding; isHolding = queue.holds()) {
        if (!(await cluster.noteSpill(this.#shard, isHolding))) {
          this.#told = undefined;
          this.#tellAgainMs = this.#timing.now() + RETELL_MS;
          await this.#ports.arm(this.#tellAgainMs);
          return;
        }
        this.#told = isHolding;
      }
    } finally {
      this.#telling = undefined;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
