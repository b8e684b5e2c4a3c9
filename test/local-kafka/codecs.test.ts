/** The small parts: hash, frame and JSON reader, each against an independent source. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type FrameHeader,
  checksumSeed,
  decodeFrame,
  encodeFrame,
  readFrame,
  sealFrame,
} from "../../local-kafka/log/frame.ts";
import { murmur2, partitionForKey } from "../../local-kafka/log/murmur2.ts";
import { JsonFault, JsonReader } from "../../local-kafka/routes/pandaproxy/json-reader.ts";

describe("murmur2", () => {
  // From Kafka's UtilsTest.testMurmur2.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ])("of %s is Java's", (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
    expect(partitionForKey(Buffer.from(key), 12)).toBe((hash & 0x7fffffff) % 12);
  });
});

describe("a frame", () => {
  const seed = checksumSeed("incarnation", 0);
  const records = [
    { key: Buffer.from("k"), value: Buffer.from("value") },
    { key: null, value: Buffer.alloc(0) },
  ];

  it("has the bytes that its grammar says", () => {
    const frame = encodeFrame(records);
    sealFrame(frame, 2 ** 40 + 5, 1_700_000_000_000, seed);
    expect(frame.toString("hex")).toBe(
      "57524231" +
        "36000000" +
        frame.toString("hex", 8, 12) +
        "02000000" +
        "0500000000010000" +
        "0068e5cf8b010000" +
        "01000000" +
        "6b" +
        "05000000" +
        "76616c7565" +
        "ffffffff" +
        "00000000",
    );
    const header = readFrame(frame, 0, seed);
    expect(header).toEqual({ length: 54, count: 2, baseOffset: 2 ** 40 + 5, appendedMs: 1_700_000_000_000 });
    expect(decodeFrame(frame, 0, header as FrameHeader)).toEqual({
      baseOffset: 2 ** 40 + 5,
      appendedMs: 1_700_000_000_000,
      records,
    });
  });

  it("of version 2 carries timestamps and headers", () => {
    const extended = [
      {
        key: null,
        value: Buffer.from("v"),
        timestampMs: 1_600_000_000_000,
        headers: [
          { name: "h\u00e9", value: Buffer.from([0, 255]) },
          { name: "", value: null },
        ],
      },
      { key: Buffer.from("k"), value: null },
    ];
    const frame = encodeFrame(extended);
    sealFrame(frame, 7, 1_700_000_000_000, seed);
    expect(frame.toString("hex")).toBe(
      [
        ["57524232", "5f000000", frame.toString("hex", 8, 12), "02000000"],
        ["0700000000000000", "0068e5cf8b010000"],
        ["ffffffff", "01000000", "76", "00806e8774010000", "02000000"],
        ["03000000", "68c3a9", "02000000", "00ff"],
        ["00000000", "ffffffff"],
        ["01000000", "6b", "ffffffff", "ffffffffffff1f00", "00000000"],
      ]
        .flat()
        .join(""),
    );
    const header = readFrame(frame, 0, seed) as FrameHeader;
    expect(decodeFrame(frame, 0, header)).toEqual({
      baseOffset: 7,
      appendedMs: 1_700_000_000_000,
      records: extended,
    });
    // The versions are two bits apart, and the checksum tells them apart, too.
    const asVersion1 = Buffer.from(frame);
    asVersion1.write("WRB1", "latin1");
    expect(readFrame(asVersion1, 0, seed)).toEqual({ fault: "bad", reason: "checksum does not match" });
  });

  it("is not one with any bit changed, or in another partition", () => {
    const frame = encodeFrame(records);
    sealFrame(frame, 0, 0, seed);
    for (let bit = 0; bit < frame.byteLength * 8; bit += 1) {
      const changed = Buffer.from(frame);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(readFrame(changed, 0, seed)).toHaveProperty("fault");
    }
    expect(readFrame(frame, 0, checksumSeed("incarnation", 1))).toEqual({
      fault: "bad",
      reason: "checksum does not match",
    });
  });
});

/** The value's text; undefined when it is refused with an offset. */
function read(text: string): string | undefined {
  try {
    const reader = new JsonReader(Buffer.from(text));
    const value = reader.value().toString();
    reader.end();
    return value;
  } catch (error) {
    if (error instanceof JsonFault) return undefined;
    throw error;
  }
}

/** The same by JSON.parse. */
function readByParse(text: string): string | undefined {
  try {
    JSON.parse(text);
    return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
  } catch {
    return undefined;
  }
}

describe("JsonReader", () => {
  it("takes every JSON document, whole", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom("", " ", "\n\t"), (json, space) => {
        expect(read(space + json + space)).toBe(json);
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const nearly = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", ",", '"', "{", "}", "[", "]", ":", "\\", "0", "-", "e", ".", "\u0001", "t"),
      )
      .map(([json, at, insert]) => {
        const place = at % (json.length + 1);
        return json.slice(0, place) + insert + json.slice(insert === "" ? place + 1 : place);
      });
    fc.assert(
      fc.property(nearly, (text) => {
        expect(read(text)).toBe(readByParse(text));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['{"ä": x}', 7],
    ["[1,]", 3],
    ["[1] 2", 4],
  ])("tells the byte where it stopped: %s", (text, offset) => {
    const reader = new JsonReader(Buffer.from(text));
    expect(() => {
      reader.value();
      reader.end();
    }).toThrow(`parse error at offset ${offset}`);
  });
});
