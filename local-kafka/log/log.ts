/**
 * What a dialect needs from a Kafka: topics, appends that are durable when they resolve, and reads by offset.
 * `file-log.ts` keeps it in files; a log over TCP to a real cluster fits the same interface.
 */

export interface TopicSettings {
  name: string;
  partitions: number;
  /** Age in ms after which whole segments go; -1 keeps them for ever. */
  retentionMs: number;
  /** Bytes one partition may hold before whole segments go; -1 is no limit. */
  retentionBytes: number;
}

export interface TopicDescription extends TopicSettings {
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

/** The records of one append: they share a base offset and are always read together. */
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
  readonly clusterId: string;
  /** Sorted by name. */
  topics(): TopicDescription[];
  topic(name: string): TopicDescription | undefined;
  createTopic(settings: TopicSettings): Promise<TopicDescription>;
  /** Adds partitions; refuses to take some away. */
  growTopic(name: string, partitions: number): Promise<void>;
  /** Changes how long the topic's records are kept. */
  setRetention(name: string, retention: { retentionMs: number; retentionBytes: number }): Promise<void>;
  deleteTopic(name: string): Promise<void>;
  /** Appends `records` as one batch and resolves with its base offset once it is on stable storage. */
  append(topic: string, partition: number, records: readonly LogRecord[]): Promise<number>;
  /** Batches from the one that holds `offset` on, hence possibly records before `offset`. Empty at the log's end. */
  fetch(topic: string, partition: number, offset: number, options: FetchOptions): Promise<RecordBatch[]>;
  /** `start`: the first offset still held; `end`: the offset the next record will get. */
  bounds(topic: string, partition: number): { start: number; end: number };
  close(): Promise<void>;
}
