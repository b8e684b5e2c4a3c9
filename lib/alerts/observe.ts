// What the consumer group `alerting` keeps of the records that it reads: for each rule on raw values, and each on absence,
// a sample of every record that the rule looks at. Whatever the order of records, merged they come to the same. No sample
// is ahead of the clock by more than clocks differ: the newest counts, and it would hide all others until then.
import type { Metric } from "../telemetry/metric.ts";
import { momentToNanos, parseTimestamp } from "../telemetry/time.ts";
import { seriesId } from "../windows/series.ts";
import { isSelected } from "./evaluate.ts";
import { holds, type Selector } from "./expression.ts";
import { samplesId, type AlertRule } from "./rule.ts";

/** Fits Row<"metrics"> of lib/storage. */
export interface MetricRow {
  tenant: string;
  record: Metric;
}

/** Fits AlertSample of lib/storage. */
export interface Sampled {
  tenant: string;
  /** Its {@link samplesId}. */
  rule: string;
  series: string;
  name: string;
  labels: Record<string, string>;
  time: string;
  value: number;
  violatedTime: string | null;
  violatedValue: number | null;
}

/** Senders' clocks may be ahead by so much, or the reader's own be set back: samples keep their times, and so their order. */
const AHEAD_MS = 60_000;

type ObservedRule = Pick<AlertRule, "tenant" | "id" | "sampled" | "expression">;

/** @param rules of all tenants; those that do not look at raw values are left out */
export function observe(rules: readonly ObservedRule[]): {
  /** No rule looks at any record. */
  isIdle: boolean;
  /** @param nowMs when they are read: what is more than {@link AHEAD_MS} ahead of it counts as just that far, in its order */
  samplesOf(rows: readonly MetricRow[], nowMs: number): Sampled[];
} {
  const byMetric = new Map<string, { rule: ObservedRule; selector: Selector }[]>();
  for (const rule of rules) {
    const { subject } = rule.expression;
    if (subject.kind !== "raw" && subject.kind !== "absent") continue;
    const key = keyOf(rule.tenant, subject.selector.name);
    byMetric.set(key, [...(byMetric.get(key) ?? []), { rule, selector: subject.selector }]);
  }
  return {
    isIdle: byMetric.size === 0,
    samplesOf: (rows, nowMs) =>
      notAhead(
        rows.flatMap((row) => samplesOf(row, byMetric)),
        nowMs,
      ),
  };
}

function samplesOf(
  { tenant, record }: MetricRow,
  byMetric: ReadonlyMap<string, { rule: ObservedRule; selector: Selector }[]>,
): Sampled[] {
  const { name, labels } = record;
  const looking = byMetric
    .get(keyOf(tenant, name))
    ?.filter(({ selector }) => isSelected(selector, name, labels));
  if (!looking || looking.length === 0) return [];
  const moment = parseTimestamp(record.timestamp);
  if (!moment.ok) return [];
  const time = momentToNanos(moment.value);
  const series = seriesId(tenant, name, labels);
  return looking.flatMap(({ rule }): Sampled[] => {
    const { subject, condition } = rule.expression;
    const isNumber = typeof record.value === "number";
    // A histogram is no number, but it is there; a rule that never sees a number should say so.
    const isHistogram = subject.kind === "raw" && record.value === null;
    if (!isNumber && subject.kind === "raw" && !isHistogram) return [];
    const value = isNumber ? (record.value as number) : 0;
    const isViolated =
      !isHistogram && condition !== undefined && holds(condition.comparison, value, condition.threshold);
    return [
      {
        tenant,
        rule: isHistogram ? histogramsId(rule) : samplesId(rule),
        series,
        name,
        labels,
        time,
        value,
        violatedTime: isViolated ? time : null,
        violatedValue: isViolated ? value : null,
      },
    ];
  });
}

/** Of the samples by which a rule on raw values knows that there are histograms; their values say nothing. */
export function histogramsId(rule: Pick<ObservedRule, "id" | "sampled">): string {
  return `${samplesId(rule)}#histograms`;
}

/** Those too far ahead keep their order, each a nanosecond before the next, and are older than what is read later. */
function notAhead(samples: Sampled[], nowMs: number): Sampled[] {
  const latest = BigInt(nowMs + AHEAD_MS) * 1_000_000n;
  const ahead = [...new Set(samples.map(({ time }) => BigInt(time)).filter((time) => time > latest))];
  if (ahead.length === 0) return samples;
  ahead.sort((a, b) => (a < b ? 1 : -1));
  const countsAs = new Map(ahead.map((time, i) => [String(time), String(latest - BigInt(i))]));
  return samples.map((sample) => {
    const time = countsAs.get(sample.time);
    if (time === undefined) return sample;
    return { ...sample, time, violatedTime: sample.violatedTime === null ? null : time };
  });
}

const keyOf = (tenant: string, name: string) => `${tenant}\n${name}`;
