// Rules on windows: which windows make up a span, and what they come to merged over time, partitions and series.
import { describe, expect, it } from "vitest";
import { evaluateWindows, planWindows, type WindowOfSeries } from "../../../lib/alerts/evaluate-windows.ts";
import { parseExpression } from "../../../lib/alerts/parse-expression.ts";
import { parseWindows } from "../../../lib/windows/definition.ts";
import { encodePartial } from "../../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../../lib/windows/partial.ts";

const MINUTE = 60_000;
const DAY = Date.parse("2026-11-21T00:00:00.000Z");
/** 10:07:30 */
const NOW = DAY + 607.5 * MINUTE;
const at = (minute: number) => DAY + minute * MINUTE;

const windows = parseWindows("1m,5m,1h,5m/1m,session:30s");
const DEFINITIONS = windows.ok ? windows.value : [];

function read(text: string) {
  const parsed = parseExpression(text);
  if (!parsed.ok || parsed.value.subject.kind !== "window") throw new Error(text);
  return { expression: parsed.value, subject: parsed.value.subject };
}

function row(
  minute: number,
  labels: Record<string, string>,
  values: number[],
  kind: "number" | "counter" = "number",
  partition = 0,
): WindowOfSeries {
  const partial = emptyPartial(partition);
  for (const [i, value] of values.entries())
    fold(partial, {
      time: { ms: at(minute) + i * 1_000, ns: 0 },
      offset: i,
      index: 0,
      value: { kind, value },
    });
  return { series: JSON.stringify(labels), labels, startMs: at(minute), state: encodePartial(partial) };
}

function evaluated(text: string, rows: WindowOfSeries[], nowMs = NOW) {
  const { expression, subject } = read(text);
  const plan = planWindows(subject, DEFINITIONS, nowMs);
  if (!plan) throw new Error("no plan");
  // As the store answers.
  const found = rows.filter(({ startMs }) => startMs >= plan.fromMs && startMs < plan.toMs);
  return evaluateWindows(expression, subject, plan, found, true);
}
const judged = (...args: Parameters<typeof evaluated>) => evaluated(...args).observations;

const planOf = (text: string, nowMs = NOW) => planWindows(read(text).subject, DEFINITIONS, nowMs);

describe("a span", () => {
  it("takes the open window in, for what does not grow with it", () => {
    expect(planOf("p95(latency, 5m) > 1")).toEqual({
      window: "1m",
      fromMs: at(601),
      startMs: at(602),
      endMs: at(608),
      toMs: at(608),
    });
  });

  it("is of whole windows that are over and settled, for what does", () => {
    const sum = { window: "1m", fromMs: at(601), startMs: at(602), endMs: at(607), toMs: at(607) };
    expect(planOf("sum(latency, 5m) > 1")).toEqual(sum);
    expect(planOf("sum(latency, 5m) > 1", at(607) + 10_000)).toEqual(sum);
    expect(planOf("sum(latency, 5m) > 1", at(607) + 9_999)).toMatchObject({ endMs: at(606) });
  });

  it("is made of the largest windows that are small enough", () => {
    expect(planOf("avg(latency, 1h) > 1")?.window).toBe("5m");
    expect(planOf("avg(latency, 10m) > 1")?.window).toBe("1m");
    expect(planOf("avg(latency, 7h) > 1")?.window).toBe("1h");
    const { subject } = read("avg(latency, 7m) > 1");
    const hours = parseWindows("5m,1h,5m/1m");
    expect(planWindows(subject, hours.ok ? hours.value : [], NOW)).toBeUndefined();
    expect(planWindows(read("avg(x, 5m) > 1").subject, hours.ok ? hours.value : [], NOW)?.window).toBe("5m");
  });
});

