/**
 * Consumer groups: instances, what each subscribed to or was given, the partitions that are therefore its own, how far
 * it has read. Instances live in memory, as in the proxies, and go when they are silent too long; committed offsets are
 * durable. A partition's next owner starts at the committed offset, or where the instance's settings say.
 */
import { randomUUID } from "node:crypto";
import { KafkaError } from "../log/kafka-error.ts";
import type { Log, RecordBatch } from "../log/log.ts";
import { type Subscription, assignedPartitions } from "./assign-range.ts";
import type { OffsetStore } from "./offset-store.ts";

const SWEEP_INTERVAL_MS = 1000;

export interface TopicPartition {
  topic: string;
  partition: number;
}

export interface TopicPartitionOffset extends TopicPartition {
  offset: number;
}

/** What a read returns: batches, of which records before `fromOffset` are not new. */
export interface ConsumerBatches extends TopicPartition {
  fromOffset: number;
  batches: RecordBatch[];
}

export interface ConsumerSettings {
  /** Where to read without a committed offset, or when the log no longer has the one that is due. */
  reset: OffsetReset;
  /** What was read is committed at a later read, no sooner than this after the last time. */
  autoCommitMs?: number | undefined;
}

/** `clamp`: at the log's start, and an offset out of its range becomes the nearest that is in it. */
export type OffsetReset = "clamp" | "earliest" | "latest" | "none";

interface Instance {
  settings: ConsumerSettings;
  autoCommittedMs: number;
  topics: Set<string>;
  /** Partitions given by name instead of subscribed to. */
  assigned: readonly TopicPartition[] | undefined;
  /** "incarnation/partition" → next offset to read. */
  positions: Map<string, number>;
  lastSeenMs: number;
  /** Reads of one instance take turns, so that none returns what another just did. */
  turn: Promise<unknown>;
}

export interface GroupsOptions {
  log: Log;
  offsets: OffsetStore;
  now: () => number;
  /** Silence after which an instance goes. */
  sessionTimeoutMs: number;
}

