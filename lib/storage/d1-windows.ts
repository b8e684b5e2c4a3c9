// Windows on D1, in a table for each day of their starts. A commit costs by the windows that it changes, and a question
// by those that it is told of, however many days there are: `due_days` tells where something is due.
import { withDeadline, type D1, type D1Statement, type D1Value } from "./d1-database.ts";
import { dayStatements, overDays, tableOf } from "./d1-days.ts";
import { elementsOf, jsonChunks } from "./d1-json.ts";
import { lookupStatements, onDays, OWN, SOURCE, valuesOf } from "./d1-window-lookup.ts";
import { queryStatement, wantedSeries } from "./d1-window-query.ts";
import { dayOf } from "./day.ts";
import type {
  FoundWindow,
  PartitionCommit,
  QueryStore,
  StoredWindow,
  StreamStore,
  WindowPlace,
} from "./storage.ts";
import { FoundWindows, inKeyOrder, newestStarts, spansByDay, windowsByDay } from "./window-days.ts";

const KEY = `tenant, name, "window", start_ms, series, source, partition`;

/** ?5: arrays. Where the source is missing NOT NULL refuses it. */
const put = (
  table: string,
) => `WITH ${elementsOf(5)} INSERT INTO ${table} (${KEY}, end_ms, due_ms, revision, state)
  SELECT r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3, unhex(r.value ->> 4), ${SOURCE}, ?4,
    r.value ->> 5, r.value ->> 6, r.value ->> 7, r.value ->> 8 FROM r WHERE true
  ON CONFLICT (${KEY}) DO UPDATE SET end_ms = excluded.end_ms, due_ms = excluded.due_ms,
    revision = excluded.revision, state = excluded.state`;

const remove = (
  table: string,
) => `WITH ${elementsOf(5)} DELETE FROM ${table} WHERE (${KEY}) IN (SELECT r.value ->> 0, r.value ->> 1,
    r.value ->> 2, r.value ->> 3, unhex(r.value ->> 4), ${SOURCE}, ?4 FROM r)`;

const ofDue = (table: string) => `FROM ${table} INDEXED BY ${table}_due WHERE ${OWN}`;
/** By its order, and not min(): SQLite would walk all that is due. */
const firstDue = (table: string) =>
  `SELECT due_ms ${ofDue(table)} AND due_ms IS NOT NULL ORDER BY due_ms LIMIT 1`;
/** ?5: the day. */
const noteDue = (table: string) => `INSERT INTO due_days (source, partition, day, next_due_ms)
  SELECT ${SOURCE}, ?4, ?5, due.due_ms FROM (${firstDue(table)}) AS due WHERE true
  ON CONFLICT (source, partition, day) DO UPDATE SET next_due_ms = excluded.next_due_ms
    WHERE next_due_ms <> excluded.next_due_ms`;
const forgetDue = (table: string) =>
  `DELETE FROM due_days WHERE ${OWN} AND day = ?5 AND NOT EXISTS (${firstDue(table)})`;

const NOTE_NEWEST = `INSERT INTO newest_windows (source, partition, "window", start_ms)
  SELECT ${SOURCE}, ?4, r.value ->> 0, r.value ->> 1 FROM json_each(?5) AS r WHERE true
  ON CONFLICT (source, partition, "window") DO UPDATE SET start_ms = excluded.start_ms
    WHERE start_ms < excluded.start_ms`;

const ADD_SERIES = `WITH ${elementsOf(1)} INSERT INTO series (tenant, name, series, labels, seen_day)
  SELECT r.value ->> 0, r.value ->> 1, unhex(r.value ->> 2), r.value -> 3, r.value ->> 4 FROM r
  WHERE true ON CONFLICT (tenant, name, series) DO UPDATE SET seen_day = excluded.seen_day
    WHERE seen_day < excluded.seen_day`;

const DUE_DAYS = `SELECT day FROM due_days WHERE ${OWN} AND next_due_ms <= ?5 ORDER BY day`;
const due = (
  table: string,
) => `SELECT tenant, name, "window", start_ms, lower(hex(series)) AS series, end_ms, due_ms,
    revision, state ${ofDue(table)} AND due_ms <= ?5 ORDER BY due_ms LIMIT ?6`;

const HORIZON = `SELECT NULL AS "window", min(next_due_ms) AS at FROM due_days WHERE ${OWN}
  UNION ALL SELECT "window", start_ms FROM newest_windows WHERE ${OWN}`;

const LABELS = `WITH ${elementsOf(1, "p")}
  SELECT lower(hex(s.series)) AS series, s.labels FROM p CROSS JOIN series AS s
  WHERE s.tenant = p.value ->> 0 AND s.name = p.value ->> 1 AND s.series = unhex(p.value ->> 2)`;

/** Days that are queried at once, at most: each may give as many rows as are asked for. */
const MAX_QUERIED_DAYS = 8;

/** Days of which what is due is read at once. Mostly there is one. */
const MAX_DUE_DAYS = 4;

export type WindowStore = Pick<StreamStore, "windows" | "dueWindows" | "windowHorizon" | "seriesLabels">;

