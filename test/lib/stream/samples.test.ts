// What each kind of record gives to windows, from the records that the decoders make.
import { describe, expect, it } from "vitest";
import { explicitBins, exponentialBins, nativeBins, type Bins } from "../../../lib/stream/sample-bins.ts";
import { OTHER_OPERATIONS, samplesOf, SPAN_DURATION } from "../../../lib/stream/samples.ts";
import { SeriesCache } from "../../../lib/stream/series-cache.ts";
import type { JsonObject } from "../../../lib/telemetry/json-value.ts";
import type { Metric } from "../../../lib/telemetry/metric.ts";
import { decodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { keepOtlp } from "../../../lib/telemetry/otlp/keep.ts";
import { otlpRecords } from "../../../lib/telemetry/otlp/records.ts";
import type { Span } from "../../../lib/telemetry/span.ts";
import { seriesId } from "../../../lib/windows/series.ts";

const TIME = "2026-11-21T10:00:00.000Z";
const MS = Date.parse(TIME);

const metricOf = (fields: Partial<Metric>): Metric => ({
  timestamp: TIME,
  name: "m",
  value: 1,
  labels: {},
  ...fields,
});
const spanOf = (fields: Partial<Span>): Span => ({
  timestamp: TIME,
  duration_ns: "1500000",
  trace_id: "5b8efff798038103d269b633813fc60c",
  span_id: "eee19b7ec3c1b174",
  name: "GET /",
  kind: "server",
  status: "ok",
  attributes: {},
  detail: {},
  ...fields,
});
const rowsOf = (metrics: Metric[], traces: Span[] = [], tenant = "acme") => ({
  metrics: metrics.map((record, index) => ({ tenant, offset: 7, index, record })),
  traces: traces.map((record, index) => ({ tenant, offset: 8, index, record })),
});
const valuesOf = (...metrics: Metric[]) =>
  samplesOf(rowsOf(metrics)).map(({ name, value }) => ({ name, ...value }));

/** As the consumer keeps OTLP. */
function kept(...metrics: JsonObject[]): Metric[] {
  const json = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
  const request = decodeOtlp("metrics", "json", new TextEncoder().encode(json));
  if (!request.ok) throw new Error(request.error.message);
  return [...otlpRecords(request.value)].map((placed) => {
    const record = keepOtlp(placed, { receivedMs: MS, enforceTimeRange: false });
    if (!record.ok) throw new Error(record.error.message);
    return record.value as Metric;
  });
}

describe("a number", () => {
  it("has its series, its time to the nanosecond and its place", () => {
    const metric = metricOf({
      timestamp: "2026-11-21T10:00:00.123456789Z",
      name: "cpu",
      value: 4.5,
      labels: { b: "1", a: "2" },
    });
    expect(samplesOf(rowsOf([metricOf({}), metric]))[1]).toEqual({
      tenant: "acme",
      name: "cpu",
      labels: { b: "1", a: "2" },
      series: seriesId("acme", "cpu", { a: "2", b: "1" }),
      time: { ms: MS + 123, ns: 456_789 },
      offset: 7,
      index: 1,
      value: { kind: "number", value: 4.5 },
    });
  });

  it.each(["stale", "NaN", "+Inf", "-Inf", "NaN:7ff8000000000002"])("is left out where it is %s", (value) => {
    expect(valuesOf(metricOf({ value }))).toEqual([]);
    expect(valuesOf(metricOf({ value, kind: "counter" }))).toEqual([]);
  });

  it.each<[Partial<Metric>, "number" | "counter"]>([
    [{ kind: "gauge" }, "number"],
    [{ kind: "unknown" }, "number"],
    [{}, "number"],
    [{ kind: "counter" }, "counter"],
    // Remote write 1.0 without metadata.
    [{ name: "http_requests_total" }, "counter"],
    [{ name: "http_requests_total", kind: "gauge" }, "number"],
    [{ name: "latency_bucket", kind: "histogram", labels: { le: "1" } }, "counter"],
    [{ name: "latency_count", kind: "histogram" }, "counter"],
    [{ name: "latency_sum", kind: "summary" }, "counter"],
    [{ name: "latency", kind: "summary", labels: { quantile: "0.9" } }, "number"],
    [{ name: "latency_created", kind: "histogram" }, "number"],
    [{ name: "build_info", kind: "info" }, "number"],
  ])("%j is a %s", (fields, kind) => {
    expect(valuesOf(metricOf(fields))[0]?.kind).toBe(kind);
  });
});

describe("an OTLP sum", () => {
  const dataPoints = [{ timeUnixNano: "1795255200000000000", asInt: "5" }];
  it.each([
    [{ aggregationTemporality: 2, isMonotonic: true }, "counter"],
    // What was added since the point before: the sum over a window is the increase.
    [{ aggregationTemporality: 1, isMonotonic: true }, "number"],
    [{ aggregationTemporality: 2, isMonotonic: false }, "number"],
    [{ aggregationTemporality: 1, isMonotonic: false }, "number"],
  ])("of %j is a %s", (sum, kind) => {
    expect(valuesOf(...kept({ name: "s", sum: { ...sum, dataPoints } }))).toEqual([
      { name: "s", kind, value: 5 },
    ]);
  });
});

describe("an OTLP summary", () => {
  it("gives its count and sum, and no quantile", () => {
    const point = {
      timeUnixNano: "1795255200000000000",
      count: "7",
      sum: 3.5,
      quantileValues: [{ quantile: 0.5, value: 1 }],
    };
    expect(valuesOf(...kept({ name: "s", summary: { dataPoints: [point] } }))).toEqual([
      { name: "s_count", kind: "counter", value: 7 },
      { name: "s_sum", kind: "counter", value: 3.5 },
    ]);
  });
});

const weightOf = ({ bins }: Bins) => [...bins].reduce((sum, [, weight]) => sum + weight, 0);

describe("an OTLP histogram", () => {
  const point = {
    timeUnixNano: "1795255200000000000",
    count: "100",
    sum: 400,
    min: 0.5,
    max: 30,
    explicitBounds: [1, 5, 10],
    bucketCounts: ["10", "60", "20", "10"],
  };
  const histogram = (aggregationTemporality: number, fields: JsonObject = {}): JsonObject => ({
    name: "h",
    histogram: { aggregationTemporality, dataPoints: [{ ...point, ...fields }] },
  });

  it("of deltas is a distribution, each bucket's weight within its bounds", () => {
    const [value] = valuesOf(...kept(histogram(1)));
    if (value?.kind !== "distribution") throw new Error("no distribution");
    expect(value).toMatchObject({ count: 100, sum: 400, min: 0.5, max: 30 });
    const within = (from: number, to: number) =>
      [...value.bins].filter(([at]) => at >= from && at <= to).reduce((sum, [, weight]) => sum + weight, 0);
    expect([within(0.5, 1), within(1, 5), within(5, 10), within(10, 30)]).toEqual([10, 60, 20, 10]);
  });

  it("is cumulative without the extremes of all the past", () => {
    const [value] = valuesOf(...kept(histogram(2)));
    expect(value).toMatchObject({ kind: "cumulative_distribution", count: 100, sum: 400 });
    expect(value).not.toHaveProperty("min");
    expect(value).not.toHaveProperty("max");
  });

  it("without an observation is left out, but for the point from which a cumulative one counts", () => {
    const none = { count: "0", sum: 0, bucketCounts: ["0", "0", "0", "0"] };
    expect(valuesOf(...kept(histogram(1, none)))).toEqual([]);
    const [first] = valuesOf(...kept(histogram(2, none)));
    if (first?.kind !== "cumulative_distribution") throw new Error("not cumulative");
    expect([first.count, [...first.bins]]).toEqual([0, []]);
  });

  it("without a recorded value is left out", () => {
    expect(valuesOf(...kept(histogram(1, { flags: 1 })))).toEqual([]);
  });

  it("has its percentiles within a fifth of a bucket of those that are interpolated", () => {
    const { bins } = explicitBins({ ...point, min: null, max: null }, "delta");
    const sorted = [...bins].toSorted((a, b) => a[0] - b[0]);
    const quantile = (q: number) => {
      let rank = q * 100;
      return sorted.find(([, weight]) => (rank -= weight) <= 0)?.[0] ?? NaN;
    };
    expect(Math.abs(quantile(0.4) - 3)).toBeLessThanOrEqual(0.8);
    expect(Math.abs(quantile(0.8) - 7.5)).toBeLessThanOrEqual(1);
    // Nobody knows how far the last bucket goes: no more is said than its bound, as Prometheus does.
    expect(quantile(0.95)).toBe(10);
  });

  it("of two points has bins that can be subtracted, whatever was added", () => {
    let state = 7;
    const next = (below: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below;
    for (let run = 0; run < 200; run++) {
      const counts = [0, 1, 2, 3].map(() => next(20));
      const more = counts.map((count) => count + next(3));
      const [before, after] = [counts, more].map(
        (bucketCounts) => new Map(explicitBins({ ...point, bucketCounts, max: next(50) }, "cumulative").bins),
      );
      for (const [value, weight] of before ?? []) expect(after?.get(value)).toBeGreaterThanOrEqual(weight);
      expect([...(after ?? [])].reduce((sum, [, weight]) => sum + weight, 0)).toBe(
        more.reduce((a, b) => a + b, 0),
      );
    }
  });

  it("of one bucket lies between its extremes; without them there is nothing to be said but count and sum", () => {
    const one = { count: "4", sum: 8, bucketCounts: ["4"] };
    const between = [...explicitBins({ ...one, min: 1, max: 3 }, "delta").bins].map(([value]) =>
      value.toFixed(1),
    );
    expect(between).toEqual(["2.0", "2.4", "1.6", "2.8"]);
    for (const told of [one, { count: "4", sum: 8 }]) {
      const { bins, ...rest } = explicitBins(told, "delta");
      expect([rest, [...bins]]).toEqual([{ count: 4, sum: 8 }, []]);
    }
  });

  it("of values below zero keeps to its bounds", () => {
    const bins = explicitBins({ explicitBounds: [-10, 0], bucketCounts: ["1", "1", "1"] }, "delta");
    expect([...bins.bins].map(([value]) => value)).toEqual([-10, -5, 0]);
    // A sum that is not told is about that of the bins.
    expect(bins).toMatchObject({ count: 3, sum: -15 });
  });
});

describe("an exponential histogram", () => {
  /** Buckets of base^index up to base^(index + 1), as metrics.proto has them. */
  const pointOf = (scale: number, values: number[], sign = 1) => {
    const indices = values.map((value) => Math.ceil(Math.log2(value) * 2 ** scale) - 1);
    const offset = Math.min(...indices);
    const bucketCounts = Array.from({ length: Math.max(...indices) - offset + 1 }, () => 0);
    for (const index of indices) (bucketCounts[index - offset] as number)++;
    const side = { offset, bucketCounts: bucketCounts.map(String) };
    return { scale, count: String(values.length), [sign === 1 ? "positive" : "negative"]: side };
  };
  const VALUES = Array.from({ length: 500 }, (_, i) => 0.3 * 1.02 ** i);

  it.each([6, 8, 12, 20])("of scale %i is told within 1 %%", (scale) => {
    // Of more than 2,000,000 buckets from end to end nobody sends one message.
    const values = scale > 12 ? VALUES.slice(0, 2) : VALUES;
    const result = exponentialBins(pointOf(scale, values), "delta");
    expect(weightOf(result)).toBe(values.length);
    const told = [...result.bins]
      .flatMap(([value, weight]) => Array.from({ length: weight }, () => value))
      .toSorted((a, b) => a - b);
    for (const [i, value] of values.entries())
      expect(Math.abs((told[i] as number) / value - 1)).toBeLessThan(0.01);
  });

  it.each([0, 3, -2])("of scale %i is told within its buckets", (scale) => {
    const base = 2 ** (2 ** -scale);
    const { bins } = exponentialBins(pointOf(scale, [100]), "delta");
    const lower = base ** Math.floor(Math.log(100) / Math.log(base));
    for (const [value] of bins) {
      expect(value).toBeGreaterThanOrEqual(lower * 0.999);
      expect(value).toBeLessThanOrEqual(lower * base * 1.001);
    }
    expect([...bins]).toHaveLength(1);
  });

  it("has zeros and values below zero", () => {
    const point = { ...pointOf(6, [2, 3], -1), zeroCount: "5", count: "7", sum: -5, min: -3, max: 0 };
    const result = exponentialBins(point, "delta");
    expect(weightOf(result)).toBe(7);
    expect([...result.bins].find(([value]) => value === 0)?.[1]).toBe(5);
    expect(result).toMatchObject({ count: 7, sum: -5, min: -3, max: 0 });
    const below = [...result.bins]
      .filter(([value]) => value < 0)
      .map(([value]) => value)
      .toSorted((a, b) => a - b);
    expect(below.map((value) => Math.round(value * 10) / 10)).toEqual([-3, -2]);
  });
});

describe("Prometheus' native histogram", () => {
  const metric = (histogram: JsonObject, fields: Partial<Metric> = {}) =>
    metricOf({ value: null, kind: "histogram", detail: { prometheus: { histogram } }, ...fields });
  // Schema 0: bucket i ends at 2^i. Two in (0.5, 1], one in (1, 2], four in (8, 16].
  const HISTOGRAM = {
    countInt: 9,
    sum: 50,
    schema: 0,
    zeroThreshold: 1e-128,
    zeroCountInt: 2,
    positiveSpans: [
      { offset: 0, length: 2 },
      { offset: 2, length: 1 },
    ],
    positiveDeltas: [2, -1, 3],
  };

  it("is cumulative, its buckets as they were meant", () => {
    const [value] = valuesOf(metric(HISTOGRAM));
    if (value?.kind !== "cumulative_distribution") throw new Error("not cumulative");
    const within = (from: number, to: number) =>
      [...value.bins].filter(([at]) => at > from && at <= to).reduce((sum, [, weight]) => sum + weight, 0);
    expect([within(-1, 0), within(0.5, 1), within(1, 2), within(8, 16)]).toEqual([2, 2, 1, 4]);
    expect(value).toMatchObject({ count: 9, sum: 50 });
  });

  it("of floats has whole weights; a gauge of them stands for itself", () => {
    const floats = {
      countFloat: 3.5,
      sum: "NaN",
      schema: 0,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveCounts: [1.5, 2],
    };
    const [value] = valuesOf(metric(floats, { kind: "gauge_histogram" }));
    expect(value).toMatchObject({ kind: "distribution", count: 3.5 });
    expect(valuesOf(metric({ ...floats, resetHint: "gauge" }))[0]?.kind).toBe("distribution");
    expect(weightOf(nativeBins(floats, "delta"))).toBe(4);
  });

  it("with bounds of its own keeps to them", () => {
    const custom = {
      countInt: 3,
      sum: 9,
      schema: -53,
      customValues: [1, 5],
      positiveSpans: [
        { offset: 1, length: 1 },
        { offset: 0, length: 1 },
      ],
      positiveDeltas: [1, 1],
    };
    const { bins } = nativeBins(custom, "cumulative");
    expect([...bins]).toEqual([
      [3, 1],
      [5, 2],
    ]);
  });
});

describe("a histogram of anybody's making", () => {
  it.each<[string, JsonObject]>([
    [
      "spans without an end",
      { schema: 0, positiveSpans: [{ offset: 0, length: 1e15 }], positiveDeltas: [1] },
    ],
    [
      "offsets without an end",
      { schema: 0, positiveSpans: [{ offset: 1e300, length: 1 }], positiveDeltas: [1] },
    ],
    [
      "offsets before all",
      { schema: -53, customValues: [1], positiveSpans: [{ offset: -5, length: 2 }], positiveDeltas: [1, 1] },
    ],
    [
      "far bounds",
      { schema: -53, customValues: [1], positiveSpans: [{ offset: 4e9, length: 1 }], positiveDeltas: [1] },
    ],
    ["other types", { schema: "x", positiveSpans: "x", positiveDeltas: { a: 1 }, countInt: "x", sum: [] }],
    ["no counts", { positiveDeltas: [null, "a", -3, {}] }],
    ["schemas beyond all", { schema: -1e9, positiveSpans: [{ offset: 5, length: 1 }], positiveDeltas: [1] }],
  ])("with %s gives finite numbers", (_, form) => {
    const point = { ...form, scale: form.schema ?? 0, positive: { offset: 1e12, bucketCounts: ["1", "x"] } };
    for (const bins of [
      nativeBins(form, "cumulative"),
      exponentialBins(point, "delta"),
      explicitBins(point, "delta"),
    ]) {
      expect([bins.count, bins.sum].every(Number.isFinite)).toBe(true);
      for (const [value, weight] of bins.bins) {
        expect(Number.isFinite(value)).toBe(true);
        expect(weight).toBeGreaterThan(0);
      }
    }
  });

  it("has no more bins than a sketch can tell apart", () => {
    const bucketCounts = Array.from({ length: 100_000 }, () => "1");
    const explicitBounds = bucketCounts.slice(1).map((_, i) => i + 1);
    const { bins } = explicitBins({ bucketCounts, explicitBounds }, "delta");
    expect([...bins].length).toBeLessThanOrEqual(5_000);
    expect([...bins].reduce((sum, [, weight]) => sum + weight, 0)).toBe(100_000);
  });
});

describe("a span", () => {
  it("gives its duration in milliseconds, by service, operation, kind and status", () => {
    const [sample] = samplesOf(
      rowsOf([], [spanOf({ service: "api", duration_ns: "1234567", status: "error" })]),
    );
    const labels = { service: "api", operation: "GET /", kind: "server", status: "error" };
    expect(sample).toEqual({
      tenant: "acme",
      name: SPAN_DURATION,
      labels,
      series: seriesId("acme", SPAN_DURATION, labels),
      time: { ms: MS, ns: 0 },
      offset: 8,
      index: 0,
      value: { kind: "number", value: 1.234567 },
    });
  });

  it("of an operation beyond a thousand, or of too long a name, goes to the others", () => {
    const spans = Array.from({ length: 1_002 }, (_, i) => spanOf({ name: `op ${i}` }));
    spans.push(spanOf({ name: "op 3" }), spanOf({ name: "x".repeat(1_025) }));
    const names = samplesOf(rowsOf([], spans)).map(({ labels }) => labels.operation);
    expect(names.slice(998)).toEqual([
      "op 998",
      "op 999",
      OTHER_OPERATIONS,
      OTHER_OPERATIONS,
      "op 3",
      OTHER_OPERATIONS,
    ]);
    const others = samplesOf({
      metrics: [],
      traces: [...rowsOf([], spans).traces, ...rowsOf([], [spanOf({ name: "mine" })], "other").traces],
    });
    expect(others.at(-1)?.labels.operation).toBe("mine");
  });
});

describe("ids of series", () => {
  it("are those of windows, and share the labels of the first", () => {
    const cache = new SeriesCache(2);
    const labels = { a: "1", b: "2" };
    const first = cache.of("t", "m", labels);
    expect(first).toEqual({ series: seriesId("t", "m", labels), labels });
    expect(cache.of("t", "m", { ...labels })).toBe(first);
    expect(cache.of("t", "m", { b: "2", a: "1" }).series).toBe(first.series);
    for (const [tenant, name, other] of [
      ["u", "m", labels],
      ["t", "n", labels],
      ["t", "m", { a: "1", b: "3" }],
      ["t", "m", { a: "1\0b\x001:2" }],
      ["t", "m", {}],
    ] as const) {
      expect(cache.of(tenant, name, other).series).not.toBe(first.series);
    }
    expect(cache.size).toBeLessThanOrEqual(4);
  });
});
