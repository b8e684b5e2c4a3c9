import { describe, expect, it } from "vitest";
import { lagByTopic, Rate, totalLag, totalRecords } from "../../dashboard/data/lag.ts";
import { parseLag } from "../../dashboard/data/shapes.ts";

const partition = (topic: string, index: number, lag: number | null, records: number, error?: string) => ({
  group: "weir",
  topic,
  partition: index,
  committed: 0,
  end: lag,
  lag,
  records,
  updated_at: "2026-11-21T10:00:00.000Z",
  ...(error === undefined ? {} : { error }),
});

describe("lag", () => {
  it("is summed per topic, with the partitions that stand still", () => {
    const topics = lagByTopic(
      parseLag([
        partition("metrics.raw", 0, 4, 10),
        partition("logs.raw", 0, 3, 100),
        partition("logs.raw", 1, 2, 50, "storage_unavailable"),
      ])!,
    );
    expect(topics).toEqual([
      {
        group: "weir",
        topic: "logs.raw",
        partitions: 2,
        lag: 5,
        records: 150,
        errors: [{ partition: 1, error: "storage_unavailable" }],
      },
      { group: "weir", topic: "metrics.raw", partitions: 1, lag: 4, records: 10, errors: [] },
    ]);
    expect(totalLag(topics)).toBe(9);
    expect(totalRecords(topics)).toBe(160);
  });

  it("is not known, rather than 0, where no partition tells", () => {
    const topics = lagByTopic(parseLag([partition("logs.raw", 0, null, 1)])!);
    expect(topics[0]?.lag).toBeUndefined();
    expect(totalLag([])).toBeUndefined();
  });

  it("keeps two groups of one topic apart", () => {
    const entry = partition("logs.raw", 0, 1, 1);
    expect(lagByTopic(parseLag([entry, { ...entry, group: "archive" }])!)).toHaveLength(2);
  });
});

describe("a rate", () => {
  it("is per second over the span, and not known from one reading", () => {
    const rate = new Rate(30_000);
    expect(rate.read(100, 0)).toBeUndefined();
    expect(rate.read(150, 5_000)).toBe(10);
    expect(rate.read(150, 10_000)).toBe(5);
    expect(rate.read(1_150, 40_000)).toBeCloseTo(1_000 / 30);
  });

  it("starts anew when the counter goes back", () => {
    const rate = new Rate(30_000);
    rate.read(1_000, 0);
    expect(rate.read(10, 5_000)).toBeUndefined();
    expect(rate.read(20, 10_000)).toBe(2);
  });
});
