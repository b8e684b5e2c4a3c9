/**
 * Consumer groups: instances, what each subscribed to or was given, the partitions that are therefore its own, how far
 * it has read. Instances live in memory, as in the proxies, and go when they are silent too long; committed offsets are
 * durable. A partition's next owner starts at the committed offset, or where the instance's settings say.
 */
import { KafkaError } from "../log/kafka-error.ts";
import type { Log } from "../log/log.ts";
import { type Subscription, assignedPartitions } from "./assign-range.ts";
import type { CommittedOffsets, KnownPartition, TopicPartition } from "./committed-offsets.ts";
import { type ConsumerSettings, type Instance, type Position, positionKey } from "./instance.ts";
import { Instances } from "./instances.ts";
import { type ConsumerBatches, readPartition } from "./read-partition.ts";

export interface TopicPartitionOffset extends TopicPartition {
  offset: number;
}

export interface GroupsOptions {
  log: Log;
  offsets: CommittedOffsets;
  now: () => number;
  /** Silence after which an instance goes. */
  sessionTimeoutMs: number;
}

interface ReadOptions {
  timeoutMs: number;
  maxBytes: number;
}

/** Methods that name an instance throw KafkaError unknown_member_id when it does not exist, or no longer. */
export class Groups {
  readonly #log: Log;
  readonly #offsets: CommittedOffsets;
  readonly #now: () => number;
  readonly #instances: Instances;

  constructor({ log, offsets, now, sessionTimeoutMs }: GroupsOptions) {
    this.#log = log;
    this.#offsets = offsets;
    this.#now = now;
    this.#instances = new Instances({ now, sessionTimeoutMs });
  }

  /** Adds an instance and returns its name; undefined when the name is taken. */
  create(
    group: string,
    name: string | undefined,
    settings: ConsumerSettings = { reset: "clamp" },
  ): string | undefined {
    return this.#instances.add(group, name, settings);
  }

  remove(group: string, name: string): void {
    this.#instances.get(group, name);
    this.#instances.drop(group, name);
  }

  /** Removes the instance; what it read is committed first when it commits by itself. */
  async leave(group: string, name: string): Promise<void> {
    const instance = this.#instances.get(group, name);
    const read = positionsOf(instance, 0);
    this.#instances.drop(group, name);
    if (instance.settings.autoCommitMs !== undefined) await this.#offsets.commit(group, read);
  }

  /** Replaces the instance's topics. */
  subscribe(group: string, name: string, topics: readonly string[]): void {
    this.#instances.get(group, name).topics = new Set(topics);
  }

