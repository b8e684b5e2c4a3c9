// Remote write as a sender sees it, Kafka left out: headers, body, records, answer. The cases carry the names of the
// public compliance suite for receivers (github.com/prometheus/compliance, remotewrite/receiver), all 39 of them, and
// hold us to what it asks: code, and the three counts of what was written. In one file, to be laid beside that suite.
import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { answerRemoteWrite, remoteWriteForm } from "../../functions/remote-write.ts";
import { kafkaMissed } from "../../lib/ingest/accept.ts";
import type { Verdict } from "../../lib/ingest/prepared.ts";
import { KafkaError } from "../../lib/kafka/errors.ts";
import { doubleToBits } from "../../lib/telemetry/double.ts";
import {
  type HistogramSchema,
  type TimeSeriesSchema,
  RequestSchema,
} from "../../lib/telemetry/gen/io/prometheus/write/v2/types_pb.ts";
import { WriteRequestSchema } from "../../lib/telemetry/gen/prometheus/remote_pb.ts";
import { validateRecord } from "../../lib/telemetry/signal.ts";

type Init<Schema extends DescMessage> = Extract<MessageInitShape<Schema>, { $typeName?: never }>;
type Histogram = Init<typeof HistogramSchema>;

interface Series {
  labels: Record<string, string>;
  value?: number | string;
  histogram?: Histogram;
  exemplars?: { labels: Record<string, string>; value: number; offsetMs?: number }[];
  metadata?: { type: number; help?: string; unit?: string };
  offsetMs?: number;
  createdMs?: number;
}

const NOW = Date.now();
const V1 = "application/x-protobuf";
const V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
const at = (offsetMs = 0) => BigInt(NOW + offsetMs);
const COUNTER = 1;
const GAUGE = 2;
const HISTOGRAM = 3;

function encodeV2(series: readonly Series[]): Uint8Array {
  const symbols = [""];
  const refOf = (text: string) => {
    const known = symbols.indexOf(text);
    return known === -1 ? symbols.push(text) - 1 : known;
  };
  const refs = (labels: Record<string, string>) => Object.entries(labels).flat().map(refOf);
  const timeseries = series.map(
    ({
      labels,
      value,
      histogram,
      exemplars = [],
      metadata,
      offsetMs,
      createdMs,
    }): Init<typeof TimeSeriesSchema> => ({
      labelsRefs: refs(labels),
      samples:
        value === undefined
          ? []
          : [
              {
                value: doubleToBits(value) as bigint,
                timestamp: at(offsetMs),
                startTimestamp: createdMs === undefined ? 0n : at(createdMs),
              },
            ],
      histograms: histogram ? [{ ...histogram, timestamp: at(offsetMs) }] : [],
      exemplars: exemplars.map((exemplar) => ({
        labelsRefs: refs(exemplar.labels),
        value: exemplar.value,
        timestamp: at(exemplar.offsetMs),
      })),
      ...(metadata
        ? {
            metadata: {
              type: metadata.type,
              helpRef: refOf(metadata.help ?? ""),
              unitRef: refOf(metadata.unit ?? ""),
            },
          }
        : {}),
    }),
  );
  return toBinary(RequestSchema, create(RequestSchema, { symbols, timeseries }));
}

/** A block of literals alone: as good a snappy as any. */
function compress(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const block: number[] = [];
  let left = bytes.length;
  for (; left >= 0x80; left >>>= 7) block.push((left & 0x7f) | 0x80);
  block.push(left);
  for (let start = 0; start < bytes.length; start += 60) {
    const part = bytes.subarray(start, start + 60);
    block.push((part.length - 1) << 2, ...part);
  }
  return new Uint8Array(block);
}

const OUTAGE = kafkaMissed(new KafkaError("unavailable", "away"));

