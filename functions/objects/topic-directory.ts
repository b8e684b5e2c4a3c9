// The list of topics where there is no Kafka; one object for all. It is off the path of
// the records: who writes or reads asks the partition's log alone.
import { DurableObject } from "cloudflare:workers";
import type { StoredTopic, TopicDirectoryCalls } from "../../lib/kafka/embedded/objects.ts";
import { StoredTopics } from "../../lib/kafka/embedded/stored-topics.ts";
import { asRpcResult, type RpcResult } from "../../lib/kafka/rpc-result.ts";
import type { TopicSpec } from "../../lib/kafka/transport.ts";
import { partitionLogs } from "../embedded.ts";

export class TopicDirectory extends DurableObject<Env> implements TopicDirectoryCalls {
  readonly #topics = new StoredTopics(this.ctx.storage, partitionLogs(this.env));

  async ensure(specs: readonly TopicSpec[]): Promise<RpcResult<void>> {
    return await asRpcResult(() => this.#topics.ensure(specs));
  }

  async create(spec: TopicSpec): Promise<RpcResult<void>> {
    return await asRpcResult(() => this.#topics.create(spec));
  }

  async list(): Promise<RpcResult<string[]>> {
    return await asRpcResult(async () => this.#topics.list());
  }

  async describe(topic: string): Promise<RpcResult<StoredTopic>> {
    return await asRpcResult(async () => this.#topics.describe(topic));
  }

  async commitOffset(
    group: string,
    topic: string,
    partition: number,
    nextOffset: number,
  ): Promise<RpcResult<void>> {
    return await asRpcResult(async () => this.#topics.commitOffset(group, topic, partition, nextOffset));
  }

  async committedOffset(group: string, topic: string, partition: number): Promise<RpcResult<number | null>> {
    return await asRpcResult(async () => this.#topics.committedOffset(group, topic, partition));
  }
}