/** What a commit writes of windows, the days' tables made first: behind what adds its source. */
export function windowStatements(
  db: D1,
  { topic, partition, next, windows }: PartitionCommit,
): D1Statement[] {
  const of = [topic, next.incarnation, next.epoch, partition];
  const statements: D1Statement[] = [];
  const run = (sql: string, values: readonly unknown[]) => {
    for (const chunk of jsonChunks(values)) statements.push(db.prepare(sql).bind(...of, chunk));
  };
  const removed = windowsByDay(windows.removed);
  const written = windowsByDay(windows.put);
  const days = new Set([...removed.keys(), ...written.keys()]);
  statements.push(...dayStatements(db, "windows", days));
  for (const day of days) {
    const table = tableOf("windows", day);
    run(remove(table), (removed.get(day) ?? []).map(keyOf));
    run(
      put(table),
      inKeyOrder(written.get(day) ?? []).map((one) => [
        ...keyOf(one),
        one.endMs,
        one.dueMs,
        one.revision,
        one.state,
      ]),
    );
    for (const sql of [noteDue(table), forgetDue(table)]) statements.push(db.prepare(sql).bind(...of, day));
  }
  run(NOTE_NEWEST, [...newestStarts(windows.put)]);
  const series = windows.series.map(({ tenant, name, series: id, labels, day }) => [
    tenant,
    name,
    id,
    labels,
    day,
  ]);
  for (const chunk of jsonChunks(series)) statements.push(db.prepare(ADD_SERIES).bind(chunk));
  return statements;
}

export function d1Windows(db: D1): WindowStore {
  return {
    async windows(source, lookups) {
      const wanted = spansByDay(lookups);
      const found = new FoundWindows(lookups);
      await onDays(db, [...wanted.keys()], async (days) => {
        const statements = days.flatMap((day) => {
          const spans = wanted.get(day);
          return spans ? lookupStatements(db, source, day, spans) : [];
        });
        if (statements.length === 0) return;
        for (const { results } of await withDeadline("reading windows", () => db.batch(statements)))
          for (const row of results) found.add(Number(row.place), contentsOf(row));
      });
      return found.all();
    },

    async dueWindows(source, throughMs, limit) {
      const what = "reading windows that are due";
      const { results } = await withDeadline(what, () =>
        db
          .prepare(DUE_DAYS)
          .bind(...valuesOf(source), throughMs)
          .all(),
      );
      const dueDays = results.map(({ day }) => Number(day));
      const found: StoredWindow[] = [];
      // Nothing is due before its window begins: what the first days have is due before what later days have.
      for (let i = 0; i < dueDays.length && found.length < limit; i += MAX_DUE_DAYS) {
        await onDays(db, dueDays.slice(i, i + MAX_DUE_DAYS), async (days) => {
          if (days.length === 0) return;
          const statements = days.map((day) =>
            db.prepare(due(tableOf("windows", day))).bind(...valuesOf(source), throughMs, limit),
          );
          for (const answer of await withDeadline(what, () => db.batch(statements)))
            found.push(...answer.results.map(storedWindow));
        });
      }
      return found.toSorted((a, b) => Number(a.dueMs) - Number(b.dueMs)).slice(0, limit);
    },

    async windowHorizon(source) {
      const { results } = await withDeadline("reading the windows' horizon", () =>
        db
          .prepare(HORIZON)
          .bind(...valuesOf(source))
          .all(),
      );
      let nextDueMs: number | null = null;
      const newestStartMs: Record<string, number> = {};
      for (const { window, at } of results) {
        if (window !== null) newestStartMs[String(window)] = Number(at);
        else if (at !== null) nextDueMs = Number(at);
      }
      return { nextDueMs, newestStartMs };
    },

    async seriesLabels(places) {
      const labels = new Map<string, Record<string, string>>();
      for (const chunk of jsonChunks(places.map(({ tenant, name, series }) => [tenant, name, series]))) {
        const { results } = await withDeadline("reading series", () => db.prepare(LABELS).bind(chunk).all());
        for (const row of results) labels.set(String(row.series), JSON.parse(String(row.labels)));
      }
      return labels;
    },
  };
}

const keyOf = ({ tenant, name, window, startMs, series }: WindowPlace) => [
  tenant,
  name,
  window,
  startMs,
  series,
];

/** A row of a window with its place. */
function storedWindow(row: Record<string, D1Value>): StoredWindow {
  return {
    tenant: String(row.tenant),
    name: String(row.name),
    series: String(row.series),
    window: String(row.window),
    ...contentsOf(row),
  };
}

function contentsOf(row: Record<string, D1Value>) {
  return {
    startMs: Number(row.start_ms),
    endMs: Number(row.end_ms),
    dueMs: row.due_ms === null ? null : Number(row.due_ms),
    revision: Number(row.revision),
    state: String(row.state),
  };
}

export function d1WindowQuery(db: D1): Pick<QueryStore, "windows"> {
  return {
    async windows(query) {
      const wanted = await wantedSeries(db, query);
      if (wanted?.size === 0) return [];
      return await overDays(db, "windows", async (all) => {
        const days = all.filter((day) => day >= dayOf(query.fromMs) && day <= dayOf(query.toMs - 1));
        const found: FoundWindow[] = [];
        // The newest day alone first: mostly it is enough.
        for (let from = 0, count = 1; from < days.length && found.length < query.limit;) {
          const limit = query.limit - found.length;
          const statements = days
            .slice(from, from + count)
            .map((day) => queryStatement(db, { ...query, limit }, day, wanted));
          for (const { results } of await withDeadline("querying windows", () => db.batch(statements))) {
            for (const row of results) {
              const labels = String(row.labels ?? wanted?.get(String(row.series)));
              found.push({
                ...storedWindow(row),
                partition: Number(row.partition),
                labels: JSON.parse(labels),
              });
            }
          }
          from += count;
          count = Math.min(count * 2, MAX_QUERIED_DAYS);
        }
        return found.slice(0, query.limit);
      });
    },
  };
}