async function send(
  body: Uint8Array<ArrayBuffer>,
  { contentType = V2, encoding = "snappy", isKafkaAway = false } = {},
): Promise<{ status: number; counts: (string | null)[]; text: string }> {
  const headers = { "Content-Type": contentType, "Content-Encoding": encoding };
  const request = new Request("http://weir.test/api/v1/write", { method: "POST", headers, body });
  const form = remoteWriteForm(request.headers, "r-1");
  const bytes = (await form.read?.(request)) ?? expect.fail("has a reader of its own");
  const decoded = bytes.ok ? form.decode(request.headers, bytes.value) : bytes;
  if (!decoded.ok) return await told(form.refuse(decoded.error, {}));
  const context = { receivedMs: NOW, enforceTimeRange: true, isKept: true };
  const verdicts = decoded.value.records.map((record, offset): Verdict => {
    const checked = record.ok ? validateRecord("metrics", record.value, context) : record;
    if (!checked.ok) return { status: "rejected", rejection: checked.error };
    if (isKafkaAway) return { status: "retry", ...OUTAGE };
    return { status: "ok", topic: "metrics.raw", partition: 0, offset };
  });
  return await told(form.answer(verdicts, decoded.value, { batch: "b", requestId: "r-1" }));
}

async function told(response: Response) {
  const counts = ["Samples", "Histograms", "Exemplars"].map((what) =>
    response.headers.get(`X-Prometheus-Remote-Write-${what}-Written`),
  );
  return { status: response.status, counts, text: await response.text() };
}

/** Samples, histograms and exemplars written. */
async function expectWritten(series: readonly Series[], ...counts: number[]): Promise<void> {
  const answer = await send(compress(encodeV2(series)));
  expect(answer).toEqual({ status: 204, counts: counts.map(String), text: "" });
}

async function expectRefused(series: readonly Series[], ...counts: number[]): Promise<void> {
  const answer = await send(compress(encodeV2(series)));
  expect({ ...answer, text: "" }).toEqual({ status: 400, counts: counts.map(String), text: "" });
}

/** The suite's histograms: parts and a count that fits them. */
function histogram(
  sum: number,
  parts: { positive?: boolean; negative?: boolean; zero?: boolean } = {},
): Histogram {
  const { positive = false, negative = false, zero = false } = parts;
  const count = (positive ? 23n : 0n) + (negative ? 3n : 0n) + (zero ? 1n : 0n);
  return {
    count: { case: "countInt", value: count },
    sum: doubleToBits(sum) as bigint,
    ...(positive
      ? {
          positiveSpans: [
            { offset: 0, length: 3 },
            { offset: 2, length: 2 },
          ],
          positiveDeltas: [1n, 2n, 1n, 3n, 1n],
        }
      : {}),
    ...(negative ? { negativeSpans: [{ offset: 0, length: 2 }], negativeDeltas: [1n, 1n] } : {}),
    ...(zero ? { zeroCount: { case: "zeroCountInt", value: 1n } } : {}),
  };
}

const CUSTOM: Histogram = {
  count: { case: "countInt", value: 30n },
  schema: -53,
  positiveSpans: [{ offset: 0, length: 6 }],
  positiveDeltas: [2n, 1n, 2n, 3n, -1n, -2n],
  customValues: [0.1, 0.5, 1, 2.5, 5, 10],
};

const named = (name: string, labels: Record<string, string> = {}) => ({ __name__: name, ...labels });
const traced = (value: number, offsetMs = 0) => [{ labels: { trace_id: "abc" }, value, offsetMs }];
const SPECIAL = [1, "stale", "NaN", "+Inf", "-Inf"];

