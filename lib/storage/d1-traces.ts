// Traces on D1: their spans may lie in the tables of several days.
import { withDeadline, type D1 } from "./d1-database.ts";
import { tableOf } from "./d1-days.ts";
import { isSeen, type RawRow } from "./d1-pages.ts";

/** Spans of a trace that are looked at for its row in the list: a trace may have very many, and a page many traces. */
const MAX_SUMMED_SPANS = 1_000;

/** An isolate has 128 MB for all its requests. */
const MAX_TRACE_BYTES = 8_000_000;

/** What D1 takes (developers.cloudflare.com/d1/platform/limits). */
const MAX_ROW_BYTES = 2_000_000;

/** Of D1's hundred columns, and of its 100 KB of SQL. */
const DAYS_AT_ONCE = 50;

/** Statements of one batch. */
const SUMS_AT_ONCE = 16;

export interface TraceSum {
  spans: number;
  errors: number;
  services: Set<string>;
}

/** Named, SQLite else takes the tenant's whole time line for the index. */
const from = (day: number, name: string) => {
  const table = tableOf("spans", day);
  return `FROM ${table} AS ${name} INDEXED BY ${table}_by_trace`;
};

/** ?1 tenant, ?2 ids. */
const sumOfDay = (day: number) => `SELECT t.value AS trace_id, (
    SELECT json_array(count(*), count(*) FILTER (WHERE status = 'error'),
      json_group_array(DISTINCT service) FILTER (WHERE service IS NOT NULL))
    FROM (SELECT o.status, o.service ${from(day, "o")}
      WHERE o.tenant = ?1 AND o.trace_id = t.value AND ${isSeen("o")} LIMIT ${MAX_SUMMED_SPANS})) AS told
  FROM json_each(?2) AS t`;

/** What the spans of traces tell, of at most MAX_SUMMED_SPANS a day. @param days newest first */
export async function sumTraces(
  db: D1,
  days: readonly number[],
  tenant: string,
  ids: readonly string[],
): Promise<Map<string, TraceSum>> {
  const sums = new Map<string, TraceSum>(
    ids.map((id) => [id, { spans: 0, errors: 0, services: new Set<string>() }]),
  );
  if (ids.length === 0) return sums;
  const asked = JSON.stringify([...sums.keys()]);
  const earliestFirst = days.toReversed();
  for (let at = 0; at < earliestFirst.length; at += SUMS_AT_ONCE) {
    const statements = earliestFirst
      .slice(at, at + SUMS_AT_ONCE)
      .map((day) => db.prepare(sumOfDay(day)).bind(tenant, asked));
    const answers = await withDeadline("summing traces up", () => db.batch(statements));
    for (const { trace_id: id, told } of answers.flatMap(({ results }) => results)) {
      const sum = sums.get(String(id));
      if (!sum) continue;
      const [spans, errors, services] = JSON.parse(String(told)) as [number, number, string[]];
      sum.spans = Math.min(sum.spans + spans, MAX_SUMMED_SPANS);
      sum.errors = Math.min(sum.errors + errors, MAX_SUMMED_SPANS);
      for (const service of services) sum.services.add(service);
    }
  }
  return sums;
}

const OF_TRACE = `WHERE s.tenant = ?1 AND s.trace_id = ?2 AND ${isSeen("s")}`;

/** A number for each of the days. @param column tells it of one day */
async function byDay(
  db: D1,
  days: readonly number[],
  column: (day: number) => string,
  tenant: string,
  traceId: string,
): Promise<{ day: number; value: number }[]> {
  const found: { day: number; value: number }[] = [];
  for (let at = 0; at < days.length; at += DAYS_AT_ONCE) {
    const some = days.slice(at, at + DAYS_AT_ONCE);
    const columns = some.map((day, i) => `${column(day)} AS d${i}`).join(",\n");
    const { results } = await withDeadline("looking for a trace", () =>
      db.prepare(`SELECT ${columns}`).bind(tenant, traceId).all(),
    );
    for (const [i, day] of some.entries()) found.push({ day, value: Number(results[0]?.[`d${i}`]) });
  }
  return found;
}

/** @param days newest first */
export async function countSpans(
  db: D1,
  days: readonly number[],
  tenant: string,
  traceId: string,
): Promise<number> {
  const counted = await byDay(
    db,
    days,
    (day) => `(SELECT count(*) ${from(day, "s")} ${OF_TRACE})`,
    tenant,
    traceId,
  );
  return counted.reduce((sum, { value }) => sum + value, 0);
}

const PLACE_ORDER = "s.time, source, partition, offset, idx";

/** ?3 rows, ?4 bytes, at most. */
const spansOfDay = (
  day: number,
) => `SELECT CAST(s.time AS TEXT) AS time, source, partition, offset, idx, trace_id,
    span_id, parent_span_id, name, kind, status, service, host, duration, attributes, detail, bytes
  FROM (SELECT *, sum(length(attributes) + length(detail)) OVER (ORDER BY ${PLACE_ORDER}) AS bytes
    ${from(day, "s")} ${OF_TRACE} ORDER BY ${PLACE_ORDER} LIMIT ?3) AS s
  WHERE bytes <= ?4 ORDER BY ${PLACE_ORDER}`;

/** Earliest first. @param days newest first */
export async function spansOfTrace(
  db: D1,
  days: readonly number[],
  tenant: string,
  traceId: string,
  limit: number,
): Promise<RawRow[]> {
  const there = await byDay(
    db,
    days,
    (day) => `EXISTS (SELECT 1 ${from(day, "s")} ${OF_TRACE})`,
    tenant,
    traceId,
  );
  const found: RawRow[] = [];
  let bytes = 0;
  for (const { day } of there.filter(({ value }) => value > 0).toReversed()) {
    const left = limit - found.length;
    if (left <= 0) break;
    const { results } = await withDeadline("querying a trace", () =>
      db
        .prepare(spansOfDay(day))
        .bind(tenant, traceId, left, MAX_TRACE_BYTES - bytes)
        .all(),
    );
    found.push(...results);
    bytes += Number(results.at(-1)?.bytes ?? 0);
    // The next span of this day may not have fitted: those of a later day would leave a gap.
    if (MAX_TRACE_BYTES - bytes < MAX_ROW_BYTES) break;
  }
  return found;
}
