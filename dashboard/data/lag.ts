// Progress of the consumers, folded for reading: per group and topic, and as a rate from successive polls. Pure.
import type { PartitionLag } from "./shapes.ts";

export interface TopicLag {
  group: string;
  topic: string;
  partitions: number;
  /** Sum over the partitions that tell; undefined when none does. */
  lag: number | undefined;
  records: number;
  /** The partitions that stand still, with the reason. */
  errors: Array<{ partition: number; error: string }>;
}

const sumKnown = (values: Array<number | undefined>): number | undefined =>
  values.reduce((sum, value) => (value === undefined ? sum : (sum ?? 0) + value), undefined);

export function lagByTopic(partitions: readonly PartitionLag[]): TopicLag[] {
  const topics = new Map<string, PartitionLag[]>();
  for (const partition of partitions) {
    const key = `${partition.topic}\u0000${partition.group}`;
    topics.set(key, [...(topics.get(key) ?? []), partition]);
  }
  return [...topics.entries()]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([, members]) => ({
      group: members[0]?.group ?? "",
      topic: members[0]?.topic ?? "",
      partitions: members.length,
      lag: sumKnown(members.map(({ lag }) => lag)),
      records: members.reduce((sum, { records }) => sum + records, 0),
      errors: members
        .filter(({ error }) => error !== "")
        .map(({ partition, error }) => ({ partition, error })),
    }));
}

export const totalLag = (topics: readonly TopicLag[]): number | undefined =>
  sumKnown(topics.map(({ lag }) => lag));
export const totalRecords = (topics: readonly TopicLag[]): number =>
  topics.reduce((sum, { records }) => sum + records, 0);

/** Rate of a counter over the last `spanMs` of readings; a counter that goes back starts anew. */
export class Rate {
  readonly #spanMs: number;
  #readings: Array<{ atMs: number; count: number }> = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** Takes a reading; per second since the oldest reading of the span, undefined until there are two. */
  read(count: number, atMs: number): number | undefined {
    const last = this.#readings.at(-1);
    if (last && (count < last.count || atMs < last.atMs)) this.#readings = [];
    this.#readings.push({ atMs, count });
    this.#readings = this.#readings.filter((reading) => reading.atMs >= atMs - this.#spanMs);
    const first = this.#readings[0];
    if (!first || first.atMs === atMs) return undefined;
    return ((count - first.count) / (atMs - first.atMs)) * 1000;
  }
}