describe("the compliance suite: combined", () => {
  const sample = { labels: named("http_requests_total", { job: "api" }), value: 1, exemplars: traced(1) };
  const withHistogram = { labels: named("h", { service: "auth" }), exemplars: traced(0.5) };
  const all = { positive: true, negative: true, zero: true };

  it.each<[string, Series[], number[]]>([
    [
      "TestSamplesWithMetadataAndExemplars",
      [{ ...sample, metadata: { type: COUNTER, help: "h" } }],
      [1, 0, 1],
    ],
    [
      "TestHistogramsWithMetadataAndExemplars",
      [{ ...withHistogram, histogram: histogram(0.4, all), metadata: { type: HISTOGRAM } }],
      [0, 1, 1],
    ],
    [
      "TestComplexSamplesRequest",
      [
        { ...sample, metadata: { type: GAUGE, unit: "ratio" } },
        { labels: named("memory_usage"), value: 8_589_934_592, metadata: { type: GAUGE, unit: "bytes" } },
      ],
      [2, 0, 1],
    ],
    [
      "TestComplexHistogramsRequest",
      [
        { ...withHistogram, histogram: histogram(0.1, { positive: true, zero: true }) },
        { labels: named("size"), histogram: histogram(1024, { negative: true, zero: true }) },
      ],
      [0, 2, 1],
    ],
    [
      "TestMultipleMetricFamiliesSamples",
      [
        { ...sample, metadata: { type: COUNTER } },
        { labels: named("temperature_celsius"), value: 23.5, metadata: { type: GAUGE } },
      ],
      [2, 0, 1],
    ],
    [
      "TestMultipleMetricFamiliesHistograms",
      [{ ...withHistogram, histogram: histogram(0.003, { positive: true, zero: true }) }],
      [0, 1, 1],
    ],
    [
      "TestEdgeCaseCombinations/metadata_without_data",
      [{ labels: named("m"), metadata: { type: 1 } }],
      [0, 0, 0],
    ],
    [
      "TestEdgeCaseCombinations/exemplars_without_data",
      [{ labels: named("m"), exemplars: traced(42) }],
      [0, 0, 1],
    ],
    [
      "TestEdgeCaseCombinations/mixed_timestamp_data",
      [
        { labels: named("old"), value: 1, offsetMs: -3_600_000, exemplars: traced(1, -1_800_000) },
        { labels: named("new"), value: 2 },
      ],
      [2, 0, 1],
    ],
    [
      "TestManySamples",
      Array.from({ length: 50 }, (_, i) => ({ labels: named(`c${i}`), value: i, exemplars: traced(i) })),
      [50, 0, 50],
    ],
    [
      "TestManyHistograms",
      Array.from({ length: 50 }, (_, i) => ({
        labels: named(`h${i}`),
        histogram: histogram(i / 10, { positive: true, negative: i % 2 === 0, zero: true }),
        exemplars: traced(i),
      })),
      [0, 50, 50],
    ],
    [
      "TestSpecialCharactersCombined",
      [
        {
          labels: named("test_metric", { job: "a.b@c-d_e", environment: "test🚀" }),
          value: 42,
          exemplars: [{ labels: { trace_id: "äöü-123", "span.id": "a_b" }, value: 42 }],
          metadata: { type: GAUGE, help: 'äöü,\nand "quotes"', unit: "special/units" },
        },
      ],
      [1, 0, 1],
    ],
    ["TestCustomBucketsHistogramWithExemplar", [{ ...withHistogram, histogram: CUSTOM }], [0, 1, 1]],
  ])("%s", async (_, series, counts) => {
    await expectWritten(series, ...counts);
  });
});

