// A transport that lives in Durable Objects, seen from a request: what it writes is gathered there with what others
// write (batcher.ts), and connections are kept that no request can keep. Several hosts share the partitions. A host that
// is reset, overloaded or silent is a KafkaError that may be retried; no call waits beyond its deadline.
import { KafkaError } from "./errors.ts";
import { murmur2 } from "./partitioner.ts";
import { fromRpcOutcome, fromRpcResult, type RpcOutcome, type RpcResult } from "./rpc-result.ts";
import { noAnswer, systemTimer, within, type Timer } from "./timer.ts";
import type {
  FetchedRecord,
  FetchRequest,
  KafkaTransport,
  ProduceOutcome,
  ProduceRecord,
  TopicDescription,
  TopicSpec,
  TransportCapabilities,
} from "./transport.ts";

/**
 * Longer than a host needs to answer, whatever Kafka does: 1 s of linger and 2 s in the queue (batcher.ts) beside the
 * transport's own deadline (10 s at most), or a fetch's wait on top of it.
 */
const CALL_DEADLINE_MS = 15_000;

/** The methods of a host as they are called over RPC: a transport's, with results as values. */
export interface TransportHostStub {
  capabilities(): Promise<RpcResult<TransportCapabilities>>;
  produce(topic: string, records: ProduceRecord[]): Promise<RpcResult<RpcOutcome[]>>;
  /** `fetch`; that name is taken on a Durable Object. */
  read(request: FetchRequest): Promise<RpcResult<FetchedRecord[]>>;
  earliestOffset(topic: string, partition: number, nearOffset?: number): Promise<RpcResult<number>>;
  latestOffset(topic: string, partition: number, nearOffset?: number): Promise<RpcResult<number>>;
  partitionCount(topic: string): Promise<RpcResult<number>>;
  topics(): Promise<RpcResult<string[]>>;
  describeTopic(topic: string): Promise<RpcResult<TopicDescription>>;
  createTopic(spec: TopicSpec): Promise<RpcResult<void>>;
  commitOffset(group: string, topic: string, partition: number, nextOffset: number): Promise<RpcResult<void>>;
  committedOffset(group: string, topic: string, partition: number): Promise<RpcResult<number | undefined>>;
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<RpcResult<void>>;
}

export interface HostedOptions {
  /** The inner transport's. */
  name: string;
  shards: number;
  /** Called anew for each call: a stub that has thrown may be broken for good. */
  host: (shard: number) => TransportHostStub;
  /** Where there is one, everything but produce goes this way, without the hop. */
  direct?: KafkaTransport;
  timer?: Timer;
}

