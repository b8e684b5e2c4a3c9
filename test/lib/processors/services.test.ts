// The setting SERVICES: what it says, or every fault of it by its place.
import { describe, expect, it } from "vitest";
import { parseServices } from "../../../lib/processors/services.ts";

it("gives each service its metadata", () => {
  expect(parseServices('{"api":{"team":"core","tier":1,"public":true},"web":{}}')).toEqual({
    ok: true,
    value: new Map([
      ["api", { team: "core", tier: 1, public: true }],
      ["web", {}],
    ]),
  });
});

it.each([undefined, "", " \n"])("is nothing where it is %j", (text) => {
  expect(parseServices(text)).toEqual({ ok: true, value: new Map() });
});

describe("what is refused", () => {
  it.each([
    ["{", [""]],
    ["[]", [""]],
    ['"api"', [""]],
    ['{"":{"a":"b"}}', ['[""]']],
    ['{"api":"core"}', ["api"]],
    ['{"api":null}', ["api"]],
    ['{"api":{"team":null}}', ["api.team"]],
    ['{"api":{"team":{"a":1}},"web":{"x":[1]}}', ["api.team", "web.x"]],
    ['{"api":{"team":"a\\u0000"}}', ["api.team"]],
    ['{"api":{"__proto__":"x"}}', ["api.__proto__"]],
    ['{"__proto__":{"a":"b"}}', ["__proto__"]],
    [JSON.stringify({ api: { team: "x".repeat(1_025) } }), ["api.team"]],
    [
      JSON.stringify({ api: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 1])) }),
      ["api"],
    ],
  ])("%s", (text, paths) => {
    const services = parseServices(text);
    expect(services.ok ? [] : services.error.map(({ path }) => path)).toEqual(paths);
    // A value may be a secret.
    if (!services.ok) expect(JSON.stringify(services.error)).not.toContain("xxxx");
  });
});
