import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkJsonValue, joinPath } from "../../../lib/telemetry/json-value.ts";

const nest = (levels: number, open = "[", close = "]"): unknown =>
  JSON.parse(open.repeat(levels) + (open === "[" ? "" : "1") + close.repeat(levels));

describe("depth", () => {
  it.each([10_000, 1_000_000])("refuses %i levels without recursion", (levels) => {
    expect(checkJsonValue(nest(levels), "data")).toMatchObject({ reason: "too_deep" });
    expect(checkJsonValue(nest(levels, '{"a":', "}"), "data")).toMatchObject({ reason: "too_deep" });
  });

  it("counts the record as the first level", () => {
    expect(checkJsonValue(nest(31), "data")).toBeUndefined();
    expect(checkJsonValue(nest(32), "data")).toMatchObject({ reason: "too_deep" });
    expect(checkJsonValue([1, nest(30), 2], "data")).toBeUndefined();
    expect(checkJsonValue([1, nest(31), 2], "data")).toMatchObject({ reason: "too_deep" });
  });
});

describe("what a reader could misread", () => {
  it.each<[string, unknown, string, string]>([
    ["__proto__", JSON.parse('{"a":{"__proto__":1}}'), "forbidden_key", "data.a.__proto__"],
    ["__proto__ in an array", JSON.parse('[0,{"__proto__":{}}]'), "forbidden_key", "data[1].__proto__"],
    ["a lone surrogate", { a: ["x", "\ud800"] }, "invalid_unicode", "data.a[1]"],
    ["a lone surrogate as key", { "a\udc00": 1 }, "invalid_unicode", 'data["a\\udc00"]'],
    ["NaN", [[Number.NaN]], "not_finite", "data[0][0]"],
    ["a number too large", JSON.parse('{"a b":1e400}'), "not_finite", 'data["a b"]'],
    ["a bare lone surrogate", "\ud800", "invalid_unicode", "data"],
  ])("%s is refused and named", (_, value, reason, path) => {
    expect(checkJsonValue(value, "data")).toMatchObject({ reason, path });
  });

  it("is not what merely looks unusual", () => {
    for (const value of [
      null,
      true,
      "",
      {},
      [],
      { constructor: 1, toString: null, "": [] },
      { prototype: {} },
    ]) {
      expect(checkJsonValue(value, "data")).toBeUndefined();
    }
  });
});

it("accepts nothing that JSON would change, and all the rest", () => {
  const keys = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom("\ud800", "constructor"));
  const leaves = fc.oneof(
    fc.double(),
    fc.string({ maxLength: 3 }),
    fc.constantFrom<unknown>("\udc00", null, true, Infinity),
  );
  const { value: values } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaves,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value"), { maxKeys: 3, noNullPrototype: true }),
    ),
  }));
  let accepted = 0;
  fc.assert(
    fc.property(values, (value) => {
      // UTF-8 is where a lone surrogate is lost, JSON where a number that is not finite is.
      const text = JSON.stringify(value);
      const isKept = isFiniteAll(value) && !/\\ud[89a-f]/.test(text) && !text.includes('"__proto__":');
      expect([text, checkJsonValue(value, "data") === undefined]).toEqual([text, isKept]);
      if (isKept) accepted++;
    }),
    { seed: 20261121, numRuns: 1_000 },
  );
  expect(accepted).toBeGreaterThan(300);
  expect(accepted).toBeLessThan(950);
});

function isFiniteAll(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isFiniteAll);
}

it("spells a path as a person would write it", () => {
  expect(joinPath("", "host")).toBe("host");
  expect(joinPath("labels", "host")).toBe("labels.host");
  expect(joinPath("items", 3)).toBe("items[3]");
  expect(joinPath("labels", "a.b")).toBe('labels["a.b"]');
  expect(joinPath("labels", 'a"\n')).toBe('labels["a\\"\\n"]');
  expect(joinPath("", "\ud800")).toBe('["\\ud800"]');
  expect(joinPath("a", "x".repeat(5_000)).length).toBeLessThan(120);
});