export function createHosted(options: HostedOptions): KafkaTransport {
  const { name, shards, host, direct, timer = systemTimer } = options;

  /** One partition has one host, always: two could swap what was written one after the other. */
  const shardOf = (topic: string, partition: number) => (topicHash(topic) + partition) % shards;

  async function ask<T>(
    shard: number,
    what: string,
    call: (stub: TransportHostStub) => Promise<RpcResult<T>>,
    waitMs = 0,
  ): Promise<T> {
    const at = `${what} by host ${shard}`;
    const answer = answerOf(() => call(host(shard)), at);
    const timeoutMs = CALL_DEADLINE_MS + waitMs;
    return fromRpcResult(await within(timeoutMs, answer, () => noAnswer(at, timeoutMs), timer));
  }

  async function produceAt(
    shard: number,
    topic: string,
    records: ProduceRecord[],
  ): Promise<ProduceOutcome[]> {
    const what = `producing to ${topic}`;
    const outcomes = await ask(shard, what, (stub) => stub.produce(topic, records));
    if (outcomes.length !== records.length)
      throw new KafkaError("bad_answer", `${what}: host ${shard} does not answer for every record`);
    return outcomes.map(fromRpcOutcome);
  }

  async function produce(topic: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]> {
    const byShard = new Map<number, number[]>();
    records.forEach(({ partition }, position) => {
      const shard = shardOf(topic, partition);
      const positions = byShard.get(shard);
      if (positions) positions.push(position);
      else byShard.set(shard, [position]);
    });
    const outcomes: ProduceOutcome[] = [];
    const failures: KafkaError[] = [];
    await Promise.all(
      [...byShard].map(async ([shard, positions]) => {
        const own = positions.map((position) => withOwnBytes(records[position] as ProduceRecord));
        try {
          const answers = await produceAt(shard, topic, own);
          positions.forEach((position, i) => (outcomes[position] = answers[i] as ProduceOutcome));
        } catch (error) {
          if (!(error instanceof KafkaError)) throw error;
          failures.push(error);
          for (const position of positions) outcomes[position] = { ok: false, error };
        }
      }),
    );
    const [first] = failures;
    if (first && failures.length === byShard.size && failures.every(({ code }) => code === first.code))
      throw first;
    return outcomes;
  }

  const remote: Omit<KafkaTransport, "name" | "produce" | "close"> = {
    capabilities: () => ask(0, "asking for capabilities", (stub) => stub.capabilities()),
    fetch: (request) => {
      const { topic, partition, offset, waitMs } = request;
      const what = `reading ${topic}/${partition} from ${offset}`;
      return ask(shardOf(topic, partition), what, (stub) => stub.read(request), waitMs);
    },
    earliestOffset: (topic, partition, nearOffset) =>
      ask(shardOf(topic, partition), `finding the start of ${topic}/${partition}`, (stub) =>
        stub.earliestOffset(topic, partition, nearOffset),
      ),
    latestOffset: (topic, partition, nearOffset) =>
      ask(shardOf(topic, partition), `finding the end of ${topic}/${partition}`, (stub) =>
        stub.latestOffset(topic, partition, nearOffset),
      ),
    partitionCount: (topic) =>
      ask(0, `counting partitions of ${topic}`, (stub) => stub.partitionCount(topic)),
    topics: () => ask(0, "listing topics", (stub) => stub.topics()),
    describeTopic: (topic) => ask(0, `describing ${topic}`, (stub) => stub.describeTopic(topic)),
    createTopic: (spec) => ask(0, `creating ${spec.name}`, (stub) => stub.createTopic(spec)),
    commitOffset: (group, topic, partition, nextOffset) =>
      ask(shardOf(topic, partition), `committing for ${group}`, (stub) =>
        stub.commitOffset(group, topic, partition, nextOffset),
      ),
    committedOffset: (group, topic, partition) =>
      ask(shardOf(topic, partition), `reading the commit of ${group}`, (stub) =>
        stub.committedOffset(group, topic, partition),
      ),
    deleteRecords: (topic, partition, beforeOffset) =>
      ask(shardOf(topic, partition), `deleting from ${topic}/${partition}`, (stub) =>
        stub.deleteRecords(topic, partition, beforeOffset),
      ),
  };

  const others = direct ?? remote;
  return {
    name,
    produce,
    capabilities: () => others.capabilities(),
    fetch: (request) => others.fetch(request),
    earliestOffset: (topic, partition, near) => others.earliestOffset(topic, partition, near),
    latestOffset: (topic, partition, near) => others.latestOffset(topic, partition, near),
    partitionCount: (topic) => others.partitionCount(topic),
    topics: () => others.topics(),
    describeTopic: (topic) => others.describeTopic(topic),
    createTopic: (spec) => others.createTopic(spec),
    commitOffset: (group, topic, partition, next) => others.commitOffset(group, topic, partition, next),
    committedOffset: (group, topic, partition) => others.committedOffset(group, topic, partition),
    deleteRecords: (topic, partition, before) => others.deleteRecords(topic, partition, before),
    // The hosts serve others, and outlive this caller.
    close: async () => await direct?.close(),
  };
}

/** The record with bytes of its own: a view would cross to the other side with all of the buffer that it looks into. */
export function withOwnBytes<T extends FetchedRecord | ProduceRecord>(record: T): T {
  const { headers } = record;
  return {
    ...record,
    key: ownBytes(record.key),
    value: ownBytes(record.value),
    ...(headers && { headers: headers.map(({ name, value }) => ({ name, value: ownBytes(value) })) }),
  };
}

/** A view would cross to another object with all of the buffer that it looks into. */
export function ownBytes<T extends Uint8Array | null>(bytes: T): T | Uint8Array {
  return bytes === null || bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function topicHash(topic: string): number {
  return murmur2(new TextEncoder().encode(topic)) & 0x7fffffff;
}

/** A call's answer, or a KafkaError that may be retried where the host itself fails. */
async function answerOf<T>(call: () => Promise<T>, what: string): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    // Reset by a deploy, evicted, overloaded, the network between: what was sent may have been written.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new KafkaError("unavailable", `${what}: the Durable Object failed (${message})`, { cause });
  }
}
