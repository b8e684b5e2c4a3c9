// The samples of alert rules on PostgreSQL: merged with what is there by their times, in the commit that read them.
import { mergeAlertSamples } from "../alert-samples.ts";
import type { AlertSample, PartitionCommit } from "../storage.ts";
import type { PostgresConnections } from "./connections.ts";
import type { Run } from "./session.ts";
import { arrayOf, readLabels, readText, storedLabels, storedText } from "./text.ts";

const IS_NEWER = "(excluded.time, excluded.value) > (s.time, s.value)";
const IS_VIOLATION_NEWER = `excluded.violated_time IS NOT NULL AND (s.violated_time IS NULL
    OR (excluded.violated_time, excluded.violated_value) > (s.violated_time, s.violated_value))`;

const MERGE = `INSERT INTO alert_samples AS s (tenant, rule, series, name, labels, time, value, violated_time,
    violated_value, updated_ms)
  SELECT tenant, rule, series, name, labels, time, value, violated_time, violated_value, $10::bigint
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::double precision[],
    $8::bigint[], $9::double precision[])
    AS e (tenant, rule, series, name, labels, time, value, violated_time, violated_value)
  ON CONFLICT (tenant, rule, series) DO UPDATE SET
    time = CASE WHEN ${IS_NEWER} THEN excluded.time ELSE s.time END,
    value = CASE WHEN ${IS_NEWER} THEN excluded.value ELSE s.value END,
    violated_time = CASE WHEN ${IS_VIOLATION_NEWER} THEN excluded.violated_time ELSE s.violated_time END,
    violated_value = CASE WHEN ${IS_VIOLATION_NEWER} THEN excluded.violated_value ELSE s.violated_value END,
    updated_ms = greatest(s.updated_ms, excluded.updated_ms)`;

const OF_RULES = `SELECT found.* FROM unnest($2::text[]) AS r (id) CROSS JOIN LATERAL (
    SELECT rule, series, name, labels, time::text AS time, value, violated_time::text AS violated_time, violated_value
    FROM alert_samples WHERE tenant = $1::text AND rule = r.id ORDER BY series LIMIT $3::integer) AS found`;

const PRUNE = `WITH dropped AS (
    DELETE FROM alert_samples WHERE ctid = ANY (ARRAY
      (SELECT ctid FROM alert_samples WHERE updated_ms < $1::bigint LIMIT $2::integer FOR UPDATE SKIP LOCKED))
    RETURNING 1
  ) SELECT count(*) AS dropped FROM dropped`;

/** Writes a commit's samples, in the order of their keys: two commits lock the same rows in one order. */
export async function storeSamples(
  run: Run,
  { alertSamples, committedAtMs }: Pick<PartitionCommit, "alertSamples" | "committedAtMs">,
): Promise<void> {
  const samples = mergeAlertSamples(alertSamples);
  if (samples.length === 0) return;
  await run(MERGE, [
    arrayOf(samples.map(({ tenant }) => storedText(tenant))),
    arrayOf(samples.map(({ rule }) => storedText(rule))),
    arrayOf(samples.map(({ series }) => series)),
    arrayOf(samples.map(({ name }) => storedText(name))),
    arrayOf(samples.map(({ labels }) => storedLabels(labels))),
    arrayOf(samples.map(({ time }) => time)),
    arrayOf(samples.map(({ value }) => value)),
    arrayOf(samples.map(({ violatedTime }) => violatedTime)),
    arrayOf(samples.map(({ violatedValue }) => violatedValue)),
    committedAtMs,
  ]);
}

/** @param limit for each rule */
export async function postgresAlertSamples(
  connections: PostgresConnections,
  tenant: string,
  rules: readonly string[],
  limit: number,
): Promise<AlertSample[]> {
  if (rules.length === 0) return [];
  const values = [storedText(tenant), arrayOf(rules.map(storedText)), limit];
  const rows = await connections.read("reading samples of alert rules", OF_RULES, values);
  return rows.map((row) => ({
    tenant,
    rule: readText(String(row.rule)),
    series: String(row.series),
    name: readText(String(row.name)),
    labels: readLabels(String(row.labels)),
    time: String(row.time),
    value: Number(row.value),
    violatedTime: typeof row.violated_time === "string" ? row.violated_time : null,
    violatedValue: row.violated_value === null ? null : Number(row.violated_value),
  }));
}

/** Drops samples of series that were not seen since. @returns how many were dropped */
export async function prunePostgresAlertSamples(
  connections: PostgresConnections,
  beforeMs: number,
  limit: number,
): Promise<number> {
  const [row] = await connections.read("pruning samples of alert rules", PRUNE, [beforeMs, limit]);
  return Number(row?.dropped ?? 0);
}
