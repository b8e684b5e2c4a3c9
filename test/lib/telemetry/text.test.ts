import * as fc from "fast-check";
import { expect, it } from "vitest";
import { checkText, exceedsBytes, utf8Bytes } from "../../../lib/telemetry/text.ts";

const wellFormed = fc.string({ unit: "binary", maxLength: 60 });

it("counts bytes as UTF-8 does", () => {
  fc.assert(
    fc.property(wellFormed, (text) => {
      expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
    }),
    { seed: 20261121, numRuns: 1_000 },
  );
});

it("tells whether a text exceeds a limit, at the byte", () => {
  fc.assert(
    fc.property(wellFormed, fc.integer({ min: -2, max: 2 }), (text, off) => {
      const maxBytes = Math.max(0, Buffer.byteLength(text) + off);
      expect(exceedsBytes(text, maxBytes)).toBe(Buffer.byteLength(text) > maxBytes);
    }),
    { seed: 20261121, numRuns: 1_000 },
  );
});

it("refuses every lone surrogate, wherever it stands", () => {
  for (const text of ["\ud800", "a\udfff", "\udc00\ud800", "😀\ud83d", "\ud83d😀"]) {
    expect(checkText(text, "p", 100)).toMatchObject({ reason: "invalid_unicode", path: "p" });
  }
  expect(checkText("😀", "p", 4)).toBeUndefined();
});
