import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { uuidv7 } from "../../../lib/telemetry/batch-id.ts";
import { decodeMessage, type EnvelopeHeader, packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { MAX_MESSAGE_VALUE_BYTES } from "../../../lib/telemetry/limits.ts";
import { textOfBytes } from "./near-valid.ts";

const HEADER: EnvelopeHeader = {
  tenant: "acme",
  signal: "logs",
  batch: "b-1",
  attempt: 0,
  received: "2026-11-21T10:00:00.000Z",
  agentVersion: undefined,
};
const bytesOf = (text: string) => new TextEncoder().encode(text);

function unpack(value: Uint8Array) {
  const decoded = decodeMessage(value);
  if (!decoded.ok || decoded.value.kind !== "envelope") throw new Error("not an envelope");
  return decoded.value.envelope;
}

const records = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.integer({ min: 0, max: 2_500 }), fc.constantFrom("a", "é", "€", "😀", '"'))
        .map(([bytes, c]) => ({ message: textOfBytes(bytes, c) })),
    },
  ),
  { maxLength: 20 },
);
const headers = fc.record({
  tenant: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
  signal: fc.constantFrom("logs" as const, "metrics" as const, "events" as const),
  batch: fc.string({ minLength: 1, maxLength: 40 }),
  attempt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 48 - 1 })),
  received: fc.constant("2026-11-21T10:00:00.000Z"),
  agentVersion: fc.option(fc.string({ unit: "binary", maxLength: 20 }), { nil: undefined }),
});

describe("packing", () => {
  it("loses, doubles and reorders nothing, and keeps every value within the limit", () => {
    fc.assert(
      fc.property(
        headers,
        records,
        fc.integer({ min: 600, max: 4_000 }),
        fc.nat(9_000),
        (header, list, maxBytes, firstIndex) => {
          const entries = list.map((record, i) => ({ index: firstIndex + i * 3, record }));
          const { envelopes, oversize } = packEnvelopes(header, entries, maxBytes);
          const packed = envelopes.flatMap(({ value, indices }) => {
            expect(value.length).toBeLessThanOrEqual(maxBytes);
            const envelope = unpack(value);
            expect(envelope).toMatchObject({
              v: 1,
              tenant: header.tenant,
              signal: header.signal,
              batch: header.batch,
              received: header.received,
            });
            expect(envelope.attempt ?? 0).toBe(header.attempt);
            expect(envelope.agent_version).toBe(header.agentVersion);
            expect(envelope.indices).toEqual(indices);
            return envelope.indices.map((index, i) => ({ index, record: envelope.entries[i] }));
          });
          const tooLarge = new Set(oversize.map(({ index }) => index));
          const expected = entries.filter(({ index }) => !tooLarge.has(index));
          expect(packed).toEqual(JSON.parse(JSON.stringify(expected)));
          for (const { index, record } of entries) {
            // What is refused is really as large as the limit, but for the envelope around it.
            const isLarge = Buffer.byteLength(JSON.stringify(record)) > maxBytes - 600;
            expect(isLarge || !tooLarge.has(index)).toBe(true);
          }
        },
      ),
      { seed: 20261121, numRuns: 500 },
    );
  });

  it("writes the bytes of the contract", () => {
    const { envelopes } = packEnvelopes({ ...HEADER, agentVersion: "0.1.0" }, [
      { index: 0, record: { a: "é" } },
      { index: 4, record: 1 },
    ]);
    expect(envelopes.map(({ value }) => new TextDecoder().decode(value))).toEqual([
      '{"v":1,"tenant":"acme","signal":"logs","batch":"b-1","received":"2026-11-21T10:00:00.000Z","agent_version":"0.1.0","indices":[0,4],"entries":[{"a":"é"},1]}',
    ]);
  });

  it("tells one acceptance of a batch from another, and refuses what no store could keep", () => {
    const { envelopes } = packEnvelopes({ ...HEADER, attempt: 7 }, [{ index: 0, record: 1 }]);
    const text = new TextDecoder().decode(envelopes[0]?.value);
    expect(text).toContain('"batch":"b-1","attempt":7,"received"');
    for (const attempt of ["-1", "1.5", String(2 ** 48), '"7"']) {
      const forged = text.replace('"attempt":7', `"attempt":${attempt}`);
      expect(decodeMessage(new TextEncoder().encode(forged)).ok, attempt).toBe(false);
    }
  });

  it.each(["a", "é", "€", "😀"])(
    "fills messages of %s, so that REST proxies, which are bound by messages, get few",
    (character) => {
      const entries = Array.from({ length: 2_000 }, (_, index) => ({
        index,
        record: { message: textOfBytes(1_000, character) },
      }));
      const { envelopes } = packEnvelopes(HEADER, entries);
      // 2,000 records of some 1,020 bytes are three messages of 700,000 bytes.
      expect(envelopes.map(({ value }) => value.length <= MAX_MESSAGE_VALUE_BYTES)).toEqual([
        true,
        true,
        true,
      ]);
    },
  );

  it("tells what is too large for any message, and sends the others", () => {
    const entries = [1, textOfBytes(MAX_MESSAGE_VALUE_BYTES, "€"), 2].map((record, index) => ({
      index,
      record,
    }));
    const { envelopes, oversize } = packEnvelopes(HEADER, entries);
    expect(oversize).toMatchObject([{ index: 1, error: { reason: "record_too_large", path: "" } }]);
    expect(envelopes.map(({ indices }) => indices)).toEqual([[0, 2]]);
  });

  it("makes no message of nothing", () =>
    expect(packEnvelopes(HEADER, [])).toEqual({ envelopes: [], oversize: [] }));
});

