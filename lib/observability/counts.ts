// Counts of any number of metrics in one shape, used alike for what an isolate gathered, what it gives away, what is kept
// and what is shown: family → series → figures. Adding two is all there is to merging.
import type { MetricName, MetricSpec } from "./metric-names.ts";
import { METRICS, OTHER } from "./metric-names.ts";

/**
 * A family is a metric under its present labels and buckets, so that figures which do not fit together never meet. A
 * series is its labels' values with SEPARATOR between. Figures: a counter's one, or a histogram's buckets (not
 * cumulative, the last is +Inf) and then the sum.
 */
export type Counts = Map<string, Map<string, number[]>>;

/** In no label's value (registry.ts). */
export const SEPARATOR = "\t";

/** Series that one family may have, whatever comes: each costs memory and a part of every write. */
export const MAX_SERIES = 2_000;

export function familyOf(name: MetricName): string {
  const { labels, buckets }: MetricSpec = METRICS[name];
  const family = `${name}{${Object.keys(labels).join(",")}}`;
  return buckets === undefined ? family : `${family} ${buckets.join(",")}`;
}

export function addCounts(into: Counts, delta: Counts): void {
  for (const [family, series] of delta) {
    for (const [key, figures] of series) addFigures(into, family, key, figures);
  }
}

/** Adds to one series. What is beyond the bound goes into one whose labels are all `other`. */
export function addFigures(into: Counts, family: string, key: string, figures: readonly number[]): void {
  let series = into.get(family);
  if (!series) into.set(family, (series = new Map()));
  const place = series.has(key) || series.size < MAX_SERIES ? key : key.replaceAll(/[^\t]+/g, OTHER);
  const known = series.get(place);
  if (known) for (let i = 0; i < figures.length; i++) known[i] = (known[i] ?? 0) + (figures[i] ?? 0);
  else series.set(place, [...figures]);
}

export function encodeCounts(counts: Counts): string {
  return JSON.stringify([...counts].map(([family, series]) => [family, [...series]]));
}

export function decodeCounts(json: string): Counts {
  const families = JSON.parse(json) as [string, [string, number[]][]][];
  return new Map(families.map(([family, series]) => [family, new Map(series)]));
}
