/** Record batches as bytes: what is written is read back exactly, and what others wrote is read by Kafka's own grammar. */
import { gzipSync } from "node:zlib";
import { crc32c } from "@platformatic/kafka";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBatches, encodeBatch } from "../../local-kafka/log/cluster/record-batch.ts";
import { VarintReader, writeVarint } from "../../local-kafka/log/cluster/varint.ts";
import type { LogRecord } from "../../local-kafka/log/log.ts";

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const record: fc.Arbitrary<LogRecord> = fc.record({
  key: bytes,
  value: bytes,
  timestampMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  headers: fc.array(fc.record({ name: fc.string({ maxLength: 20 }), value: bytes }), { maxLength: 3 }),
});

const plain = ({ key, value, timestampMs, headers = [] }: LogRecord) => ({
  key: key && [...key],
  value: value && [...value],
  timestampMs,
  headers: headers.map((header) => ({ name: header.name, value: header.value && [...header.value] })),
});

/** Changes a batch's header, and its checksum with it. */
function resealed(batch: Buffer, change: (batch: Buffer) => void): Buffer {
  const copy = Buffer.from(batch);
  change(copy);
  copy.writeUInt32BE(crc32c(copy.subarray(21)), 17);
  return copy;
}

describe("varints", () => {
  it("hold every safe whole number", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), (value) => {
        const buffer = Buffer.alloc(10);
        const end = writeVarint(buffer, value, 1);
        const reader = new VarintReader(buffer, 1);
        expect([reader.varint(), reader.position]).toEqual([value, end]);
      }),
    );
  });

  it("are Kafka's zigzag: -1 is 1, 1 is 2, 64 is 80 01", () => {
    const buffer = Buffer.alloc(4);
    let at = 0;
    for (const value of [-1, 1, 64]) at = writeVarint(buffer, value, at);
    expect(buffer.toString("hex")).toBe("01028001");
  });
});

describe("record batches", () => {
  it("keep keys, values, headers and times; null and empty are two things", () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        const { batches, nextOffset } = decodeBatches(encodeBatch(records, 5));
        expect(nextOffset).toBe(records.length);
        expect(batches).toHaveLength(1);
        expect(batches[0]?.baseOffset).toBe(0);
        expect(batches[0]?.records.map(plain)).toEqual(records.map(plain));
      }),
    );
  });

  const two = encodeBatch(
    [
      { key: null, value: Buffer.from("a") },
      { key: null, value: Buffer.from("b") },
    ],
    1_000,
  );

  it("that are cut at the end of an answer are not there yet", () => {
    const half = Buffer.concat([two, two.subarray(0, 50)]);
    expect(decodeBatches(half)).toMatchObject({ nextOffset: 2, batches: [{ baseOffset: 0 }] });
  });

  it("with the broker's time have it on every record", () => {
    const stamped = resealed(two, (batch) => {
      batch.writeInt16BE(0b1000, 21);
      batch.writeBigInt64BE(9_999n, 35);
    });
    const [batch] = decodeBatches(stamped).batches;
    expect(batch?.records.map(({ timestampMs }) => timestampMs)).toEqual([9_999, 9_999]);
  });

  it("that mark a transaction hold no records, and are passed", () => {
    const marker = resealed(two, (batch) => batch.writeInt16BE(0b10_0000, 21));
    expect(decodeBatches(marker)).toEqual({ batches: [], nextOffset: 2 });
  });

  it("that are compressed are read", () => {
    const packed = gzipSync(two.subarray(61));
    const batch = resealed(Buffer.concat([two.subarray(0, 61), packed]), (copy) => {
      copy.writeInt16BE(1, 21);
      copy.writeInt32BE(copy.length - 12, 8);
    });
    const values = decodeBatches(batch).batches[0]?.records.map(({ value }) => String(value));
    expect(values).toEqual(["a", "b"]);
  });

  it("that are damaged are named, not skipped", () => {
    const damaged = Buffer.from(two);
    damaged[65] = 255;
    expect(() => decodeBatches(damaged)).toThrow("checksum");
  });
});
