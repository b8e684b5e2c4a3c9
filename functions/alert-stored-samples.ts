// What a rule that is only tried would have observed: the newest point of each series among those that are stored.
import { STALE_MS } from "../lib/alerts/evaluate.ts";
import { isMatched } from "../lib/alerts/expression.ts";
import type { AlertRule } from "../lib/alerts/rule.ts";
import type { QueryStore } from "../lib/storage/storage.ts";
import { seriesId } from "../lib/windows/series.ts";
import type { RuleSample } from "./alert-evaluate.ts";

/** Points that are looked at, the newest ones. */
const MAX_POINTS = 1_000;

type Query = Pick<QueryStore, "metrics">;

/** @throws StorageError */
export async function storedSamples(query: Query, rule: AlertRule, nowMs: number): Promise<RuleSample[]> {
  const isRaw = rule.expression.subject.kind === "raw";
  const newest = new Map<string, RuleSample>();
  for (const { key, record } of await storedPoints(query, rule, nowMs)) {
    const { labels, value } = record;
    const series = seriesId(rule.tenant, record.name, labels);
    if (newest.has(series) || (typeof value !== "number" && isRaw)) continue;
    const number = typeof value === "number" ? value : 0;
    newest.set(series, { labels, time: key.time, value: number, violatedTime: null, violatedValue: null });
  }
  return [...newest.values()];
}

/** @throws StorageError */
export async function hasStoredHistograms(query: Query, rule: AlertRule, nowMs: number): Promise<boolean> {
  return (await storedPoints(query, rule, nowMs)).some(({ record }) => record.value === null);
}

/** Those that the rule looks at, the newest first. */
async function storedPoints(
  query: Query,
  { tenant, expression: { subject } }: AlertRule,
  nowMs: number,
): Promise<Awaited<ReturnType<Query["metrics"]>>> {
  if (subject.kind !== "raw" && subject.kind !== "absent") return [];
  const { name, matchers } = subject.selector;
  const rangeMs = subject.kind === "absent" ? subject.rangeMs : STALE_MS;
  const found = await query.metrics({
    tenant,
    name,
    labels: {},
    from: `${nowMs - rangeMs}000000`,
    to: undefined,
    limit: MAX_POINTS,
    after: undefined,
  });
  return found.filter(({ record }) => isMatched(matchers, record.labels));
}
