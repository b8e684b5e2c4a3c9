import { describe, expect, it } from "vitest";
import { DEFAULT_RULES } from "../../../lib/alerts/default-rules.ts";
import { formatDuration, parseDuration } from "../../../lib/alerts/duration.ts";
import { DEPLOYMENT, newRuleShape, placeFault, ruleOf, storedRule } from "../../../lib/alerts/rule.ts";
import { fillTemplate, formatValue } from "../../../lib/alerts/template.ts";
import { parseShape } from "../../../lib/http/shape-fault.ts";

const origin = { tenant: "acme", id: "r1", createdAt: "2026-11-21T09:00:00.000Z", createdBy: "key" };

describe("a rule", () => {
  it("is kept as it was written, and read again", () => {
    const written = parseShape(newRuleShape, {
      name: "Slow",
      expr: "p95(latency, 5m) > 300",
      for: "10m",
      annotations: { summary: "{{value}} ms on {{labels.host}}" },
      tenant: "acme",
    });
    if (!written.ok) throw new Error(written.error[0].message);
    const stored = JSON.parse(JSON.stringify(storedRule(written.value))) as object;
    expect(stored).not.toHaveProperty("tenant");
    expect(ruleOf(stored, origin)).toMatchObject({
      ...origin,
      name: "Slow",
      forMs: 600_000,
      severity: "warning",
      repeatMs: 14_400_000,
      notifiers: undefined,
      expression: { condition: { comparison: ">", threshold: 300 } },
    });
  });

  it.each([
    [{ expr: "cpu >" }, "expr", /^column 6: expected a number/],
    [{ for: "10" }, "for", /span of time from 0s to 7d/],
    [{ expr: "cpu > 1 for 5m", for: "10m" }, "for", /another span/],
    [{ severity: "loud" }, "severity", /one of info, warning, critical/],
    [{ annotations: { summary: "{{labels}}" } }, "annotations.summary", /knows {{value}} and/],
    [{ annotations: { "a b": "x" } }, "annotations.a b", /./],
    [{ repeat_interval: "10s" }, "repeat_interval", /from 1m to 7d/],
    [{ name: " " }, "name", /at least 1/],
    [{ name: "a\u0007b" }, "name", /control characters/],
    [{ notifiers: ["a b"] }, "notifiers[0]", /letters, digits/],
    [{ expression: "cpu > 1" }, "expression", /not known/],
  ])("%j is refused", (fields, path, message) => {
    const parsed = parseShape(newRuleShape, { name: "CPU", expr: "cpu > 80", ...fields });
    if (parsed.ok) throw new Error("it was taken");
    expect(parsed.error[0]).toMatchObject({ path, message: expect.stringMatching(message) as string });
  });

  it("is the tenant's or the deployment's, by what it looks at", () => {
    const expressionOf = (expr: string) => ruleOf({ name: "x", expr }, origin)?.expression as never;
    expect(placeFault("acme", expressionOf("cpu > 1"))).toBeUndefined();
    expect(placeFault("acme", expressionOf("lag() > 1"))).toMatch(/scope operator/);
    expect(placeFault(DEPLOYMENT, expressionOf("lag() > 1"))).toBeUndefined();
    expect(placeFault(DEPLOYMENT, expressionOf("avg(cpu, 5m) > 1"))).toMatch(/metrics are a tenant's/);
  });

  it("that a later version wrote is not guessed at", () => {
    expect(ruleOf({ name: "x", expr: "p75(cpu, 5m) > 1" }, origin)).toBeUndefined();
    expect(ruleOf({}, origin)).toBeUndefined();
  });
});

it("the deployment has four rules from the start", () => {
  expect(DEFAULT_RULES.map(({ expr }) => expr)).toEqual([
    "lag() > 10000 for 1m",
    "produce_p99() > 100ms for 1m",
    "dead_letters(5m) > 0",
    "spill_age() > 5m",
  ]);
  for (const rule of DEFAULT_RULES) expect(placeFault(DEPLOYMENT, rule.expression)).toBeUndefined();
});

it.each([
  ["1h30m", 5_400_000, "1h30m"],
  ["90s", 90_000, "1m30s"],
  ["250ms", 250, "250ms"],
  ["0s", 0, "0s"],
  ["7d", 604_800_000, "7d"],
  ["5", undefined, ""],
  ["m", undefined, ""],
  ["5 m", undefined, ""],
  ["-5m", undefined, ""],
  ["", undefined, ""],
])("the span %s is read", (text, ms, written) => {
  expect(parseDuration(text)).toBe(ms);
  if (ms !== undefined) expect(formatDuration(ms)).toBe(written);
});

it("texts are filled with figures and labels, and labels are not read again", () => {
  const labels = { host: "{{value}}", "http.route": "/x", constructor: "c" };
  expect(
    fillTemplate("{{value}} {{ labels.host }} {{labels.http.route}} {{labels.none}}!", 1 / 3, labels),
  ).toBe("0.333333 {{value}} /x !");
  expect(fillTemplate("{{labels.toString}}|{{labels.constructor}}", 1, labels)).toBe("|c");
  expect([93.40000000000001, 1e21, 12_345_678].map(formatValue)).toEqual(["93.4", "1e+21", "12345678"]);
});
