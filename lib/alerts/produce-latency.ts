// The 99th percentile of Kafka's produce times over the last minutes, from histograms that only grow. It is known to the
// bucket: the answer is the bucket's upper bound, so what is told is never less than what was.

/** Of a histogram: counts by bucket, the last one is beyond all bounds. */
export interface BucketCounts {
  /** Upper bounds in milliseconds, rising. */
  boundsMs: readonly number[];
  counts: readonly number[];
}

const SPAN_MS = 5 * 60_000;
const MAX_SNAPSHOTS = 40;

export class ProduceLatency {
  #snapshots: { atMs: number; counts: readonly number[] }[] = [];

  /** @returns ms; 0 where nothing was produced; null where nothing is known of before */
  p99(now: BucketCounts, nowMs: number): number | null {
    const { boundsMs, counts } = now;
    // Other buckets than before, or less than before: what counted them began anew.
    this.#snapshots = this.#snapshots.filter(
      (one) =>
        one.atMs >= nowMs - SPAN_MS &&
        one.atMs <= nowMs &&
        one.counts.length === counts.length &&
        one.counts.every((count, i) => count <= (counts[i] ?? 0)),
    );
    const before = this.#snapshots[0];
    this.#snapshots.push({ atMs: nowMs, counts: [...counts] });
    if (this.#snapshots.length > MAX_SNAPSHOTS) this.#snapshots.splice(1, 1);
    if (!before) return null;
    const grown = counts.map((count, i) => count - (before.counts[i] ?? 0));
    const total = grown.reduce((sum, count) => sum + count, 0);
    let rank = Math.ceil(total * 0.99);
    if (rank === 0) return 0;
    for (const [i, count] of grown.entries()) {
      rank -= count;
      if (rank <= 0) return boundsMs[i] ?? (boundsMs.at(-1) ?? 0) * 2;
    }
    return null;
  }
}
