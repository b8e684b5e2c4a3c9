// How Weir reaches Kafka: the one interface that every transport implements, small, with its powers as data.
import type { KafkaError } from "./errors.ts";

/** A message to write. The caller picks the partition (see partitioner.ts). */
export interface ProduceRecord {
  partition: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
}

/** What became of one message: where it lies, or why it does not (as far as is known). */
export type ProduceOutcome =
  | { ok: true; partition: number; offset: number }
  | { ok: false; error: KafkaError };

/** A message as read. */
export interface FetchedRecord {
  offset: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
}

export interface FetchRequest {
  topic: string;
  partition: number;
  /** First offset wanted. */
  offset: number;
  /** About how much to return; at least one message comes when there is one. */
  maxBytes: number;
  /** How long the broker may wait for a first message. */
  waitMs: number;
}

export interface TransportCapabilities {
  /** `cluster`: the transport asks Kafka; `configured`: KAFKA_PARTITIONS says; `probed`: found by reads. */
  partitionCounts: "cluster" | "configured" | "probed";
  /** `exact`: Kafka tells; `probed`: found by reads, so each look costs some. */
  endOffsets: "exact" | "probed";
  /** `all`: every write waits for all in-sync replicas, known for sure; `proxy`: the proxy's own setting decides. */
  acks: "all" | "proxy";
}

/** Every method throws KafkaError, and none waits beyond its deadline. */
export interface KafkaTransport {
  readonly name: string;
  readonly capabilities: TransportCapabilities;
  /**
   * Writes messages to one topic; answers once they are durable.
   * @returns one outcome per record, in order
   * @throws KafkaError when nothing is known of any record (a broken connection, a refusal of the whole request)
   */
  produce(topic: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]>;
  /** @returns messages in offset order; none at the log's end. Code `offset_out_of_range` outside of the log. */
  fetch(request: FetchRequest): Promise<FetchedRecord[]>;
  /**
   * Offset of the oldest message still kept; the end where there is none.
   * @param nearOffset of a message that is thought to be kept; where Kafka does not tell the start, this finds it
   */
  earliestOffset(topic: string, partition: number, nearOffset?: number): Promise<number>;
  /**
   * Offset that the next message will get.
   * @param nearOffset where the end is thought to be; makes probing cheaper
   */
  latestOffset(topic: string, partition: number, nearOffset?: number): Promise<number>;
  /** @throws KafkaError `unknown_topic` */
  partitionCount(topic: string): Promise<number>;
  /** Names of all topics that can be seen. Also the cheapest proof that Kafka can be reached. */
  topics(): Promise<string[]>;
}
