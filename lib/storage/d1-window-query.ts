// Statements that query the windows of a day on D1. With labels asked for they cost by the series that have them, which
// are looked for once, and not by all series of the name; for a slice of the series' ids by what lies in it.
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { tableOf } from "./d1-days.ts";
import { IS_SESSION } from "./d1-windows-table.ts";
import type { WindowQuery } from "./storage.ts";

const HIDDEN = "SELECT 1 FROM sources WHERE is_visible = 0";
const LIMITED = "SELECT 1 FROM sources WHERE visible_until_ms IS NOT NULL";
/** As of raw rows (d1-pages.ts), by the window's start. */
const IS_SEEN = `((NOT EXISTS (${HIDDEN}) AND NOT EXISTS (${LIMITED}))
  OR NOT EXISTS (SELECT 1 FROM sources AS u WHERE u.id = w.source
    AND (u.is_visible = 0 OR w.start_ms >= u.visible_until_ms)))`;

const FOUND = `w.tenant, w.name, w."window", w.start_ms, lower(hex(w.series)) AS series, w.partition, w.end_ms, w.due_ms,
  w.revision, w.state`;
/** ?1 to ?5: tenant, name, window, first start and the first one that is too late; ?6: rows; ?7: series. */
const ASKED = `w.tenant = ?1 AND w.name = ?2 AND w."window" = ?3 AND w.start_ms >= ?4 AND w.start_ms < ?5`;
const NEWEST_FIRST = "w.start_ms DESC, w.series DESC, w.source DESC, w.partition DESC";

const ofAnySeries = (table: string) => `SELECT ${FOUND}, s.labels FROM ${table} AS w
  CROSS JOIN series AS s ON s.tenant = w.tenant AND s.name = w.name AND s.series = w.series
  WHERE ${ASKED} AND ${IS_SEEN} ORDER BY ${NEWEST_FIRST} LIMIT ?6`;

/** Longer than any id, and so behind all of them. */
const BEHIND_ALL = "f".repeat(34);

const hasLabels = (of: string, parameter: number) => `NOT EXISTS
  (SELECT 1 FROM json_each(?${parameter}) AS l WHERE NOT EXISTS
    (SELECT 1 FROM json_each(${of}.labels) AS own WHERE own.key = l.key AND own.value = l.value))`;

/** Series that have all the labels of ?3, from ?4 on and before ?5. */
const WANTED = `SELECT lower(hex(series)) AS series, labels FROM series WHERE tenant = ?1 AND name = ?2
  AND series >= unhex(?4) AND series < unhex(?5) AND ${hasLabels("series", 3)} LIMIT ?6`;
/** One parameter takes no more than 2,000,000 bytes; beyond this the labels are looked at row by row. */
const MAX_WANTED = 10_000;
const GIVEN = "s AS MATERIALIZED (SELECT unhex(value) AS series FROM json_each(?7) ORDER BY 1 DESC)";

/** By its order, and not max(): SQLite would walk all that lie between. */
const newestStart = (table: string, before: string) => `SELECT w.start_ms FROM ${table} AS w
  WHERE ${ASKED.replace("?5", before)} ORDER BY w.start_ms DESC LIMIT 1`;

const startsOf = (table: string) => `RECURSIVE starts (at) AS (
    SELECT (${newestStart(table, "?5")})
    UNION ALL SELECT (${newestStart(table, "starts.at")}) FROM starts WHERE starts.at IS NOT NULL
  )`;

/**
 * Jumps from start to start, and there to each series: costs by the starts and the series that are wanted, not by all
 * series. Stops at the limit, since the loops go on in the order in which they are written.
 */
const ofSomeSeries = (table: string) => `WITH ${startsOf(table)}, ${GIVEN}
  SELECT ${FOUND} FROM starts CROSS JOIN s CROSS JOIN ${table} AS w
  WHERE w.tenant = ?1 AND w.name = ?2 AND w."window" = ?3 AND w.start_ms = starts.at AND w.series = s.series
    AND ${IS_SEEN} LIMIT ?6`;

