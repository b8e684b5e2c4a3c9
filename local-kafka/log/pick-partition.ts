/** Partition of a record that names none: by key as the Java client does, or each in turn; 0 when the topic is not known. */
import type { Log, LogRecord } from "./log.ts";
import { partitionForKey } from "./murmur2.ts";

export type PickPartition = (record: LogRecord) => number;

/** Keeps the turns of every topic. */
export function partitionPicker(log: Log): (topic: string) => Promise<PickPartition> {
  const next = new Map<string, number>();
  return async (topic) => {
    const partitions = (await log.topic(topic))?.partitions;
    return ({ key }) => {
      if (partitions === undefined) return 0;
      if (key !== null && key.byteLength > 0) return partitionForKey(key, partitions);
      const turn = next.get(topic) ?? 0;
      next.set(topic, turn + 1);
      return turn % partitions;
    };
  };
}