describe("the compliance suite: exemplars", () => {
  it.each<[string, Record<string, string>]>([
    ["basic_exemplar", { trace_id: "abc123def456" }],
    ["exemplar_with_span_id", { trace_id: "x", span_id: "s" }],
    ["exemplar_without_trace_id", { user_id: "u" }],
    ["exemplar_with_multiple_labels", { trace_id: "t", user: "admin", endpoint: "/login" }],
    ["exemplar_no_labels", {}],
    ["exemplar_with_special_chars", { trace_id: "trace-with-dashes_and_underscores.123" }],
    ["exemplar_with_unicode", { trace_id: "unicode_trace_测试" }],
  ])("TestExemplars/%s", async (_, labels) => {
    await expectWritten(
      [{ labels: named("m", { region: "🌍" }), value: 1, exemplars: [{ labels, value: 1 }] }],
      1,
      0,
      1,
    );
  });

  it("TestExemplarWithCreatedTimestamp", async () => {
    await expectWritten(
      [{ labels: named("m"), value: 250, createdMs: -7_200_000, exemplars: traced(250) }],
      1,
      0,
      1,
    );
  });

  it("TestMultipleExemplars", async () => {
    const series = ["GET", "POST", "PUT"].map((method) => ({
      labels: named("m", { method }),
      value: 1,
      exemplars: traced(1),
    }));
    await expectWritten(series, 3, 0, 3);
  });

  it("TestExemplarTimestamps: one series in three messages, oldest first", async () => {
    const series = [-3_600_000, -60_000, 0].map((offsetMs) => ({
      labels: named("latency_hist"),
      value: 1,
      offsetMs,
      exemplars: traced(1, offsetMs),
    }));
    await expectWritten(series, 3, 0, 3);
  });

  it.each<[string, Record<string, string>]>([
    ["exemplar_without_name_label", { job: "test" }],
    ["exemplar_with_empty_name", { __name__: "" }],
  ])("TestExemplarValidation/%s", async (_, labels) => {
    await expectRefused([{ labels, value: 1, exemplars: traced(1) }], 0, 0, 0);
  });

  it.each([0, -123.456, 1e10, 1e-10, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "TestExemplarSpecialValues: %d",
    async (value) => {
      await expectWritten([{ labels: named("m"), value, exemplars: traced(value) }], 1, 0, 1);
    },
  );
});

describe("the compliance suite: histograms", () => {
  const all = histogram(1, { positive: true, negative: true, zero: true });

  it.each<[string, Series[], number[]]>([
    ["TestHistograms/basic_histogram", [{ labels: named("h"), histogram: all }], [0, 1, 0]],
    ["TestHistograms/custom_buckets_histogram", [{ labels: named("h"), histogram: CUSTOM }], [0, 1, 0]],
    [
      "TestHistograms/positive_only_histogram",
      [{ labels: named("h"), histogram: histogram(1, { positive: true, zero: true }) }],
      [0, 1, 0],
    ],
    [
      "TestHistograms/negative_only_histogram",
      [{ labels: named("h"), histogram: histogram(1, { negative: true }) }],
      [0, 1, 0],
    ],
    [
      "TestHistograms/minimal_histogram",
      [{ labels: named("h"), histogram: histogram(1, { zero: true }) }],
      [0, 1, 0],
    ],
    [
      "TestHistogramWithCreatedTimestamp",
      [{ labels: named("h"), histogram: { ...all, startTimestamp: at(-1_800_000) } }],
      [0, 1, 0],
    ],
    [
      "TestMultipleHistograms",
      [
        { labels: named("hist1"), histogram: all },
        { labels: named("hist2"), histogram: histogram(5.2, { negative: true }) },
      ],
      [0, 2, 0],
    ],
    ["TestEmptyHistogram", [{ labels: named("h"), histogram: histogram(0) }], [0, 1, 0]],
    [
      "TestHistogramWithMetadata",
      [{ labels: named("h"), histogram: all, metadata: { type: HISTOGRAM, unit: "seconds" } }],
      [0, 1, 0],
    ],
    [
      "TestHistogramWithExemplar",
      [{ labels: named("h"), histogram: all, exemplars: traced(1.23) }],
      [0, 1, 1],
    ],
    [
      "TestHistogramWithMetadataAndExemplar",
      [{ labels: named("h"), histogram: all, exemplars: traced(1), metadata: { type: HISTOGRAM } }],
      [0, 1, 1],
    ],
    [
      "TestMultipleHistogramsWithMetadata",
      ["a", "b"].map((name) => ({ labels: named(name), histogram: all, metadata: { type: HISTOGRAM } })),
      [0, 2, 0],
    ],
  ])("%s", async (_, series, counts) => {
    await expectWritten(series, ...counts);
  });

  it("TestHistograms/bad_count_histogram", async () => {
    const bad: Histogram = { ...all, count: { case: "countInt", value: 99n } };
    await expectRefused([{ labels: named("h"), histogram: bad }], 0, 0, 0);
  });
});

describe("the compliance suite: metadata", () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7])("TestMetadata: type %i", async (type) => {
    const metadata = { type, help: 'with\nnewlines and "quotes"', unit: "bytes/sec" };
    await expectWritten([{ labels: named("m"), value: 1, metadata }], 1, 0, 0);
  });

  it.each<[string, Series[], number[]]>([
    [
      "TestMetadata/metadata_no_help_no_unit",
      [{ labels: named("m"), value: 1, metadata: { type: 1 } }],
      [1, 0, 0],
    ],
    [
      "TestCounterMetadataWithCreatedTimestamp",
      [{ labels: named("m"), value: 150, createdMs: -3_600_000, metadata: { type: COUNTER } }],
      [1, 0, 0],
    ],
    [
      "TestMetadataWithSamples",
      [{ labels: named("m"), value: 42, metadata: { type: COUNTER, help: "h" } }],
      [1, 0, 0],
    ],
    [
      "TestMultipleMetadata",
      ["cpu", "memory", "disk"].map((name) => ({ labels: named(name), value: 1, metadata: { type: GAUGE } })),
      [3, 0, 0],
    ],
    [
      "TestMetadataWithComplexLabels",
      [
        {
          labels: named("h", {
            job: "a",
            instance: "localhost:8080",
            method: "GET",
            status: "200",
            endpoint: "/a",
          }),
          histogram: histogram(0.25, { positive: true, negative: true, zero: true }),
          metadata: { type: HISTOGRAM },
        },
      ],
      [0, 1, 0],
    ],
  ])("%s", async (_, series, counts) => {
    await expectWritten(series, ...counts);
  });

  it.each<[string, Record<string, string>]>([
    ["metadata_without_name_label", { job: "test" }],
    ["metadata_with_empty_name", { __name__: "" }],
  ])("TestMetadataValidation/%s", async (_, labels) => {
    await expectRefused([{ labels, value: 1, metadata: { type: COUNTER } }], 0, 0, 0);
  });
});