describe("reading a message", () => {
  const envelope = {
    v: 1,
    tenant: "t",
    signal: "logs",
    batch: "b",
    received: "2026-11-21T10:00:00.000Z",
    indices: [0],
    entries: [{}],
  };
  const reasonOf = (value: unknown) => {
    const decoded = decodeMessage(value instanceof Uint8Array ? value : bytesOf(JSON.stringify(value)));
    return decoded.ok ? decoded.value.kind : decoded.error.reason;
  };

  it.each<[string, unknown, string]>([
    ["no bytes", new Uint8Array(), "malformed_json"],
    ["bytes that are not UTF-8", new Uint8Array([0x0a, 0xff, 0x80]), "invalid_utf8"],
    ["a broken document", bytesOf('{"v":1,'), "malformed_json"],
    ["the next version", { ...envelope, v: 2 }, "wrong_type"],
    ["no tenant", { ...envelope, tenant: "" }, "wrong_type"],
    ["an unknown signal", { ...envelope, signal: "traces" }, "wrong_type"],
    ["a receipt that is no time", { ...envelope, received: "2026-02-30T10:00:00Z" }, "wrong_type"],
    ["fewer indices than entries", { ...envelope, indices: [] }, "wrong_type"],
    ["a negative index", { ...envelope, indices: [-1] }, "wrong_type"],
    ["entries that are none", { ...envelope, entries: {} }, "wrong_type"],
    ["fields of a later version", { ...envelope, later: true }, "envelope"],
    ["a bare record", { message: "x", v: 1 }, "bare"],
    ["a bare number", 5, "bare"],
    ["null", null, "bare"],
  ])("of %s gives %s", (_, value, expected) => expect(reasonOf(value)).toBe(expected));

  it("that has no value is a fault of the message", () => {
    expect(decodeMessage(null)).toMatchObject({ ok: false, error: { reason: "missing_field" } });
  });

  it("takes bare records as they are", () => {
    expect(decodeMessage(bytesOf('[{"a":1},2]'))).toEqual({
      ok: true,
      value: { kind: "bare", records: [{ a: 1 }, 2] },
    });
    expect(decodeMessage(bytesOf('\ufeff{"a":1}'))).toEqual({
      ok: true,
      value: { kind: "bare", records: [{ a: 1 }] },
    });
  });

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json().map(bytesOf)), (value) => {
        const decoded = decodeMessage(value);
        expect(decoded.ok || decoded.error.message.isWellFormed()).toBe(true);
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });

  it("tells a fault in text that UTF-8 can carry, even where V8's words cut a character in two", () => {
    for (let pad = 0; pad < 24; pad++) {
      const decoded = decodeMessage(bytesOf(`["${"a".repeat(pad)}${"😀".repeat(30)}", ?${"😀".repeat(30)}`));
      expect(decoded).toMatchObject({ ok: false, error: { reason: "malformed_json" } });
      expect(decoded.ok || decoded.error.message.isWellFormed()).toBe(true);
    }
  });
});

describe("a batch's own id", () => {
  it("is a UUID of version 7 that sorts by time", () => {
    const random = crypto.getRandomValues(new Uint8Array(16));
    const ids = [0, 1, 255, 1_795_255_200_000, 1_795_255_200_001, 2 ** 48 - 1].map((ms) =>
      uuidv7(ms, random),
    );
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids.toSorted()).toEqual(ids);
    // RFC 9562, appendix A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00
    const example = Uint8Array.from(Buffer.from("0000000000000cc318c4dc0c0c07398f", "hex"));
    expect(uuidv7(0x017f22e279b0, example)).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  });
});
