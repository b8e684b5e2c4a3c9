// The same code inside workerd: its Buffer, its TextDecoder, its stack.
import { describe, expect, it } from "vitest";
import metrics from "../../../fixtures/otlp/metrics.json" with { type: "json" };
import trace from "../../../fixtures/otlp/trace.json" with { type: "json" };
import { decodeOtlp, encodeOtlp } from "../../../../lib/telemetry/otlp/decode.ts";
import { keepOtlp } from "../../../../lib/telemetry/otlp/keep.ts";
import { decodeOtlpMessage, otlpFromText, otlpToText } from "../../../../lib/telemetry/otlp/message.ts";
import { packOtlp } from "../../../../lib/telemetry/otlp/pack.ts";
import { otlpRecords } from "../../../../lib/telemetry/otlp/records.ts";

const encode = (json: unknown) => new TextEncoder().encode(JSON.stringify(json));
const HEADER = { tenant: "acme", batch: "b-1", attempt: 0, receivedMs: 1_544_712_660_300 };

describe("OTLP in workerd", () => {
  it.each([
    ["metrics", metrics],
    ["traces", trace],
  ] as const)("carries %s from JSON to a message and back", (signal, json) => {
    const request = decodeOtlp(signal, "json", encode(json));
    if (!request.ok) throw new Error(request.error.message);
    const { messages } = packOtlp(
      HEADER,
      request.value,
      () => true,
      () => "k",
    );
    expect(messages).toHaveLength(1);
    const value = otlpFromText(otlpToText(messages[0]?.value ?? new Uint8Array())) ?? new Uint8Array();
    const read = decodeOtlpMessage(signal, value);
    if (!read.ok) throw new Error(read.error.message);
    expect(read.value.weir).toMatchObject(HEADER);
    expect(encodeOtlp("json", read.value.request)).toEqual(encodeOtlp("json", request.value));
    for (const placed of otlpRecords(read.value.request)) {
      expect(keepOtlp(placed, { receivedMs: HEADER.receivedMs, enforceTimeRange: true })).toMatchObject({
        ok: true,
      });
    }
  });

  it("refuses what is not UTF-8, and what is nested deep", () => {
    const bad = Uint8Array.from([0x0a, 9, 0x12, 7, 0x12, 5, 0x1a, 3, 0xed, 0xa0, 0x80]);
    expect(decodeOtlp("logs", "protobuf", bad)).toMatchObject({ error: { reason: "invalid_utf8" } });
    const deep = `${'{"arrayValue":{"values":['.repeat(90_000)}${"]}}".repeat(90_000)}`;
    const log = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${deep}}]}]}]}`;
    expect(decodeOtlp("logs", "json", new TextEncoder().encode(log))).toMatchObject({
      error: { reason: "too_deep" },
    });
  });
});
