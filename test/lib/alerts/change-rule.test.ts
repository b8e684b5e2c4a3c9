import { describe, expect, it } from "vitest";
import { changedRule, mergedRule, writtenRule } from "../../../lib/alerts/change-rule.ts";
import {
  newRuleShape,
  ruleChangeShape,
  ruleOf,
  samplesId,
  type AlertRule,
  type RuleChange,
} from "../../../lib/alerts/rule.ts";
import { parseShape } from "../../../lib/http/shape-fault.ts";

const origin = { tenant: "acme", id: "r1", createdAt: "2026-11-21T09:00:00.000Z", createdBy: "maker" };
const AT = "2026-11-21T10:00:00.000Z";

function ruleWith(fields: object): AlertRule {
  const rule = ruleOf({ name: "CPU", ...fields }, origin);
  if (!rule) throw new Error("no rule");
  return rule;
}

/** @returns the rule as it is after; the same object where nothing changed */
function changed(rule: AlertRule, change: object): AlertRule {
  const input = parseShape(ruleChangeShape, change);
  if (!input.ok) throw new Error(input.error[0].message);
  const merged = parseShape(newRuleShape, mergedRule(rule, input.value));
  if (!merged.ok) throw new Error(`${merged.error[0].path} ${merged.error[0].message}`);
  const kept = changedRule(rule, merged.value, AT, "editor");
  if (!kept) return rule;
  const after = ruleOf(JSON.parse(JSON.stringify(kept)), rule);
  if (!after) throw new Error("it cannot be read");
  return after;
}

describe("a change", () => {
  it("leaves what it does not name, and tells who made it", () => {
    const rule = ruleWith({
      expr: "cpu > 80 for 5m",
      severity: "critical",
      annotations: { summary: "hot" },
      repeat_interval: "1h",
      notifiers: ["n1"],
    });
    expect(changed(rule, { name: "Hot" })).toEqual({
      ...rule,
      name: "Hot",
      revision: 2,
      updatedAt: AT,
      updatedBy: "editor",
    });
    expect(changed(rule, { notifiers: null, annotations: {} })).toMatchObject({
      notifiers: undefined,
      annotations: {},
      severity: "critical",
      repeatMs: 3_600_000,
      createdBy: "maker",
    });
  });

  it("that says what is so already is none", () => {
    const rule = ruleWith({ expr: "cpu > 80", for: "5m" });
    for (const change of [{}, { name: "CPU" }, { for: "300s" }, { enabled: true }])
      expect(changed(rule, change)).toBe(rule);
  });

  it.each<[string, object, RuleChange, string, number]>([
    ["of `for` beside the expression", { expr: "cpu > 80", for: "5m" }, { for: "1h" }, "cpu > 80", 60],
    ["of `for` in the expression", { expr: "cpu > 80 for 5m" }, { for: "1h" }, "cpu > 80", 60],
    ["that takes `for` away", { expr: "cpu > 80  for  5m " }, { for: null }, "cpu > 80", 0],
    ["of the expression alone", { expr: "cpu > 80 for 5m" }, { expr: "cpu > 90" }, "cpu > 90", 5],
    [
      "of the expression with a `for`",
      { expr: "cpu > 80", for: "5m" },
      { expr: "cpu > 9 for 1m" },
      "cpu > 9 for 1m",
      1,
    ],
  ])("%s is read as it is meant", (_, fields, change, expr, minutes) => {
    expect(changed(ruleWith(fields), change)).toMatchObject({ expr, forMs: minutes * 60_000 });
  });

  it("is checked as a rule that is new", () => {
    const rule = ruleWith({ expr: "cpu > 80" });
    expect(() => changed(rule, { expr: "cpu >" })).toThrow(/expr column 6/);
    expect(() => changed(rule, { expr: "cpu > 1 for 5m", for: "10m" })).toThrow(/another span/);
    expect(() => changed(rule, { severity: "loud" })).toThrow(/one of info/);
    expect(() => changed(rule, { id: "r2" })).toThrow(/not known/);
  });

  it("that was judged badly is judged anew", () => {
    const fault = { message: "no", since: AT };
    const rule = ruleWith({ expr: "cpu > 80", fault });
    expect(rule.fault).toEqual(fault);
    expect(changed(rule, { severity: "info" }).fault).toBeUndefined();
  });
});

describe("a rule begins anew", () => {
  const raw = ruleWith({ expr: 'cpu{env="a"} > 80 for 5m', severity: "info" });
  const absent = ruleWith({ expr: "absent(beat, 10m) by (host)" });

  it.each([
    ["another threshold", raw, { expr: 'cpu{env="a"} > 90' }],
    ["another comparison", raw, { expr: 'cpu{env="a"} >= 80' }],
    ["another metric", raw, { expr: 'mem{env="a"} > 80' }],
    ["other labels", raw, { expr: 'cpu{env="b"} > 80' }],
    ["other groups", raw, { expr: 'cpu{env="a"} > 80 by (host)' }],
    ["an absence of another metric", absent, { expr: "absent(pulse, 10m) by (host)" }],
  ])("with %s, and with samples of its own", (_, rule, change) => {
    const after = changed(rule, change);
    expect(after).toMatchObject({ revision: 2, begun: 2, sampled: 2, sampledSince: AT });
    expect(samplesId(after)).toBe("r1@2");
  });

  it.each([
    ["another span", raw, { for: "1m" }],
    ["another spelling", raw, { expr: 'cpu{env = "a"}>80 for 5m' }],
    [
      "all else",
      raw,
      { name: "x", severity: "critical", repeat_interval: "1h", notifiers: ["n"], annotations: {} },
    ],
    ["being disabled", raw, { enabled: false }],
  ])("not with %s", (_, rule, change) => {
    const after = changed(rule, change);
    expect(after).toMatchObject({ revision: 2, begun: 1, sampled: 1, sampledSince: origin.createdAt });
    expect(samplesId(after)).toBe("r1");
  });

  it("with another span of an absence, which was sampled all the while", () => {
    const after = changed(absent, { expr: "absent(beat, 1h) by (host)" });
    expect(after).toMatchObject({ begun: 2, sampled: 1, sampledSince: origin.createdAt });
  });

  it("when it is enabled again, since nobody looked meanwhile", () => {
    const off = changed(absent, { enabled: false });
    const on = changed(off, { enabled: true });
    expect(on).toMatchObject({ revision: 3, begun: 3, sampled: 3, sampledSince: AT });
    expect(changed(off, { expr: "absent(beat, 1h) by (host)" })).toMatchObject({ begun: 3, sampled: 3 });
  });
});

it("a rule is written as it would be anew", () => {
  const rule = ruleWith({ expr: "cpu > 80", for: "90s", notifiers: ["n1"] });
  expect(ruleOf(writtenRule(rule), rule)).toEqual(rule);
});
