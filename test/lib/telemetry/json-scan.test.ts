import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasMoreValuesThan, locateSyntaxError } from "../../../lib/telemetry/json-scan.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

function countValues(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((sum: number, child) => sum + countValues(child), 1);
}

/** Texts whose quotes, escapes and brackets could lead a scan astray. */
const trickyText = fc.string({
  unit: fc.constantFrom('"', "\\", "{", "[", ",", ":", "\n", "\\\\", "a", "é", "😀"),
  maxLength: 8,
});
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(0, null, true, -1.5e10),
    trickyText,
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(trickyText, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe("hasMoreValuesThan", () => {
  it("never counts fewer values than a document holds, however it is laid out", () => {
    fc.assert(
      fc.property(values, fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const count = countValues(JSON.parse(text));
        expect([text, count === 1 || hasMoreValuesThan(bytesOf(text), count - 1)]).toEqual([text, true]);
      }),
      { seed: 20261121, numRuns: 2_000 },
    );
  });

  it("never counts fewer values than the lines of an NDJSON body hold, whatever broken lines stand between", () => {
    const line = fc.oneof(
      values.map((value) => JSON.stringify(value)),
      fc.constantFrom('"', '{"a', '\\"', '"\\', "", "\r", "}"),
    );
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), (lines) => {
        const body = lines.join("\n");
        // Lines are bounded by the count of records; what is in them is what the scan must see.
        const most = Math.max(...lines.map((line) => valuesIn(line)));
        expect([body, most <= 1 || hasMoreValuesThan(bytesOf(body), most - 1)]).toEqual([body, true]);
      }),
      { seed: 20261121, numRuns: 2_000 },
    );
  });

  it("does not count what stands inside texts", () => {
    const text = JSON.stringify([",:[{".repeat(1_000), '\\"', '"', "\\"]);
    expect(hasMoreValuesThan(bytesOf(text), 5)).toBe(false);
    expect(hasMoreValuesThan(bytesOf(text), 4)).toBe(true);
  });

  it.each([
    ["`{},` without end", "{},"],
    ["`[` without end", "["],
    ["`0,` without end", "0,"],
    ['`"",` without end', '"",'],
  ])("refuses 10 MiB of %s, quickly", (_, unit) => {
    const bytes = bytesOf(`[${unit.repeat((10 << 20) / unit.length)}`);
    const startedMs = performance.now();
    expect(hasMoreValuesThan(bytes, 400_000)).toBe(true);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  // Regression: an open quote in one line hid all values of the next (468 MB of heap behind a 10 MB body).
  it("is not led astray by an open quote in a line before", () => {
    expect(hasMoreValuesThan(bytesOf(`"\n[${"{},".repeat(1_000)}{}]`), 900)).toBe(true);
  });

  it.each([
    ["lines of an open and an escaped quote", '\\"\n'],
    ["lines of an open quote", '"\n'],
    ["escaped quotes on one line", '\\"'],
    ["backslashes", "\\"],
    ["line ends", "\n"],
    ["texts", '"",'],
  ])("takes time in proportion for %s", (_, unit) => {
    const bytes = bytesOf(`"${unit.repeat((5 << 20) / unit.length)}`);
    const startedMs = performance.now();
    hasMoreValuesThan(bytes, 10_000_000 >> 2);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  it("counts each value once, an empty array or object besides", () => {
    const bytes = bytesOf('{"a":[1,{"b":2,"c":3},"x"],"d":{},"e":[]}');
    expect([10, 11].map((most) => hasMoreValuesThan(bytes, most))).toEqual([true, false]);
  });

  it("does not look at bytes that cannot hold so many", () => {
    expect(hasMoreValuesThan(new Uint8Array(0), 1)).toBe(false);
    expect(hasMoreValuesThan(bytesOf("[0,0,0]"), 4)).toBe(false);
    expect(hasMoreValuesThan(bytesOf("[0,0,0]"), 3)).toBe(true);
  });
});

function valuesIn(line: string): number {
  try {
    return countValues(JSON.parse(line));
  } catch {
    return 0;
  }
}

const locate = (text: string) => {
  try {
    JSON.parse(text);
    return "nowhere";
  } catch (error) {
    return locateSyntaxError(text, error);
  }
};

describe("locateSyntaxError", () => {
  it.each([
    ['{"a" 1}', "at line 1, column 6"],
    ['{\n  "a": 1,\n  "b" 2\n}', "at line 3, column 7"],
    ['{"a":1}{"b":2}', "at line 1, column 8"],
    ['{"a":1', "at line 1, column 7"],
    ["\n\n", "at line 3, column 1"],
    ["[1, 2, x]", 'near "[1, 2, x]"'],
    // The client's own text must not be taken for V8's words.
    ['[" at position 7", x', 'near "[" at position 7", x"'],
    ['{"a": "some text before", "b": ? " at position 1" }', 'near ..."re", "b": ? " at pos"...'],
  ])("%j breaks %s", (text, where) => expect(locate(text)).toBe(where));

  it("takes no memory in proportion to the count of lines", () => {
    const text = `${"\n".repeat(5_000_000)}{"a" 1}`;
    const before = process.memoryUsage().heapUsed;
    expect(locate(text)).toBe("at line 5000001, column 6");
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 << 20);
  });
});
