import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeOtlp, encodeOtlp } from "../../../../lib/telemetry/otlp/decode.ts";
import type { OtlpSignal } from "../../../../lib/telemetry/otlp/request.ts";
import { anyRequest, bytesOf, EXAMPLES, GOLDEN, valueOf } from "./samples.ts";

const encode = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const parse = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
const read = (signal: OtlpSignal, json: unknown) => decodeOtlp(signal, "json", encode(json));

/** Ids in lower case, as we write them. */
const lowerIds = (json: unknown): unknown =>
  JSON.parse(JSON.stringify(json), (key, value: unknown) =>
    /^(?:trace|span|parentSpan)Id$/.test(key) ? String(value).toLowerCase() : value,
  );

/** A field that stands at its default is left out when it is written. */
const withoutDefaults = (json: unknown): unknown =>
  JSON.parse(JSON.stringify(json), (key, value: unknown) =>
    (key === "scale" || key === "zeroThreshold") && value === 0 ? undefined : value,
  );

describe("OTLP/JSON", () => {
  it.each(EXAMPLES)(
    "reads and writes OTLP's example $name as the specification has it",
    ({ signal, json, bytes }) => {
      const request = valueOf(decodeOtlp(signal, "json", json));
      const fromWire = valueOf(decodeOtlp(signal, "protobuf", bytes));
      expect(request).toEqual(fromWire);
      expect(bytesOf(request)).toEqual(bytesOf(fromWire));
      expect(parse(encodeOtlp("json", fromWire))).toEqual(lowerIds(withoutDefaults(parse(json))));
    },
  );

  it.each(GOLDEN)("carries all that Google's encoder wrote of $signal", ({ signal, bytes }) => {
    const request = valueOf(decodeOtlp(signal, "protobuf", bytes));
    expect(bytesOf(request)).toEqual(bytes);
    const json = encodeOtlp("json", request);
    expect(bytesOf(valueOf(decodeOtlp(signal, "json", json)))).toEqual(bytes);
  });

  it("carries any message there and back", () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const json = encodeOtlp("json", request);
        const back = valueOf(decodeOtlp(request.signal, "json", json));
        expect(bytesOf(back)).toEqual(bytesOf(request));
        expect(encodeOtlp("json", valueOf(decodeOtlp(request.signal, "protobuf", bytesOf(back))))).toEqual(
          json,
        );
      }),
      { numRuns: 100 },
    );
  });

  it("writes what JSON's numbers cannot carry as texts, NaN payloads among them", () => {
    const metrics = GOLDEN.find(({ signal }) => signal === "metrics");
    const text = new TextDecoder().decode(
      encodeOtlp("json", valueOf(decodeOtlp("metrics", "protobuf", metrics?.bytes ?? new Uint8Array()))),
    );
    for (const value of [
      '"asDouble":"-0"',
      '"asDouble":"Infinity"',
      '"asDouble":"-Infinity"',
      '"asDouble":"NaN:7ff0000000000002"',
      '"asDouble":"NaN:fff00000deadbeef"',
      '"asDouble":"NaN"',
      '"asDouble":5e-324',
      '"asInt":"9223372036854775807"',
      '"asInt":"-9223372036854775808"',
      '"count":"18446744073709551615"',
    ]) {
      expect(text).toContain(value);
    }
  });

  const log = (fields: string) => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${fields}}]}]}]}`;
  const firstLog = (json: string) => {
    const { message } = valueOf(read("logs", json));
    if (message.$typeName !== "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest")
      throw new Error();
    return message.resourceLogs[0]?.scopeLogs[0]?.logRecords[0];
  };

  it("takes 64-bit integers as bare numbers, exactly", () => {
    const record = firstLog(
      log(
        `"timeUnixNano":1763719200123456789,"body":{"intValue": -9223372036854775807},"eventName":"a,1763719200123456789\\"",
         "attributes":[{"key":"d","value":{"doubleValue":12345678901234567890}},{"key":"e","value":{"doubleValue":1.2345678901234567e+30}},
         {"key":"i","value":{"intValue":1e3}}]`,
      ),
    );
    expect(record?.timeUnixNano).toBe(1763719200123456789n);
    expect(record?.body?.value.value).toBe(-9223372036854775807n);
    expect(record?.eventName).toBe('a,1763719200123456789"');
    expect(record?.attributes.map(({ value }) => value?.value.value)).toEqual([
      12_345_678_901_234_567_000,
      1.2345678901234567e30,
      1000n,
    ]);
  });

  it("passes over what it does not know, null, and protobuf's own names", () => {
    const record = firstLog(
      log(
        `"body":null,"event_name":"x","__proto__":{"eventName":"y"},"later":{"deep":[1]},"severityNumber":"SEVERITY_NUMBER_WARN"`,
      ),
    );
    expect(record?.body).toBeUndefined();
    expect(record).toMatchObject({ eventName: "", severityNumber: 13 });
    expect(firstLog(log(`"traceId":"","flags":"1","attributes":null`))).toMatchObject({
      flags: 1,
      attributes: [],
    });
  });

  it.each([
    ["traceId", `"traceId":"xyz0"`],
    ["traceId", `"traceId":"abc"`],
    ["spanId", `"spanId":7`],
    ["timeUnixNano", `"timeUnixNano":-1`],
    ["timeUnixNano", `"timeUnixNano":1.5`],
    ["timeUnixNano", `"timeUnixNano":"18446744073709551616"`],
    ["severityNumber", `"severityNumber":"LOUD"`],
    ["flags", `"flags":4294967296`],
    ["body", `"body":"plain"`],
    ["body.bytesValue", `"body":{"bytesValue":"a*b="}`],
    ["body.bytesValue", `"body":{"bytesValue":"a"}`],
    ["body.doubleValue", `"body":{"doubleValue":1e400}`],
    ["body.doubleValue", `"body":{"doubleValue":"0x10"}`],
    ["body.boolValue", `"body":{"boolValue":"true"}`],
    ["body.intValue", `"body":{"stringValue":"a","intValue":1}`],
    ["eventName", `"eventName":"\\ud800"`],
    ["attributes", `"attributes":{"a":1}`],
    ["attributes[1].value", `"attributes":[{"key":"a"},{"key":"b","value":[]}]`],
    ["attributes[0]", `"attributes":[null]`],
  ])("names the place of a fault: %s in %s", (path, fields) => {
    const result = read("logs", log(fields));
    expect(result).toMatchObject({
      ok: false,
      error: { path: `resourceLogs[0].scopeLogs[0].logRecords[0].${path}` },
    });
  });

  it.each([
    ["malformed_json", "{"],
    ["malformed_json", `{"a":1,1234567890123456789:2}`],
    ["malformed_json", `[01234567890123456789]`],
    ["wrong_type", "[]"],
    ["wrong_type", "null"],
    ["too_many_records", log("},{".repeat(10_000))],
    ["too_many_values", `{"resourceLogs":[${"{},".repeat(200_001)}{}]}`],
    ["too_many_values", `[${"1,".repeat(400_000)}1]`],
    ["too_deep", log(`"body":${'{"arrayValue":{"values":['.repeat(90_000)}${"]}}".repeat(90_000)}`)],
    ["malformed_json", log(`"body":${"[".repeat(100_000)}`)],
  ])("refuses a body with %s", (reason, json) => {
    expect(read("logs", json)).toMatchObject({ ok: false, error: { reason } });
  });

  it("refuses what is not UTF-8", () => {
    const bytes = encode(log(`"eventName":"?"`)).map((byte) => (byte === 0x3f ? 0xff : byte));
    expect(decodeOtlp("logs", "json", bytes)).toMatchObject({ ok: false, error: { reason: "invalid_utf8" } });
  });
});
