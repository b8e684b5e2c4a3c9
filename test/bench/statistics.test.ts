import { describe, expect, it } from "vitest";
import { compare, quantile, spreadOf, summarise, type RoundMeasure } from "../../bench/statistics.ts";

const round = (records: number, elapsedMs: number, cpuMs: number): RoundMeasure => ({
  requests: records / 100,
  records,
  produceRequests: records / 200,
  elapsedMs,
  cpuMs,
  p50Ms: 1,
  p99Ms: 2,
});

describe("statistics of the bench", () => {
  it("takes the median and the range, whatever the order", () => {
    expect(spreadOf([9, 1, 4])).toEqual({ median: 4, min: 1, max: 9 });
    expect(spreadOf([10, 1, 2, 4])).toEqual({ median: 3, min: 1, max: 10 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  it("interpolates a quantile between two ranks", () => {
    expect(quantile([0, 10, 20, 30, 40], 0.99)).toBeCloseTo(39.6);
  });

  it("gives rates per second and CPU in microseconds per record", () => {
    const figures = summarise([round(10_000, 2_000, 50)]);
    expect(figures.recordsPerSecond.median).toBe(5_000);
    expect(figures.requestsPerSecond.median).toBe(50);
    expect(figures.callsPerSecond.median).toBe(25);
    expect(figures.cpuMicrosPerRecord.median).toBe(5);
  });

  it("compares within a round, so that a noisy round weighs on neither side", () => {
    // Both sides twice as slow in the second round: the ratio is 3 in both. Medians compared afterwards would differ.
    const floor = [round(10_000, 1_000, 20), round(5_000, 1_000, 20), round(10_000, 1_000, 20)];
    const weir = [round(5_000, 1_000, 30), round(2_500, 1_000, 30), round(5_000, 1_000, 30)];
    expect(compare(weir, floor)).toEqual({
      cpu: { median: 3, min: 3, max: 3 },
      rate: { median: 0.5, min: 0.5, max: 0.5 },
    });
  });
});
