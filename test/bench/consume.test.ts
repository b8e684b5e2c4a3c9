// The parts of the consumers' bench that can be wrong without anyone seeing it: what is in the log, and the arithmetic.
import { describe, expect, it } from "vitest";
import { formatConsumeReport, stretchesOf, type Sample } from "../../bench/consume-figures.ts";
import { parseConsumeOptions, RECORDS_PER_ENVELOPE } from "../../bench/consume-options.ts";
import { envelopesOf, metricName } from "../../bench/consume-records.ts";
import { decodeMessage } from "../../lib/telemetry/envelope.ts";
import { validateMetric, type Metric } from "../../lib/telemetry/metric.ts";

const START = Date.parse("2026-11-21T00:00:00.000Z");

describe("what is in the log", () => {
  const given = { records: 2_000, series: 40, intervalMs: 1_000 };
  const envelopes = [...envelopesOf(given, START, "2026-11-21T10:00:00.000Z")].map(({ host, value }) => {
    const decoded = decodeMessage(value);
    if (!decoded.ok || decoded.value.kind !== "envelope") throw new Error("no envelope that Weir reads");
    return { host, envelope: decoded.value.envelope };
  });

  it("is envelopes that Weir reads, of records that it takes", () => {
    expect(envelopes).toHaveLength(given.records / RECORDS_PER_ENVELOPE);
    expect(new Set(envelopes.map(({ envelope }) => envelope.batch)).size).toBe(envelopes.length);
    for (const { envelope } of envelopes)
      for (const entry of envelope.entries)
        expect(
          validateMetric(entry, { receivedMs: START + 3_600_000, enforceTimeRange: true }),
        ).toMatchObject({ ok: true });
  });

  it("has as many series as asked for, each with a point at every interval, once", () => {
    const points = new Map<string, number[]>();
    for (const { envelope } of envelopes) {
      for (const entry of envelope.entries as Metric[]) {
        const series = JSON.stringify([entry.name, entry.labels]);
        points.set(series, [...(points.get(series) ?? []), Date.parse(entry.timestamp)]);
      }
    }
    expect(points.size).toBe(given.series);
    const wanted = Array.from({ length: 50 }, (_, i) => START + i * 1_000);
    for (const times of points.values()) expect(times).toEqual(wanted);
    expect([...points.keys()].some((series) => series.includes(metricName(9)))).toBe(true);
  });
});

describe("figures", () => {
  const samples = (cpuPerRecord: (records: number) => number): Sample[] => {
    const all: Sample[] = [{ ms: 500, records: 0, cpuMs: 70 }];
    for (let records = 50_000; records <= 500_000; records += 50_000) {
      const before = all.at(-1)!;
      all.push({ ms: before.ms + 1_000, records, cpuMs: before.cpuMs + 50_000 * cpuPerRecord(records) });
    }
    return all;
  };

  it("are by the time and the CPU that it took", () => {
    const { seconds, whole, first, last } = stretchesOf(samples(() => 0.02));
    expect(seconds).toBe(10);
    for (const stretch of [whole, first, last]) {
      expect(stretch?.recordsPerSecond).toBeCloseTo(50_000);
      expect(stretch?.cpuMicrosPerRecord).toBeCloseTo(20);
    }
  });

  it("show a cost that grows", () => {
    const { first, last } = stretchesOf(samples((records) => records / 10_000_000));
    expect(last!.cpuMicrosPerRecord).toBeGreaterThan(5 * first!.cpuMicrosPerRecord);
  });

  it("lie on the line between two samples, where a commit took many", () => {
    const { first } = stretchesOf([
      { ms: 0, records: 0, cpuMs: 0 },
      { ms: 4_000, records: 400_000, cpuMs: 8_000 },
    ]);
    expect(first).toEqual({ records: 100_000, recordsPerSecond: 100_000, cpuMicrosPerRecord: 20 });
  });

  it("compare no beginning with an end where there are few", () => {
    const few = stretchesOf([
      { ms: 0, records: 0, cpuMs: 0 },
      { ms: 1_000, records: 100_000, cpuMs: 1_000 },
    ]);
    expect([few.first, few.last]).toEqual([undefined, undefined]);
    const report = formatConsumeReport({
      ...few,
      machine: { cores: 2, node: "20", platform: "linux" },
      records: 100_000,
      messages: 1_000,
      bytesPerRecord: 146,
      series: 1_000,
      intervalMs: 1_000,
      settings: { ALERTING: "off" },
      windows: [{ window: "5m", results: 10 }],
      commits: 20,
      logCpuMicrosPerRecord: 3,
      peakMemoryMb: undefined,
      databaseMb: 12,
    });
    expect(report).toContain("100,000 records/s");
    expect(report).toContain("ALERTING=off");
    expect(report).not.toMatch(/undefined|NaN/);
  });
});

describe("the command line", () => {
  it("has defaults, and takes settings", () => {
    expect(parseConsumeOptions([])).toEqual({
      help: false,
      json: false,
      options: { records: 1_000_000, series: 1_000, intervalMs: 1_000, settings: {} },
    });
    const asked = parseConsumeOptions(["--records", "10_000_000", "--set", "A=b=c", "--set", "D=", "--json"]);
    expect(asked).toMatchObject({
      json: true,
      options: { records: 10_000_000, settings: { A: "b=c", D: "" } },
    });
    expect(parseConsumeOptions(["--help"])).toEqual({ help: true });
  });

  it.each([
    [["--records", "150"], /multiple of 100/],
    [["--records", "0"], /multiple of 100/],
    [["--series", "15"], /multiple of 10/],
    [["--interval", "0"], /from 0.001/],
    [["--records", "10000000", "--series", "10"], /more than six days/],
    [["--set", "A"], /NAME=VALUE/],
    [["--recrods", "100"], /recrods/],
  ])("refuses %j", (args, message) => {
    expect(() => parseConsumeOptions(args)).toThrow(message);
  });
});
