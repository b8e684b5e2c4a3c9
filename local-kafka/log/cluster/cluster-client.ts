/**
 * Finds the broker for a call: any of them, a partition's leader, a group's coordinator. What it learns of the cluster is
 * kept for a second and asked anew when an answer shows it to be old. A call is repeated only when it cannot have had an
 * effect, and only within its time: then it rejects with the KafkaError of the last attempt.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type API, findCoordinatorV4, metadataV12 } from "@platformatic/kafka";
import { KafkaError, type KafkaErrorCode } from "../kafka-error.ts";
import type { TopicDescription } from "../log.ts";
import { type Address, BrokerLink, type Security } from "./broker-link.ts";
import { check } from "./cluster-errors.ts";
import { CALL_TIMEOUT_MS } from "./deadline.ts";

const METADATA_AGE_MS = 1_000;
/** How long to go on after a failure that may pass: a restart or an election, not an outage. */
const REPEAT_MS = 1_000;
const REPEAT_PAUSE_MS = 50;
const GROUP = 0;

/** The request was not carried out, or not sent at all. */
const WITHOUT_EFFECT: ReadonlySet<KafkaErrorCode> = new Set([
  "leader_not_available",
  "not_leader_for_partition",
  "broker_not_available",
  "coordinator_load_in_progress",
  "coordinator_not_available",
  "not_coordinator",
  "not_controller",
]);

interface KnownTopic {
  description: TopicDescription;
  /** Node of each partition's leader, -1 while there is none. */
  leaders: number[];
  knownMs: number;
}

export interface ClusterOptions {
  bootstrap: readonly Address[];
  security: Security;
}

/** A call to whichever broker was found for it. */
export type Caller = <Args extends unknown[], Answer>(
  api: API<Args, Answer>,
  args: Args,
  options?: { timeoutMs?: number; alone?: boolean },
) => Promise<Answer>;

export class ClusterClient {
  readonly #options: ClusterOptions;
  readonly #links = new Map<string, BrokerLink>();
  readonly #topics = new Map<string, KnownTopic>();
  readonly #coordinators = new Map<string, Address>();
  readonly #asking = new Map<string, Promise<KnownTopic | undefined>>();
  #nodes = new Map<number, Address>();
  #clusterId: string | undefined;
  #isClosed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  async clusterId(): Promise<string> {
    if (this.#clusterId === undefined) await this.#ask([]);
    return this.#clusterId ?? "";
  }

  /** Sorted by name; the cluster's own topics are left out. */
  async topics(): Promise<TopicDescription[]> {
    const found = await this.#ask(null);
    return found.map(({ description }) => description).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async topic(name: string): Promise<TopicDescription | undefined> {
    return (await this.#topic(name))?.description;
  }

  /** Forgets a topic that was changed, and waits, within the time of a call, until the cluster shows the change. */
  async untilTopic(name: string, isDone: (topic: TopicDescription | undefined) => boolean): Promise<void> {
    const deadline = performance.now() + CALL_TIMEOUT_MS;
    do {
      this.#topics.delete(name);
      const topic = await this.#topic(name);
      if (isDone(topic?.description) && topic?.leaders.includes(-1) !== true) return;
      await delay(REPEAT_PAUSE_MS);
    } while (performance.now() < deadline);
  }

  /** To any broker that answers. */
  any<T>(work: (call: Caller) => Promise<T>): Promise<T> {
    return this.#repeating(async () => {
      let last = new KafkaError("broker_not_available", "the cluster has no brokers");
      for (const address of this.#addresses()) {
        try {
          return await work(this.#caller(address));
        } catch (error) {
          if (!(error instanceof KafkaError) || error.code !== "broker_not_available") throw error;
          last = error;
        }
      }
      throw last;
    });
  }

  /** To the partition's leader; unknown_topic_or_partition when there is no such partition. */
  leader<T>(topic: string, partition: number, work: (call: Caller) => Promise<T>): Promise<T> {
    return this.#repeating(
      async () => {
        const node = (await this.#topic(topic))?.leaders[partition];
        if (node === undefined) throw new KafkaError("unknown_topic_or_partition");
        const address = this.#nodes.get(node);
        if (address === undefined)
          throw new KafkaError("leader_not_available", `${topic}/${partition} has no leader`);
        try {
          return await work(this.#caller(address));
        } catch (error) {
          if (!(error instanceof KafkaError) || error.code !== "unknown_topic_or_partition") throw error;
          // A broker that has not yet heard of a new topic, or has already of its end: the next look tells.
          throw new KafkaError("not_leader_for_partition", error.detail, { cause: error });
        }
      },
      () => this.#topics.delete(topic),
    );
  }

  /** To the broker that keeps the group's offsets. */
  coordinator<T>(group: string, work: (call: Caller) => Promise<T>): Promise<T> {
    return this.#repeating(
      async () => {
        const address = this.#coordinators.get(group) ?? (await this.#findCoordinator(group));
        this.#coordinators.set(group, address);
        return await work(this.#caller(address));
      },
      () => this.#coordinators.delete(group),
      // The first group of a cluster waits for the topic of offsets to be made.
      CALL_TIMEOUT_MS - REPEAT_PAUSE_MS,
    );
  }

  close(): void {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
  }

  async #topic(name: string): Promise<KnownTopic | undefined> {
    const known = this.#topics.get(name);
    if (known !== undefined && performance.now() - known.knownMs < METADATA_AGE_MS) return known;
    const asking = this.#asking.get(name) ?? this.#ask([name]).then(([topic]) => topic);
    this.#asking.set(name, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(name);
    }
  }

