/**
 * Consumer groups: instances, what each subscribed to, the partitions that are therefore its own, how far it has read.
 * Instances live in memory, as in Redpanda's proxy, and go after 10 s without a request; committed offsets are durable.
 * A partition's next owner starts at the committed offset, or at the log's start when there is none.
 */
import { randomUUID } from "node:crypto";
import { KafkaError } from "../log/kafka-error.ts";
import type { Log, RecordBatch } from "../log/log.ts";
import { type Subscription, assignedPartitions } from "./assign-range.ts";
import type { OffsetStore } from "./offset-store.ts";

/** Redpanda's consumer_session_timeout_ms. */
const SESSION_TIMEOUT_MS = 10_000;
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

interface Instance {
  topics: Set<string>;
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
}

/** Methods that name an instance throw KafkaError unknown_member_id when it does not exist, or no longer. */
export class Groups {
  readonly #log: Log;
  readonly #offsets: OffsetStore;
  readonly #now: () => number;
  readonly #groups = new Map<string, Map<string, Instance>>();
  readonly #sweeper: NodeJS.Timeout;

  constructor({ log, offsets, now }: GroupsOptions) {
    this.#log = log;
    this.#offsets = offsets;
    this.#now = now;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
    this.#sweeper.unref();
  }

  /** Adds an instance and returns its name; undefined when the name is taken. */
  create(group: string, name: string | undefined): string | undefined {
    this.#sweep();
    const instance = name ?? `consumer-${randomUUID()}`;
    const instances = this.#groups.get(group) ?? new Map<string, Instance>();
    if (instances.has(instance)) return undefined;
    this.#groups.set(group, instances);
    instances.set(instance, {
      topics: new Set(),
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

  /** Replaces the instance's topics. */
  subscribe(group: string, name: string, topics: readonly string[]): void {
    this.#instance(group, name).topics = new Set(topics);
  }

  /** New records of the instance's partitions; waits up to `timeoutMs` for some. */
  read(
    group: string,
    name: string,
    options: { timeoutMs: number; maxBytes: number },
  ): Promise<ConsumerBatches[]> {
    const instance = this.#instance(group, name);
    const result = instance.turn.then(async () => {
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
    if (offsets === undefined) {
      const read = [...instance.positions].map(([key, next]) => {
        const [incarnation = "", partition = ""] = key.split("/");
        return { incarnation, partition: Number(partition), offset: next - 1 };
      });
      return this.#offsets.commit(group, read);
    }
    const known = offsets.flatMap(({ topic, partition, offset }) => {
      const description = this.#log.topic(topic);
      if (description === undefined || partition < 0 || partition >= description.partitions) return [];
      return [{ incarnation: description.incarnation, partition, offset }];
    });
    return this.#offsets.commit(group, known);
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
        const wanted =
          instance.positions.get(key) ?? this.#offsets.committed(group, incarnation, partition) ?? start;
        // Retention may have passed the position; a commit may lie beyond the end.
        const fromOffset = Math.min(Math.max(wanted, start), end);
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
    const oldest = this.#now() - SESSION_TIMEOUT_MS;
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
