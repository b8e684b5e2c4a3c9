import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeOtlp } from "../../../../lib/telemetry/otlp/decode.ts";
import { flattenOtlp, keepOtlp } from "../../../../lib/telemetry/otlp/keep.ts";
import { countOtlpRecords, otlpRecords, type OtlpRecord } from "../../../../lib/telemetry/otlp/records.ts";
import { requestSchemas, type OtlpSignal } from "../../../../lib/telemetry/otlp/request.ts";
import { checkJsonValue, type JsonObject } from "../../../../lib/telemetry/json-value.ts";
import { anyRequest, GOLDEN, valueOf } from "./samples.ts";

const T0 = "1763719200123456789";
const CONTEXT = { receivedMs: 1_763_719_201_000, enforceTimeRange: true };
const RECEIVED = "2025-11-21T10:00:01.000Z";

const read = (signal: OtlpSignal, json: unknown) =>
  [...otlpRecords(valueOf(decodeOtlp(signal, "json", new TextEncoder().encode(JSON.stringify(json)))))].map(
    (placed) => flattenOtlp(placed, CONTEXT),
  );
const resource = { attributes: [attribute("service.name", "api"), attribute("host.name", "web-1")] };
function attribute(key: string, stringValue: string) {
  return { key, value: { stringValue } };
}
const log = (logRecord: JsonObject, of: JsonObject = resource) =>
  read("logs", {
    resourceLogs: [{ resource: of, scopeLogs: [{ logRecords: [{ timeUnixNano: T0, ...logRecord }] }] }],
  })[0];
const points = (metric: JsonObject) =>
  read("metrics", {
    resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [{ name: "m", ...metric }] }] }],
  });
const gauge = (point: JsonObject) =>
  points({ gauge: { dataPoints: [{ timeUnixNano: T0, asInt: "1", ...point }] } })[0];
const span = (fields: JsonObject) =>
  read("traces", {
    resourceSpans: [
      {
        resource,
        scopeSpans: [
          {
            spans: [
              {
                traceId: "0102030405060708090A0B0C0D0E0F10",
                spanId: "a1a2a3a4a5a6a7a8",
                name: "n",
                startTimeUnixNano: T0,
                ...fields,
              },
            ],
          },
        ],
      },
    ],
  })[0];
const refused = (reason: string, path: string) => ({ ok: false, error: { reason, path } });
const golden = <S extends OtlpSignal>(signal: S) => {
  const bytes = GOLDEN.find((sample) => sample.signal === signal)?.bytes ?? new Uint8Array();
  const records: OtlpRecord[] = [...otlpRecords(valueOf(decodeOtlp(signal, "protobuf", bytes)))];
  return records.filter((placed): placed is Extract<OtlpRecord, { signal: S }> => placed.signal === signal);
};
const plain = {
  text: "grüße 🙂",
  yes: true,
  no: false,
  max: "9223372036854775807",
  min: "-9223372036854775808",
  small: -7,
  double: 0.1,
  nan: "NaN",
  inf: "-Infinity",
  bytes: "AP8Q",
  unset: null,
  "no value": null,
  list: ["a", null, { deep: [1], empty: {} }],
};

