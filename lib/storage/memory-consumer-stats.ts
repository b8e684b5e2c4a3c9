// The consumers' figures in memory: the meaning of the tables in the plainest form.
import {
  ADDED_COLUMNS,
  addedBy,
  figuresFrom,
  minuteOf,
  type ConsumerStats,
  type Minutes,
  type StatsStore,
} from "./consumer-stats.ts";
import type { PartitionCommit, PartitionId } from "./storage.ts";

interface Kept extends PartitionId {
  total: number[];
  byMinute: Map<number, number[]>;
  sinceMs: number;
  committedAtMs: number;
  lagMs: number;
}

export class MemoryConsumerStats implements StatsStore {
  readonly #kept = new Map<string, Kept>();

  apply(commit: PartitionCommit): void {
    const added = addedBy(commit);
    if (!added) return;
    const { group, topic, partition, committedAtMs, stats } = commit;
    const place = JSON.stringify([group, topic, partition]);
    const minute = minuteOf(committedAtMs);
    const kept: Kept = this.#kept.get(place) ?? {
      group,
      topic,
      partition,
      total: [],
      byMinute: new Map(),
      sinceMs: committedAtMs,
      committedAtMs,
      lagMs: 0,
    };
    kept.total = sum(kept.total, added);
    kept.byMinute.set(minute, sum(kept.byMinute.get(minute) ?? [], added));
    kept.sinceMs = Math.min(kept.sinceMs, committedAtMs);
    kept.committedAtMs = committedAtMs;
    kept.lagMs = Math.max(0, Math.round(stats?.lagMs ?? 0));
    this.#kept.set(place, kept);
  }

  async consumerStats(groupPrefix: string, { from, to }: Minutes): Promise<ConsumerStats[]> {
    return [...this.#kept.values()]
      .filter(({ group }) => group.startsWith(groupPrefix))
      .map(({ total, byMinute, ...place }) => {
        const minutes = [...byMinute].filter(([minute]) => minute >= from && minute < to);
        const recent = minutes.reduce<number[]>((sums, [, added]) => sum(sums, added), []);
        return { ...place, total: figuresOf(total), recent: figuresOf(recent) };
      })
      .toSorted((a, b) => byText(a.group, b.group) || byText(a.topic, b.topic) || a.partition - b.partition);
  }

  async pruneStats(beforeMinute: number): Promise<number> {
    let dropped = 0;
    for (const { byMinute } of this.#kept.values())
      for (const minute of byMinute.keys()) if (minute < beforeMinute && byMinute.delete(minute)) dropped++;
    return dropped;
  }
}

const sum = (a: readonly number[], b: readonly number[]) => b.map((value, i) => value + (a[i] ?? 0));

const figuresOf = (added: readonly number[]) =>
  figuresFrom((column) => added[ADDED_COLUMNS.indexOf(column)] ?? 0);

const byText = (a: string, b: string) => (a < b ? -1 : Number(a > b));
