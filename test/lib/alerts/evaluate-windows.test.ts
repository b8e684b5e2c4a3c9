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

/** @param throughMs how far was read @param isCurrent as new as it should be */
function evaluated(
  text: string,
  rows: WindowOfSeries[],
  nowMs = NOW,
  throughMs = nowMs,
  isCurrent = nowMs - throughMs <= 3 * MINUTE,
) {
  const { expression, subject } = read(text);
  const plans = planWindows(subject, DEFINITIONS, { throughMs, isCurrent }, nowMs);
  if (!plans) throw new Error("no plan");
  const { newest, read: settled } = plans;
  // As the store answers.
  const fromMs = Math.min(newest.fromMs, settled.fromMs);
  const found = rows.filter(({ startMs }) => startMs >= fromMs && startMs < newest.toMs);
  return evaluateWindows(expression, subject, plans, found, { isCurrent });
}
const judged = (...args: Parameters<typeof evaluated>) => evaluated(...args).observations;

const planOf = (text: string, nowMs = NOW) =>
  planWindows(read(text).subject, DEFINITIONS, { throughMs: nowMs, isCurrent: true }, nowMs)?.newest;

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
    const state = { throughMs: NOW, isCurrent: true };
    const known = hours.ok ? hours.value : [];
    expect(planWindows(subject, known, state, NOW)).toBeUndefined();
    expect(planWindows(read("avg(x, 5m) > 1").subject, known, state, NOW)?.newest.window).toBe("5m");
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

describe("a reader that stands still since 10:10", () => {
  const a = { host: "a" };
  const THROUGH = at(610);
  /** Five values each minute until then. */
  const rows = Array.from({ length: 10 }, (_, i) => row(600 + i, a, [1, 1, 1, 1, 1]));
  const minutes = (from: number, until: number) =>
    Array.from({ length: (until - from) * 6 }, (_, i) => at(from) + i * 10_000);
  const shown = (text: string, some = rows, through = THROUGH) =>
    minutes(610.5, 620).map((nowMs) => {
      const { observations, isComplete } = evaluated(text, some, nowMs, through);
      return observations[0]?.isViolated ?? (isComplete ? "ceased" : "unknown");
    });
  /** What else is told than `usual`, or that nothing is known. */
  const unusual = (told: unknown[], usual: boolean) =>
    told.includes(usual) ? told.filter((one) => one !== usual && one !== "unknown") : ["nothing"];

  it.each(["sum", "count"])("neither fires nor resolves by a %s of less", (aggregate) => {
    // All is read: 25 in five minutes.
    expect(judged(`${aggregate}(m, 5m) > 10`, rows, at(610.5))).toMatchObject([{ value: 25 }]);
    expect(unusual(shown(`${aggregate}(m, 5m) > 10`), true)).toEqual([]);
    expect(unusual(shown(`${aggregate}(m, 5m) < 10`), false)).toEqual([]);
    expect(unusual(shown(`${aggregate}(m, 5m) != 25`), false)).toEqual([]);
  });

  it("neither fires nor resolves by a counter that was not read", () => {
    const counter = Array.from({ length: 10 }, (_, i) => row(600 + i, a, [i * 60], "counter"));
    expect(unusual(shown("increase(m, 5m) > 100", counter), true)).toEqual([]);
    expect(unusual(shown("rate(m, 5m) < 0.5", counter), false)).toEqual([]);
  });

  it("resolves nothing that had a value when all was read", () => {
    expect(unusual(shown("max(m, 1m) > 0"), true)).toEqual([]);
    expect(unusual(shown("avg(m, 5m) > 0"), true)).toEqual([]);
    expect(unusual(shown("last(m, 5m) > 5"), false)).toEqual([]);
  });

  it("tells of what is violated whatever is still to come", () => {
    const later = [
      ...rows,
      row(
        612,
        a,
        Array.from({ length: 40 }, () => 1),
      ),
    ];
    const nowMs = at(613.5);
    expect(judged("count(m, 5m) > 30", later, nowMs, THROUGH)).toMatchObject([
      { value: 50, isViolated: true },
    ]);
    expect(judged("count(m, 5m) > 30", later, nowMs, THROUGH, false)).toMatchObject([{ isViolated: true }]);
    // A sum may yet fall.
    expect(judged("sum(m, 5m) > 30", later, nowMs, THROUGH, true)).toMatchObject([{ isViolated: false }]);
    expect(judged("sum(m, 5m) > 30", later, nowMs, THROUGH, false)).toEqual([]);
    expect(judged("max(m, 5m) > 0", later, nowMs, THROUGH, false)).toMatchObject([{ isViolated: true }]);
    expect(judged("max(m, 5m) > 1", later, nowMs, THROUGH, false)).toEqual([]);
  });

  it("lets a series go that ceased before, once a whole span of silence was read", () => {
    expect(evaluated("sum(m, 5m) > 1", rows, at(616), at(615))).toEqual({
      observations: [],
      isComplete: true,
    });
    expect(evaluated("max(m, 5m) > 0", rows, at(616), at(615.9))).toEqual({
      observations: [],
      isComplete: true,
    });
    expect(judged("max(m, 5m) > 0", rows, at(616), at(614.9))).toMatchObject([{ isViolated: true }]);
  });
});

it("a sum is told by the first judgement that is sure of it where something comes all the time", () => {
  const rows = Array.from({ length: 20 }, (_, i) => row(600 + i, {}, i < 10 ? [1] : [9]));
  const isSeen = (minute: number, seconds: number) => {
    const nowMs = at(minute) + seconds * 1_000;
    return judged("sum(m, 5m) > 12", rows, nowMs, nowMs - 1_500)[0]?.isViolated;
  };
  expect([isSeen(611, 0), isSeen(611, 9), isSeen(611, 10), isSeen(611, 20)]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

it("a partition where little comes delays a sum, and freezes nothing", () => {
  // It is looked at each minute, a second before a span ends: by the clock a span is never all read while it is new.
  const rows = Array.from({ length: 30 }, (_, i) => row(600 + i, {}, i < 10 ? [1] : [9]));
  const seen = Array.from({ length: 120 }, (_, i) => {
    const nowMs = at(606) + i * 10_000;
    const throughMs = Math.floor((nowMs + 1_000) / MINUTE) * MINUTE - 1_000;
    return judged("sum(m, 5m) > 12", rows, nowMs, throughMs)[0];
  });
  const first = seen.findIndex((one) => one?.isViolated);
  // 10:11:00 is the end of the first such span; it is read at 10:11:59.
  expect(at(606) + first * 10_000).toBe(at(612));
  expect(seen.slice(first).every((one) => one?.isViolated)).toBe(true);
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
