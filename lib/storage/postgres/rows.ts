// Rows and dead letters of a commit, on their way into their tables: an array for each column, so that one statement
// carries thousands (unnest).
import type { DailyRows, TimedRow } from "../day.ts";
import type { DeadLetter } from "../storage.ts";
import type { RecordOf, Signal } from "../../telemetry/signal.ts";
import type { Value } from "./session.ts";
import { arrayOf, storedLabels, storedText } from "./text.ts";

interface Column<T> {
  name: string;
  type: "text" | "bigint" | "integer" | "double precision";
  of: (value: T) => Value;
}

/** Where the rows of a commit belong: `$1` to `$4` of every insert. */
export interface Place {
  topic: string;
  incarnation: number;
  epoch: number;
  partition: number;
}

/** The server parses a statement's parameters whole: some megabytes at a time. */
const MAX_CHUNK_CHARS = 4_000_000;

/** What 64 bits hold; a longer duration counts as this. */
const MAX_BIGINT = 9_223_372_036_854_775_807n;

const text = <T>(name: string, of: (value: T) => string | null | undefined): Column<T> => ({
  name,
  type: "text",
  of: (value) => {
    const found = of(value);
    return found === null || found === undefined ? null : storedText(found);
  },
});

/** As JSON text, where NUL is written as an escape and needs no other form. */
const json = <T>(name: string, of: (value: T) => unknown): Column<T> => ({
  name,
  type: "text",
  of: (value) => {
    const found = of(value);
    return found === undefined ? null : JSON.stringify(found);
  },
});

const PLACE: Column<TimedRow<Signal>>[] = [
  text("tenant", (row) => row.tenant),
  { name: "time", type: "bigint", of: (row) => row.time },
  { name: `"offset"`, type: "bigint", of: (row) => row.offset },
  { name: "idx", type: "integer", of: (row) => row.index },
];

const METRIC: Column<RecordOf["metrics"]>[] = [
  text("name", ({ name }) => name),
  {
    name: "value",
    type: "double precision",
    of: ({ value }) => (typeof value === "number" ? value : null),
  },
  text("exact", ({ value }) => (typeof value === "string" ? value : null)),
  { name: "labels", type: "text", of: ({ labels }) => storedLabels(labels) },
  text("kind", ({ kind }) => kind),
  json("detail", ({ detail }) => detail),
];

const LOG: Column<RecordOf["logs"]>[] = [
  text("level", ({ level }) => level),
  text("service", ({ service }) => service),
  text("host", ({ host }) => host),
  text("message", ({ message }) => message),
  json("attributes", ({ attributes }) => attributes),
  json("detail", ({ detail }) => detail),
];

const EVENT: Column<RecordOf["events"]>[] = [
  text("event_type", ({ event_type: eventType }) => eventType),
  text("id", ({ id }) => id),
  text("key", ({ key }) => key),
  json("data", ({ data }) => data),
  json("attributes", ({ attributes }) => attributes),
];

const SPAN: Column<RecordOf["traces"]>[] = [
  text("trace_id", (span) => span.trace_id),
  text("span_id", (span) => span.span_id),
  text("parent_span_id", (span) => span.parent_span_id),
  text("name", ({ name }) => name),
  text("kind", ({ kind }) => kind),
  text("status", ({ status }) => status),
  text("service", ({ service }) => service),
  text("host", ({ host }) => host),
  { name: "duration", type: "bigint", of: (span) => storableDuration(span.duration_ns) },
  json("attributes", ({ attributes }) => attributes),
  json("detail", ({ detail }) => detail),
];

interface DeadRow {
  dead: DeadLetter;
  group: string;
  deadAt: string;
}

