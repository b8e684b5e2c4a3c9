// The samples of alert rules on D1: merged with what is there by their times, in the commit that read them.
import { mergeAlertSamples } from "./alert-samples.ts";
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { jsonChunks } from "./d1-json.ts";
import type { AlertSample, PartitionCommit } from "./storage.ts";

const IS_NEWER = "(excluded.time, excluded.value) > (time, value)";
const IS_VIOLATION_NEWER = `excluded.violated_time IS NOT NULL AND (violated_time IS NULL
    OR (excluded.violated_time, excluded.violated_value) > (violated_time, violated_value))`;

/** In an upsert the bare names are the row's values before it. */
const MERGE = `INSERT INTO alert_samples (tenant, rule, series, name, labels, time, value, violated_time,
    violated_value, updated_ms)
  SELECT s.value ->> 0, s.value ->> 1, s.value ->> 2, s.value ->> 3, s.value -> 4, CAST(s.value ->> 5 AS INTEGER),
    s.value ->> 6, CAST(s.value ->> 7 AS INTEGER), s.value ->> 8, ?2
  FROM json_each(?1) AS s WHERE true
  ON CONFLICT (tenant, rule, series) DO UPDATE SET
    time = CASE WHEN ${IS_NEWER} THEN excluded.time ELSE time END,
    value = CASE WHEN ${IS_NEWER} THEN excluded.value ELSE value END,
    violated_time = CASE WHEN ${IS_VIOLATION_NEWER} THEN excluded.violated_time ELSE violated_time END,
    violated_value = CASE WHEN ${IS_VIOLATION_NEWER} THEN excluded.violated_value ELSE violated_value END,
    updated_ms = max(updated_ms, excluded.updated_ms)`;

/** Times as text: JavaScript's numbers do not hold nanoseconds. */
const OF_RULE = `SELECT rule, series, name, labels, CAST(time AS TEXT) AS time, value,
    CAST(violated_time AS TEXT) AS violated_time, violated_value
  FROM alert_samples WHERE tenant = ?1 AND rule = ?2 ORDER BY series LIMIT ?3`;

const PRUNE = `DELETE FROM alert_samples WHERE (tenant, rule, series) IN
  (SELECT tenant, rule, series FROM alert_samples WHERE updated_ms < ?1 LIMIT ?2)`;

/** @returns what a commit writes of its samples */
export function sampleStatements(
  db: D1,
  { alertSamples, committedAtMs }: Pick<PartitionCommit, "alertSamples" | "committedAtMs">,
): D1Statement[] {
  const rows = mergeAlertSamples(alertSamples).map((sample) => [
    sample.tenant,
    sample.rule,
    sample.series,
    sample.name,
    sample.labels,
    sample.time,
    sample.value,
    sample.violatedTime,
    sample.violatedValue,
  ]);
  return [...jsonChunks(rows)].map((chunk) => db.prepare(MERGE).bind(chunk, committedAtMs));
}

/** @param limit for each rule */
export async function d1AlertSamples(
  db: D1,
  tenant: string,
  rules: readonly string[],
  limit: number,
): Promise<AlertSample[]> {
  const found: AlertSample[] = [];
  for (const rule of rules) {
    const { results } = await withDeadline("reading samples of an alert rule", () =>
      db.prepare(OF_RULE).bind(tenant, rule, limit).all(),
    );
    for (const row of results) {
      found.push({
        tenant,
        rule: String(row.rule),
        series: String(row.series),
        name: String(row.name),
        labels: JSON.parse(String(row.labels)) as Record<string, string>,
        time: String(row.time),
        value: Number(row.value),
        violatedTime: typeof row.violated_time === "string" ? row.violated_time : null,
        violatedValue: typeof row.violated_value === "number" ? row.violated_value : null,
      });
    }
  }
  return found;
}

/** Drops samples of series that were not seen since. @returns how many were dropped */
export async function pruneD1AlertSamples(db: D1, beforeMs: number, limit: number): Promise<number> {
  const { meta } = await withDeadline("pruning samples of alert rules", () =>
    db.prepare(PRUNE).bind(beforeMs, limit).all(),
  );
  return meta.changes;
}
