/**
 * The log in a Kafka cluster, over its own protocol: acks=all, exact offsets, reads without a group. Every call ends
 * within five seconds of its wait, also while the cluster is down or silent; the first call after it is back is served.
 */
import { ListOffsetTimestamps, listOffsetsV8 } from "@platformatic/kafka";
import { ClusterClient, type ClusterOptions } from "./cluster/cluster-client.ts";
import { check } from "./cluster/cluster-errors.ts";
import { CALL_TIMEOUT_MS, inTime } from "./cluster/deadline.ts";
import { PartitionWriter } from "./cluster/partition-writer.ts";
import { decodeBatches } from "./cluster/record-batch.ts";
import * as admin from "./cluster/topic-admin.ts";
import { fetchApi } from "./cluster/wire-apis.ts";
import { KafkaError } from "./kafka-error.ts";
import type {
  FetchOptions,
  Log,
  LogRecord,
  RecordBatch,
  Retention,
  TopicDescription,
  TopicSettings,
} from "./log.ts";

/** A wait for data is asked for in slices, so that one that nobody wants any more ends soon. */
const WAIT_SLICE_MS = 500;
const CONSUMER = -1;
const UNCOMMITTED = 0;

export interface ClusterLogOptions extends ClusterOptions {
  now?: () => number;
}

export class ClusterLog implements Log {
  readonly client: ClusterClient;
  readonly #now: () => number;
  readonly #writers = new Map<string, PartitionWriter>();

  constructor(options: ClusterLogOptions) {
    this.client = new ClusterClient(options);
    this.#now = options.now ?? Date.now;
  }

  clusterId(): Promise<string> {
    return inTime(this.client.clusterId());
  }

  topics(): Promise<TopicDescription[]> {
    return inTime(this.client.topics());
  }

  topic(name: string): Promise<TopicDescription | undefined> {
    return inTime(this.client.topic(name));
  }

  createTopic(settings: TopicSettings): Promise<TopicDescription> {
    return inTime(admin.createTopic(this.client, settings));
  }

  growTopic(name: string, partitions: number): Promise<void> {
    return inTime(admin.growTopic(this.client, name, partitions));
  }

  retention(name: string): Promise<Retention> {
    return inTime(admin.readRetention(this.client, name));
  }

  setRetention(name: string, retention: Retention): Promise<void> {
    return inTime(admin.writeRetention(this.client, name, retention));
  }

  deleteTopic(name: string): Promise<void> {
    return inTime(admin.deleteTopic(this.client, name));
  }

  async append(topic: string, partition: number, records: readonly LogRecord[]): Promise<number> {
    const key = `${partition}/${topic}`;
    const writer = this.#writers.get(key) ?? new PartitionWriter(this.client, topic, partition, this.#now);
    this.#writers.set(key, writer);
    try {
      return await writer.append(records);
    } finally {
      if (writer.isIdle && this.#writers.get(key) === writer) this.#writers.delete(key);
    }
  }

  async fetch(
    topic: string,
    partition: number,
    offset: number,
    options: FetchOptions,
  ): Promise<RecordBatch[]> {
    const { maxBytes, signal } = options;
    const until = performance.now() + options.timeoutMs;
    const aborted = abortOf(signal);
    let from = offset;
    for (;;) {
      const left = Math.max(0, until - performance.now());
      const maxWaitMs = Math.round(Math.min(left, WAIT_SLICE_MS));
      const slice = inTime(this.#fetchSlice(topic, partition, from, maxBytes, maxWaitMs), maxWaitMs);
      slice.catch(() => undefined);
      // oxlint-disable-next-line no-await-in-loop -- each slice begins where the last one ended
      const found = await Promise.race([aborted, slice]);
      if (found === undefined) return [];
      const { batches, nextOffset } = found;
      if (batches.length > 0) return batches;
      // Markers of transactions only: what comes behind them may be there already.
      if (nextOffset !== undefined && nextOffset > from) from = nextOffset;
      else if (performance.now() >= until || maxWaitMs === 0) return [];
    }
  }

  async bounds(topic: string, partition: number): Promise<{ start: number; end: number }> {
    const [start, end] = await inTime(
      Promise.all([
        this.#listOffset(topic, partition, ListOffsetTimestamps.EARLIEST),
        this.#listOffset(topic, partition, ListOffsetTimestamps.LATEST),
      ]),
    );
    return { start, end };
  }

  deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    return inTime(admin.deleteRecords(this.client, topic, partition, before));
  }

  async close(): Promise<void> {
    this.client.close();
  }

  async #fetchSlice(
    topic: string,
    partition: number,
    offset: number,
    maxBytes: number,
    maxWaitMs: number,
  ): Promise<{ batches: RecordBatch[]; nextOffset: number | undefined }> {
    const request = { topic, partition, offset, maxBytes: Math.max(1, maxBytes), maxWaitMs };
    const options = { alone: maxWaitMs > 0, timeoutMs: CALL_TIMEOUT_MS + maxWaitMs };
    return await this.client.leader(topic, partition, async (call) => {
      const { errorCode, records } = await call(fetchApi, [request], options);
      check(errorCode);
      return decodeBatches(records);
    });
  }

  async #listOffset(topic: string, partition: number, timestamp: bigint): Promise<number> {
    const wanted = {
      name: topic,
      partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }],
    };
    return await this.client.leader(topic, partition, async (call) => {
      const { topics } = await call(listOffsetsV8.api, [CONSUMER, UNCOMMITTED, [wanted]]);
      const found = topics[0]?.partitions[0];
      if (found === undefined) throw new KafkaError("unknown_server_error", "no offset in the answer");
      check(found.errorCode);
      return Number(found.offset);
    });
  }
}

/** Resolves when the signal aborts, never without one. */
function abortOf(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve(undefined);
    signal?.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