const DEAD: Column<DeadRow>[] = [
  { name: `"offset"`, type: "bigint", of: ({ dead }) => dead.offset },
  { name: "idx", type: "integer", of: ({ dead }) => dead.index },
  text("group_id", ({ group }) => group),
  text("tenant", ({ dead }) => dead.tenant),
  text("original_key", ({ dead }) => dead.originalKey),
  text("original_value", ({ dead }) => dead.originalValue),
  text("error", ({ dead }) => dead.error),
  text("error_type", ({ dead }) => dead.errorType),
  { name: "attempts", type: "integer", of: ({ dead }) => dead.attempts },
  text("dlq_timestamp", ({ deadAt }) => deadAt),
];

const ofRecord = <S extends Signal>(columns: Column<RecordOf[S]>[]): Column<TimedRow<S>>[] => [
  ...PLACE,
  ...columns.map(({ name, type, of }) => ({ name, type, of: (row: TimedRow<S>) => of(row.record) })),
];

const METRIC_ROW = ofRecord<"metrics">(METRIC);
const LOG_ROW = ofRecord<"logs">(LOG);
const EVENT_ROW = ofRecord<"events">(EVENT);
const SPAN_ROW = ofRecord<"traces">(SPAN);

/** A statement with its parameters, ready to be sent. */
export interface Statement {
  sql: string;
  values: Value[];
}

export function insertsOf(
  daily: DailyRows,
  deadLetters: readonly DeadLetter[],
  { group, deadAt, ...place }: Place & { group: string; deadAt: string },
): Statement[] {
  const dead = deadLetters.map((one) => ({ dead: one, group, deadAt }));
  return [
    ...insertsInto("metrics", METRIC_ROW, [...daily.metrics.values()].flat(), place),
    ...insertsInto("logs", LOG_ROW, [...daily.logs.values()].flat(), place),
    ...insertsInto("events", EVENT_ROW, [...daily.events.values()].flat(), place),
    ...insertsInto("spans", SPAN_ROW, [...daily.traces.values()].flat(), place),
    ...insertsInto("dead_letters", DEAD, dead, place),
  ];
}

/** A row's key is its place in Kafka: a group that starts anew, or a restored database, finds it there already. */
function insertsInto<T>(
  table: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
  { topic, incarnation, epoch, partition }: Place,
): Statement[] {
  if (rows.length === 0) return [];
  const names = columns.map(({ name }) => name).join(", ");
  const arrays = columns.map(({ type }, i) => `$${i + 5}::${type}[]`).join(", ");
  const selected = columns.map(({ name }) => `r.${name}`).join(", ");
  const sql = `INSERT INTO ${table} (source, partition, ${names})
    SELECT s.id, $4::integer, ${selected} FROM unnest(${arrays}) AS r (${names}), sources AS s
    WHERE s.topic = $1 AND s.incarnation = $2::bigint AND s.epoch = $3::bigint ON CONFLICT DO NOTHING`;
  return [...chunks(columns, rows)].map((arrays) => ({
    sql,
    values: [storedText(topic), incarnation, epoch, partition, ...arrays.map(arrayOf)],
  }));
}

/** The columns' values, so many rows at a time as are of MAX_CHUNK_CHARS (a single larger row stands alone). */
function* chunks<T>(columns: readonly Column<T>[], rows: readonly T[]): Generator<Value[][]> {
  let arrays: Value[][] = columns.map(() => []);
  let chars = 0;
  for (const row of rows) {
    const values = columns.map(({ of }) => of(row));
    const size = values.reduce<number>(
      (sum, value) => sum + (typeof value === "string" ? value.length : 8),
      0,
    );
    if (chars > 0 && chars + size > MAX_CHUNK_CHARS) {
      yield arrays;
      arrays = columns.map(() => []);
      chars = 0;
    }
    for (const [i, value] of values.entries()) arrays[i]?.push(value);
    chars += size;
  }
  if (chars > 0) yield arrays;
}

function storableDuration(nanos: string): string {
  // Most are far below it.
  if (nanos.length < 19) return nanos;
  return BigInt(nanos) > MAX_BIGINT ? MAX_BIGINT.toString() : nanos;
}
