// The consumers' figures as they are told: sums over partitions, rates, means and percentiles. Pure.

/** Sums as storage keeps them (lib/storage/consumer-stats.ts). */
export interface Figures {
  messages: number;
  failedMessages: number;
  records: number;
  deadLetters: number;
  commits: number;
  busyMs: number;
  processing: readonly number[];
  waiting: readonly number[];
}

export interface PartitionFigures {
  topic: string;
  total: Figures;
  recent: Figures;
  sinceMs: number;
  committedAtMs: number;
}

export interface Span {
  /** Epoch ms. */
  fromMs: number;
  toMs: number;
}

export interface Bounds {
  processingMs: readonly number[];
  waitingMs: readonly number[];
}

/** What is told of a topic, or of all. The last four are of the recent span; null where nothing was read in it. */
export interface StatsLine {
  processed: number;
  failed: number;
  dlq: number;
  rate_per_sec: number;
  avg_processing_ms: number | null;
  p95: number | null;
  waited_p95_ms: number | null;
}

/** @param recent the span of the figures' `recent` */
export function statsLine(rows: readonly PartitionFigures[], recent: Span, bounds: Bounds): StatsLine {
  const total = sumOf(rows.map((row) => row.total));
  const lately = sumOf(rows.map((row) => row.recent));
  const sinceMs = Math.max(recent.fromMs, Math.min(recent.toMs, ...rows.map((row) => row.sinceMs)));
  // A rate over less than a second says nothing.
  const seconds = Math.max(1, (recent.toMs - sinceMs) / 1_000);
  return {
    processed: total.records,
    failed: total.failedMessages,
    dlq: total.deadLetters,
    rate_per_sec: rounded(lately.records / seconds),
    avg_processing_ms: lately.messages === 0 ? null : rounded(lately.busyMs / lately.messages),
    p95: percentile(bounds.processingMs, lately.processing, 0.95),
    waited_p95_ms: percentile(bounds.waitingMs, lately.waiting, 0.95),
  };
}

/** Since the first commit there is. */
export function uptimeSeconds(rows: readonly PartitionFigures[], nowMs: number): number {
  const sinceMs = Math.min(nowMs, ...rows.map((row) => row.sinceMs));
  return Math.floor((nowMs - sinceMs) / 1_000);
}

function sumOf(figures: readonly Figures[]): Figures {
  const add = (field: "messages" | "failedMessages" | "records" | "deadLetters" | "commits" | "busyMs") =>
    figures.reduce((sum, one) => sum + one[field], 0);
  const addBuckets = (field: "processing" | "waiting") =>
    (figures[0]?.[field] ?? []).map((_, i) => figures.reduce((sum, one) => sum + (one[field][i] ?? 0), 0));
  return {
    messages: add("messages"),
    failedMessages: add("failedMessages"),
    records: add("records"),
    deadLetters: add("deadLetters"),
    commits: add("commits"),
    busyMs: add("busyMs"),
    processing: addBuckets("processing"),
    waiting: addBuckets("waiting"),
  };
}

/**
 * Within the bucket taken to lie evenly, as Prometheus' histogram_quantile has it; of the last one, which has no upper
 * bound, the lower.
 */
export function percentile(
  bounds: readonly number[],
  buckets: readonly number[],
  quantile: number,
): number | null {
  const count = buckets.reduce((sum, bucket) => sum + bucket, 0);
  if (count === 0) return null;
  const rank = quantile * count;
  let below = 0;
  for (const [i, bound] of bounds.entries()) {
    const bucket = buckets[i] ?? 0;
    if (below + bucket >= rank && bucket > 0) {
      const lower = bounds[i - 1] ?? 0;
      return rounded(lower + (bound - lower) * ((rank - below) / bucket));
    }
    below += bucket;
  }
  return bounds.at(-1) ?? null;
}

/** To a thousandth: what stands behind it is made of whole milliseconds. */
const rounded = (value: number) => Math.round(value * 1_000) / 1_000;
