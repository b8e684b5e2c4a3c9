// Kafka for many requests: holds one transport, with its connections where it has any, and gathers what they write into
// few produce calls. Every method answers with a result, never by throwing; the object keeps nothing in storage.
// Several of them share the partitions (lib/kafka/hosted.ts decides which).
import { DurableObject } from "cloudflare:workers";
import { ConfigError } from "../../lib/config/config.ts";
import { createBatcher, type Batcher, type BatcherStats } from "../../lib/kafka/batcher.ts";
import { KafkaError } from "../../lib/kafka/errors.ts";
import { withOwnBytes, type TransportHostStub } from "../../lib/kafka/hosted.ts";
import { asRpcResult, toRpcOutcome, type RpcOutcome, type RpcResult } from "../../lib/kafka/rpc-result.ts";
import type {
  FetchedRecord,
  FetchRequest,
  KafkaTransport,
  ProduceRecord,
  TopicDescription,
  TopicSpec,
  TransportCapabilities,
} from "../../lib/kafka/transport.ts";
import { logger } from "../../lib/observability/logger.ts";
import { deploymentOf } from "../deployment.ts";
import { openHeldTransport } from "../transport.ts";

/** What may wait for Kafka in one object, of its 128 MB: a batch is held as records and as the body that is sent. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** After so many broken connections in a row the transport is made anew: it may be stuck with what it knew. */
export const MAX_BROKEN_CALLS = 5;

export class TransportHost extends DurableObject<Env> implements TransportHostStub {
  #transport: KafkaTransport | undefined;
  #brokenCalls = 0;
  /** Of transports that were given up: why. */
  readonly #ends = new WeakMap<KafkaTransport, unknown>();
  #batcher: Batcher | undefined;

  async produce(topic: string, records: ProduceRecord[]): Promise<RpcResult<RpcOutcome[]>> {
    return await answer(async () => (await this.#batching().produce(topic, records)).map(toRpcOutcome));
  }

  /** `fetch`; that name is taken on a Durable Object. */
  async read(request: FetchRequest): Promise<RpcResult<FetchedRecord[]>> {
    return await answer(async () =>
      (await this.#with((transport) => transport.fetch(request))).map(withOwnBytes),
    );
  }

  async capabilities(): Promise<RpcResult<TransportCapabilities>> {
    return await this.#ask((transport) => transport.capabilities());
  }

  async earliestOffset(topic: string, partition: number, nearOffset?: number): Promise<RpcResult<number>> {
    return await this.#ask((transport) => transport.earliestOffset(topic, partition, nearOffset));
  }

  async latestOffset(topic: string, partition: number, nearOffset?: number): Promise<RpcResult<number>> {
    return await this.#ask((transport) => transport.latestOffset(topic, partition, nearOffset));
  }

  async partitionCount(topic: string): Promise<RpcResult<number>> {
    return await this.#ask((transport) => transport.partitionCount(topic));
  }

  async topics(): Promise<RpcResult<string[]>> {
    return await this.#ask((transport) => transport.topics());
  }

  async describeTopic(topic: string): Promise<RpcResult<TopicDescription>> {
    return await this.#ask((transport) => transport.describeTopic(topic));
  }

  async createTopic(spec: TopicSpec): Promise<RpcResult<void>> {
    return await this.#ask((transport) => transport.createTopic(spec));
  }

  async commitOffset(
    group: string,
    topic: string,
    partition: number,
    nextOffset: number,
  ): Promise<RpcResult<void>> {
    return await this.#ask((transport) => transport.commitOffset(group, topic, partition, nextOffset));
  }

  async committedOffset(
    group: string,
    topic: string,
    partition: number,
  ): Promise<RpcResult<number | undefined>> {
    return await this.#ask((transport) => transport.committedOffset(group, topic, partition));
  }

  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<RpcResult<void>> {
    return await this.#ask((transport) => transport.deleteRecords(topic, partition, beforeOffset));
  }

  /** What was gathered into how few calls, in this life of the object. */
  async stats(): Promise<RpcResult<BatcherStats>> {
    return await answer(async () => this.#batching().stats());
  }

  /** The transport that is held here: one that reaches Kafka itself. */
  protected openTransport(): KafkaTransport {
    return openHeldTransport(this.env, deploymentOf(this.env));
  }

  /** One for the object's whole life, so that order holds where the transport is made anew. */
  #batching(): Batcher {
    const { KAFKA_LINGER_MS, KAFKA_BATCH_BYTES } = deploymentOf(this.env).config;
    return (this.#batcher ??= createBatcher({
      transport: { produce: (topic, records) => this.#with((inner) => inner.produce(topic, records)) },
      lingerMs: KAFKA_LINGER_MS,
      maxBatchBytes: KAFKA_BATCH_BYTES,
      maxPendingBytes: MAX_PENDING_BYTES,
    }));
  }

  async #ask<T>(call: (transport: KafkaTransport) => Promise<T>): Promise<RpcResult<T>> {
    return await answer(() => this.#with(call));
  }

  /** @throws KafkaError only: an error that a transport must not throw is its end, and passes with the next one. */
  async #with<T>(call: (transport: KafkaTransport) => Promise<T>): Promise<T> {
    let transport: KafkaTransport | undefined;
    try {
      transport = this.#transport ??= this.openTransport();
      const value = await call(transport);
      this.#brokenCalls = 0;
      return value;
    } catch (error) {
      const isUnreachable = error instanceof KafkaError && error.code === "unreachable";
      const end = transport && this.#ends.get(transport);
      // It was closed under this call: what made an end of it is what there is to tell.
      if (end !== undefined && isUnreachable) throw asKafkaError(end);
      this.#brokenCalls = isUnreachable ? this.#brokenCalls + 1 : 0;
      const isOver = !(error instanceof KafkaError) || this.#brokenCalls >= MAX_BROKEN_CALLS;
      if (transport && isOver) this.#discard(transport, error);
      throw asKafkaError(error);
    }
  }

  #discard(transport: KafkaTransport, error: unknown): void {
    this.#brokenCalls = 0;
    // Another call may have done it already, and the new one is well.
    if (this.#transport !== transport) return;
    this.#transport = undefined;
    this.#ends.set(transport, error);
    const message = error instanceof Error ? error.message : String(error);
    logger.error("transport_made_anew", { transport: transport.name, message });
    transport.close().catch((cause: unknown) => {
      logger.warn("transport_not_closed", { transport: transport.name, message: String(cause) });
    });
  }
}

async function answer<T>(call: () => Promise<T>): Promise<RpcResult<T>> {
  return await asRpcResult(async () => {
    try {
      return await call();
    } catch (error) {
      throw asKafkaError(error);
    }
  });
}

/** An error that is not Kafka's is a fault of ours: the records it hits are not lost, their callers come again. */
function asKafkaError(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ConfigError) return new KafkaError("misconfigured", message, { cause: error });
  logger.error("transport_host_failed", { message });
  return new KafkaError("unavailable", "the transport failed; see the log", { cause: error });
}
