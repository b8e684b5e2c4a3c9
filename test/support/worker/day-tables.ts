// Raw rows as they stand in D1, over the tables of all days: for what no query of the API tells.
import { env } from "cloudflare:test";
import { tableOf } from "../../../lib/storage/d1-days.ts";
import type { DayKind } from "../../../lib/storage/day.ts";

/** @param where with `?` for each of `values` */
export async function rowsOfDays<T = Record<string, unknown>>(
  kind: DayKind,
  columns: string,
  where: string,
  ...values: (string | number)[]
): Promise<T[]> {
  const { results: days } = await env.DB.prepare("SELECT day FROM days WHERE kind = ? ORDER BY day DESC")
    .bind(kind)
    .all<{ day: number }>();
  const rows: T[] = [];
  for (const { day } of days) {
    const { results } = await env.DB.prepare(`SELECT ${columns} FROM ${tableOf(kind, day)} WHERE ${where}`)
      .bind(...values)
      .all<T>();
    rows.push(...results);
  }
  return rows;
}
