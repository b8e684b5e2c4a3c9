// Looking up windows of series on D1, by their exact start or within a span of starts.
import type { D1, D1Statement, D1Value } from "./d1-database.ts";
import { overDays, tableOf } from "./d1-days.ts";
import { isTableGone } from "./d1-fault.ts";
import { elementsOf, jsonChunks } from "./d1-json.ts";
import { IS_SESSION } from "./d1-windows-table.ts";
import type { PartitionSource } from "./storage.ts";
import type { Span, SpansOfDay } from "./window-days.ts";

/** Of every statement on a partition's windows these are ?1 to ?4. */
export const SOURCE = "(SELECT id FROM sources WHERE topic = ?1 AND incarnation = ?2 AND epoch = ?3)";
export const OWN = `source = ${SOURCE} AND partition = ?4`;

export const valuesOf = ({ topic, incarnation, epoch, partition }: PartitionSource): D1Value[] => [
  topic,
  incarnation,
  epoch,
  partition,
];

/** ?5: arrays of number, tenant, name, window, series and start. */
const atStarts = (table: string) => `WITH ${elementsOf(5, "l")}
  SELECT l.value ->> 0 AS place, w.start_ms, w.end_ms, w.due_ms, w.revision, w.state FROM l CROSS JOIN ${table} AS w
  WHERE w.tenant = l.value ->> 1 AND w.name = l.value ->> 2 AND w."window" = l.value ->> 3
    AND w.series = unhex(l.value ->> 4) AND w.start_ms = l.value ->> 5 AND w.${OWN}`;

/** ?5: as above, from the start to a last one. */
const inSpans = (table: string, index: string, condition: string) => `WITH ${elementsOf(5, "l")}
  SELECT l.value ->> 0 AS place, w.start_ms, w.end_ms, w.due_ms, w.revision, w.state FROM l CROSS JOIN ${table} AS w ${index}
  WHERE w.series = unhex(l.value ->> 4) AND w."window" = l.value ->> 3 AND w.tenant = l.value ->> 1
    AND w.name = l.value ->> 2 AND w.start_ms BETWEEN l.value ->> 5 AND l.value ->> 6 AND w.${OWN} ${condition}`;

export function lookupStatements(
  db: D1,
  source: PartitionSource,
  day: number,
  { exact, sessions, others }: SpansOfDay,
): D1Statement[] {
  const table = tableOf("windows", day);
  const run = (sql: string, spans: readonly Span[]) => {
    const values = spans.map((one) => [
      one.place,
      one.tenant,
      one.name,
      one.window,
      one.series,
      one.fromMs,
      one.toMs,
    ]);
    return [...jsonChunks(values)].map((chunk) => db.prepare(sql).bind(...valuesOf(source), chunk));
  };
  return [
    ...run(atStarts(table), exact),
    ...run(inSpans(table, `INDEXED BY ${table}_sessions`, `AND ${IS_SESSION}`), sessions),
    ...run(inSpans(table, "", ""), others),
  ];
}

/** Does `work` on those of the days that have a table: mostly all, so they are looked for only where one is missing. */
export async function onDays(
  db: D1,
  days: readonly number[],
  work: (days: number[]) => Promise<void>,
): Promise<void> {
  try {
    await work([...days]);
  } catch (error) {
    if (!isTableGone(error)) throw error;
    await overDays(db, "windows", (there) => work(days.filter((day) => there.includes(day))));
  }
}
