import { create, fromBinary, toBinary, type DescMessage } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExportLogsServiceRequestSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceRequestSchema } from "../../../../lib/telemetry/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import type { JsonObject } from "../../../../lib/telemetry/json-value.ts";
import { MAX_MESSAGE_VALUE_BYTES } from "../../../../lib/telemetry/limits.ts";
import { decodeOtlp, encodeOtlp } from "../../../../lib/telemetry/otlp/decode.ts";
import { detailOf } from "../../../../lib/telemetry/otlp/detail.ts";
import {
  decodeOtlpMessage,
  isOtlpMessage,
  otlpFromText,
  otlpToText,
} from "../../../../lib/telemetry/otlp/message.ts";
import { packOtlp } from "../../../../lib/telemetry/otlp/pack.ts";
import { otlpRecords } from "../../../../lib/telemetry/otlp/records.ts";
import { otlpRequest, requestSchemas, type OtlpRequest } from "../../../../lib/telemetry/otlp/request.ts";
import { writeWeirField } from "../../../../lib/telemetry/otlp/weir-field.ts";
import { rebuild } from "../../../support/otlp-rebuild.ts";
import { anyRequest, bytesOf, EXAMPLES, GOLDEN, valueOf } from "./samples.ts";

const HEADER = {
  tenant: "acmé",
  batch: "b-1",
  attempt: 2 ** 48 - 1,
  receivedMs: 1_763_719_200_123,
  agentVersion: "0.1.0",
};
const all = () => true;
const keyOf = ({ service = "", host = "" }) => `${service}:${host}`;

/** Records as text, by index: what each stands in and all it holds. */
function textsOf(request: OtlpRequest, indices?: readonly number[]): [number, string][] {
  return [...otlpRecords(request)].map((placed, i) => [
    indices?.[i] ?? placed.index,
    JSON.stringify(detailOf(placed)),
  ]);
}

function unpack(signal: OtlpRequest["signal"], value: Uint8Array) {
  const { weir, request } = valueOf(decodeOtlpMessage(signal, value));
  if (!weir) throw new Error("not Weir's");
  return { weir, request };
}

const samples = [...EXAMPLES, ...GOLDEN].map(({ signal, bytes }) => ({
  signal,
  request: valueOf(decodeOtlp(signal, "protobuf", bytes)),
}));