describe.each(SPECIAL)("the compliance suite: samples of %s", (value) => {
  it.each<[string, Record<string, string>]>([
    ["simple metric", named("up")],
    ["with multiple labels", named("up", { job: "testjob", instance: "localhost:9090" })],
    ["with newlines", named("up", { job: "test\njob\n" })],
    ["with dots", named("resource.cpu.usage", { "job.name": "testjob" })],
    ["with spaces", named("resource cpu usage", { "job name": "testjob" })],
    ["labels in no order", { z: "1", a: "2", ...named("up"), B: "3" }],
  ])("TestSingleMetric/%s", async (_, labels) => {
    await expectWritten([{ labels, value }], 1, 0, 0);
  });

  it.each<[string, Record<string, string>]>([
    ["without name label", { job: "testjob" }],
    ["empty metric", {}],
  ])("TestSingleMetric/%s", async (_, labels) => {
    await expectRefused([{ labels, value }], 0, 0, 0);
  });

  it("TestMultipleMetrics", async () => {
    const series = [1, 2, 3, 4].map((port) => ({ labels: named("up", { instance: `:${port}` }), value }));
    await expectWritten(series, 4, 0, 0);
    await expectRefused([{ labels: { job: "a" }, value }, ...series.slice(1)], 3, 0, 0);
    const nameless = series.map((_, port) => ({ labels: { instance: `:${port}` }, value }));
    await expectRefused(nameless, 0, 0, 0);
  });
});

it("the compliance suite: TestCounterWithCreatedTimestamp", async () => {
  await expectWritten([{ labels: named("m"), value: 100, createdMs: -3_600_000 }], 1, 0, 0);
});

