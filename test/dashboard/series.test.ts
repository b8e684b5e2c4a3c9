import { describe, expect, it } from "vitest";
import {
  alignForChart,
  percentCeiling,
  type Series,
  SeriesStore,
  sumByTime,
} from "../../dashboard/data/series.ts";
import type { MetricPoint } from "../../dashboard/data/shapes.ts";

const hostOf = (labels: Record<string, string>): string => labels["host"] ?? "";
const point = (host: string, seconds: number, value = seconds): MetricPoint => ({
  labels: { host },
  atMs: seconds * 1000,
  value,
});
const line = (label: string, seconds: number[]): Series => ({
  label,
  times: seconds.map((at) => at * 1000),
  values: seconds,
});

describe("the store", () => {
  it("keeps one line a host in time order, a repeated point once, and only its span", () => {
    const store = new SeriesStore(60_000, hostOf);
    store.add([point("b", 30), point("a", 20), point("a", 10)], 40_000);
    store.add([point("a", 20), point("a", 75)], 75_000);
    expect(store.series()).toEqual([line("a", [20, 75]), line("b", [30])]);
  });

  it("forgets a host whose points are all too old", () => {
    const store = new SeriesStore(60_000, hostOf);
    store.add([point("a", 1)], 1_000);
    store.add([], 62_000);
    expect(store.series()).toEqual([]);
  });
});

describe("lines of a chart", () => {
  it("share one time axis; a point that another line lacks does not break that line", () => {
    expect(alignForChart([line("a", [0, 5, 10]), line("b", [2, 7, 12])])).toEqual([
      [0, 2, 5, 7, 10, 12],
      [0, undefined, 5, undefined, 10, undefined],
      [undefined, 2, undefined, 7, undefined, 12],
    ]);
  });

  it("break where points are missing, all through the gap", () => {
    const [times, a, b] = alignForChart([
      line("a", [0, 5, 10, 60, 65]),
      line("b", [0, 5, 10, 20, 30, 40, 50, 60, 65]),
    ]);
    const inGap = times.flatMap((at, index) => (at > 10 && at < 60 ? [[a?.[index], b?.[index]]] : []));
    expect(inGap.map(([first]) => first)).toEqual(inGap.map(() => null));
    expect(inGap.filter(([, second]) => second === null)).toEqual([]);
  });

  it("break a lone line too", () => {
    expect(alignForChart([line("a", [0, 5, 10, 60])])).toEqual([
      [0, 5, 10, 35, 60],
      [0, 5, 10, null, 60],
    ]);
  });

  it("are not broken by a slow interval that is regular", () => {
    expect(alignForChart([line("a", [0, 60, 120, 180])])[1]).not.toContain(null);
  });

  it("may be none", () => {
    expect(alignForChart([])).toEqual([[]]);
  });
});

describe("a percent axis", () => {
  it.each([
    [3, 10],
    [10, 10],
    [24, 25],
    [51, 100],
    [130, 200],
  ])("ends above %d at %d", (highest, ceiling) => {
    expect(percentCeiling([line("a", [0, highest])])).toBe(ceiling);
  });
});

it("sums the interfaces of a host at one time", () => {
  const sums = sumByTime([point("a", 1, 10), point("a", 1, 5), point("b", 1, 7), point("a", 2, 1)], hostOf);
  expect(sums.map(({ labels, atMs, value }) => [labels["host"], atMs, value])).toEqual([
    ["a", 1_000, 15],
    ["b", 1_000, 7],
    ["a", 2_000, 1],
  ]);
});
