// Tables by day on D1: raw rows by the record's time, windows by their start. A day is made by the commit that first
// writes to it, in its transaction, and dropped as a whole; `days` tells which there are. Nothing remembers what exists:
// another isolate may have dropped it.
import { dayText, type DayKind } from "./day.ts";
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { isTableGone } from "./d1-fault.ts";
import { eventsTable, logsTable, metricsTable, spansTable } from "./d1-raw-tables.ts";
import { windowsTable } from "./d1-windows-table.ts";

const TABLES: Record<DayKind, (table: string) => string[]> = {
  metrics: metricsTable,
  logs: logsTable,
  events: eventsTable,
  spans: spansTable,
  windows: windowsTable,
};

const ADD_DAY = "INSERT INTO days (kind, day) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const DAYS = "SELECT day FROM days WHERE kind = ?1 ORDER BY day DESC";

/** How often a query begins anew whose days are dropped meanwhile. */
const MAX_TRIES = 5;

/** As in `metrics_20261121`. */
export const tableOf = (kind: DayKind, day: number) => `${kind}_${dayText(day)}`;

/** What makes the days' tables where they are missing: before whatever writes to them, in the same batch. */
export function dayStatements(db: D1, kind: DayKind, days: Iterable<number>): D1Statement[] {
  return [...new Set(days)].flatMap((day) => [
    ...TABLES[kind](tableOf(kind, day)).map((sql) => db.prepare(sql)),
    db.prepare(ADD_DAY).bind(kind, day),
  ]);
}

/** The days that have a table, newest first. */
async function daysOf(db: D1, kind: DayKind): Promise<number[]> {
  const { results } = await withDeadline("reading the days", () => db.prepare(DAYS).bind(kind).all());
  return results.map(({ day }) => Number(day));
}

/** Does `work` on the days that there are, newest first; anew where one of them is dropped meanwhile. */
export async function overDays<T>(db: D1, kind: DayKind, work: (days: number[]) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const days = await daysOf(db, kind);
    try {
      return await work(days);
    } catch (error) {
      if (tries === MAX_TRIES || !isTableGone(error)) throw error;
    }
  }
}
