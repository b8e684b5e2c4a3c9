// Pages over the tables of days, the newest day first. They go by the rows' own sort key, which begins with the time, so
// a page is stable while rows are added and while days are dropped.
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";
import { tableOf } from "./d1-days.ts";
import { dayOfNanos, type RawKind } from "./day.ts";
import type { PageRequest } from "./storage.ts";

export type RawRow = Record<string, D1Value>;

/** A condition; `param` binds a value and gives the sign for it. */
export type Filter = (param: (value: D1Value) => string) => string;

export interface Pages {
  kind: RawKind;
  /** Named, since without statistics SQLite walks the tenant's whole time line for a name that is rare in it. */
  index: string | undefined;
  columns: string;
}

/** workerd lets a statement have five SELECTs beside each other. */
const DAYS_AT_ONCE = 4;

const HIDDEN = "SELECT 1 FROM sources WHERE is_visible = 0";
const LIMITED = "SELECT 1 FROM sources WHERE visible_until_ms IS NOT NULL";
/**
 * Not of an epoch that is still being built, nor what a later epoch tells anew. Mostly there is neither: that is asked
 * once a query, and no source is looked up (each look-up counts as a row read, which D1 bills).
 */
export const isSeen = (rows: string) => `((NOT EXISTS (${HIDDEN}) AND NOT EXISTS (${LIMITED}))
  OR NOT EXISTS (SELECT 1 FROM sources AS u WHERE u.id = ${rows}.source
    AND (u.is_visible = 0 OR ${rows}.time >= u.visible_until_ms * 1000000)))`;

/** @param days newest first */
export async function pageOfDays(
  db: D1,
  days: readonly number[],
  { kind, index, columns }: Pages,
  request: PageRequest,
  filters: readonly Filter[],
): Promise<RawRow[]> {
  const values: D1Value[] = [];
  const param: Parameters<Filter>[0] = (value) => `?${values.push(value)}`;
  const where = [`r.tenant = ${param(request.tenant)}`, isSeen("r")];
  if (request.from !== undefined) where.push(`r.time >= CAST(${param(request.from)} AS INTEGER)`);
  if (request.to !== undefined) where.push(`r.time < CAST(${param(request.to)} AS INTEGER)`);
  if (request.after !== undefined) {
    const { time, source, partition, offset, idx } = request.after;
    const place = [source, partition, offset, idx].map(param).join(", ");
    where.push(`(r.time, source, partition, offset, idx) < (CAST(${param(time)} AS INTEGER), ${place})`);
  }
  for (const filter of filters) where.push(filter(param));
  const limit = `?${values.length + 1}`;
  // Ordered by the column, not by the text that stands for it in the answer: no index is in the texts' order.
  const ofDay = (table: string) => `SELECT * FROM (
    SELECT CAST(r.time AS TEXT) AS time, source, partition, offset, idx, ${columns}
    FROM ${table} AS r ${index === undefined ? "" : `INDEXED BY ${table}_${index}`}
    WHERE ${where.join(" AND ")}
    ORDER BY r.time DESC, source DESC, partition DESC, offset DESC, idx DESC LIMIT ${limit})`;
  const asked = daysWithin(days, request);
  const found: RawRow[] = [];
  for (let at = 0; at < asked.length && found.length < request.limit; at += DAYS_AT_ONCE) {
    const tables = asked.slice(at, at + DAYS_AT_ONCE).map((day) => tableOf(kind, day));
    // SQLite goes from one SELECT to the next, and no further than the limit lets it.
    const sql = `${tables.map(ofDay).join("\n UNION ALL ")} LIMIT ${limit}`;
    const { results } = await withDeadline(`querying ${kind}`, () =>
      db
        .prepare(sql)
        .bind(...values, request.limit - found.length)
        .all(),
    );
    found.push(...results);
  }
  return found;
}

function daysWithin(days: readonly number[], { from, to, after }: PageRequest): number[] {
  const first = from === undefined ? -Infinity : dayOfNanos(from);
  // A day that begins at `to` is asked in vain.
  const last = Math.min(
    ...[to, after?.time].map((time) => (time === undefined ? Infinity : dayOfNanos(time))),
  );
  return days.filter((day) => day >= first && day <= last);
}