  subscription(group: string, name: string): string[] {
    return [...this.#instances.get(group, name).topics];
  }

  /** Gives the instance these partitions, whoever else has them; undefined goes back to subscriptions. */
  assign(group: string, name: string, partitions: readonly TopicPartition[] | undefined): void {
    this.#instances.get(group, name).assigned = partitions;
  }

  isAssigned(group: string, name: string): boolean {
    return this.#instances.get(group, name).assigned !== undefined;
  }

  /** Moves the next read of a partition; false when it is not the instance's own, or does not exist. */
  async seek(
    group: string,
    name: string,
    { topic, partition, offset }: TopicPartitionOffset,
  ): Promise<boolean> {
    const instance = this.#instances.get(group, name);
    const owned = await this.#owned(group, name);
    const place = owned.find((each) => each.topic === topic && each.partition === partition);
    if (place === undefined) return false;
    instance.positions.set(positionKey(place), { ...place, offset });
    return true;
  }

  /** New records of the instance's partitions; waits up to `timeoutMs` for some. */
  async read(group: string, name: string, options: ReadOptions): Promise<ConsumerBatches[]> {
    const instance = this.#instances.get(group, name);
    const result = instance.turn.then(async () => {
      const { autoCommitMs } = instance.settings;
      if (autoCommitMs !== undefined && this.#now() - instance.autoCommittedMs >= autoCommitMs) {
        instance.autoCommittedMs = this.#now();
        await this.commitRead(group, name);
      }
      const found = await this.#readAll(group, name, { ...options, timeoutMs: 0 });
      if (found.length > 0 || options.timeoutMs <= 0) return found;
      return await this.#readAll(group, name, options);
    });
    instance.turn = result.catch(() => undefined);
    return await result;
  }

  /** Stores the offsets as they are given. Without any: of each partition read, the last record's, as Redpanda does. */
  async commit(
    group: string,
    name: string,
    offsets: readonly TopicPartitionOffset[] | undefined,
  ): Promise<void> {
    const instance = this.#instances.get(group, name);
    if (offsets === undefined) return await this.#offsets.commit(group, positionsOf(instance, -1));
    const places = await this.#known(offsets);
    const known = offsets.flatMap(({ offset }, i) => {
      const place = places[i];
      return place === undefined ? [] : [{ ...place, offset }];
    });
    await this.#offsets.commit(group, known);
  }

  /** Stores, of each partition read, the offset to read next, as Kafka's own clients do. */
  async commitRead(group: string, name: string): Promise<void> {
    await this.#offsets.commit(group, positionsOf(this.#instances.get(group, name), 0));
  }

  /** Committed offsets of these partitions, -1 where there is none. */
  async committed(
    group: string,
    name: string,
    partitions: readonly TopicPartition[],
  ): Promise<TopicPartitionOffset[]> {
    this.#instances.get(group, name);
    const places = await this.#known(partitions);
    const known = places.filter((place) => place !== undefined);
    const stored = await this.#offsets.committed(group, known);
    const byKey = new Map(known.map((place, i) => [positionKey(place), stored[i]]));
    return partitions.map(({ topic, partition }, i) => {
      const place = places[i];
      return { topic, partition, offset: (place && byKey.get(positionKey(place))) ?? -1 };
    });
  }

  /** The partitions an instance has: those given to it, also when they do not exist, or its share of its topics. */
  async assignment(group: string, name: string): Promise<readonly TopicPartition[]> {
    const instances = this.#instances.of(group);
    const assigned = instances.get(name)?.assigned;
    if (assigned !== undefined) return assigned;
    const topics = [...(instances.get(name)?.topics ?? [])];
    const described = await Promise.all(topics.map((topic) => this.#log.topic(topic)));
    const subscriptions: Subscription[] = [...instances].map(([member, instance]) => ({
      member,
      topics: instance.topics,
    }));
    return described.flatMap((topic) => {
      if (topic === undefined) return [];
      const share = assignedPartitions(name, topic.name, topic.partitions, subscriptions);
      return share.map((partition) => ({ topic: topic.name, partition }));
    });
  }

  /** Every instance there is, with the partitions it owns. */
  async describe(): Promise<
    { name: string; instances: { name: string; topics: { topic: string; partitions: number[] }[] }[] }[]
  > {
    this.#instances.sweep();
    const describeInstance = async (group: string, name: string) => {
      const byTopic = new Map<string, number[]>();
      for (const { topic, partition } of await this.assignment(group, name)) {
        byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
      }
      return { name, topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })) };
    };
    return await Promise.all(
      this.#instances.groupNames().map(async (group) => {
        const names = [...this.#instances.of(group).keys()];
        return {
          name: group,
          instances: await Promise.all(names.map((name) => describeInstance(group, name))),
        };
      }),
    );
  }

  close(): void {
    this.#instances.close();
  }

  /** Reads all the instance's partitions at once, until one has data or the time is up. */
  async #readAll(group: string, name: string, options: ReadOptions): Promise<ConsumerBatches[]> {
    const instance = this.#instances.get(group, name);
    const owned = await this.#owned(group, name);
    if (owned.length < (instance.assigned?.length ?? 0)) throw new KafkaError("unknown_topic_or_partition");
    const keys = new Set(owned.map(positionKey));
    for (const key of instance.positions.keys()) if (!keys.has(key)) instance.positions.delete(key);
    if (owned.length === 0) return [];

    const committed = await this.#committedWhereNew(group, instance, owned);
    const enough = new AbortController();
    const maxBytes = Math.max(1, Math.floor(options.maxBytes / owned.length));
    const found = await Promise.all(
      owned.map(async (place) => {
        const key = positionKey(place);
        const due = instance.positions.get(key)?.offset ?? committed.get(key);
        try {
          const read = await readPartition(this.#log, instance, place, due, {
            maxBytes,
            timeoutMs: options.timeoutMs,
            signal: enough.signal,
          });
          if (read.batches.length > 0) enough.abort();
          return { place, read };
        } catch (error) {
          enough.abort();
          throw error;
        }
      }),
    );
    const stillOwned = new Set((await this.#owned(group, name)).map(positionKey));
    return found.flatMap(({ place, read }) => {
      const last = read.batches.at(-1);
      const key = positionKey(place);
      // A rebalance during the wait: the new owner will return these.
      if (last === undefined || !stillOwned.has(key)) return [];
      instance.positions.set(key, { ...place, offset: last.baseOffset + last.records.length });
      return [read];
    });
  }

  async #committedWhereNew(
    group: string,
    { positions }: Instance,
    owned: readonly KnownPartition[],
  ): Promise<Map<string, number | undefined>> {
    const places = owned.filter((place) => !positions.has(positionKey(place)));
    if (places.length === 0) return new Map();
    const stored = await this.#offsets.committed(group, places);
    return new Map(places.map((place, i) => [positionKey(place), stored[i]]));
  }

  /** Those of an instance's partitions that exist. */
  async #owned(group: string, name: string): Promise<KnownPartition[]> {
    const known = await this.#known(await this.assignment(group, name));
    return known.filter((place) => place !== undefined);
  }

  /** undefined where there is no such partition. */
  async #known(partitions: readonly TopicPartition[]): Promise<(KnownPartition | undefined)[]> {
    const names = [...new Set(partitions.map(({ topic }) => topic))];
    const described = await Promise.all(names.map((name) => this.#log.topic(name)));
    const topics = new Map(names.map((name, i) => [name, described[i]]));
    return partitions.map(({ topic, partition }) => {
      const description = topics.get(topic);
      if (description === undefined || partition < 0 || partition >= description.partitions) return undefined;
      return { topic, partition, incarnation: description.incarnation };
    });
  }
}

function positionsOf({ positions }: Instance, shift: number): Position[] {
  return [...positions.values()].map((position) => ({ ...position, offset: position.offset + shift }));
}
