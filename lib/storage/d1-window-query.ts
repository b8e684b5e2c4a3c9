// Statements that query the windows of a day on D1. With labels asked for they cost by the series that have them, which
// are looked for once, and not by all series of the name.
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

/** Series that have all the labels of ?3. */
const WANTED = `SELECT lower(hex(series)) AS series, labels FROM series WHERE tenant = ?1 AND name = ?2 AND NOT EXISTS
  (SELECT 1 FROM json_each(?3) AS l WHERE NOT EXISTS
    (SELECT 1 FROM json_each(series.labels) AS own WHERE own.key = l.key AND own.value = l.value))`;
const GIVEN = "s AS MATERIALIZED (SELECT unhex(value) AS series FROM json_each(?7) ORDER BY 1 DESC)";

/** By its order, and not max(): SQLite would walk all that lie between. */
const newestStart = (table: string, before: string) => `SELECT w.start_ms FROM ${table} AS w
  WHERE ${ASKED.replace("?5", before)} ORDER BY w.start_ms DESC LIMIT 1`;

/**
 * Jumps from start to start, and there to each series: costs by the starts and the series that are wanted, not by all
 * series. Stops at the limit, since the loops go on in the order in which they are written.
 */
const ofSomeSeries = (table: string) => `WITH RECURSIVE starts (at) AS (
    SELECT (${newestStart(table, "?5")})
    UNION ALL SELECT (${newestStart(table, "starts.at")}) FROM starts WHERE starts.at IS NOT NULL
  ), ${GIVEN}
  SELECT ${FOUND} FROM starts CROSS JOIN s CROSS JOIN ${table} AS w
  WHERE w.tenant = ?1 AND w.name = ?2 AND w."window" = ?3 AND w.start_ms = starts.at AND w.series = s.series
    AND ${IS_SEEN} LIMIT ?6`;

/** Each series has starts of its own. */
const sessionsOfSomeSeries = (table: string) => `WITH ${GIVEN}
  SELECT ${FOUND} FROM s CROSS JOIN ${table} AS w INDEXED BY ${table}_sessions
  WHERE w.series = s.series AND ${ASKED} AND ${IS_SESSION} AND ${IS_SEEN} ORDER BY ${NEWEST_FIRST} LIMIT ?6`;

/** Series that have the labels, and all of theirs as JSON; undefined where any will do. */
export async function wantedSeries(db: D1, query: WindowQuery): Promise<Map<string, string> | undefined> {
  const { tenant, name, labels } = query;
  if (Object.keys(labels).length === 0) return undefined;
  const { results } = await withDeadline("querying series", () =>
    db.prepare(WANTED).bind(tenant, name, JSON.stringify(labels)).all(),
  );
  return new Map(results.map((row) => [String(row.series), String(row.labels)]));
}

export function queryStatement(
  db: D1,
  { tenant, name, window, fromMs, toMs, limit }: WindowQuery,
  day: number,
  wanted: ReadonlyMap<string, string> | undefined,
): D1Statement {
  const table = tableOf("windows", day);
  const values = [tenant, name, window, fromMs, toMs, limit];
  if (!wanted) return db.prepare(ofAnySeries(table)).bind(...values);
  const sql = window.startsWith("session:") ? sessionsOfSomeSeries : ofSomeSeries;
  return db.prepare(sql(table)).bind(...values, JSON.stringify([...wanted.keys()]));
}
