// Bytes that Prometheus' own encoder made: prompb and prompb/io/prometheus/write/v2 of Prometheus 3.14.0, compressed by
// github.com/golang/snappy 1.0.0. They hold the special floats, each form of native histogram, exemplars, metadata
// and start timestamps; what they must become is written here by hand.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { doubleToBits } from "../../../../lib/telemetry/double.ts";
import type { WriteVersion } from "../../../../lib/telemetry/remote-write/content-type.ts";
import { decodeWriteRequest } from "../../../../lib/telemetry/remote-write/decode.ts";
import { decompressSnappy } from "../../../../lib/telemetry/remote-write/snappy.ts";

const T0 = Date.parse("2026-11-20T10:00:00.000Z");

function golden(version: WriteVersion): Uint8Array {
  const file = new URL(`../../../fixtures/remote-write/${version}.snappy`, import.meta.url);
  const bytes = decompressSnappy(new Uint8Array(readFileSync(file)));
  if (!bytes.ok) throw new Error(bytes.error.message);
  return bytes.value;
}

function decode(version: WriteVersion) {
  const body = decodeWriteRequest(version, golden(version));
  if (!body.ok) throw new Error(body.error.message);
  return body.value;
}

describe("1.0", () => {
  const { records, elements } = decode("v1");
  const requests = {
    name: "http_requests_total",
    labels: { instance: "web-1:9090", job: "api" },
    kind: "counter",
  };
  const described = { unit: "requests", help: "Requests." };

  it("keeps every sample with its float as it was, and the exemplar beside the sample of its time", () => {
    const exemplar = { labels: { trace_id: "abc" }, value: 0.5, timestamp: T0 + 1 };
    expect(records.slice(0, 5)).toEqual(
      [1, "+Inf", "-Inf", "NaN", "stale"].map((value, i) => ({
        ok: true,
        value: {
          ...requests,
          timestamp: `2026-11-20T10:00:00.00${i}Z`,
          value,
          detail: { prometheus: i === 1 ? { ...described, exemplars: [exemplar] } : described },
        },
      })),
    );
  });

  it("tells a stale marker's bits from another NaN's", () => {
    const values = records.slice(3, 5).map((record) => (record.ok ? record.value.value : null));
    expect(values.map((value) => doubleToBits(value ?? 0)?.toString(16))).toEqual([
      "7ff8000000000001",
      "7ff0000000000002",
    ]);
  });

  it("gives a family's metadata to a series of the family", () => {
    expect(records[5]).toEqual({
      ok: true,
      value: {
        name: "latency_seconds_bucket",
        labels: { le: "+Inf" },
        kind: "histogram",
        timestamp: "2026-11-20T10:00:00.000Z",
        value: 7,
        detail: { prometheus: { unit: "seconds", help: "Latency." } },
      },
    });
  });

  it("keeps a native histogram of floats whole", () => {
    expect(records[6]).toEqual({
      ok: true,
      value: {
        name: "size_bytes",
        labels: {},
        kind: "gauge_histogram",
        timestamp: "2026-11-20T10:00:00.000Z",
        value: null,
        detail: {
          prometheus: {
            histogram: {
              countFloat: 4.5,
              sum: -12.5,
              schema: 2,
              zeroThreshold: 0.001,
              zeroCountFloat: 0.5,
              negativeSpans: [{ offset: -2, length: 1 }],
              negativeCounts: [1.5],
              positiveSpans: [{ offset: 1, length: 2 }],
              positiveCounts: [1.25, 1.25],
              resetHint: "gauge",
            },
          },
        },
      },
    });
    expect(records).toHaveLength(7);
  });

  it("counts what each record holds", () => {
    expect(elements.map(({ samples, histograms, exemplars }) => [samples, histograms, exemplars])).toEqual([
      [1, 0, 0],
      [1, 0, 1],
      [1, 0, 0],
      [1, 0, 0],
      [1, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
    ]);
  });
});

describe("2.0", () => {
  const { records, elements } = decode("v2");
  const values = records.map((record) => (record.ok ? record.value : record.error));

  it("keeps samples with metadata, start and exemplars", () => {
    const described = { unit: "requests", help: "Requests." };
    const requests = { name: "http_requests_total", labels: { job: "api" }, kind: "counter" };
    expect(values.slice(0, 2)).toEqual([
      {
        ...requests,
        timestamp: "2026-11-20T10:00:00.000Z",
        value: 100,
        detail: { prometheus: { ...described, startTimestamp: T0 - 3_600_000 } },
      },
      {
        ...requests,
        timestamp: "2026-11-20T10:00:15.000Z",
        value: "stale",
        detail: {
          prometheus: {
            ...described,
            exemplars: [{ labels: { trace_id: "abc" }, value: 2, timestamp: T0 + 14_000 }],
          },
        },
      },
    ]);
  });

  it("keeps every form of native histogram", () => {
    const histograms = values.slice(2).map((value) => ("detail" in value ? value.detail?.prometheus : value));
    expect(histograms).toEqual([
      {
        unit: "seconds",
        startTimestamp: T0 - 60_000,
        histogram: {
          countInt: 27,
          sum: 1.5,
          schema: 3,
          zeroThreshold: 1e-128,
          zeroCountInt: 1,
          negativeSpans: [{ offset: 0, length: 2 }],
          negativeDeltas: [1, 1],
          positiveSpans: [
            { offset: 0, length: 3 },
            { offset: 2, length: 2 },
          ],
          positiveDeltas: [1, 2, 1, 3, 1],
          resetHint: "no",
        },
      },
      {
        unit: "seconds",
        histogram: {
          countInt: 30,
          sum: 2.5,
          schema: -53,
          zeroThreshold: 0,
          positiveSpans: [{ offset: 0, length: 6 }],
          positiveDeltas: [2, 1, 2, 3, -1, -2],
          resetHint: "unknown",
          customValues: [0.1, 0.5, 1, 2.5, 5, 10],
        },
      },
      // 2^63 + 1 does not fit a JSON number; observations that are NaN are in no bucket.
      {
        unit: "seconds",
        histogram: {
          countInt: "9223372036854775809",
          sum: "NaN",
          schema: 0,
          zeroThreshold: 0,
          resetHint: "unknown",
        },
      },
      {
        unit: "seconds",
        histogram: { countInt: 0, sum: "stale", schema: 0, zeroThreshold: 0, resetHint: "unknown" },
      },
    ]);
    expect(values.slice(2).every((value) => "value" in value && value.value === null)).toBe(true);
    expect(elements.reduce((sum, { histograms }) => sum + histograms, 0)).toBe(4);
  });
});

describe.each(["v1", "v2"] as const)("%s, damaged", (version) => {
  const whole = golden(version);

  it("cut short at every byte: a refusal or a part of the request, never a throw", () => {
    let parts = 0;
    for (let length = 0; length < whole.length; length++) {
      const body = decodeWriteRequest(version, whole.subarray(0, length));
      if (body.ok) parts++;
      else expect(body.error.reason).toMatch(/^(?:malformed_protobuf|wrong_type)$/);
    }
    // Only where a field of the outermost message ends: nowhere else is a shorter request one.
    expect(parts).toBeLessThan(20);
  });

  it("one byte changed anywhere: never a throw, never a record without a name", () => {
    const faults: number[] = [];
    for (let at = 0; at < whole.length; at++) {
      for (const change of [1, 0x02, 0x55, 0x80, 0xff]) {
        const bytes = whole.slice();
        bytes[at] = (bytes[at] as number) ^ change;
        const body = decodeWriteRequest(version, bytes);
        if (!body.ok) continue;
        const { records, elements } = body.value;
        const isNamed = records.every((record) => !record.ok || record.value.name !== "");
        if (!isNamed || elements.length !== records.length) faults.push(at);
      }
    }
    expect(faults).toEqual([]);
  });
});