describe("the compliance suite: requests", () => {
  const body = () => compress(encodeV2([{ labels: named("up"), value: 1 }]));
  const corrupted = (first: number) => {
    const bytes = body();
    bytes[0] = first;
    return bytes;
  };

  it.each(["application/json", "image/png"])("TestBadContentTypes: %s", async (contentType) => {
    expect(await send(corrupted(0x30), { contentType })).toMatchObject({
      status: 415,
      counts: [null, null, null],
    });
  });

  it.each(["gzip", "deflate"])("TestBadContentEncodings: %s", async (encoding) => {
    expect(await send(corrupted(0x30), { encoding })).toMatchObject({ status: 415 });
  });

  it("TestCorruptRequestBody", async () => {
    expect(await send(corrupted(0x30))).toMatchObject({ status: 400, counts: ["0", "0", "0"] });
  });

  const series = (names: string[]) =>
    create(WriteRequestSchema, {
      timeseries: names.map((value) => ({
        labels: [{ name: "__name__", value }],
        samples: [{ value: doubleToBits(1) as bigint, timestamp: at() }],
      })),
    });
  const v1 = (...names: string[]) => compress(toBinary(WriteRequestSchema, series(names)));

  it("TestRW1BasicCompatibility: 204, and nothing is said of what was written", async () => {
    const answer = await send(v1("up", "http_requests_total"), { contentType: V1 });
    expect(answer).toEqual({ status: 204, counts: [null, null, null], text: "" });
  });

  it("TestRW1ErrorHandling", async () => {
    const bytes = v1("error_test");
    bytes[0] = 0xff;
    expect(await send(bytes, { contentType: V1 })).toMatchObject({ status: 400 });
  });
});

describe("what a sender logs and repeats", () => {
  const good = { labels: named("up"), value: 1 };

  it("400 names count, metric, label and reason within the 1,024 bytes that Prometheus logs", async () => {
    const old = { labels: named("old"), value: 1, offsetMs: -8 * 86_400_000 };
    const { status, counts, text } = await send(
      compress(encodeV2([good, old, { ...good, labels: { job: "a" } }])),
    );
    expect([status, counts]).toEqual([400, ["1", "0", "0"]]);
    expect(text.slice(0, 1024)).toContain(
      '"detail":"2 of 3 records were refused, the others are written. The first: old timestamp is more than 7 days old."',
    );
    expect(JSON.parse(text)).toMatchObject({
      accepted: 1,
      rejected: 2,
      errors: [
        { index: 1, path: "timestamp", reason: "timestamp_out_of_range" },
        { index: 2, path: "timeseries[2].__name__", reason: "missing_field" },
      ],
    });
  });

  it("503 with Retry-After when Kafka did not take it, also where a record is refused", async () => {
    const body = compress(encodeV2([good, { ...good, labels: {} }]));
    expect(await send(body, { isKafkaAway: true })).toMatchObject({ status: 503, counts: ["0", "0", "0"] });
  });

  it("503 tells what was written before Kafka failed", async () => {
    const elements = [1, 2].map(() => ({ name: "up", samples: 1, histograms: 0, exemplars: 2 }));
    const response = answerRemoteWrite(
      [
        { status: "ok", topic: "metrics.raw", partition: 0, offset: 1 },
        { status: "retry", ...OUTAGE },
      ],
      { version: "v2", elements, requestId: "r-1" },
    );
    expect(Number(response.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await told(response)).toMatchObject({ status: 503, counts: ["1", "0", "2"] });
  });

  it("204 for what is kept until Kafka is back, as for what is written", async () => {
    const elements = [{ name: "up", samples: 1, histograms: 0, exemplars: 2 }];
    const kept: Verdict[] = [{ status: "spilled", topic: "metrics.raw" }];
    const response = answerRemoteWrite(kept, { version: "v2", elements, requestId: "r-1" });
    expect(await told(response)).toMatchObject({ status: 204, counts: ["1", "0", "2"] });
  });

  it("a 415 says what would be taken, a refusal of 2.0 that nothing was written", () => {
    const refused = (contentType: string) =>
      remoteWriteForm(new Headers({ "Content-Type": contentType }), "r-1").refuse(
        { reason: "unsupported_media_type", path: "", message: "is another" },
        { "Retry-After": "1" },
      ).headers;
    expect(refused("text/plain").get("Accept")).toContain("proto=io.prometheus.write.v2.Request");
    expect(refused(V2).get("X-Prometheus-Remote-Write-Samples-Written")).toBe("0");
    expect(refused(V2).get("Retry-After")).toBe("1");
  });
});
