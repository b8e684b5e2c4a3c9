// The page of metrics in Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). A
// family without samples is left out, save a counter without labels, which is 0 then.
import type { Family } from "./consumer-metrics.ts";
import { familyOf, SEPARATOR, type Counts } from "./counts.ts";
import { METRICS, type GaugeName, type MetricName, type MetricSpec } from "./metric-names.ts";

export const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

export function renderPrometheus(counts: Counts, gauges: Readonly<Record<GaugeName, number>>): string {
  let page = "";
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const spec: MetricSpec = METRICS[name];
    const lines =
      spec.type === "gauge"
        ? [sample(name, "", gauges[name as GaugeName])]
        : linesOf(name, spec, counts.get(familyOf(name)) ?? new Map());
    page += family(name, spec, lines);
  }
  return page;
}

/** Families that were read elsewhere, in the page's form, to stand behind the counters. */
export function renderFamilies(families: readonly Family[]): string {
  return families.map(({ name, spec, series }) => family(name, spec, linesOf(name, spec, series))).join("");
}

function family(name: string, spec: MetricSpec, lines: readonly string[]): string {
  if (lines.length === 0) return "";
  return `# HELP ${name} ${escapeHelp(spec.help)}\n# TYPE ${name} ${spec.type}\n${lines.join("\n")}\n`;
}

function linesOf(name: string, spec: MetricSpec, series: ReadonlyMap<string, number[]>): string[] {
  const labelNames = Object.keys(spec.labels);
  if (labelNames.length === 0 && series.size === 0) return [sample(name, "", 0)];
  const lines: string[] = [];
  for (const [key, figures] of series) {
    const values = key.split(SEPARATOR);
    const labels = labelNames.map((label, i) => `${label}="${escapeValue(values[i] ?? "")}"`).join(",");
    if (spec.buckets === undefined) lines.push(sample(name, labels, figures[0] ?? 0));
    else lines.push(...histogram(name, labels, spec.buckets, figures));
  }
  return lines;
}

function histogram(
  name: string,
  labels: string,
  bounds: readonly number[],
  figures: readonly number[],
): string[] {
  const and = labels === "" ? "" : `${labels},`;
  let count = 0;
  const lines = [...bounds, Infinity].map((bound, i) => {
    count += figures[i] ?? 0;
    return sample(`${name}_bucket`, `${and}le="${number(bound)}"`, count);
  });
  lines.push(sample(`${name}_sum`, labels, figures[bounds.length + 1] ?? 0));
  lines.push(sample(`${name}_count`, labels, count));
  return lines;
}

const sample = (name: string, labels: string, value: number) =>
  `${name}${labels === "" ? "" : `{${labels}}`} ${number(value)}`;

const number = (value: number) => (value === Infinity ? "+Inf" : String(value));

const escapeHelp = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");

const escapeValue = (text: string) => escapeHelp(text).replaceAll('"', '\\"');
