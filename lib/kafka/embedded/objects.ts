// What the embedded transport asks of its Durable Objects. One holds the log of one partition, one the list of
// topics. Answers are values (rpc-result.ts); a call that throws never reached the object or lost it on the way.
import type { RpcResult } from "../rpc-result.ts";
import type { FetchedRecord, ProduceRecord, TopicSpec } from "../transport.ts";

/** A record over this (key, value and headers) is refused: Kafka's own default (`max.message.bytes`), too. */
export const MAX_RECORD_BYTES = 1 << 20;

/**
 * What one call may carry, either way. A message between objects may have 32 MiB once serialized
 * (developers.cloudflare.com/workers/runtime-apis/rpc, "Limits"), and an object lives in 128 MB.
 */
export const MAX_CALL_BYTES = 8 << 20;

/** Counted for each record beside its bytes, so that empty ones have a size. */
export const RECORD_OVERHEAD_BYTES = 32;

export type AppendRecord = Omit<ProduceRecord, "partition">;

/** Limits of age and of size; -1 is none. */
export interface LogSettings {
  retentionMs: number;
  retentionBytes: number;
}

export interface ReadRequest {
  offset: number;
  maxBytes: number;
  waitMs: number;
}

/** Every method but `create` answers `unknown_topic` for a log that was not created. */
export interface PartitionLogCalls {
  /** Makes the log, or changes the settings of one that is there. */
  create(topic: string, partition: number, settings: LogSettings): Promise<RpcResult<void>>;
  /**
   * All of them or none; durable once it is answered.
   * @returns offset of the first; the others follow without a gap
   */
  append(records: readonly AppendRecord[]): Promise<RpcResult<number>>;
  /** Not `fetch`: a stub keeps that name for HTTP. */
  read(request: ReadRequest): Promise<RpcResult<FetchedRecord[]>>;
  bounds(): Promise<RpcResult<{ start: number; end: number }>>;
  deleteRecords(beforeOffset: number): Promise<RpcResult<void>>;
}

export interface PartitionLogs {
  /** For one call: a stub that has thrown once fails all later calls. */
  of(topic: string, partition: number): PartitionLogCalls;
}

export interface StoredTopic {
  name: string;
  partitions: number;
  config: Record<string, string>;
}

export interface TopicDirectoryCalls {
  /** Makes the topics that are not there, adds partitions to those that have fewer, and gives all these settings. */
  ensure(specs: readonly TopicSpec[]): Promise<RpcResult<void>>;
  create(spec: TopicSpec): Promise<RpcResult<void>>;
  list(): Promise<RpcResult<string[]>>;
  describe(topic: string): Promise<RpcResult<StoredTopic>>;
  commitOffset(group: string, topic: string, partition: number, nextOffset: number): Promise<RpcResult<void>>;
  /** @returns null where nothing is committed */
  committedOffset(group: string, topic: string, partition: number): Promise<RpcResult<number | null>>;
}

export interface TopicDirectories {
  /** For one call, as with the logs. */
  get(): TopicDirectoryCalls;
}

export function sizeOf({ key, value, headers = [] }: AppendRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  // In UTF-8 a name may take three bytes for each unit.
  for (const header of headers) bytes += header.name.length * 3 + (header.value?.length ?? 0);
  return bytes;
}
