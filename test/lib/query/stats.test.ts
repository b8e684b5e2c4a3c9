// The consumers' figures as they are told.
import { describe, expect, it } from "vitest";
import {
  percentile,
  statsLine,
  uptimeSeconds,
  type Figures,
  type PartitionFigures,
} from "../../../lib/query/stats.ts";

const BOUNDS = { processingMs: [1, 10, 100], waitingMs: [50, 500] };
const NOW = 1_000_000_000;

const figures = (fields: Partial<Figures> = {}): Figures => ({
  messages: 0,
  failedMessages: 0,
  records: 0,
  deadLetters: 0,
  commits: 0,
  busyMs: 0,
  processing: [0, 0, 0, 0],
  waiting: [0, 0, 0],
  ...fields,
});

const partition = (fields: Partial<PartitionFigures> = {}): PartitionFigures => ({
  topic: "logs.raw",
  total: figures(),
  recent: figures(),
  sinceMs: 0,
  committedAtMs: NOW,
  ...fields,
});

describe("a line of statistics", () => {
  const recent = { fromMs: NOW - 60_000, toMs: NOW };

  it("sums what partitions did, and tells speed of the recent span alone", () => {
    const rows = [
      partition({
        total: figures({ records: 1_000, failedMessages: 2, deadLetters: 3, messages: 50, busyMs: 9_999 }),
        recent: figures({
          records: 90,
          messages: 3,
          busyMs: 12,
          processing: [0, 3, 0, 0],
          waiting: [1, 0, 0],
        }),
      }),
      partition({
        total: figures({ records: 10, deadLetters: 1 }),
        recent: figures({
          records: 30,
          messages: 1,
          busyMs: 8,
          processing: [0, 1, 0, 0],
          waiting: [1, 0, 0],
        }),
      }),
    ];
    expect(statsLine(rows, recent, BOUNDS)).toEqual({
      processed: 1_010,
      failed: 2,
      dlq: 4,
      rate_per_sec: 2,
      avg_processing_ms: 5,
      p95: 9.55,
      waited_p95_ms: 47.5,
    });
  });

  it("has a rate of what began within the span from its beginning", () => {
    const rows = [partition({ recent: figures({ records: 90 }), sinceMs: NOW - 9_000 })];
    expect(statsLine(rows, recent, BOUNDS).rate_per_sec).toBe(10);
    const justNow = [partition({ recent: figures({ records: 90 }), sinceMs: NOW })];
    expect(statsLine(justNow, recent, BOUNDS).rate_per_sec).toBe(90);
  });

  it("tells nothing of speed where nothing was read", () => {
    for (const rows of [[], [partition({ total: figures({ records: 5 }) })]])
      expect(statsLine(rows, recent, BOUNDS)).toMatchObject({
        rate_per_sec: 0,
        avg_processing_ms: null,
        p95: null,
        waited_p95_ms: null,
      });
  });

  it("is up since the first commit, whose clock may have been ahead", () => {
    expect(uptimeSeconds([partition({ sinceMs: NOW - 5_500 }), partition({ sinceMs: NOW })], NOW)).toBe(5);
    expect(uptimeSeconds([partition({ sinceMs: NOW + 60_000 })], NOW)).toBe(0);
    expect(uptimeSeconds([], NOW)).toBe(0);
  });
});

describe("percentiles of buckets", () => {
  // As histogram_quantile of Prometheus has them (prometheus.io/docs/prometheus/latest/querying/functions).
  it.each([
    [[10, 0, 0, 0], 0.95, 0.95],
    [[0, 10, 0, 0], 0.5, 5.5],
    [[5, 5, 0, 0], 0.5, 1],
    [[5, 5, 0, 0], 1, 10],
    [[0, 0, 0, 7], 0.95, 100],
    [[1, 0, 1, 0], 0.75, 55],
  ])("%j at %d", (buckets, quantile, expected) => {
    expect(percentile(BOUNDS.processingMs, buckets, quantile)).toBe(expected);
  });

  it("are none of nothing", () => expect(percentile([1], [0, 0], 0.5)).toBeNull());
});
