// Names of metrics on D1, over the tables of days: costs by the names and the days, not by the points.
import { Buffer } from "node:buffer";
import { withDeadline, type D1 } from "./d1-database.ts";
import { overDays, tableOf } from "./d1-days.ts";
import { isSeen, type RawRow } from "./d1-pages.ts";
import type { NameQuery, QueryStore } from "./storage.ts";
import { formatMoment, nanosToMoment } from "../telemetry/time.ts";

/** Statements of one batch, each with up to a page of names. */
const DAYS_AT_ONCE = 8;

/**
 * Jumps from name to name in the day's index. The first jump has one bound, the further one: of two SQLite looks up one,
 * and walks all points from there to the other.
 */
function namesOfDay(table: string): string {
  const ofTenant = `FROM ${table} AS m INDEXED BY ${table}_by_name WHERE m.tenant = ?1 AND ${isSeen("m")}`;
  return `WITH RECURSIVE names (name) AS (
    SELECT CASE WHEN ?3 >= ?2
      THEN (SELECT min(m.name) ${ofTenant} AND m.name > ?3)
      ELSE (SELECT min(m.name) ${ofTenant} AND m.name >= ?2) END
    UNION ALL
    SELECT (SELECT min(m.name) ${ofTenant} AND m.name > names.name) FROM names WHERE names.name IS NOT NULL
    LIMIT ?4
  )
  SELECT name,
    (SELECT CAST(m.time AS TEXT) ${ofTenant} AND m.name = names.name ORDER BY m.time DESC LIMIT 1) AS time,
    (SELECT m.kind ${ofTenant} AND m.name = names.name ORDER BY m.time DESC LIMIT 1) AS kind
  FROM names WHERE name IS NOT NULL AND substr(name, 1, length(?2)) = ?2`;
}

export function d1MetricNames(db: D1): Pick<QueryStore, "metricNames"> {
  return {
    async metricNames(query) {
      const found = await overDays(db, "metrics", (days) => namesOfDays(db, days, query));
      return found.map((row) => ({
        name: String(row.name),
        kind: row.kind === null || row.kind === undefined ? null : String(row.kind),
        last_timestamp: formatMoment(nanosToMoment(String(row.time))),
      }));
    },
  };
}

/** @param days newest first: the newest point of a name is in the first that has it */
async function namesOfDays(
  db: D1,
  days: readonly number[],
  { tenant, prefix, after, limit }: NameQuery,
): Promise<RawRow[]> {
  let page = new Map<string, RawRow>();
  for (let at = 0; at < days.length; at += DAYS_AT_ONCE) {
    const statements = days
      .slice(at, at + DAYS_AT_ONCE)
      .map((day) => db.prepare(namesOfDay(tableOf("metrics", day))).bind(tenant, prefix, after, limit));
    const answers = await withDeadline("querying metric names", () => db.batch(statements));
    for (const row of answers.flatMap(({ results }) => results)) {
      const name = String(row.name);
      if (!page.has(name)) page.set(name, row);
    }
    page = new Map([...page].toSorted(([a], [b]) => byCodePoints(a, b)).slice(0, limit));
  }
  return [...page.values()];
}

/** As SQLite's own order, of UTF-8's bytes. */
const byCodePoints = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
