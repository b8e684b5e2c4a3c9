// Kafka's log in memory, for tests that decide what lies where and in which order things happen: append, read from an
// offset, expire. Everything else a transport can do it refuses.
import { KafkaError } from "../../lib/kafka/errors.ts";
import type { FetchedRecord, KafkaTransport } from "../../lib/kafka/transport.ts";

export interface MemoryLog {
  transport: KafkaTransport;
  /** @returns the message's offset */
  append(topic: string, partition: number, value: Uint8Array | null): number;
  /** Messages from the oldest kept. */
  messages(topic: string, partition: number): FetchedRecord[];
  /** Retention removes the messages before an offset. */
  expire(topic: string, partition: number, beforeOffset: number): void;
}

interface Partition {
  start: number;
  messages: FetchedRecord[];
}

/** @param options.maxMessages how many one read gives, whatever its bytes */
export function createMemoryLog(options: { maxMessages?: number } = {}): MemoryLog {
  const { maxMessages = Infinity } = options;
  const partitions = new Map<string, Partition>();

  const partitionOf = (topic: string, partition: number): Partition => {
    const name = `${topic}/${partition}`;
    const known = partitions.get(name) ?? { start: 0, messages: [] };
    partitions.set(name, known);
    return known;
  };
  const endOf = ({ start, messages }: Partition) => start + messages.length;
  const refuse = (what: string) => async (): Promise<never> => {
    throw new KafkaError("unsupported", `the log in memory does not ${what}`);
  };

  const transport: KafkaTransport = {
    name: "memory",
    capabilities: refuse("tell its capabilities"),
    produce: refuse("produce: use append"),
    async fetch({ topic, partition, offset, maxBytes }) {
      const log = partitionOf(topic, partition);
      if (offset < log.start || offset > endOf(log)) {
        throw new KafkaError("offset_out_of_range", `${topic}/${partition} has no offset ${offset}`);
      }
      const read: FetchedRecord[] = [];
      let bytes = 0;
      for (const message of log.messages.slice(offset - log.start)) {
        bytes += message.value?.length ?? 0;
        if (read.length >= maxMessages || (read.length > 0 && bytes > maxBytes)) break;
        read.push({ ...message });
      }
      return read;
    },
    async earliestOffset(topic, partition) {
      return partitionOf(topic, partition).start;
    },
    async latestOffset(topic, partition) {
      return endOf(partitionOf(topic, partition));
    },
    partitionCount: refuse("count partitions"),
    topics: refuse("list topics"),
    describeTopic: refuse("describe topics"),
    createTopic: refuse("create topics"),
    commitOffset: refuse("keep groups"),
    committedOffset: refuse("keep groups"),
    deleteRecords: refuse("delete: use expire"),
    close: async () => undefined,
  };

  return {
    transport,
    append(topic, partition, value) {
      const log = partitionOf(topic, partition);
      const offset = endOf(log);
      log.messages.push({ offset, key: null, value, timestampMs: offset });
      return offset;
    },
    messages: (topic, partition) => [...partitionOf(topic, partition).messages],
    expire(topic, partition, beforeOffset) {
      const log = partitionOf(topic, partition);
      log.messages.splice(0, beforeOffset - log.start);
      log.start = Math.max(log.start, beforeOffset);
    },
  };
}
