// What is asked of windows: parameters, names that stand for an aggregate, and refusals that help.
import { describe, expect, it } from "vitest";
import { parseWindowsRequest, windowAlias } from "../../../lib/query/windows-request.ts";
import { parseWindows } from "../../../lib/windows/definition.ts";

const NOW = Date.parse("2026-11-21T10:07:00.000Z");
const configured = (() => {
  const parsed = parseWindows("1m,5m,1h,5m/1m,session:30s");
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
})();

const parse = (query: string, windows = configured) =>
  parseWindowsRequest(new URLSearchParams(query), windows, NOW);

function parsed(query: string) {
  const request = parse(query);
  if (!request.ok) throw new Error(`${request.error.path} ${request.error.message}`);
  return request.value;
}

function refusal(query: string, windows = configured): string {
  const request = parse(query, windows);
  if (request.ok) throw new Error(`${query} was not refused`);
  expect(request.error.reason).toBe("invalid_query");
  return `${request.error.path} ${request.error.message}`;
}

describe("names that stand for an aggregate of windows", () => {
  it.each([
    ["cpu_usage_avg_5min", "cpu_usage", "avg", "5m"],
    ["cpu_usage_p95_1hour", "cpu_usage", "p95", "1h"],
    ["a_p99.9_60s", "a", "p99.9", "1m"],
    ["a_max_sum_24hours", "a_max", "sum", "1d"],
    ["http.requests_increase_90secs", "http.requests", "increase", "90s"],
  ])("%s", (name, base, aggregate, window) => {
    expect(windowAlias(name)).toEqual({ name: base, aggregate, window });
  });

  it.each(["cpu", "cpu_avg", "cpu_5min", "_avg_5min", "cpu_median_5min", "cpu_avg_0min", "cpu_avg_5weeks"])(
    "%s is none",
    (name) => expect(windowAlias(name)).toBeUndefined(),
  );

  it("counts as one where no window is named, and as itself else", () => {
    expect(parsed("name=cpu_p95_1hour")).toMatchObject({
      name: "cpu",
      definition: { id: "1h" },
      aggregates: [{ name: "p95", quantile: 0.95 }],
    });
    expect(parsed("name=cpu_p95_1hour&agg=max")).toMatchObject({
      name: "cpu",
      aggregates: [{ name: "max", quantile: undefined }],
    });
    expect(parsed("name=cpu_p95_1hour&window=5m")).toMatchObject({
      name: "cpu_p95_1hour",
      definition: { id: "5m" },
    });
  });
});

describe("parameters", () => {
  it("takes the first window there is, all figures and each series where nothing is said", () => {
    const request = parsed("name=cpu");
    expect(request).toMatchObject({ definition: { id: "1m" }, by: undefined, stepMs: undefined, fromMs: 0 });
    expect(request.toMs).toBeGreaterThan(NOW);
    expect(request.aggregates.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["count", "avg", "last", "p99", "increase"]),
    );
  });

  it("takes a window in another spelling", () => {
    expect(parsed("name=cpu&window=300s").definition.id).toBe("5m");
    expect(parsed("name=cpu&window=5m/60s").definition.id).toBe("5m/1m");
  });

  it("reads percentiles, labels, steps and times", () => {
    const request = parsed(
      "name=c&window=1h&agg=p50,p99.9,p100,count&by=host,service&step=6h&from=-1d&to=now",
    );
    expect(request.aggregates.map(({ quantile }) => quantile)).toEqual([0.5, 0.999, 1, undefined]);
    expect(request).toMatchObject({
      by: ["host", "service"],
      stepMs: 21_600_000,
      fromMs: NOW - 86_400_000,
      toMs: NOW,
    });
    expect(parsed("name=c&by=").by).toEqual([]);
    expect(parsed("name=c&step=1m").stepMs).toBeUndefined();
  });

  it("counts a start within a millisecond by whether it lies behind the bound", () => {
    const at = (nanos: string) => parsed(`name=c&from=${nanos}`).fromMs;
    expect(at("1763719620000000000")).toBe(1_763_719_620_000);
    expect(at("1763719620000000001")).toBe(1_763_719_620_001);
  });
});

describe("refusals", () => {
  it("lists the windows there are", () => {
    expect(refusal("name=cpu&window=7m")).toBe(
      "window is no window; the windows kept here are 1m, 5m, 1h, 5m/1m, session:30s (the setting WINDOWS)",
    );
    expect(refusal("name=cpu&window=30m")).toMatch(/^window is not kept; .* 1m, 5m, 1h, 5m\/1m, session:30s/);
    expect(refusal("name=cpu_avg_10min")).toMatch(/^window is not kept/);
    expect(refusal("name=cpu", [])).toMatch(/kept here are none/);
  });

  it.each([
    ["", /^name must be given/],
    ["name=", /^name must be given/],
    ["name=c&agg=", /^agg must be of count, sum/],
    ["name=c&agg=median", /percentiles such as p95/],
    ["name=c&agg=p0", /^agg/],
    ["name=c&agg=p101", /^agg/],
    [`name=c&agg=${Array.from({ length: 21 }, (_, i) => `p${i + 1}`).join()}`, /at most 20/],
    [`name=c&by=${Array.from({ length: 31 }, (_, i) => `l${i}`).join()}`, /at most 30 labels/],
    ["name=c&window=5m&step=7m", /^step must be a multiple of 5m as in 30m/],
    ["name=c&window=5m&step=0m", /^step/],
    ["name=c&window=5m&step=40d", /at most 31d/],
    ["name=c&window=5m/1m&step=10m", /^step goes with tumbling windows/],
    ["name=c&window=session:30s&step=10m", /^step goes with tumbling windows/],
    ["name=c&limit=0", /^limit/],
    ["name=c&from=yesterday", /^from/],
    ["name=c&cursor=%7B", /^cursor/],
  ])("%s", (query, expected) => {
    expect(refusal(query)).toMatch(expected);
  });
});
