// How Weir reaches Kafka: the one interface that every transport implements, small, with its powers as data. What a
// transport cannot do it declares in its capabilities, and asking for it all the same throws KafkaError `unsupported`.
import { KafkaError } from "./errors.ts";

/** A record header; Kafka allows the same name more than once. */
export interface RecordHeader {
  name: string;
  value: Uint8Array | null;
}

/** A message to write. The caller picks the partition (see partitioner.ts). */
export interface ProduceRecord {
  partition: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers?: readonly RecordHeader[];
  /** Milliseconds since the epoch; absent: the broker's or the proxy's clock. */
  timestampMs?: number;
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
  /** Absent where the transport does not tell them (capability `recordHeaders`). */
  headers?: readonly RecordHeader[];
  /** Milliseconds since the epoch; absent where the transport does not tell it. */
  timestampMs?: number;
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
  /** False: this transport only writes, and another one reads (KAFKA_READ_TRANSPORT). */
  reads: boolean;
  /** `cluster`: the transport asks Kafka; `configured`: KAFKA_PARTITIONS says; `probed`: found by reads. */
  partitionCounts: "cluster" | "configured" | "probed";
  /** `exact`: Kafka tells; `probed`: found by reads, so each look costs some. */
  endOffsets: "exact" | "probed";
  /**
   * `all`: every write asks for all in-sync replicas. `default-all`: the proxy does so unless its operator changed it.
   * `confirmed`: the proxy does not show it, KAFKA_ACKS_CONFIRMED vouches. `unconfirmed`: nobody does; writing refuses.
   */
  acks: "all" | "default-all" | "confirmed" | "unconfirmed";
  /** `text`: keys and values must be UTF-8; other bytes are refused, record by record. */
  values: "bytes" | "text";
  /** Record headers and timestamps. */
  recordHeaders: "none" | "write" | "read-write";
  createTopics: boolean;
  /** `describeTopic` tells settings; `replicas`: it also tells which partitions are under-replicated. */
  describeTopics: "partitions" | "settings" | "replicas";
  /** Offsets of a consumer group can be committed and read back. */
  groupOffsets: boolean;
  deleteRecords: boolean;
}

export interface TopicSpec {
  name: string;
  partitions: number;
  /** Absent: the cluster's default. */
  replicationFactor?: number;
  /** Kafka's topic settings, such as `retention.ms`. */
  config: Readonly<Record<string, string>>;
}

export interface PartitionDescription {
  partition: number;
  /** Counts of brokers; absent where the transport does not tell them. Fewer in sync than replicas: under-replicated. */
  replicas?: number;
  inSyncReplicas?: number;
}

export interface TopicDescription {
  name: string;
  partitions: PartitionDescription[];
  /** Settings in force, defaults included; absent where the transport does not tell them. */
  config?: Readonly<Record<string, string>>;
}

/** Every method throws KafkaError, and none waits beyond its deadline. */
export interface KafkaTransport {
  readonly name: string;
  /** What it can do on this cluster. May ask the cluster, once. */
  capabilities(): Promise<TransportCapabilities>;
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
  /** @throws KafkaError `unknown_topic` */
  describeTopic(topic: string): Promise<TopicDescription>;
  /** @throws KafkaError `topic_exists` */
  createTopic(spec: TopicSpec): Promise<void>;
  /** Tells the cluster how far a group has read: `nextOffset` is the first it has not. */
  commitOffset(group: string, topic: string, partition: number, nextOffset: number): Promise<void>;
  /** @returns what `commitOffset` was last given; undefined where nothing is committed */
  committedOffset(group: string, topic: string, partition: number): Promise<number | undefined>;
  /** Removes the messages before `beforeOffset`. */
  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void>;
  /** Gives up connections, where it holds any. */
  close(): Promise<void>;
}

/** The error for a power that a transport declares not to have. */
export function unsupported(transport: string, what: string, mend: string): KafkaError {
  return new KafkaError("unsupported", `KAFKA_TRANSPORT=${transport} cannot ${what}; ${mend}`);
}
