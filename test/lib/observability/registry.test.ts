// Counting in one isolate: bounded labels, and misuse that is told.
import { describe, expect, it } from "vitest";
import { addCounts, familyOf, MAX_SERIES, type Counts } from "../../../lib/observability/counts.ts";
import { Registry } from "../../../lib/observability/registry.ts";

describe("labels", () => {
  it("that are not foreseen are counted as `other`", () => {
    const registry = new Registry();
    registry.count("weir_records_accepted_total", { signal: "logs", protocol: "gopher" as "json" }, 2);
    for (const rule of [
      "",
      "a\tb",
      "a\nb",
      "x".repeat(129),
      ...Array.from({ length: 110 }, (_, i) => `r${i}`),
    ]) {
      registry.count("weir_scrubbed_total", { rule });
    }
    registry.count("weir_scrubbed_total", { rule: "r1" });
    const counts = registry.take();
    expect(counts.get(familyOf("weir_records_accepted_total"))).toEqual(new Map([["logs\tother", [2]]]));
    const rules = counts.get(familyOf("weir_scrubbed_total"));
    expect(rules?.size).toBe(101);
    expect(rules?.get("r1")).toEqual([2]);
    expect(rules?.get("other")).toEqual([14]);
    // The bound is the isolate's, not that of one delivery.
    registry.count("weir_scrubbed_total", { rule: "new" });
    expect([...(registry.take().get(familyOf("weir_scrubbed_total"))?.keys() ?? [])]).toEqual(["other"]);
  });

  it("cannot grow a total without end, whatever is delivered", () => {
    const total: Counts = new Map();
    for (let i = 0; i < MAX_SERIES + 10; i++)
      addCounts(total, new Map([["f{a,b}", new Map([[`${i}\tx`, [1]]])]]));
    expect(total.get("f{a,b}")?.size).toBe(MAX_SERIES + 1);
    expect(total.get("f{a,b}")?.get("other\tother")).toEqual([10]);
  });
});

describe("misuse", () => {
  it("throws, and does not compile", () => {
    const registry = new Registry();
    // @ts-expect-error -- no such name
    expect(() => registry.count("weir_nothing_total", {})).toThrow(/declare it in metric-names/);
    // @ts-expect-error -- no such label
    expect(() => registry.count("weir_scrubbed_total", { rule: "a", tenant: "acme" })).toThrow(
      /no labels but/,
    );
    // @ts-expect-error -- a label is missing
    expect(() => registry.count("weir_scrubbed_total", {})).toThrow(/needs the label rule/);
    // @ts-expect-error -- not a value of that label
    registry.count("weir_records_accepted_total", { signal: "log", protocol: "json" }, 0);
    // @ts-expect-error -- a histogram is observed
    expect(() => registry.count("kafka_message_size_bytes", { topic: 1 })).toThrow(/needs the label topic/);
    for (const by of [-1, Number.NaN, Infinity]) {
      expect(() => registry.count("weir_quota_refused_total", {}, by)).toThrow(/cannot take/);
    }
    expect(registry.isEmpty()).toBe(true);
  });
});
