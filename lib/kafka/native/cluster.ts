// Which broker to ask, and asking it: metadata kept for a short while and dropped when it proves wrong, passing faults
// tried again inside the call's deadline. Where no broker can be reached a call gives up early, so that its caller can
// spill: it comes again.
import { fromProtocolCode, KafkaError } from "../errors.ts";
import { backoffMs } from "./backoff.ts";
import {
  findCoordinatorMessage,
  metadataMessage,
  type Metadata,
  type TopicMetadata,
} from "./cluster-messages.ts";
import type { Connections } from "./connections.ts";
import { addressText, type Address } from "./connection.ts";
import type { Deadline } from "./deadline.ts";
import type { Message } from "./message.ts";

const METADATA_MAX_AGE_MS = 60_000;
/** One broker restarts, or fails over, in about this time; a longer absence is the caller's to bridge. */
const UNREACHABLE_PATIENCE_MS = 1_500;
const NOT_COORDINATOR = 16;
/** Told of a partition by a broker that does not lead it, or whose knowledge differs from ours. */
const STALE_METADATA = new Set([3, 5, 6, 9, 72, 74, 75, 100]);

interface CodedAnswer {
  errorCode: number;
}

export class Cluster {
  readonly #bootstrap: readonly Address[];
  readonly #connections: Connections;
  readonly #random: () => number;
  readonly #brokers = new Map<number, Address>();
  readonly #topics = new Map<string, { atMs: number; asked: Promise<TopicMetadata> }>();
  readonly #coordinators = new Map<string, Address>();

  constructor(bootstrap: readonly Address[], connections: Connections, random: () => number) {
    this.#bootstrap = bootstrap;
    this.#connections = connections;
    this.#random = random;
  }

  /** Asks one broker. @param onSent called when the request may reach it, from which on an error proves nothing */
  async ask<Request, Response>(
    address: Address,
    message: Message<Request, Response>,
    request: Request,
    deadline: Deadline,
    { isFetch = false, onSent }: { isFetch?: boolean; onSent?: () => void } = {},
  ): Promise<Response> {
    const { connection, release } = await this.#connections.lease(address, isFetch, deadline);
    try {
      onSent?.();
      return await connection.call(message, request, deadline.remainingMs());
    } catch (error) {
      if (error instanceof KafkaError && (error.code === "unreachable" || error.code === "timeout")) {
        this.forgetLeaders();
      }
      throw error;
    } finally {
      release();
    }
  }