describe("logs", () => {
  it("keeps every kind of value, exact nanoseconds, and everything in detail", () => {
    const logs = golden("logs").map((placed) => valueOf(keepOtlp(placed, CONTEXT)));
    expect(logs[0]).toMatchObject({
      timestamp: "2025-11-21T10:00:00.123456789Z",
      level: "ERROR",
      message: "it failed",
      service: "api",
      host: "web-1",
      attributes: plain,
      detail: {
        otlp: {
          resource: { droppedAttributesCount: 3 },
          resourceSchemaUrl: "https://opentelemetry.io/schemas/1.27.0",
          scope: { name: "lib", version: "1.2.3" },
          scopeSchemaUrl: "https://example.com/scope",
          logRecord: {
            traceId: "0102030405060708090a0b0c0d0e0f10",
            spanId: "a1a2a3a4a5a6a7a8",
            observedTimeUnixNano: "1763719200123456790",
          },
        },
      },
    });
    expect(logs[1]).toMatchObject({
      timestamp: "2025-11-21T10:00:00.123456791Z",
      level: "INFO",
      message: JSON.stringify(plain),
    });
    expect(logs[2]).toMatchObject({ timestamp: RECEIVED, level: "INFO", message: "", attributes: {} });
    expect(logs[3]?.message).toBe("42");
    expect(logs[4]).toMatchObject({ level: "FATAL", message: "bare" });
    expect(logs[4]).not.toHaveProperty("service");
  });

  it.each([
    [{ severityText: "Warning", severityNumber: 1 }, "WARN"],
    [{ severityText: "notice" }, "NOTICE"],
    [{ severityText: "a\nb", severityNumber: 8 }, "DEBUG"],
    [{ severityText: "x".repeat(201), severityNumber: 12 }, "INFO"],
    [{ severityNumber: 1 }, "TRACE"],
    [{ severityNumber: 5 }, "DEBUG"],
    [{ severityNumber: 13 }, "WARN"],
    [{ severityNumber: 24 }, "FATAL"],
    [{ severityNumber: 25 }, "INFO"],
    [{ severityNumber: -1 }, "INFO"],
  ])("takes the level from %j: %s", (fields, level) => {
    expect(log(fields)).toMatchObject({ ok: true, value: { level } });
  });

  const nested = (levels: number): JsonObject =>
    levels === 0 ? { stringValue: "x" } : { arrayValue: { values: [nested(levels - 1)] } };

  it("refuses what the limits refuse, by itself", () => {
    expect(log({ timeUnixNano: "1763000000000000000" })).toMatchObject(
      refused("timestamp_out_of_range", "timeUnixNano"),
    );
    expect(log({ timeUnixNano: 0, observedTimeUnixNano: "1863000000000000000" })).toMatchObject(
      refused("timestamp_out_of_range", "observedTimeUnixNano"),
    );
    expect(log({ body: { stringValue: "é".repeat(131_073) } })).toMatchObject(refused("too_long", "body"));
    expect(log({ eventName: "x".repeat(262_145) })).toMatchObject(refused("too_long", "eventName"));
    expect(log({ body: nested(31) })).toMatchObject({ ok: true });
    expect(log({ body: nested(32) })).toMatchObject(refused("too_deep", "body"));
    expect(log({ attributes: [{ key: "a", value: nested(30) }] })).toMatchObject({ ok: true });
    expect(log({ attributes: [{ key: "a", value: nested(31) }] })).toMatchObject(
      refused("too_deep", "attributes"),
    );
    expect(log({ attributes: [attribute("__proto__", "x")] })).toMatchObject(
      refused("forbidden_key", "attributes.__proto__"),
    );
    expect(log({}, { attributes: [attribute("service.name", "s".repeat(1_025))] })).toMatchObject(
      refused("too_long", 'resource.attributes["service.name"]'),
    );
  });

  it("lets a consumer read old records, but none that a store cannot keep", () => {
    const [old] = golden("logs");
    const consumer = { receivedMs: 4_000_000_000_000, enforceTimeRange: false };
    expect(old && keepOtlp(old, consumer)).toMatchObject({ ok: true });
    if (old) old.record.timeUnixNano = 2n ** 64n - 1n;
    expect(old && keepOtlp(old, consumer)).toMatchObject(refused("timestamp_out_of_range", "timeUnixNano"));
  });

  it("takes the last of two attributes of one name", () => {
    expect(log({ attributes: [attribute("a", "1"), attribute("a", "2")] })).toMatchObject({
      value: { attributes: { a: "2" } },
    });
  });
});

describe("metrics", () => {
  it("makes one record of each point of all five kinds", () => {
    const metrics = golden("metrics").map((placed) => valueOf(keepOtlp(placed, CONTEXT)));
    expect(metrics.map(({ name, kind, value }) => [name, kind, value])).toEqual([
      ["temperature", "gauge", 21.5],
      ["temperature", "gauge", -0],
      ["temperature", "gauge", "+Inf"],
      ["temperature", "gauge", "-Inf"],
      ["temperature", "gauge", 5e-324],
      ["temperature", "gauge", "stale"],
      ["temperature", "gauge", "NaN:fff00000deadbeef"],
      ["temperature", "gauge", "NaN"],
      ["temperature", "gauge", "stale"],
      ["requests", "counter", 2 ** 63],
      ["requests", "counter", 0],
      ["queue", "gauge", -5],
      ["latency", "histogram", null],
      ["latency", "histogram", null],
      ["sizes", "exponential_histogram", null],
      ["rpc", "summary", null],
    ]);
    expect(metrics[7]?.labels).toEqual({ room: "7", service: "db", host: "db-1" });
    expect(metrics[0]?.detail).toMatchObject({
      otlp: {
        metric: {
          name: "temperature",
          unit: "Cel",
          description: "of the room",
          kind: "gauge",
          metadata: [attribute("source", "sensor")],
        },
        dataPoint: { asDouble: 21.5, timeUnixNano: T0 },
      },
    });
    expect(metrics[9]?.detail).toMatchObject({
      otlp: {
        metric: { kind: "sum", aggregationTemporality: 2, isMonotonic: true },
        dataPoint: { asInt: "9223372036854775807" },
      },
    });
  });

  it("makes texts of all labels, and lets a point's own stand before the resource's", () => {
    const attributes = [
      attribute("service", "own"),
      { key: "yes", value: { boolValue: true } },
      { key: "n", value: { doubleValue: 0.5 } },
      { key: "list", value: { arrayValue: { values: [{ intValue: 1 }, {}] } } },
      { key: "none" },
    ];
    expect(gauge({ attributes })).toMatchObject({
      value: { labels: { service: "own", host: "web-1", yes: "true", n: "0.5", list: "[1,null]", none: "" } },
    });
  });

  const labels = (count: number) => Array.from({ length: count }, (_, i) => attribute(`l${i}`, "v"));

  it("refuses what the limits refuse, by itself", () => {
    expect(gauge({ attributes: labels(30) })).toMatchObject({ ok: true });
    expect(gauge({ attributes: labels(31) })).toMatchObject(refused("too_many_labels", "attributes"));
    expect(gauge({ attributes: [attribute("", "v")] })).toMatchObject(
      refused("invalid_name", 'attributes[""]'),
    );
    expect(gauge({ attributes: [attribute("a", "v".repeat(1_025))] })).toMatchObject(
      refused("too_long", "attributes.a"),
    );
    expect(gauge({ timeUnixNano: "1763000000000000000" })).toMatchObject(
      refused("timestamp_out_of_range", "timeUnixNano"),
    );
    expect(gauge({ timeUnixNano: null })).toMatchObject({ value: { timestamp: RECEIVED } });
    expect(gauge({ asInt: null })).toMatchObject(refused("missing_field", "asDouble"));
    expect(points({ name: "", gauge: { dataPoints: [{ asInt: 1 }] } })[0]).toMatchObject(
      refused("invalid_name", "metric.name"),
    );
    expect(points({ name: "n".repeat(201), sum: { dataPoints: [{ asInt: 1 }] } })[0]).toMatchObject(
      refused("too_long", "metric.name"),
    );
  });

  it("has no record of a metric without points, and a stale one of a histogram without a value", () => {
    expect(points({})).toEqual([]);
    expect(points({ gauge: {} })).toEqual([]);
    expect(points({ histogram: { dataPoints: [{ flags: 1 }] } })[0]).toMatchObject({
      value: { value: "stale", kind: "histogram" },
    });
  });
});

