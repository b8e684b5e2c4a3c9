/** Where groups' committed offsets are kept: in a file beside a file log, in the cluster itself behind a cluster log. */

export interface TopicPartition {
  topic: string;
  partition: number;
}

/** A partition of a topic that exists. */
export interface KnownPartition extends TopicPartition {
  incarnation: string;
}

export interface CommittedOffsets {
  /** In the order asked; undefined: nothing committed. */
  committed(group: string, partitions: readonly KnownPartition[]): Promise<(number | undefined)[]>;
  /** Resolves once durable. */
  commit(group: string, offsets: readonly (KnownPartition & { offset: number })[]): Promise<void>;
  /** The topic was deleted. */
  forget(incarnation: string): Promise<void>;
  close(): Promise<void>;
}
