// A metric's series as the intake counts it: a name and a set of labels, in whatever form the record came.
import { createHash } from "node:crypto";
import type { Metric } from "../../telemetry/metric.ts";

export interface SeriesRef {
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** What stands for each label value of a series that was folded. */
export const OTHER = "__other__";

/**
 * How a series over the limit is folded. `names`: it keeps its label names, and every value is `__other__`. `bare`: it
 * has one label, `__other__`; so names made up by the thousand end in one series, too.
 */
export type Fold = "names" | "bare";

/** Of a kept metric; of an OTLP data point in its flat form (lib/telemetry/otlp/keep.ts). */
export function seriesOf({ name, labels }: Pick<Metric, "name" | "labels">): SeriesRef {
  return { name, labels };
}

export function foldedLabels(names: readonly string[], fold: Fold): Record<string, string> {
  return Object.fromEntries((fold === "bare" ? [OTHER] : names).map((name) => [name, OTHER]));
}

/** Changes the labels alone: the point itself stays, so totals do. */
export function foldMetric(metric: Metric, fold: Fold): void {
  metric.labels = foldedLabels(Object.keys(metric.labels), fold);
}

/** 64 bits of SHA-256, as hexadecimal digits: the same in every isolate, and hard to make meet. */
export function hashName(tenant: string, name: string): string {
  return hashTexts([tenant, name]);
}

/** The order of the labels does not matter. */
export function hashSeries(tenant: string, { name, labels }: SeriesRef): string {
  const texts = [tenant, name];
  for (const label of Object.keys(labels).toSorted()) texts.push(label, labels[label] as string);
  return hashTexts(texts);
}

/** The hash that the series has once it is folded and keeps its names. */
export function hashFolded(tenant: string, { name, labels }: SeriesRef): string {
  const texts = [tenant, name];
  for (const label of Object.keys(labels).toSorted()) texts.push(label, OTHER);
  return hashTexts(texts);
}

function hashTexts(texts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 16);
}
