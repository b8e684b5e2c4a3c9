import { assert, constantFrom, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import {
  arrayOf,
  readLabels,
  readText,
  storedLabels,
  storedText,
} from "../../../lib/storage/postgres/text.ts";

/** Short, and full of the signs that it is about. */
const texts = string({
  unit: constantFrom("\u0000", "\u0001", "\u0002", "\u0003", "a", "é", "🚀"),
  maxLength: 6,
});
const byBytes = (a: string, b: string) => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe("texts for PostgreSQL", () => {
  it("hold no NUL, and are read as what they were", () => {
    assert(
      property(texts, (text) => {
        expect(storedText(text)).not.toContain("\u0000");
        expect(readText(storedText(text))).toBe(text);
      }),
    );
    expect(storedText("plain ~ 日本")).toBe("plain ~ 日本");
  });

  it("are in the same order, begin with and hold the same", () => {
    assert(
      property(texts, texts, (a, b) => {
        const [storedA, storedB] = [storedText(a), storedText(b)];
        expect(byBytes(storedA, storedB)).toBe(byBytes(a, b));
        expect(storedA.startsWith(storedB)).toBe(a.startsWith(b));
        expect(storedA.includes(storedB)).toBe(a.includes(b));
      }),
      { numRuns: 5_000 },
    );
  });

  it("keep labels whole, in their order", () => {
    const labels = { "b\u0000": "\u0001", a: 'quote " \\', "": "" };
    const stored = storedLabels(labels);
    expect(stored).not.toContain(String.raw`\u0000`);
    expect(JSON.stringify(readLabels(stored))).toBe(JSON.stringify(labels));
  });

  it("stand in arrays as PostgreSQL writes them", () => {
    expect(arrayOf(["a", null, 'x"\\y', "", "NULL", "{,}", 5])).toBe(
      String.raw`{"a",NULL,"x\"\\y","","NULL","{,}",5}`,
    );
  });
});
