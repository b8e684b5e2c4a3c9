// Bytes that nobody honest sends: every one of them is refused or read, never thrown at, and in bounded time.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeOtlp } from "../../../../lib/telemetry/otlp/decode.ts";
import { decodeOtlpMessage, isOtlpMessage } from "../../../../lib/telemetry/otlp/message.ts";
import { OTLP_SIGNALS } from "../../../../lib/telemetry/otlp/request.ts";
import { EXAMPLES, GOLDEN, valueOf } from "./samples.ts";

const decode = (bytes: Uint8Array | number[]) => decodeOtlp("logs", "protobuf", Uint8Array.from(bytes));
const reasonOf = (bytes: Uint8Array | number[]) => {
  const result = decode(bytes);
  return result.ok ? "ok" : `${result.error.reason}: ${result.error.message}`;
};

/** Wraps bytes in messages of the given field numbers, innermost last. */
function nest(fields: readonly number[], inner: Uint8Array): Uint8Array {
  return fields.reduceRight(
    (bytes, field) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish(),
    inner,
  );
}
const LOG = [1, 2, 2];
const BODY = [...LOG, 5];
const inLog = (...bytes: number[]) => nest(LOG, Uint8Array.from(bytes));

describe("hostile protobuf", () => {
  it.each(GOLDEN)(
    "cut off at any byte, $signal are refused, or are what was sent before it",
    ({ signal, bytes }) => {
      let whole = 0;
      for (let length = 0; length <= bytes.length; length++) {
        const result = decodeOtlp(signal, "protobuf", bytes.subarray(0, length));
        if (result.ok) whole++;
        else expect(result.error.reason).toBe("malformed_protobuf");
      }
      // Only between two resources is there nothing missing.
      expect(whole).toBe(signal === "logs" ? 3 : 2);
    },
  );

  it("bounds nesting, however deep", () => {
    // nest() would copy all bytes for each level; these are written from the inside, back to front.
    const levels = 100_000;
    let deep: number[] = [];
    for (let i = 0; i < levels; i++) {
      const length = deep.length;
      const prefix = [];
      for (let rest = length; ; rest >>>= 7) {
        if (rest > 0x7f) prefix.push((rest & 0x7f) | 0x80);
        else {
          prefix.push(rest);
          break;
        }
      }
      // By turns a value of an array, and the array of a value, which is the outermost.
      deep.push(...prefix.toReversed(), i % 2 === 0 ? 0x0a : 0x2a);
    }
    deep = deep.toReversed();
    expect(reasonOf(nest(BODY, Uint8Array.from(deep)))).toContain("too_deep");
  });

  it.each([
    ["a group", inLog(0x0b, 0x0c), "group"],
    ["a group of an unknown field", inLog(0xf3, 0x07, 0xf4, 0x07), "group"],
    ["field 0", inLog(0x02, 0x00), "number 0"],
    ["wire type 6", inLog(0x0e), "wire type (6)"],
    ["wire type 7", inLog(0x0f), "wire type (7)"],
    ["a known field with another wire type", inLog(0x08, 0x01), "time_unix_nano"],
    ["a text as a number", inLog(0x18, 0x01), "severity_text"],
    ["a tag of six bytes", inLog(0x80, 0x80, 0x80, 0x80, 0x80, 0x00), "too long"],
    ["a tag beyond 32 bits", inLog(0xff, 0xff, 0xff, 0xff, 0x1f), "too long"],
    ["a length of 2^32 - 1", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], "middle of a field"],
    ["a length beyond 2^32", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], "too long"],
    ["a length of eleven bytes", [0x0a, ...Array<number>(10).fill(0x80), 0x00], "too long"],
    ["a child that is longer than its parent", inLog(0x2a, 0x7f), "middle of a field"],
    ["a number of eleven bytes", inLog(0x38, ...Array<number>(10).fill(0x80), 0x00), "too long"],
    ["a number cut off", inLog(0x38, 0x80), "middle of a field"],
    ["eight bytes cut off", inLog(0x09, 0x00), "middle of a field"],
  ])("refuses %s", (_name, bytes, message) => {
    expect(reasonOf(bytes)).toMatch(/^malformed_protobuf: /);
    expect(reasonOf(bytes)).toContain(message);
  });

  it("refuses texts that are not UTF-8", () => {
    expect(reasonOf(inLog(0x1a, 0x01, 0xff))).toContain("invalid_utf8");
    expect(reasonOf(inLog(0x1a, 0x03, 0xed, 0xa0, 0x80))).toContain("invalid_utf8");
    // A byte that is no UTF-8 among 40, beyond the decoder's short path.
    expect(reasonOf(inLog(0x1a, 40, ...Array<number>(39).fill(0x61), 0xc0))).toContain("invalid_utf8");
  });

  it("bounds records, fields and packed numbers before it builds any", () => {
    const many = (count: number, ...bytes: number[]) => Uint8Array.from(Array(count).fill(bytes).flat());
    expect(decode(nest([1, 2], many(10_000, 0x12, 0))).ok).toBe(true);
    expect(reasonOf(nest([1, 2], many(10_001, 0x12, 0)))).toContain("too_many_records");
    expect(reasonOf(nest([...BODY, 5], many(400_001, 0x0a, 0)))).toContain("too_many_values");
    expect(reasonOf(many(200_001, 0x0a, 0))).toContain("too_many_values");
    expect(reasonOf(nest(LOG, many(200_001, 0xa8, 0x06, 1)))).toContain("too_many_values");
    // bucket_counts of an exponential histogram: one byte each, 32 bytes of heap.
    const packed = nest([1, 2, 2, 10, 1, 8, 2], new Uint8Array(400_001));
    const result = decodeOtlp("metrics", "protobuf", packed);
    expect(result).toMatchObject({ ok: false, error: { reason: "too_many_values" } });
  });

  it("refuses packed numbers that do not fill their list", () => {
    const histogram = [1, 2, 2, 9, 1, 6];
    const exponential = [1, 2, 2, 10, 1, 8, 2];
    for (const packed of [nest(histogram, new Uint8Array(9)), nest(exponential, Uint8Array.of(0x80))]) {
      const result = decodeOtlp("metrics", "protobuf", packed);
      expect(result).toMatchObject({ ok: false, error: { reason: "malformed_protobuf" } });
    }
  });

  it("never throws at bytes with some of them changed", () => {
    const samples = [...EXAMPLES, ...GOLDEN];
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        ({ signal, bytes }, changes) => {
          const changed = Uint8Array.from(bytes);
          for (const [at, byte] of changes) changed[at % changed.length] = byte;
          for (const result of [
            decodeOtlp(signal, "protobuf", changed),
            decodeOtlpMessage(signal, changed),
          ]) {
            expect(result.ok ? "ok" : result.error.reason).toMatch(
              /^(?:ok|malformed_protobuf|invalid_utf8|wrong_type|missing_field)$/,
            );
          }
          expect(isOtlpMessage(changed)).toBeTypeOf("boolean");
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("never throws at any bytes, in either form", () => {
    fc.assert(
      fc.property(fc.constantFrom(...OTLP_SIGNALS), fc.uint8Array({ maxLength: 60 }), (signal, bytes) => {
        expect(decodeOtlp(signal, "protobuf", bytes)).toHaveProperty("ok");
        expect(decodeOtlp(signal, "json", bytes)).toHaveProperty("ok");
        expect(decodeOtlpMessage(signal, bytes)).toHaveProperty("ok");
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(OTLP_SIGNALS)("reads an empty body as a request without %s", (signal) => {
    for (const form of ["protobuf", "json"] as const) {
      const { message } = valueOf(decodeOtlp(signal, form, new Uint8Array()));
      expect(Object.values(message)).toContainEqual([]);
    }
  });
});
