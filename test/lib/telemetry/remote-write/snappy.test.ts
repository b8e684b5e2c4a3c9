// The block format by its specification (github.com/google/snappy, format_description.txt), and blocks made to hurt.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decompressSnappy } from "../../../../lib/telemetry/remote-write/snappy.ts";

const GOLDEN = new Uint8Array(
  readFileSync(new URL("../../../fixtures/remote-write/v1.snappy", import.meta.url)),
);
const bytes = (...values: (number | number[])[]) => new Uint8Array(values.flat());
const text = (source: Uint8Array, maxBytes?: number) => {
  const result = decompressSnappy(source, maxBytes);
  return result.ok ? new TextDecoder().decode(result.value) : result.error.reason;
};
const chars = (value: string) => [...new TextEncoder().encode(value)];

describe("every kind of element", () => {
  it.each([
    ["nothing at all", bytes(0), ""],
    ["a short literal", bytes(3, 2 << 2, chars("abc")), "abc"],
    ["a literal with its length in one byte", bytes(64, 60 << 2, 63, chars("x".repeat(64))), "x".repeat(64)],
    ["in two", bytes(64, 61 << 2, 63, 0, chars("x".repeat(64))), "x".repeat(64)],
    ["in three", bytes(64, 62 << 2, 63, 0, 0, chars("x".repeat(64))), "x".repeat(64)],
    ["in four", bytes(64, 63 << 2, 63, 0, 0, 0, chars("x".repeat(64))), "x".repeat(64)],
    ["a copy by one byte of distance", bytes(7, 2 << 2, chars("abc"), 1, 3), "abcabca"],
    ["by two", bytes(6, 2 << 2, chars("abc"), (2 << 2) | 2, 3, 0), "abcabc"],
    ["by four", bytes(6, 2 << 2, chars("abc"), (2 << 2) | 3, 3, 0, 0, 0), "abcabc"],
    ["a copy of what it writes itself", bytes(11, 0, chars("a"), (9 << 2) | 2, 1, 0), "a".repeat(11)],
  ])("%s", (_, source, expected) => {
    expect(text(source)).toBe(expected);
  });

  it("a distance of more than 255 bytes, in the tag's upper bits", () => {
    const first = Array.from({ length: 300 }, (_, i) => 97 + (i % 26));
    const block = bytes(0xb0, 2, 61 << 2, 0x2b, 1, first, (1 << 5) | 1, 0x2c);
    expect(text(block)).toBe(String.fromCharCode(...first, ...first.slice(0, 4)));
  });
});

describe("blocks that are none", () => {
  it("cut short at every byte", () => {
    for (let length = 0; length < GOLDEN.length; length++) {
      expect(text(GOLDEN.subarray(0, length))).toBe("malformed_encoding");
    }
  });

  it.each([
    ["a distance before the start", bytes(7, 2 << 2, chars("abc"), 1, 4)],
    ["a distance of 0", bytes(7, 2 << 2, chars("abc"), 1, 0)],
    ["more than is declared", bytes(2, 2 << 2, chars("abc"))],
    ["a copy beyond what is declared", bytes(6, 2 << 2, chars("abc"), 1, 3)],
    ["less than is declared", bytes(4, 2 << 2, chars("abc"))],
    // Read as a signed number this length leads backwards, and a decoder round in a circle.
    ["a literal of 4 GiB", bytes(4, 63 << 2, 0xfa, 0xff, 0xff, 0xff, 0, 0, 0, 0)],
    ["a length of more than 32 bits", bytes(0xff, 0xff, 0xff, 0xff, 0x7f, 0)],
    ["a length without an end", bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ["a length of 4 GiB for three bytes", bytes(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 97, 0)],
    ["the stream format", bytes(0xff, 6, 0, 0, chars("sNaPpY"), 0, 0, 0)],
  ])("%s", (_, source) => {
    expect(text(source)).toBe("malformed_encoding");
  });

  it("one byte changed anywhere: an answer, never a throw, never another length", () => {
    for (let at = 0; at < GOLDEN.length; at++) {
      for (const change of [1, 0x55, 0x80, 0xff]) {
        const source = GOLDEN.slice();
        source[at] = (source[at] as number) ^ change;
        const result = decompressSnappy(source);
        expect(result.ok || result.error.reason === "malformed_encoding").toBe(true);
      }
    }
  });
});

it("refuses by the declared length what would be too large, before anything is allocated", () => {
  const copies = Array.from({ length: 1_000 }, () => [(63 << 2) | 2, 1, 0]).flat();
  const block = bytes(0x81, 0xf4, 0x03, 0, 97, copies);
  expect(text(block, 64_001)).toBe("a".repeat(64_001));
  expect(text(block, 64_000)).toBe("body_too_large");
});
