// What a commit writes of windows on PostgreSQL. Every statement names the days it is about, so that the others are not
// looked at, however many there are.
import { DAY_MS } from "../day.ts";
import type { PartitionCommit, PartitionSource, StoredWindow, WindowPlace } from "../storage.ts";
import { inKeyOrder, newestStarts, windowsByDay } from "../window-days.ts";
import type { Statement } from "./rows.ts";
import type { Value } from "./session.ts";
import { arrayOf, storedLabels, storedText } from "./text.ts";

/** Of every statement on a partition's windows these are $1 to $4. */
const SOURCE =
  "(SELECT id FROM sources WHERE topic = $1::text AND incarnation = $2::bigint AND epoch = $3::bigint)";
export const OWN = `source = ${SOURCE} AND partition = $4::integer`;
/** $5 and $6: the day. */
export const OF_DAY = `w.start_ms >= $5::bigint AND w.start_ms < $6::bigint AND w.${OWN}`;

const KEY = `tenant, name, "window", start_ms, series, source, partition`;

const PUT = `INSERT INTO windows (${KEY}, end_ms, due_ms, revision, state)
  SELECT tenant, name, "window", start_ms, series::uuid, ${SOURCE}, $4::integer, end_ms, due_ms, revision, state
  FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[],
    $12::integer[], $13::text[]) AS r (tenant, name, "window", start_ms, series, end_ms, due_ms, revision, state)
  ON CONFLICT (${KEY}) DO UPDATE SET
    end_ms = excluded.end_ms, due_ms = excluded.due_ms, revision = excluded.revision, state = excluded.state`;

const REMOVE = `DELETE FROM windows AS w
  USING unnest($7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[])
    AS r (tenant, name, "window", start_ms, series)
  WHERE w.tenant = r.tenant AND w.name = r.name AND w."window" = r."window" AND w.start_ms = r.start_ms
    AND w.series = r.series::uuid AND ${OF_DAY}`;

/** $7: the day's number. */
const FIRST_DUE = `(SELECT min(w.due_ms) FROM windows AS w WHERE w.due_ms IS NOT NULL AND ${OF_DAY})`;
const FORGET_DUE = `DELETE FROM due_days WHERE ${OWN} AND day = $7::integer AND ${FIRST_DUE} IS NULL`;
const NOTE_DUE = `INSERT INTO due_days (source, partition, day, next_due_ms)
  SELECT ${SOURCE}, $4::integer, $7::integer, due.next_ms FROM (SELECT ${FIRST_DUE} AS next_ms) AS due
  WHERE due.next_ms IS NOT NULL
  ON CONFLICT (source, partition, day) DO UPDATE SET next_due_ms = excluded.next_due_ms
    WHERE due_days.next_due_ms <> excluded.next_due_ms`;

const NOTE_NEWEST = `INSERT INTO newest_windows (source, partition, "window", start_ms)
  SELECT ${SOURCE}, $4::integer, "window", start_ms FROM unnest($5::text[], $6::bigint[]) AS r ("window", start_ms)
  ON CONFLICT (source, partition, "window") DO UPDATE SET start_ms = excluded.start_ms
    WHERE newest_windows.start_ms < excluded.start_ms`;

/** In the order of their key: two partitions that see the same series for the first time wait for each other in turn. */
const ADD_SERIES = `INSERT INTO series (tenant, name, series, labels, seen_day)
  SELECT DISTINCT ON (tenant, name, series) tenant, name, series::uuid, labels, day
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[]) AS r (tenant, name, series, labels, day)
  ORDER BY tenant, name, series, day DESC
  ON CONFLICT (tenant, name, series) DO UPDATE SET seen_day = excluded.seen_day
    WHERE series.seen_day < excluded.seen_day`;

/** The server parses a statement's parameters whole: some megabytes at a time. */
const MAX_CHUNK_CHARS = 4_000_000;

/** @returns the days whose partitions must be there, and what is to be sent after that, in this order */
export function windowStatements(commit: PartitionCommit): { days: Set<number>; statements: Statement[] } {
  const { group, topic, partition, next } = commit;
  const { put, removed, series } = commit.windows;
  const source = valuesOf({ ...next, group, topic, partition });
  const gone = windowsByDay(removed);
  const days = new Set([...gone.keys(), ...windowsByDay(put).keys()]);
  const statements: Statement[] = [];
  const send = (sql: string, values: Value[]) => statements.push({ sql, values });
  for (const [day, places] of gone) send(REMOVE, [...source, ...boundsOf(day), ...keysOf(places)]);
  for (const chunk of chunksOf(inKeyOrder(put))) {
    send(PUT, [
      ...source,
      ...keysOf(chunk),
      arrayOf(chunk.map(({ endMs }) => endMs)),
      arrayOf(chunk.map(({ dueMs }) => dueMs)),
      arrayOf(chunk.map(({ revision }) => revision)),
      arrayOf(chunk.map(({ state }) => storedText(state))),
    ]);
  }
  for (const day of days)
    for (const sql of [NOTE_DUE, FORGET_DUE]) send(sql, [...source, ...boundsOf(day), day]);
  if (put.length > 0) {
    const newest = [...newestStarts(put)];
    const ids = newest.map(([window]) => storedText(window));
    send(NOTE_NEWEST, [...source, arrayOf(ids), arrayOf(newest.map(([, startMs]) => startMs))]);
  }
  if (series.length > 0) {
    send(ADD_SERIES, [
      arrayOf(series.map(({ tenant }) => storedText(tenant))),
      arrayOf(series.map(({ name }) => storedText(name))),
      arrayOf(series.map((one) => one.series)),
      arrayOf(series.map(({ labels }) => storedLabels(labels))),
      arrayOf(series.map(({ day }) => day)),
    ]);
  }
  return { days, statements };
}

export function valuesOf({ topic, incarnation, epoch, partition }: PartitionSource): Value[] {
  return [storedText(topic), incarnation, epoch, partition];
}

export const boundsOf = (day: number) => [day * DAY_MS, (day + 1) * DAY_MS];

const keysOf = (places: readonly WindowPlace[]): Value[] => [
  arrayOf(places.map(({ tenant }) => storedText(tenant))),
  arrayOf(places.map(({ name }) => storedText(name))),
  arrayOf(places.map(({ window }) => storedText(window))),
  arrayOf(places.map(({ startMs }) => startMs)),
  arrayOf(places.map(({ series }) => series)),
];

function* chunksOf(windows: readonly StoredWindow[]): Generator<StoredWindow[]> {
  let chunk: StoredWindow[] = [];
  let chars = 0;
  for (const window of windows) {
    const size = window.tenant.length + window.name.length + window.state.length + 100;
    if (chunk.length > 0 && chars + size > MAX_CHUNK_CHARS) {
      yield chunk;
      chunk = [];
      chars = 0;
    }
    chunk.push(window);
    chars += size;
  }
  if (chunk.length > 0) yield chunk;
}
