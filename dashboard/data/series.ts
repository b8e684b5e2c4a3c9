// Points of one metric → lines of a chart: one line a host, in time order, bounded to a time span. What comes twice
// is kept once. Pure: the caller says what time it is.
import type { MetricPoint } from "./shapes.ts";

export interface Series {
  label: string;
  /** Milliseconds, ascending. */
  times: number[];
  values: number[];
}

/** uPlot's form: seconds first, then one column a line; null breaks a line, undefined does not. */
export type ChartColumns = [number[], ...Array<Array<number | null | undefined>>];

/** A line breaks where at least this many points in a row are missing. */
const gapIntervals = 3.5;
const minGapMs = 15_000;

export class SeriesStore {
  readonly #spanMs: number;
  readonly #keyOf: (labels: Record<string, string>) => string;
  readonly #lines = new Map<string, Map<number, number>>();

  /** `keyOf` names the line a point belongs to. */
  constructor(spanMs: number, keyOf: (labels: Record<string, string>) => string) {
    this.#spanMs = spanMs;
    this.#keyOf = keyOf;
  }

  add(points: readonly MetricPoint[], nowMs: number): void {
    for (const { labels, atMs, value } of points) {
      const key = this.#keyOf(labels);
      const line = this.#lines.get(key) ?? new Map<number, number>();
      this.#lines.set(key, line.set(atMs, value));
    }
    for (const [key, line] of this.#lines) {
      for (const atMs of line.keys()) if (atMs < nowMs - this.#spanMs) line.delete(atMs);
      if (line.size === 0) this.#lines.delete(key);
    }
  }

  /** Lines by label, so that a line keeps its colour while others come and go. */
  series(): Series[] {
    return [...this.#lines]
      .map(([label, line]) => {
        const sorted = [...line].toSorted(([a], [b]) => a - b);
        return { label, times: sorted.map(([atMs]) => atMs), values: sorted.map(([, value]) => value) };
      })
      .toSorted((a, b) => a.label.localeCompare(b.label));
  }
}

/** Where the line is broken: the end points of each gap, in milliseconds. */
function gaps({ times }: Series): Array<{ afterMs: number; beforeMs: number }> {
  const steps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs));
  const median = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const limitMs = Math.max(minGapMs, median * gapIntervals);
  return steps.flatMap((step, index) => {
    const afterMs = times[index] ?? 0;
    return step > limitMs ? [{ afterMs, beforeMs: afterMs + step }] : [];
  });
}

export function alignForChart(series: readonly Series[]): ChartColumns {
  const lines = series.map((line) => ({
    cells: new Map(line.times.map((atMs, index) => [atMs, line.values[index]])),
    gaps: gaps(line),
  }));
  // A lone line has no points of others inside its gap: one in the middle carries the break.
  const middles = lines.flatMap((line) => line.gaps.map(({ afterMs, beforeMs }) => (afterMs + beforeMs) / 2));
  const times = [...new Set([...lines.flatMap(({ cells }) => [...cells.keys()]), ...middles])].toSorted(
    (a, b) => a - b,
  );
  const columns = lines.map(({ cells, gaps }) => {
    let next = 0;
    return times.map((atMs) => {
      while ((gaps[next]?.beforeMs ?? Number.POSITIVE_INFINITY) <= atMs) next += 1;
      const inGap = (gaps[next]?.afterMs ?? Number.POSITIVE_INFINITY) < atMs;
      return inGap ? null : cells.get(atMs);
    });
  });
  return [times.map((atMs) => atMs / 1000), ...columns];
}

/** Top of a percent axis: the first step that holds the highest value, so that 3 % is not a flat line. */
export function percentCeiling(series: readonly Series[]): number {
  const highest = series.reduce((max, { values }) => values.reduce((a, b) => Math.max(a, b), max), 0);
  return [10, 25, 50, 100].find((step) => highest <= step) ?? Math.ceil(highest / 100) * 100;
}

/** Sums the points of one time and line, as of all network interfaces of a host. */
export function sumByTime(
  points: readonly MetricPoint[],
  keyOf: (labels: Record<string, string>) => string,
): MetricPoint[] {
  const sums = new Map<string, MetricPoint>();
  for (const point of points) {
    const key = `${keyOf(point.labels)}\u0000${point.atMs}`;
    const sum = sums.get(key);
    sums.set(key, { ...point, value: point.value + (sum?.value ?? 0) });
  }
  return [...sums.values()];
}
