/** Partition of a record that names none: by key as the Java client does, or each in turn; 0 when the topic is not known. */
import type { Log, LogRecord } from "./log.ts";
import { partitionForKey } from "./murmur2.ts";

export function roundRobin(log: Log): (topic: string, record: LogRecord) => number {
  const next = new Map<string, number>();
  return (topic, { key }) => {
    const partitions = log.topic(topic)?.partitions;
    if (partitions === undefined) return 0;
    if (key !== null && key.byteLength > 0) return partitionForKey(key, partitions);
    const turn = next.get(topic) ?? 0;
    next.set(topic, turn + 1);
    return turn % partitions;
  };
}