  /** Asks any broker; the next one where one cannot be reached. */
  async askAny<Request, Response>(
    message: Message<Request, Response>,
    request: Request,
    deadline: Deadline,
  ): Promise<Response> {
    const known = new Map(
      [...this.#brokers.values(), ...this.#bootstrap].map((one) => [addressText(one), one]),
    );
    let last: unknown;
    for (const address of this.#connections.sortByHope([...known.values()])) {
      try {
        return await this.ask(address, message, request, deadline);
      } catch (error) {
        last = error;
        if (!(error instanceof KafkaError) || error.code !== "unreachable" || deadline.isOver()) throw error;
      }
    }
    throw last;
  }

  /** Asks the leader of a partition, again where it is not, and throws what the answer's error code means. */
  async askLeader<Request, Response extends CodedAnswer>(
    { topic, partition, what }: { topic: string; partition: number; what: string },
    message: Message<Request, Response>,
    request: () => Request,
    deadline: Deadline,
    isFetch = false,
  ): Promise<Response> {
    return await this.retry(deadline, async () => {
      const leader = await this.leader(topic, partition, deadline);
      const answer = await this.ask(leader, message, request(), deadline, { isFetch });
      if (!STALE_METADATA.has(answer.errorCode)) return this.checked(answer, what);
      // What is gone for good shows in the metadata that the next attempt asks for.
      this.forgetTopic(topic);
      throw new KafkaError("unavailable", fromProtocolCode(answer.errorCode, what).message);
    });
  }

  /** Asks the coordinator of a group, again where it has moved. */
  async askCoordinator<Request, Response extends CodedAnswer>(
    { group, what }: { group: string; what: string },
    message: Message<Request, Response>,
    request: Request,
    deadline: Deadline,
  ): Promise<Response> {
    return await this.retry(deadline, async () => {
      const known = this.#coordinators.get(group);
      // Kept again only when it has answered well.
      this.#coordinators.delete(group);
      const address =
        known ?? this.checked(await this.askAny(findCoordinatorMessage, { group }, deadline), what);
      const answer = await this.ask(address, message, request, deadline);
      if (answer.errorCode !== NOT_COORDINATOR) this.#coordinators.set(group, address);
      return this.checked(answer, what);
    });
  }

  /** What the cluster says now. @param topics null: all of them */
  async metadata(topics: string[] | null, deadline: Deadline): Promise<Metadata> {
    const metadata = await this.askAny(metadataMessage, { topics }, deadline);
    this.#brokers.clear();
    for (const { id, host, port } of metadata.brokers) this.#brokers.set(id, { host, port });
    return metadata;
  }

  /** One topic, as the cluster says now. @throws KafkaError `unknown_topic` and others */
  async topic(name: string, deadline: Deadline): Promise<TopicMetadata> {
    const { topics } = await this.metadata([name], deadline);
    return this.checked(
      topics[0] ?? { errorCode: -1, name, isInternal: false, partitions: [] },
      `topic ${name}`,
    );
  }

  /** @throws KafkaError `unknown_topic`, also for a partition that is not there; `unavailable` where none leads it */
  async leader(topic: string, partition: number, deadline: Deadline): Promise<Address> {
    const what = `partition ${partition} of ${topic}`;
    const kept = this.#topics.get(topic);
    if (kept && Date.now() - kept.atMs < METADATA_MAX_AGE_MS) {
      const found = this.#leaderIn(await deadline.race(kept.asked), partition);
      if (found) return found;
    }
    // Somebody else may have asked meanwhile.
    if (this.#topics.get(topic) === kept) this.#askTopic(topic, deadline);
    const metadata = await deadline.race(this.#topics.get(topic)?.asked ?? this.topic(topic, deadline));
    const leader = this.#leaderIn(metadata, partition);
    if (leader) return leader;
    const isThere = metadata.partitions.some((one) => one.partition === partition);
    this.forgetTopic(topic);
    throw isThere
      ? new KafkaError("unavailable", `${what} has no leader now`)
      : new KafkaError("unknown_topic", `${what} does not exist`);
  }

  forgetTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  forgetLeaders(): void {
    this.#topics.clear();
  }

  async controller(deadline: Deadline): Promise<Address> {
    const { controller } = await this.metadata([], deadline);
    const address = this.#brokers.get(controller);
    if (address) return address;
    throw new KafkaError("unavailable", "the cluster has no controller now");
  }

  /** Runs a call again while its fault may pass and its deadline allows. */
  async retry<T>(deadline: Deadline, attempt: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (!this.mayPass(error, deadline)) throw error;
        await deadline.pause(backoffMs(failures, this.#random));
        if (deadline.isOver()) throw error;
      }
    }
  }

  /** Whether the same call may succeed inside its deadline. */
  mayPass(error: unknown, deadline: Deadline): boolean {
    if (!(error instanceof KafkaError) || deadline.isOver()) return false;
    if (error.code === "unreachable") return deadline.elapsedMs() < UNREACHABLE_PATIENCE_MS;
    return error.code === "unavailable";
  }

  checked<Answer extends CodedAnswer>(answer: Answer, what: string): Answer {
    if (answer.errorCode !== 0) throw fromProtocolCode(answer.errorCode, what);
    return answer;
  }

  #askTopic(topic: string, deadline: Deadline): void {
    const asked = this.topic(topic, deadline);
    const entry = { atMs: Date.now(), asked };
    this.#topics.set(topic, entry);
    asked.catch(() => {
      if (this.#topics.get(topic) === entry) this.#topics.delete(topic);
    });
  }

  #leaderIn({ partitions }: TopicMetadata, partition: number): Address | undefined {
    const leader = partitions.find((one) => one.partition === partition)?.leader;
    return leader === undefined ? undefined : this.#brokers.get(leader);
  }
}