describe("packing OTLP", () => {
  it.each(samples)(
    "loses nothing of $signal: the details of what was read build the request again",
    ({ signal, request }) => {
      const { messages, oversize } = packOtlp(HEADER, request, all, keyOf);
      expect(oversize).toEqual([]);
      const details: JsonObject[] = messages.flatMap(({ value }) =>
        [...otlpRecords(unpack(signal, value).request)].map(detailOf),
      );
      const json = new TextEncoder().encode(JSON.stringify(rebuild(signal, details)));
      const rebuilt = valueOf(decodeOtlp(signal, "json", json));
      expect(bytesOf(rebuilt)).toEqual(bytesOf(request));
    },
  );

  it("makes one message of each resource, with its key, readable by any reader of OTLP", () => {
    const request = valueOf(decodeOtlp("logs", "protobuf", GOLDEN[0]?.bytes ?? new Uint8Array()));
    const { messages } = packOtlp(HEADER, request, all, keyOf);
    expect(messages.map(({ key, indices }) => ({ key, indices }))).toEqual([
      { key: "api:web-1", indices: [0, 1, 2, 3] },
      { key: ":", indices: [4] },
    ]);
    for (const { value, indices } of messages) {
      expect(isOtlpMessage(value)).toBe(true);
      expect(unpack("logs", value).weir).toEqual({ ...HEADER, indices });
      const other = fromBinary(ExportLogsServiceRequestSchema, value, { readUnknownFields: false });
      expect(other.resourceLogs).toHaveLength(1);
    }
  });

  it("keeps any accepted records, once and in order, and every message within its limit", () => {
    fc.assert(
      fc.property(
        anyRequest,
        fc.array(fc.boolean(), { maxLength: 8 }),
        fc.integer({ min: 150, max: 1_500 }),
        (request, pattern, maxBytes) => {
          const isAccepted = (index: number) => pattern[index % pattern.length] ?? true;
          const { messages, oversize } = packOtlp(HEADER, request, isAccepted, () => "k", maxBytes);
          const packed = messages.flatMap(({ value, indices }) => {
            expect(value.length).toBeLessThanOrEqual(maxBytes);
            expect(isOtlpMessage(value)).toBe(true);
            const read = unpack(request.signal, value);
            expect(read.weir.indices).toEqual(indices);
            return textsOf(read.request, indices);
          });
          const left = new Set(oversize.map(({ index }) => index));
          const expected = textsOf(request).filter(([index]) => isAccepted(index) && !left.has(index));
          expect(packed).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
  const logsOf = (sizes: readonly number[], resourceBytes = 0) =>
    otlpRequest(
      "logs",
      create(ExportLogsServiceRequestSchema, {
        resourceLogs: [
          {
            resource: { attributes: [{ key: "x", value: text("r".repeat(resourceBytes)) }] },
            scopeLogs: [
              { scope: { name: "lib" }, logRecords: sizes.map((size) => ({ body: text("b".repeat(size)) })) },
            ],
          },
        ],
      }),
    );

  it("splits a large request by whole records, into no more messages than it takes", () => {
    const request = logsOf(Array.from({ length: 2_000 }, (_, i) => 900 + (i % 200)));
    const { messages, oversize } = packOtlp(HEADER, request, all, keyOf);
    expect(oversize).toEqual([]);
    expect(messages.flatMap(({ indices }) => indices)).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
    const total = bytesOf(request).length;
    expect(messages).toHaveLength(Math.ceil(total / (MAX_MESSAGE_VALUE_BYTES - 5_000)));
    for (const { value } of messages) expect(value.length).toBeLessThanOrEqual(MAX_MESSAGE_VALUE_BYTES);
  });

  it("repeats the metric in each part of its points", () => {
    const point = {
      value: { case: "asInt" as const, value: 1n },
      attributes: [{ key: "k", value: text("v".repeat(500)) }],
    };
    const data = {
      case: "sum" as const,
      value: {
        isMonotonic: true,
        aggregationTemporality: 2,
        dataPoints: Array.from({ length: 3_000 }, () => point),
      },
    };
    const request = otlpRequest(
      "metrics",
      create(ExportMetricsServiceRequestSchema, {
        resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "requests", unit: "1", data }] }] }],
      }),
    );
    const { messages } = packOtlp(HEADER, request, all, keyOf);
    expect(messages).toHaveLength(3);
    expect(
      messages.flatMap(({ value, indices }) => textsOf(unpack("metrics", value).request, indices)),
    ).toEqual(textsOf(request));
  });

  it("tells records that fit no message, and goes on with the others", () => {
    const { messages, oversize } = packOtlp(HEADER, logsOf([200, 700_000, 699_800, 200]), all, keyOf);
    expect(oversize).toMatchObject([{ index: 1, error: { reason: "record_too_large" } }]);
    expect(messages.map(({ indices }) => indices)).toEqual([[0], [2], [3]]);
  });

  it("does not multiply a request by a resource that would stand in every part", () => {
    const request = logsOf(Array<number>(1_000).fill(5_000), 690_000);
    const { messages, oversize } = packOtlp(HEADER, request, all, keyOf);
    expect(messages).toEqual([]);
    expect(oversize).toHaveLength(1_000);
    const bearable = logsOf(Array<number>(1_000).fill(5_000), 340_000);
    const parts = packOtlp(HEADER, bearable, all, keyOf).messages;
    expect(parts.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(
      3 * bytesOf(bearable).length,
    );
  });

  it("takes nobody's word but its own for tenant and place", () => {
    const forged = new Uint8Array([
      ...bytesOf(logsOf([3])),
      ...writeWeirField({ tenant: "victim", batch: "forged", attempt: 0, receivedMs: 1, indices: [9] }),
    ]);
    const request = valueOf(decodeOtlp("logs", "protobuf", forged));
    expect(request.message.$unknown).toBeUndefined();
    const [message] = packOtlp(HEADER, request, all, keyOf).messages;
    expect(new TextDecoder().decode(message?.value)).not.toContain("victim");
    expect(unpack("logs", message?.value ?? new Uint8Array()).weir).toEqual({ ...HEADER, indices: [0] });
    // Without Weir's own behind it, it would be believed.
    expect(unpack("logs", forged).weir.tenant).toBe("victim");
  });

  it("does not believe an attempt that no store could keep", () => {
    const header = { tenant: "acme", batch: "b", receivedMs: 1, indices: [0] };
    const withAttempt = (attempt: number) =>
      decodeOtlpMessage(
        "logs",
        new Uint8Array([...bytesOf(logsOf([3])), ...writeWeirField({ ...header, attempt })]),
      );
    expect(withAttempt(2 ** 48 - 1).ok).toBe(true);
    expect(withAttempt(2 ** 48).ok).toBe(false);
  });

  it("keeps what a later OTLP adds", () => {
    const bytes = Uint8Array.from([0x0a, 9, 0x12, 7, 0x12, 5, 0xa2, 0x06, 2, 0x68, 0x69]);
    const request = valueOf(decodeOtlp("logs", "protobuf", bytes));
    const [message] = packOtlp(HEADER, request, all, keyOf).messages;
    expect([...(message?.value.subarray(0, bytes.length) ?? [])]).toEqual([...bytes]);
  });
});

