// What becomes of each kind of message: rows with their places, or dead letters with the bytes that came.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FetchedRecord } from "../../../lib/kafka/transport.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import type { JsonObject, JsonValue } from "../../../lib/telemetry/json-value.ts";
import { decodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { otlpToText } from "../../../lib/telemetry/otlp/message.ts";
import { packOtlp } from "../../../lib/telemetry/otlp/pack.ts";
import type { OtlpSignal } from "../../../lib/telemetry/otlp/request.ts";
import { SIGNALS, type Signal } from "../../../lib/telemetry/signal.ts";
import { decode, type DecodedMessage } from "../../../lib/stream/decode.ts";
import { decodedParts, type DecodedParts } from "../../support/decoded-parts.ts";

const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
const RECEIVED_MS = NOW_MS - 5_000;
const HEADER = { tenant: "acme", batch: "b-1", attempt: 0, receivedMs: RECEIVED_MS };
const CONTEXT = { defaultTenant: "nobody", nowMs: NOW_MS };

const utf8 = (text: string) => new TextEncoder().encode(text);
const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/otlp/${name}`, import.meta.url)));

const messageOf = (value: Uint8Array | null, offset = 7): FetchedRecord => ({
  offset,
  key: utf8("api:web-1"),
  value,
});

function decodeAll(signal: Signal, values: (Uint8Array | string | null)[]): DecodedMessage[] {
  return values.map((value, i) =>
    decode(messageOf(typeof value === "string" ? utf8(value) : value, 7 + i), { signal, ...CONTEXT }),
  );
}

const read = (signal: Signal, ...values: (Uint8Array | string | null)[]): DecodedParts =>
  decodedParts(decodeAll(signal, values));

const countRows = ({ rows }: DecodedParts) => SIGNALS.map((signal) => rows[signal].length);

/** As the intake writes it: every record is taken, one message for each resource. */
function packed(signal: OtlpSignal, json: JsonValue, isAccepted: (index: number) => boolean = () => true) {
  const request = decodeOtlp(signal, "json", utf8(JSON.stringify(json)));
  if (!request.ok) throw new Error(request.error.message);
  const { messages } = packOtlp(HEADER, request.value, isAccepted, () => "key");
  return messages.map(({ value }) => value);
}

const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
const service = (name: string): JsonObject => ({ attributes: [text("service.name", name)] });
const logsOf = (resource: JsonObject, ...logRecords: JsonObject[]): JsonObject => ({
  resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }],
});
const log = (body: string, fields: JsonObject = {}): JsonObject => ({
  body: { stringValue: body },
  ...fields,
});
const SPAN = { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174", name: "n" };
const spansOf = (...spans: JsonObject[]): JsonObject => ({
  resourceSpans: [{ resource: service("api"), scopeSpans: [{ spans }] }],
});
const bytesOf = (letter: { originalValue: string | null } | undefined) =>
  new Uint8Array(Buffer.from(letter?.originalValue ?? expect.fail("nothing was kept"), "base64"));

describe("OTLP that Weir wrote", () => {
  it("has the tenant and the time of receipt of Weir's field, and its place in the log", () => {
    const batch = read("logs", ...packed("logs", logsOf(service("api"), log("a"), log("b"))));
    expect(batch.deadLetters).toEqual([]);
    const received = new Date(RECEIVED_MS).toISOString();
    expect(batch.rows.logs).toMatchObject([
      { tenant: "acme", offset: 7, index: 0, record: { message: "a", service: "api", timestamp: received } },
      { tenant: "acme", offset: 7, index: 1, record: { message: "b", service: "api", timestamp: received } },
    ]);
    expect(batch.rows.logs[1]?.record.detail).toEqual({
      otlp: { resource: service("api"), scope: undefined, logRecord: log("b") },
    });
  });

  it("is read as spans and points, each with all of it in detail", () => {
    const spans = read("traces", ...packed("traces", spansOf(SPAN, { ...SPAN, parentSpanId: SPAN.spanId })));
    expect(spans.rows.traces).toMatchObject([
      { record: { trace_id: SPAN.traceId, span_id: SPAN.spanId.toLowerCase(), service: "api" } },
      { record: { parent_span_id: SPAN.spanId } },
    ]);
    const metric = {
      name: "latency",
      histogram: {
        aggregationTemporality: 2,
        dataPoints: [{ count: "2", sum: 3, bucketCounts: ["1", "1"], explicitBounds: [1] }],
      },
    };
    const points = read(
      "metrics",
      ...packed("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }),
    );
    expect(points.rows.metrics).toMatchObject([
      {
        record: {
          name: "latency",
          value: null,
          kind: "histogram",
          detail: {
            otlp: {
              metric: { name: "latency", kind: "histogram", aggregationTemporality: 2 },
              dataPoint: { count: "2", sum: 3, bucketCounts: ["1", "1"], explicitBounds: [1] },
            },
          },
        },
      },
    ]);
  });

  it("is read from text, too, and from nothing but the very text", () => {
    const [value = new Uint8Array()] = packed("logs", logsOf(service("api"), log("a")));
    expect(read("logs", otlpToText(value)).rows.logs).toMatchObject([{ tenant: "acme" }]);
    const broken = ["otlp:*", "otlp:Cg", `${otlpToText(value)}\n`];
    const batch = read("logs", ...broken);
    expect(countRows(batch)).toEqual([0, 0, 0, 0]);
    expect(batch.deadLetters.map((letter) => Buffer.from(bytesOf(letter)).toString())).toEqual(broken);
  });
});

describe("OTLP of others", () => {
  it("is the default tenant's, with several resources, as the Collector's kafkaexporter writes it", () => {
    for (const [signal, name, records] of [
      ["logs", "logs.bin", 2],
      ["metrics", "metrics.bin", 1],
      ["traces", "traces.bin", 1],
      ["logs", "logs.example.bin", 1],
      ["metrics", "metrics.example.bin", 4],
      ["traces", "trace.example.bin", 1],
    ] as const) {
      const batch = read(signal, fixture(name));
      expect(batch.rows[signal].length + batch.deadLetters.length, name).toBeGreaterThanOrEqual(records);
      expect(batch.rows[signal].length, name).toBeGreaterThan(0);
      expect(batch.rows[signal].every(({ tenant }) => tenant === "nobody")).toBe(true);
    }
    const request = decodeOtlp(
      "logs",
      "json",
      utf8(
        JSON.stringify({
          resourceLogs: ["api", "web"].map((name) => ({
            resource: service(name),
            scopeLogs: [{ logRecords: [log(name)] }],
          })),
        }),
      ),
    );
    if (!request.ok) throw new Error(request.error.message);
    const both = packOtlp(
      HEADER,
      request.value,
      () => true,
      () => "k",
    ).messages;
    expect(both).toHaveLength(2);
    // Two requests' bytes behind each other are one request (protobuf: repeated fields add up).
    const foreign = Buffer.concat(both.map(({ value }) => withoutWeirField(value)));
    const batch = read("logs", new Uint8Array(foreign));
    expect(batch.rows.logs.map(({ index, record }) => [index, record.service, record.timestamp])).toEqual([
      [0, "api", new Date(NOW_MS).toISOString()],
      [1, "web", new Date(NOW_MS).toISOString()],
    ]);
  });

  it("keeps its times, however old: only the intake bounds them", () => {
    const { rows } = read("logs", fixture("logs.example.bin"));
    expect(rows.logs[0]?.record.timestamp).toMatch(/^2018-12-13T/);
  });
});

/** The first resource alone: what a request is made of, without what Weir put behind. */
function withoutWeirField(value: Uint8Array): Uint8Array {
  let length = 0;
  let at = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = value[at++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value.subarray(0, at + length);
}

describe("the size of a batch", () => {
  it("is about that of its rows as JSON, with the resource in each", () => {
    const resource = { attributes: [text("service.name", "api"), text("k8s", "x".repeat(3_000))] };
    const records = Array.from({ length: 2_000 }, (_, i) => log(`${i}`));
    for (const batch of [
      read("logs", ...packed("logs", logsOf(resource, ...records))),
      read("logs", ...packed("logs", logsOf(service("api"), ...records))),
      read("metrics", fixture("metrics.bin")),
      read("logs", JSON.stringify(records.map((_, i) => ({ message: `message ${i}` })))),
    ]) {
      const isAs = JSON.stringify(Object.values(batch.rows).flat()).length;
      expect(batch.chars / isAs).toBeGreaterThan(0.4);
      expect(batch.chars / isAs).toBeLessThan(2);
    }
  });
});

describe("a message that cannot be read", () => {
  const [good = new Uint8Array()] = packed("logs", logsOf(service("api"), log("good")));
  const cut = good.subarray(0, good.length - 3);
  const twice = new Uint8Array([...good, ...good]);
  const [span = new Uint8Array()] = packed("traces", spansOf(SPAN));

  it.each<[string, Signal, Uint8Array | string, string]>([
    ["cut OTLP", "logs", cut, "malformed_json|invalid_utf8"],
    ["OTLP of another signal", "logs", span, "malformed_protobuf"],
    ["OTLP whose indices do not fit its records", "logs", twice, "wrong_type"],
    ["OTLP on the events topic", "events", good, "wrong_type"],
    ["OTLP as text on the events topic", "events", otlpToText(good), "wrong_type"],
    ["JSON on the traces topic", "traces", '{"trace_id":"1"}', "wrong_type"],
    ["an array of JSON on the traces topic", "traces", "[1,2]", "wrong_type"],
    ["no JSON at all", "metrics", "\u0000\u0001", "malformed_json"],
    ["nothing", "traces", "", "malformed_json"],
  ])("is dead, whole, and those beside it go on: %s", (_, signal, bad, reason) => {
    const beside = signal === "traces" ? span : signal === "logs" ? good : BARE[signal];
    const batch = read(signal, beside, bad, beside);
    expect(batch.rows[signal].map(({ offset }) => offset)).toEqual([7, 9]);
    expect(batch.deadLetters).toMatchObject([
      { offset: 8, index: -1, tenant: "nobody", originalKey: btoa("api:web-1") },
    ]);
    expect(batch.deadLetters[0]?.errorType).toMatch(new RegExp(`^(${reason})$`));
    expect(bytesOf(batch.deadLetters[0])).toEqual(typeof bad === "string" ? utf8(bad) : bad);
  });

  it("is dead without bytes where it has none", () => {
    const batch = read("traces", null);
    expect(batch.deadLetters).toMatchObject([{ errorType: "missing_field", originalValue: null }]);
  });
});

const BARE = {
  metrics: '{"name":"n","value":1}',
  events: '{"event_type":"e","data":1}',
} as const;

describe("a record that cannot be stored", () => {
  it("is a dead letter of its own, with its own OTLP, and its tenant's", () => {
    const [value = new Uint8Array()] = packed(
      "traces",
      spansOf(SPAN, { ...SPAN, spanId: "0000000000000000", name: "bad" }, { ...SPAN, name: "last" }),
    );
    const batch = read("traces", value);
    expect(batch.rows.traces.map(({ index, record }) => [index, record.name])).toEqual([
      [0, "n"],
      [2, "last"],
    ]);
    const [letter, ...others] = batch.deadLetters;
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ tenant: "acme", offset: 7, index: 1, errorType: "wrong_type" });
    expect(letter?.error).toMatch(/^spanId must be 8 bytes/);
    expect(JSON.parse(Buffer.from(bytesOf(letter)).toString())).toMatchObject({
      otlp: { resource: service("api"), span: { name: "bad", traceId: SPAN.traceId } },
    });
  });

  it("more than a hundred times in one message, is kept once, as that message", () => {
    const bad = Array.from({ length: 101 }, () => ({ ...SPAN, traceId: "" }));
    const [value = new Uint8Array()] = packed("traces", spansOf(SPAN, ...bad));
    const batch = read("traces", value);
    expect(batch.rows.traces).toHaveLength(1);
    expect(batch.deadLetters).toMatchObject([{ tenant: "acme", index: -1 }]);
    expect(batch.deadLetters[0]?.error).toMatch(/^101 of 102 records; the first: traceId/);
    expect(bytesOf(batch.deadLetters[0])).toEqual(value);
  });

  it("is one whose JSON no row takes, though its message was small", () => {
    // A number of two bytes is an object of 30 in JSON: 650,000 bytes of them are 10 MB.
    const values = Array.from({ length: 120_000 }, () => ({ intValue: "1" }));
    const huge = log("huge", { attributes: [{ key: "a", value: { arrayValue: { values } } }] });
    const batch = read("logs", ...packed("logs", logsOf(service("api"), log("before"), huge, log("after"))));
    expect(batch.rows.logs.map(({ record }) => record.message)).toEqual(["before", "after"]);
    expect(batch.deadLetters).toMatchObject([
      { tenant: "acme", index: 1, errorType: "record_too_large", originalValue: null },
    ]);
    expect(batch.deadLetters[0]?.error).toMatch(/bytes are too many to be kept here/);
  });
});

describe("an envelope", () => {
  const envelope = (signal: "metrics" | "logs", records: unknown[]) =>
    packEnvelopes(
      {
        tenant: "acme",
        signal,
        batch: "b",
        attempt: 5,
        received: new Date(RECEIVED_MS).toISOString(),
        agentVersion: undefined,
      },
      records.map((record, index) => ({ index, record })),
    ).envelopes.map(({ value }) => value);

  it("carries metrics in the kept form: stale, infinite, histograms with detail", () => {
    const detail = { histogram: { count: "3", buckets: [1, 2] } };
    const kept = [
      { name: "a", value: "stale", labels: {}, kind: "gauge" },
      { name: "b", value: null, labels: { x: "y" }, kind: "histogram", detail },
      { name: "c", value: "-Inf", labels: {} },
      { name: "d", value: "NaN:7ff4000000000001", labels: {}, kind: "counter" },
    ];
    const batch = read("metrics", ...envelope("metrics", kept));
    expect(batch.deadLetters).toEqual([]);
    const timestamp = new Date(RECEIVED_MS).toISOString();
    expect(batch.rows.metrics.map(({ record }) => record)).toEqual(
      kept.map((record) => ({ ...record, timestamp })),
    );
  });

  it("is held to that form: what no decoder of ours writes is dead", () => {
    const bad = [
      { name: "a", value: "Infinity" },
      { name: "a", value: 1, kind: "sum" },
      { name: "a", value: 1, detail: [] },
      { name: "a" },
      { name: "a", value: 1 },
    ];
    const batch = read("metrics", ...envelope("metrics", bad));
    expect(batch.rows.metrics).toMatchObject([{ index: 4 }]);
    expect(batch.deadLetters.map(({ index, errorType }) => [index, errorType])).toEqual([
      [0, "wrong_type"],
      [1, "wrong_type"],
      [2, "wrong_type"],
      [3, "missing_field"],
    ]);
  });

  it("is not what a bare record is: that has the form of the intake, and the default tenant", () => {
    const batch = read("metrics", '{"name":"a","value":"stale"}', '{"name":"a","value":1}');
    expect(batch.rows.metrics).toMatchObject([{ tenant: "nobody", offset: 8 }]);
    expect(batch.deadLetters).toMatchObject([{ errorType: "wrong_type" }]);
  });

  it("says what its records' identity is made of, as OTLP does; others' messages have none", () => {
    const of = (signal: Signal, value: Uint8Array | string) => decodeAll(signal, [value])[0]?.origin;
    const [logs = new Uint8Array()] = envelope("logs", [{ message: "a" }, { message: "b" }]);
    expect(of("logs", logs)).toEqual({ batch: "b", attempt: 5, receivedMs: RECEIVED_MS, indices: [0, 1] });
    const [otlp = new Uint8Array()] = packed(
      "logs",
      logsOf(service("api"), log("a"), log("b"), log("c")),
      (index) => index !== 1,
    );
    expect(of("logs", otlp)).toMatchObject({
      batch: "b-1",
      attempt: 0,
      receivedMs: RECEIVED_MS,
      indices: [0, 2],
    });
    expect(of("logs", withoutWeirField(otlp))).toBeUndefined();
    expect(of("logs", '{"message":"bare"}')).toBeUndefined();
  });

  it("says itself what it holds, whatever topic it lies on", () => {
    const batch = read("traces", ...envelope("logs", [{ message: "m" }]));
    expect(countRows(batch)).toEqual([1, 0, 0, 0]);
  });
});

describe("a record more than a day ahead of the clock", () => {
  it("is dead, as JSON and as OTLP, and those beside it are rows", () => {
    const at = (ms: number) => new Date(NOW_MS + ms).toISOString();
    const day = 86_400_000;
    const bare = [0, day - 1, day + 1, 40 * 365 * day].map((ms) => ({ message: "m", timestamp: at(ms) }));
    const nanos = (ms: number) => ({ ...log("a"), timeUnixNano: `${NOW_MS + ms}000000` });
    for (const bytes of [
      utf8(JSON.stringify(bare)),
      packed(
        "logs",
        logsOf(service("api"), nanos(0), nanos(day - 1), nanos(day + 1), nanos(40 * 365 * day)),
      )[0]!,
    ]) {
      const batch = decodedParts([decode(messageOf(bytes), { signal: "logs", ...CONTEXT })]);
      expect(batch.rows.logs.map(({ index }) => index)).toEqual([0, 1]);
      expect(batch.deadLetters).toMatchObject(
        [2, 3].map((index) => ({ index, errorType: "timestamp_out_of_range" })),
      );
    }
  });
});

describe("a record that the store refused", () => {
  it("is dead with its raw bytes, and those beside it are rows", () => {
    const [value = new Uint8Array()] = packed("logs", logsOf(service("api"), log("a"), log("b")));
    for (const bytes of [value, utf8('[{"message":"a","extra":1},{"message":"b"}]')]) {
      const fault = { errorType: "storage_rejected", error: "no", attempts: 3 };
      const refused = new Map([[0, fault]]);
      const batch = decodedParts([decode(messageOf(bytes), { signal: "logs", ...CONTEXT }, refused)]);
      expect(batch.rows.logs.map(({ index }) => index)).toEqual([1]);
      expect(batch.deadLetters).toMatchObject([{ offset: 7, index: 0, ...fault }]);
      const original: unknown = JSON.parse(Buffer.from(bytesOf(batch.deadLetters[0])).toString());
      expect(original).toMatchObject(bytes === value ? { otlp: { logRecord: log("a") } } : { extra: 1 });
    }
  });
});