/** Methods that name an instance throw KafkaError unknown_member_id when it does not exist, or no longer. */
export class Groups {
  readonly #log: Log;
  readonly #offsets: OffsetStore;
  readonly #now: () => number;
  readonly #sessionTimeoutMs: number;
  readonly #groups = new Map<string, Map<string, Instance>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor({ log, offsets, now, sessionTimeoutMs }: GroupsOptions) {
    this.#log = log;
    this.#offsets = offsets;
    this.#now = now;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    this.#sweeper.unref();
  }

  /** Adds an instance and returns its name; undefined when the name is taken. */
  create(
    group: string,
    name: string | undefined,
    settings: ConsumerSettings = { reset: "clamp" },
  ): string | undefined {
    this.#sweep();
    const instance = name ?? `consumer-${randomUUID()}`;
    const instances = this.#groups.get(group) ?? new Map<string, Instance>();
    if (instances.has(instance)) return undefined;
    this.#groups.set(group, instances);
    instances.set(instance, {
      settings,
      autoCommittedMs: this.#now(),
      topics: new Set(),
      assigned: undefined,
      positions: new Map(),
      lastSeenMs: this.#now(),
      turn: Promise.resolve(),
    });
    return instance;
  }

  remove(group: string, name: string): void {
    this.#instance(group, name);
    this.#drop(group, name);
  }

  /** Removes the instance; what it read is committed first when it commits by itself. */
  async leave(group: string, name: string): Promise<void> {
    const instance = this.#instance(group, name);
    const read = positionsOf(instance, 0);
    this.#drop(group, name);
    if (instance.settings.autoCommitMs !== undefined) await this.#offsets.commit(group, read);
  }

  /** Replaces the instance's topics. */
  subscribe(group: string, name: string, topics: readonly string[]): void {
    this.#instance(group, name).topics = new Set(topics);
  }

  subscription(group: string, name: string): string[] {
    return [...this.#instance(group, name).topics];
  }

  /** Gives the instance these partitions, whoever else has them; undefined goes back to subscriptions. */
  assign(group: string, name: string, partitions: readonly TopicPartition[] | undefined): void {
    this.#instance(group, name).assigned = partitions;
  }

  isAssigned(group: string, name: string): boolean {
    return this.#instance(group, name).assigned !== undefined;
  }

  /** Moves the next read of a partition; false when it is not the instance's own, or does not exist. */
  seek(group: string, name: string, { topic, partition, offset }: TopicPartitionOffset): boolean {
    const instance = this.#instance(group, name);
    const owned = this.assignment(group, name).find(
      (each) => each.topic === topic && each.partition === partition,
    );
    if (owned === undefined || partition >= (this.#log.topic(topic)?.partitions ?? 0)) return false;
    instance.positions.set(owned.key, offset);
    return true;
  }

  /** New records of the instance's partitions; waits up to `timeoutMs` for some. */
  read(
    group: string,
    name: string,
    options: { timeoutMs: number; maxBytes: number },
  ): Promise<ConsumerBatches[]> {
    const instance = this.#instance(group, name);
    const result = instance.turn.then(async () => {
      const { autoCommitMs } = instance.settings;
      if (autoCommitMs !== undefined && this.#now() - instance.autoCommittedMs >= autoCommitMs) {
        instance.autoCommittedMs = this.#now();
        await this.commitRead(group, name);
      }
      const found = await this.#fetchAll(group, name, { ...options, timeoutMs: 0 });
      if (found.length > 0 || options.timeoutMs <= 0) return found;
      return this.#fetchAll(group, name, options);
    });
    instance.turn = result.catch(() => undefined);
    return result;
  }

  /** Stores the offsets as they are given. Without any: of each partition read, the last record's, as Redpanda does. */
  commit(group: string, name: string, offsets: readonly TopicPartitionOffset[] | undefined): Promise<void> {
    const instance = this.#instance(group, name);
    if (offsets === undefined) return this.#offsets.commit(group, positionsOf(instance, -1));
    const known = offsets.flatMap(({ topic, partition, offset }) => {
      const description = this.#log.topic(topic);
      if (description === undefined || partition < 0 || partition >= description.partitions) return [];
      return [{ incarnation: description.incarnation, partition, offset }];
    });
    return this.#offsets.commit(group, known);
  }

  /** Stores, of each partition read, the offset to read next, as Kafka's own clients do. */
  commitRead(group: string, name: string): Promise<void> {
    return this.#offsets.commit(group, positionsOf(this.#instance(group, name), 0));
  }

  /** Committed offsets of these partitions, -1 where there is none. */
  committed(group: string, name: string, partitions: readonly TopicPartition[]): TopicPartitionOffset[] {
    this.#instance(group, name);
    return partitions.map(({ topic, partition }) => {
      const incarnation = this.#log.topic(topic)?.incarnation;
      const offset =
        incarnation === undefined ? undefined : this.#offsets.committed(group, incarnation, partition);
      return { topic, partition, offset: offset ?? -1 };
    });
  }

  /** The partitions an instance owns now. */
  assignment(group: string, name: string): (TopicPartition & { key: string })[] {
    const instances = this.#groups.get(group) ?? new Map<string, Instance>();
    const assigned = instances.get(name)?.assigned;
    if (assigned !== undefined) {
      return assigned.map(({ topic, partition }) => ({
        topic,
        partition,
        key: `${this.#log.topic(topic)?.incarnation}/${partition}`,
      }));
    }
    const subscriptions: Subscription[] = [...instances].map(([member, { topics }]) => ({ member, topics }));
    return [...(instances.get(name)?.topics ?? [])].flatMap((topic) => {
      const description = this.#log.topic(topic);
      if (description === undefined) return [];
      return assignedPartitions(name, topic, description.partitions, subscriptions).map((partition) => ({
        topic,
        partition,
        key: `${description.incarnation}/${partition}`,
      }));
    });
  }

  /** Every instance there is, with the partitions it owns. */
  describe(): {
    name: string;
    instances: { name: string; topics: { topic: string; partitions: number[] }[] }[];
  }[] {
    this.#sweep();
    return [...this.#groups].map(([group, instances]) => ({
      name: group,
      instances: [...instances.keys()].map((name) => {
        const byTopic = new Map<string, number[]>();
        for (const { topic, partition } of this.assignment(group, name)) {
          byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
        }
        return { name, topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })) };
      }),
    }));
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#groups.clear();
  }

  /** Reads all the instance's partitions at once, until one has data or the time is up. */
  async #fetchAll(
    group: string,
    name: string,
    options: { timeoutMs: number; maxBytes: number },
  ): Promise<ConsumerBatches[]> {
    const instance = this.#instance(group, name);
    const owned = this.assignment(group, name);
    const keys = new Set(owned.map(({ key }) => key));
    for (const key of instance.positions.keys()) if (!keys.has(key)) instance.positions.delete(key);
    if (owned.length === 0) return [];

    const enough = new AbortController();
    const maxBytes = Math.max(1, Math.floor(options.maxBytes / owned.length));
    const found = await Promise.all(
      owned.map(async ({ topic, partition, key }): Promise<ConsumerBatches> => {
        const [incarnation = ""] = key.split("/");
        const { start, end } = this.#log.bounds(topic, partition);
        const wanted = instance.positions.get(key) ?? this.#offsets.committed(group, incarnation, partition);
        const fromOffset = startOfRead(wanted, { start, end }, instance.settings.reset);
        // What "latest" means must not move while nothing arrives.
        if (instance.settings.reset === "latest") instance.positions.set(key, fromOffset);
        const batches = await this.#log.fetch(topic, partition, fromOffset, {
          maxBytes,
          timeoutMs: options.timeoutMs,
          signal: enough.signal,
        });
        if (batches.length > 0) enough.abort();
        return { topic, partition, fromOffset, batches };
      }),
    );
    const stillOwned = new Set(this.assignment(group, name).map(({ key }) => key));
    return found.filter(({ topic, partition, batches }) => {
      const last = batches.at(-1);
      const key = `${this.#log.topic(topic)?.incarnation}/${partition}`;
      // A rebalance during the wait: the new owner will return these.
      if (last === undefined || !stillOwned.has(key)) return false;
      instance.positions.set(key, last.baseOffset + last.records.length);
      return true;
    });
  }

  #instance(group: string, name: string): Instance {
    this.#sweep();
    const instance = this.#groups.get(group)?.get(name);
    if (instance === undefined) throw new KafkaError("unknown_member_id");
    instance.lastSeenMs = this.#now();
    return instance;
  }

  #sweep(): void {
    const oldest = this.#now() - this.#sessionTimeoutMs;
    for (const [group, instances] of this.#groups) {
      for (const [name, { lastSeenMs }] of instances) if (lastSeenMs < oldest) this.#drop(group, name);
    }
  }

  #drop(group: string, name: string): void {
    const instances = this.#groups.get(group);
    instances?.delete(name);
    if (instances?.size === 0) this.#groups.delete(group);
  }
}

/** Where a read begins: retention may have passed the offset that is due, a commit may lie beyond the end. */
function startOfRead(
  wanted: number | undefined,
  { start, end }: { start: number; end: number },
  reset: OffsetReset,
): number {
  if (reset === "clamp") return Math.min(Math.max(wanted ?? start, start), end);
  if (wanted !== undefined && wanted >= start && wanted <= end) return wanted;
  if (reset === "none") throw new KafkaError("offset_out_of_range", "there is no offset to start from");
  return reset === "earliest" ? start : end;
}

function positionsOf(
  { positions }: Instance,
  shift: number,
): { incarnation: string; partition: number; offset: number }[] {
  return [...positions].map(([key, next]) => {
    const [incarnation = "", partition = ""] = key.split("/");
    return { incarnation, partition: Number(partition), offset: next + shift };
  });
}
