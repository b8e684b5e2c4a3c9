// Records as rows of D1, in the tables of their days. A row's key is its place in Kafka and the source's epoch: a group
// that reads it again finds it there already.
import type { RecordOf, Signal } from "../telemetry/signal.ts";
import type { D1, D1Statement } from "./d1-database.ts";
import { dayStatements, tableOf } from "./d1-days.ts";
import { elementsOf, jsonChunks } from "./d1-json.ts";
import { insertPoints, isExact, isPoint, pointChunks } from "./d1-points.ts";
import { RAW_KIND, type DailyRows, type TimedRow } from "./day.ts";
import type { PartitionCommit } from "./storage.ts";

/** Queries see what the first epoch stored, until someone switches to a later one. */
const ADD_SOURCE = `INSERT INTO sources (topic, incarnation, epoch, is_visible) VALUES (?1, ?2, ?3, ?3 = 0)
  ON CONFLICT DO NOTHING`;

/** ?1 rows, ?2 topic, ?3 incarnation, ?4 epoch, ?5 partition. The rows' first four places are the same for all signals. */
const PLACE = "r.value ->> 0, CAST(r.value ->> 1 AS INTEGER), s.id, ?5, r.value ->> 2, r.value ->> 3";
const FROM_ROWS = `FROM r, sources AS s WHERE s.topic = ?2 AND s.incarnation = ?3 AND s.epoch = ?4
  ON CONFLICT DO NOTHING`;

/** A JSON value, or NULL where it is JSON's null. */
const orNull = (place: number) =>
  `CASE json_type(r.value, '$[${place}]') WHEN 'null' THEN NULL ELSE r.value -> ${place} END`;

/** The columns of a signal behind the place, and where the values stand in a row. */
const COLUMNS: Record<Signal, { names: string; values: string }> = {
  metrics: {
    names: "name, value, exact, labels, kind, detail",
    values: `r.value ->> 4, r.value ->> 5, r.value ->> 6, r.value -> 7, r.value ->> 8, ${orNull(9)}`,
  },
  logs: {
    names: "level, service, host, message, attributes, detail",
    values: `r.value ->> 4, r.value ->> 5, r.value ->> 6, r.value ->> 7, r.value -> 8, ${orNull(9)}`,
  },
  events: {
    names: "event_type, id, key, data, attributes",
    values: `r.value ->> 4, r.value ->> 5, r.value ->> 6, r.value -> 7, ${orNull(8)}`,
  },
  traces: {
    names: `trace_id, span_id, parent_span_id, name, kind, status, service, host, duration, attributes, detail`,
    values: `r.value ->> 4, r.value ->> 5, r.value ->> 6, r.value ->> 7, r.value ->> 8, r.value ->> 9,
      r.value ->> 10, r.value ->> 11, CAST(r.value ->> 12 AS INTEGER), r.value -> 13, r.value -> 14`,
  },
};

const insertInto = (table: string, signal: Signal) =>
  `WITH ${elementsOf(1)}
  INSERT INTO ${table} (tenant, time, source, partition, offset, idx, ${COLUMNS[signal].names})
    SELECT ${PLACE}, ${COLUMNS[signal].values} ${FROM_ROWS}`;

/** The values in the order of COLUMNS. */
const VALUES: { [S in Signal]: (record: RecordOf[S]) => unknown[] } = {
  metrics: ({ name, value, labels, kind, detail }) => {
    const number = typeof value === "number" ? value : null;
    return [name, number, exactText(value), labels, kind ?? null, detail ?? null];
  },
  logs: ({ level, service, host, message, attributes, detail }) => [
    level,
    service ?? null,
    host ?? null,
    message,
    attributes,
    detail ?? null,
  ],
  events: ({ event_type: eventType, id, key, data, attributes }) => [
    eventType,
    id ?? null,
    key ?? null,
    data,
    attributes ?? null,
  ],
  traces: (span) => [
    span.trace_id,
    span.span_id,
    span.parent_span_id ?? null,
    span.name,
    span.kind,
    span.status,
    span.service ?? null,
    span.host ?? null,
    span.duration_ns,
    span.attributes,
    span.detail,
  ],
};

const INSERT_DEAD = `WITH ${elementsOf(1)} INSERT INTO dead_letters (source, partition, offset, idx, group_id, tenant, original_key,
    original_value, error, error_type, attempts, dlq_timestamp)
  SELECT s.id, ?5, r.value ->> 0, r.value ->> 1, ?6, r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5,
    r.value ->> 6, r.value ->> 7, ?7 ${FROM_ROWS}`;

/** @returns what adds a commit's rows and dead letters, the days' tables that they are in, and the source that they are of */
export function rowStatements(
  db: D1,
  commit: PartitionCommit,
  daily: DailyRows,
  committedAt: string,
): D1Statement[] {
  const { group, topic, partition, next, deadLetters } = commit;
  const statements = [db.prepare(ADD_SOURCE).bind(topic, next.incarnation, next.epoch)];
  const insert = (sql: string, chunks: Iterable<string>, ...rest: string[]) => {
    const prepared = db.prepare(sql);
    for (const chunk of chunks) {
      statements.push(prepared.bind(chunk, topic, next.incarnation, next.epoch, partition, ...rest));
    }
  };
  const insertDays = <S extends Signal>(signal: S, days: ReadonlyMap<number, readonly TimedRow<S>[]>) => {
    const kind = RAW_KIND[signal];
    statements.push(...dayStatements(db, kind, days.keys()));
    for (const [day, rows] of days) {
      const values = rows.map(({ tenant, time, offset, index, record }) => [
        tenant,
        time,
        offset,
        index,
        ...VALUES[signal](record),
      ]);
      insert(insertInto(tableOf(kind, day), signal), jsonChunks(values));
    }
  };
  const { points, others } = pointsApart(daily.metrics);
  insertDays("metrics", others);
  for (const [day, rows] of points) insert(insertPoints(tableOf("metrics", day)), pointChunks(rows));
  insertDays("logs", daily.logs);
  insertDays("events", daily.events);
  insertDays("traces", daily.traces);
  const letters = deadLetters.map((dead) => [
    dead.offset,
    dead.index,
    dead.tenant,
    dead.originalKey,
    dead.originalValue,
    dead.error,
    dead.errorType,
    dead.attempts,
  ]);
  insert(INSERT_DEAD, jsonChunks(letters), group, committedAt);
  return statements;
}

/** Both of the same days, which have their tables made also where nothing is left. */
function pointsApart(days: DailyRows["metrics"]): Record<"points" | "others", DailyRows["metrics"]> {
  const points: DailyRows["metrics"] = new Map();
  const others: DailyRows["metrics"] = new Map();
  for (const [day, rows] of days) {
    const [simple, rest]: [typeof rows, typeof rows] = [[], []];
    for (const row of rows) (isPoint(row) ? simple : rest).push(row);
    points.set(day, simple);
    others.set(day, rest);
  }
  return { points, others };
}

function exactText(value: number | string | null): string | null {
  if (typeof value !== "number") return value;
  return isExact(value) ? null : String(value);
}
