// What the consumer group `alerting` keeps of the records that it reads: for each rule on raw values, and each on absence,
// a sample of every record that the rule looks at. Whatever the order of records, merged they come to the same.
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

type ObservedRule = Pick<AlertRule, "tenant" | "id" | "sampled" | "expression">;

/** @param rules of all tenants; those that do not look at raw values are left out */
export function observe(rules: readonly ObservedRule[]): {
  /** No rule looks at any record. */
  isIdle: boolean;
  samplesOf(rows: readonly MetricRow[]): Sampled[];
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
    samplesOf: (rows) => rows.flatMap((row) => samplesOf(row, byMetric)),
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
    // A histogram is no number, but it is there.
    const value = typeof record.value === "number" ? record.value : subject.kind === "absent" ? 0 : undefined;
    if (value === undefined) return [];
    const isViolated = condition !== undefined && holds(condition.comparison, value, condition.threshold);
    return [
      {
        tenant,
        rule: samplesId(rule),
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

const keyOf = (tenant: string, name: string) => `${tenant}\n${name}`;