  /** These topics, or all of them (null), as the cluster describes them now. */
  async #ask(names: string[] | null): Promise<KnownTopic[]> {
    const answer = await this.any(async (call) => {
      try {
        return await call(metadataV12.api, [names, false, false]);
      } catch (error) {
        if (!(error instanceof KafkaError) || error.code !== "network_exception") throw error;
        // A question may be asked again, of another broker, too.
        throw new KafkaError("broker_not_available", error.detail, { cause: error });
      }
    });
    this.#nodes = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.#clusterId = answer.clusterId ?? "";
    const found: KnownTopic[] = [];
    for (const { errorCode, name, topicId, isInternal, partitions } of answer.topics) {
      if (name === null || name === undefined) continue;
      this.#topics.delete(name);
      // Not there, or no name for a topic at all.
      if (errorCode === 3 || errorCode === 17) continue;
      check(errorCode, name);
      if (names === null && isInternal) continue;
      const leaders: number[] = [];
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId;
      const description = { name, partitions: partitions.length, incarnation: topicId };
      const topic = { description, leaders, knownMs: performance.now() };
      this.#topics.set(name, topic);
      found.push(topic);
    }
    return found;
  }

  async #findCoordinator(group: string): Promise<Address> {
    const { coordinators } = await this.any((call) => call(findCoordinatorV4.api, [GROUP, [group]]));
    const [found] = coordinators;
    if (found === undefined) throw new KafkaError("coordinator_not_available");
    check(found.errorCode, found.errorMessage);
    return { host: found.host, port: found.port };
  }

  #addresses(): Address[] {
    return [...this.#nodes.values(), ...this.#options.bootstrap];
  }

  #caller({ host, port }: Address): Caller {
    const key = `${host}:${port}`;
    const link = this.#links.get(key) ?? new BrokerLink({ host, port }, this.#options.security);
    this.#links.set(key, link);
    return (api, args, { timeoutMs = CALL_TIMEOUT_MS, alone = false } = {}) => {
      if (this.#isClosed) throw new KafkaError("operation_not_attempted", "the broker is closing");
      return alone ? link.callAlone(api, args, timeoutMs) : link.call(api, args, timeoutMs);
    };
  }

  async #repeating<T>(
    work: () => Promise<T>,
    forget: () => void = () => undefined,
    repeatMs = REPEAT_MS,
  ): Promise<T> {
    const deadline = performance.now() + repeatMs;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error;
        if (error.isOutage) forget();
        if (!WITHOUT_EFFECT.has(error.code) || performance.now() > deadline || this.#isClosed) throw error;
      }
      await delay(REPEAT_PAUSE_MS);
    }
  }
}