/** In the same way, there to the first series of a slice. ?7 and ?8: its ends, ?9: labels. */
const ofSlice = (table: string, condition: string) => `WITH ${startsOf(table)}
  SELECT ${FOUND}, s.labels FROM starts CROSS JOIN ${table} AS w
  CROSS JOIN series AS s ON s.tenant = w.tenant AND s.name = w.name AND s.series = w.series
  WHERE w.tenant = ?1 AND w.name = ?2 AND w."window" = ?3 AND w.start_ms = starts.at
    AND w.series >= unhex(?7) AND w.series < unhex(?8) AND ${IS_SEEN} AND ${condition} LIMIT ?6`;

/** Each series has starts of its own. */
const sessionsOfSomeSeries = (table: string) => `WITH ${GIVEN}
  SELECT ${FOUND} FROM s CROSS JOIN ${table} AS w INDEXED BY ${table}_sessions
  WHERE w.series = s.series AND ${ASKED} AND ${IS_SESSION} AND ${IS_SEEN} ORDER BY ${NEWEST_FIRST} LIMIT ?6`;

/** By the slice's series: the index by series is of all tenants and names. */
const sessionsOfSlice = (table: string, condition: string) => `SELECT ${FOUND}, s.labels
  FROM series AS s CROSS JOIN ${table} AS w INDEXED BY ${table}_sessions
  WHERE s.tenant = ?1 AND s.name = ?2 AND s.series >= unhex(?7) AND s.series < unhex(?8) AND ${condition}
    AND w.series = s.series AND ${ASKED} AND ${IS_SESSION} AND ${IS_SEEN} ORDER BY ${NEWEST_FIRST} LIMIT ?6`;

/** Series that have the labels, and all of theirs as JSON; undefined where any will do, or they are too many. */
export async function wantedSeries(db: D1, query: WindowQuery): Promise<Map<string, string> | undefined> {
  const { tenant, name, labels } = query;
  if (!asksLabels(query)) return undefined;
  const values = [tenant, name, JSON.stringify(labels), ...endsOf(query), MAX_WANTED + 1];
  const { results } = await withDeadline("querying series", () =>
    db
      .prepare(WANTED)
      .bind(...values)
      .all(),
  );
  if (results.length > MAX_WANTED) return undefined;
  return new Map(results.map((row) => [String(row.series), String(row.labels)]));
}

/** @param wanted as {@link wantedSeries} found them */
export function queryStatement(
  db: D1,
  query: WindowQuery,
  day: number,
  wanted: ReadonlyMap<string, string> | undefined,
): D1Statement {
  const { tenant, name, window, fromMs, toMs, limit, labels, series } = query;
  const table = tableOf("windows", day);
  const isOfSessions = window.startsWith("session:");
  const values = [tenant, name, window, fromMs, toMs, limit];
  if (wanted) {
    const sql = isOfSessions ? sessionsOfSomeSeries : ofSomeSeries;
    return db.prepare(sql(table)).bind(...values, JSON.stringify([...wanted.keys()]));
  }
  const isOfLabels = asksLabels(query);
  if (!series && !isOfLabels) return db.prepare(ofAnySeries(table)).bind(...values);
  const sql = isOfSessions ? sessionsOfSlice : ofSlice;
  const sliced = [...values, ...endsOf(query)];
  if (!isOfLabels) return db.prepare(sql(table, "true")).bind(...sliced);
  return db.prepare(sql(table, hasLabels("s", 9))).bind(...sliced, JSON.stringify(labels));
}

const asksLabels = ({ labels }: WindowQuery) => Object.keys(labels).length > 0;

const endsOf = ({ series }: WindowQuery): [from: string, below: string] => [
  series?.from ?? "",
  series?.below ?? BEHIND_ALL,
];
