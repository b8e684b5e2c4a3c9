// Windows of a list of records, and their figures, in the plainest way: no sketch, no partials, nothing kept.
import type { WindowDefinition } from "../../../lib/windows/definition.ts";
import type { Point } from "./window-case.ts";

const DAY_MS = 86_400_000;

export interface Run {
  definition: WindowDefinition;
  series: string;
  startMs: number;
  endMs: number;
  points: Point[];
}

export type Figures = Record<string, number | null | undefined>;

/** By series, definition and start; of the records of one partition. */
export function windowsOf(
  definitions: readonly WindowDefinition[],
  points: readonly Point[],
): Map<string, Run> {
  const bySeries = new Map<string, Point[]>();
  for (const point of points) {
    const own = bySeries.get(point.series);
    if (own) own.push(point);
    else bySeries.set(point.series, [point]);
  }
  const runs = new Map<string, Run>();
  for (const [series, own] of bySeries) {
    const sorted = own.toSorted((a, b) => a.ms - b.ms || a.offset - b.offset || a.index - b.index);
    for (const definition of definitions) {
      for (const run of spansOf(definition, sorted))
        runs.set(`${series}/${definition.id}/${run.startMs}`, { ...run, definition, series });
    }
  }
  return runs;
}

type Span = Pick<Run, "startMs" | "endMs" | "points">;

function spansOf(definition: WindowDefinition, sorted: readonly Point[]): Span[] {
  if (definition.kind === "session") {
    const spans: Span[] = [];
    for (const point of sorted) {
      const last = spans.at(-1);
      const before = last?.points.at(-1);
      const midnight = Math.floor(point.ms / DAY_MS) * DAY_MS;
      const endMs = Math.min(point.ms + definition.gapMs, midnight + DAY_MS);
      if (last && before && point.ms - before.ms <= definition.gapMs && before.ms >= midnight) {
        last.points.push(point);
        last.endMs = endMs;
      } else spans.push({ startMs: point.ms, endMs, points: [point] });
    }
    return spans;
  }
  const { sizeMs } = definition;
  const stepMs = definition.kind === "sliding" ? definition.slideMs : sizeMs;
  const starts = new Set<number>();
  for (const { ms } of sorted)
    for (let startMs = Math.floor(ms / stepMs) * stepMs; startMs > ms - sizeMs; startMs -= stepMs)
      starts.add(startMs);
  return [...starts].map((startMs) => ({
    startMs,
    endMs: startMs + sizeMs,
    points: sorted.filter(({ ms }) => ms >= startMs && ms < startMs + sizeMs),
  }));
}

/** @param runs where the window before is looked for; empty: growth counts from the first point */
export function figuresOf(
  { definition, series, startMs, endMs, points }: Run,
  runs: ReadonlyMap<string, Run>,
): Figures {
  const values = points.map(({ value }) => value).toSorted((a, b) => a - b);
  const sum = values.reduce((total, value) => total + value, 0);
  const at = (share: number) =>
    values[Math.max(0, Math.ceil((values.length * Math.round(share * 100)) / 100) - 1)];
  const figures: Figures = {
    count: values.length,
    sum,
    avg: sum / values.length,
    min: values[0],
    max: values.at(-1),
    last: points.at(-1)?.value,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
  };
  if (!points[0]?.isCounter) return { ...figures, increase: undefined, rate: undefined };
  const before =
    definition.kind === "session"
      ? undefined
      : runs.get(`${series}/${definition.id}/${startMs - (endMs - startMs)}`);
  const increase = increaseOf(points, before?.points.filter(({ ms }) => ms < startMs) ?? []);
  return {
    ...figures,
    increase,
    rate: increase === undefined ? undefined : increase / ((endMs - startMs) / 1_000),
  };
}

/** From the newest point before; what is lower than the one before it began anew. Of two at one time the greater counts. */
function increaseOf(points: readonly Point[], earlier: readonly Point[]): number | undefined {
  const greatest = new Map<number, number>();
  for (const { ms, value } of points) greatest.set(ms, Math.max(greatest.get(ms) ?? value, value));
  const newestMs = Math.max(...earlier.map(({ ms }) => ms));
  const base = earlier.filter(({ ms }) => ms === newestMs).map(({ value }) => value);
  const values = [...(base.length > 0 ? [Math.max(...base)] : []), ...greatest.values()];
  if (values.length < 2) return undefined;
  let increase = 0;
  for (const [i, value] of values.entries()) {
    const before = values[i - 1];
    if (before !== undefined) increase += value < before ? value : value - before;
  }
  return increase;
}

/** In the end, when the watermark has passed everything. */
export function dueTime(
  { endMs }: Run,
  { isFinal }: { isFinal: boolean },
  latenessMs: number,
): number | null {
  return isFinal ? null : endMs + latenessMs;
}