describe("a rule on windows", () => {
  const a = { host: "a", env: "live" };
  const b = { host: "b", env: "live" };

  it("merges the windows of a series, whatever partition they are of", () => {
    const rows = [
      row(603, a, [100]),
      row(606, a, [200], "number", 1),
      row(607, a, [600], "number", 2),
      row(601, a, [9_000]),
    ];
    expect(judged("avg(latency, 5m) > 250", rows)).toEqual([{ labels: a, value: 300, isViolated: true }]);
    expect(judged("max(latency, 5m) > 600", rows)).toMatchObject([{ value: 600, isViolated: false }]);
    expect(judged("last(latency, 5m) == 600", rows)).toMatchObject([{ value: 600, isViolated: true }]);
    expect(judged("count(latency, 5m) < 3", rows)).toMatchObject([{ value: 2, isViolated: true }]);
    expect(judged("sum(latency, 5m) > 1", rows)).toMatchObject([{ value: 300 }]);
  });

  it("has a percentile over all that is in the span", () => {
    const rows = [600, 602, 604, 606].map((minute) =>
      row(
        minute,
        a,
        Array.from({ length: 25 }, (_, i) => minute - 600 + i),
      ),
    );
    const [p50] = judged("p50(latency, 5m) > 1", rows);
    // 75 values: 2 to 26, 4 to 28, 6 to 30; the 38th is 16.
    expect(p50?.value).toBeGreaterThan(16 * 0.99);
    expect(p50?.value).toBeLessThan(16 * 1.01);
  });

  it("looks at labels, and groups by them", () => {
    const rows = [row(605, a, [1, 2]), row(605, b, [3]), row(605, { host: "c", env: "dev" }, [50])];
    expect(judged('sum(latency{env!="dev"}, 5m) by (env) > 5', rows)).toEqual([
      { labels: { env: "live" }, value: 6, isViolated: true },
    ]);
    expect(judged("sum(latency, 5m) by () > 5", rows)).toMatchObject([{ labels: {}, value: 56 }]);
    expect(judged("sum(latency, 5m) > 5", rows).map(({ labels }) => labels["host"])).toEqual(["a", "b", "c"]);
  });

  it("counts a counter's growth from the window before, and adds those of different series", () => {
    const rows = [
      row(601, a, [100], "counter"),
      row(602, a, [160], "counter"),
      // It began anew.
      row(606, a, [200, 40], "counter"),
      row(601, b, [5], "counter"),
      row(604, b, [65], "counter"),
    ];
    expect(judged("increase(requests, 5m) > 1", rows).map(({ value }) => value)).toEqual([140, 60]);
    expect(judged("increase(requests, 5m) by () > 1", rows)).toMatchObject([{ value: 200 }]);
    expect(judged("rate(requests, 5m) by (env) > 0.6", rows)).toMatchObject([
      { value: 200 / 300, isViolated: true },
    ]);
  });

  it("says nothing of a series without such a figure", () => {
    expect(judged("rate(latency, 5m) >= 0", [row(605, a, [1, 2])])).toEqual([]);
    expect(judged("avg(latency, 5m) >= 0", [row(601, a, [1])])).toEqual([]);
  });
});

describe("what goes by one kind of metric", () => {
  const gauge = row(605, { host: "a" }, [1, 2]);
  const counter = row(605, { host: "b" }, [1, 2], "counter");
  const partial = emptyPartial(0);
  fold(partial, {
    time: { ms: at(605), ns: 0 },
    offset: 0,
    index: 0,
    value: { kind: "distribution", count: 1, sum: 1, bins: [[1, 1]] },
  });
  const histogram = { series: "h", labels: {}, startMs: at(605), state: encodePartial(partial) };

  it.each([
    ["rate(m, 5m) > 1", [gauge], /^rate\(\) is of counters/],
    ["increase(m, 5m) > 1", [gauge, histogram], /^increase\(\) is of counters/],
    ["last(m, 5m) > 1", [histogram], /^last\(\) is of numbers/],
  ])("%s says so where there is none of that kind", (text, rows, message) => {
    expect(evaluated(text, rows)).toMatchObject({
      observations: [],
      fault: expect.stringMatching(message) as string,
    });
  });

  it.each([
    ["rate(m, 5m) > 1", [gauge, counter]],
    // One point alone has no increase, and yet it is a counter.
    ["increase(m, 5m) > 1", [row(605, {}, [1], "counter")]],
    ["last(m, 5m) > 1", [histogram, gauge]],
    ["p95(m, 5m) > 1", [histogram]],
    ["rate(m, 5m) > 1", []],
  ])("%s says nothing where there is, or where there is nothing at all", (text, rows) => {
    expect(evaluated(text, rows)).not.toHaveProperty("fault");
  });
});