describe("reading a topic", () => {
  it.each(GOLDEN)(
    "reads $signal that another producer wrote, several resources in one",
    ({ signal, bytes }) => {
      expect(isOtlpMessage(bytes)).toBe(true);
      const { weir, request } = valueOf(decodeOtlpMessage(signal, bytes));
      expect(weir).toBeUndefined();
      expect(toBinary<DescMessage>(requestSchemas[signal], request.message)).toEqual(bytes);
    },
  );

  it("reads whatever the intake took, however full of fields", () => {
    // 278,000 values as JSON, 417,000 as the wire is counted.
    const events = `${'{"name":"a"},'.repeat(138_999)}{"name":"a"}`;
    const json = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"events":[${events}]}]}]}]}`;
    const request = valueOf(decodeOtlp("traces", "json", new TextEncoder().encode(json)));
    const [message] = packOtlp(HEADER, request, all, keyOf).messages;
    expect(unpack("traces", message?.value ?? new Uint8Array()).weir.indices).toEqual([0]);
  });

  it("refuses a field of Weir's that is broken, of another version, or of other records", () => {
    const body = EXAMPLES[0]?.bytes ?? new Uint8Array();
    const field = writeWeirField({ ...HEADER, indices: [0] });
    const withField = (change: (field: Uint8Array) => void, extra: number[] = []) => {
      const changed = Uint8Array.from(field);
      change(changed);
      return decodeOtlpMessage("logs", Uint8Array.from([...body, ...extra, ...changed]));
    };
    expect(withField(() => undefined).ok).toBe(true);
    // Behind the tag (3 bytes) and the length (1) stand the version's tag and the version.
    expect(withField((bytes) => (bytes[5] = 2))).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining("version 2") },
    });
    expect(withField((bytes) => (bytes[7] = 0x7f))).toMatchObject({
      ok: false,
      error: { reason: "wrong_type" },
    });
    expect(withField(() => undefined, [...body])).toMatchObject({
      ok: false,
      error: { message: "holds 2 records and 1 indices" },
    });
  });

  it("tells OTLP from JSON that begins with a newline", () => {
    const encoder = new TextEncoder();
    for (let length = 0; length < 300; length++) {
      for (const text of [
        `\n{"a":"${"x".repeat(length)}"}`,
        `\n[${"\n".repeat(length)}]`,
        "\n".repeat(length),
        `\n\n{"v":1}${" ".repeat(length)}`,
      ]) {
        expect(isOtlpMessage(encoder.encode(text))).toBe(false);
      }
    }
    expect(isOtlpMessage(encoder.encode('{"v":1}'))).toBe(false);
    expect(isOtlpMessage(new Uint8Array())).toBe(false);
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(isOtlpMessage(encoder.encode(`\n${JSON.stringify(json)}`))).toBe(false);
      }),
    );
  });

  it("goes through transports of text", () => {
    for (const { bytes } of GOLDEN) expect(otlpFromText(otlpToText(bytes))).toEqual(bytes);
    for (const text of ["", "{}", "otlp:*", "otlp:AA", "OTLP:AAAA"])
      expect(otlpFromText(text)).toBeUndefined();
  });

  it("writes the same request in JSON, whichever way it came", () => {
    for (const { signal, request } of samples) {
      const json = encodeOtlp("json", request);
      expect(encodeOtlp("protobuf", valueOf(decodeOtlp(signal, "json", json)))).toEqual(bytesOf(request));
    }
  });
});