describe("spans", () => {
  it("keeps ids, duration, kind and status, and everything in detail", () => {
    const [first, second] = golden("traces").map((placed) => valueOf(keepOtlp(placed, CONTEXT)));
    expect(first).toMatchObject({
      timestamp: "2025-11-21T10:00:00.123456789Z",
      duration_ns: "1500000001",
      trace_id: "0102030405060708090a0b0c0d0e0f10",
      span_id: "a1a2a3a4a5a6a7a8",
      parent_span_id: "0000000000000001",
      name: "GET /",
      kind: "server",
      status: "error",
      service: "shop",
      host: "web-2",
      attributes: plain,
      detail: {
        otlp: {
          scope: { name: "tracer" },
          span: {
            events: [{ name: "exception", droppedAttributesCount: 4 }],
            links: [{ traceId: "100f0e0d0c0b0a090807060504030201", spanId: "a8a7a6a5a4a3a2a1", flags: 256 }],
            status: { code: 2, message: "boom" },
          },
        },
      },
    });
    expect(second).toMatchObject({
      timestamp: RECEIVED,
      duration_ns: "0",
      kind: "internal",
      status: "unset",
    });
    expect(second).not.toHaveProperty("parent_span_id");
  });

  it("refuses ids that are none, and takes a root's zeros and a clock that stepped back", () => {
    expect(span({ traceId: "00".repeat(16) })).toMatchObject(refused("wrong_type", "traceId"));
    expect(span({ traceId: "01" })).toMatchObject(refused("wrong_type", "traceId"));
    expect(span({ spanId: null })).toMatchObject(refused("wrong_type", "spanId"));
    expect(span({ parentSpanId: "0102" })).toMatchObject(refused("wrong_type", "parentSpanId"));
    const root = span({
      parentSpanId: "00".repeat(8),
      endTimeUnixNano: "1763719200123456788",
      kind: 99,
      status: { code: 7 },
    });
    expect(root).toMatchObject({ value: { duration_ns: "0", kind: "unspecified", status: "unset" } });
    expect(root).not.toHaveProperty("value.parent_span_id");
  });
});

describe("any record", () => {
  it("is kept or refused with a place; what is kept is JSON, and reads back the same", () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const records = [...otlpRecords(request)];
        expect(records.map(({ index }) => index)).toEqual(
          Array.from({ length: countOtlpRecords(request) }, (_, i) => i),
        );
        for (const placed of records) {
          const kept = keepOtlp(placed, { ...CONTEXT, enforceTimeRange: false });
          if (!kept.ok) expect(kept.error.path).not.toBe("");
          else {
            const { detail, ...flat } = kept.value;
            expect(checkJsonValue(flat, "")).toBeUndefined();
            expect(JSON.parse(JSON.stringify(detail))).toEqual(detail);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it("is none where a request is empty", () => {
    const message = create(requestSchemas.logs);
    expect([...otlpRecords({ signal: "logs", message })]).toEqual([]);
  });
});
