/**
 * What a dialect needs from a Kafka: topics, appends that are durable when they resolve, and reads by offset.
 * `file-log.ts` keeps it in files, `cluster-log.ts` in a Kafka cluster.
 */

export interface Retention {
  /** Age in ms after which whole segments go; -1 keeps them for ever. */
  retentionMs: number;
  /** Bytes one partition may hold before whole segments go; -1 is no limit. */
  retentionBytes: number;
}

export interface TopicSettings extends Retention {
  name: string;
  partitions: number;
}

export interface TopicDescription {
  name: string;
  partitions: number;
  /** Differs between a topic and one made later under the same name. */
  incarnation: string;
}

export interface RecordHeader {
  name: string;
  value: Uint8Array | null;
}

export interface LogRecord {
  /** null: no key. */
  key: Uint8Array | null;
  /** null: a tombstone. */
  value: Uint8Array | null;
  /** The producer's time, ms since the epoch; without it the record has its batch's. */
  timestampMs?: number;
  headers?: readonly RecordHeader[];
}

/** Records of consecutive offsets that are read together. */
export interface RecordBatch {
  baseOffset: number;
  /** The broker's clock at the append, ms since the epoch. */
  appendedMs: number;
  records: LogRecord[];
}

export interface FetchOptions {
  /** Whole batches are returned until this many bytes are reached; the first batch always is. */
  maxBytes: number;
  /** How long to wait for data when `offset` is the log's end. 0 answers at once. */
  timeoutMs: number;
  /** Ends the wait early, with what there is. */
  signal?: AbortSignal | undefined;
}

/** Every method rejects with KafkaError. */
export interface Log {
  clusterId(): Promise<string>;
  /** Sorted by name. */
  topics(): Promise<TopicDescription[]>;
  topic(name: string): Promise<TopicDescription | undefined>;
  createTopic(settings: TopicSettings): Promise<TopicDescription>;
  /** Adds partitions; refuses to take some away. */
  growTopic(name: string, partitions: number): Promise<void>;
  /** How long the topic's records are kept. */
  retention(name: string): Promise<Retention>;
  setRetention(name: string, retention: Retention): Promise<void>;
  deleteTopic(name: string): Promise<void>;
  /** Appends `records` one behind the other and resolves with its base offset once it is on stable storage. */
  append(topic: string, partition: number, records: readonly LogRecord[]): Promise<number>;
  /** Batches from the one that holds `offset` on, hence possibly records before `offset`. Empty at the log's end. */
  fetch(topic: string, partition: number, offset: number, options: FetchOptions): Promise<RecordBatch[]>;
  /** `start`: the first offset still held; `end`: the offset the next record will get. */
  bounds(topic: string, partition: number): Promise<{ start: number; end: number }>;
  /** Deletes the records below `before`: the partition then starts at exactly that offset. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>;
  close(): Promise<void>;
}
