// The active series of some metric names of a tenant, in SQLite. A series that is known passes always; a new one only
// while its name has fewer than the limit. One that was idle for 24 hours is forgotten and makes room.
import type { SqlStore } from "../../kafka/embedded/sql-store.ts";
import type { NameAnswer, NameAsk } from "./directory.ts";

const HOUR_MS = 3_600_000;
const IDLE_HOURS = 24;

/**
 * Folded series that one name may have with their label names kept, beside the limit. After that they fold to the bare
 * one, or label names made up by the thousand would be as many series.
 */
/** Metric names of a tenant that one directory keeps; ten times what a large one has. */
const MAX_NAMES = 50_000;

export const MAX_FOLDED_PER_NAME = 32;

// Without a table of row ids and without an index by hour: what is written is what costs, and the sweep may read.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS series (
    name TEXT NOT NULL,
    series TEXT NOT NULL,
    seen_hour INTEGER NOT NULL,
    is_folded INTEGER NOT NULL,
    PRIMARY KEY (name, series)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS names (
    name TEXT PRIMARY KEY,
    active INTEGER NOT NULL,
    folded INTEGER NOT NULL,
    swept_hour INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

type NameRow = { active: number; folded: number; swept_hour: number };

export class StoredSeries {
  readonly #store: SqlStore;
  #names: number | undefined;

  constructor(store: SqlStore) {
    this.#store = store;
    store.sql.exec(SCHEMA);
  }

  admit(limit: number, asks: readonly NameAsk[], nowMs: number): NameAnswer[] {
    const hour = Math.floor(nowMs / HOUR_MS);
    return this.#store.transactionSync(() => asks.map((ask) => this.#admitName(limit, ask, hour)));
  }

  /**
   * Forgets what is idle, for some names after `afterName`.
   * @returns the last name looked at; undefined when there are no more
   */
  sweep(afterName: string, maxNames: number, nowMs: number): string | undefined {
    const hour = Math.floor(nowMs / HOUR_MS);
    this.#names = undefined;
    const names = this.#store.sql
      .exec<{ name: string }>(
        "SELECT name FROM names WHERE name > ? ORDER BY name LIMIT ?",
        afterName,
        maxNames,
      )
      .toArray();
    this.#store.transactionSync(() => {
      for (const { name } of names) this.#sweepName(name, hour);
    });
    return names.length < maxNames ? undefined : names.at(-1)?.name;
  }

  isEmpty(): boolean {
    return this.#store.sql.exec("SELECT 1 AS found FROM names LIMIT 1").toArray().length === 0;
  }

  #admitName(limit: number, { name, series, folded }: NameAsk, hour: number): NameAnswer {
    let row = this.#find(name);
    // Names have no limit of their own; what is not kept of them passes, and takes no room.
    if (!row && this.#countNames() >= MAX_NAMES) return { folded: [], bare: [] };
    // Before anything is told of the name in this hour, so that what is idle neither passes nor takes room.
    if (row && row.swept_hour < hour) row = this.#sweepName(name, hour);
    const known = this.#seenHours(name, series);
    const isOver: number[] = [];
    const added: string[] = [];
    const room = limit - (row?.active ?? 0);
    series.forEach((one, place) => {
      if (known.has(one)) return;
      if (added.length < room) added.push(one);
      else isOver.push(place);
    });
    const answer: NameAnswer = { folded: [], bare: [] };
    const addedFolds = new Set<string>();
    if (isOver.length > 0) {
      const shapes = [...new Set(isOver.map((place) => folded[place] ?? ""))];
      for (const [shape, seenHour] of this.#seenHours(name, shapes)) known.set(shape, seenHour);
      const foldRoom = MAX_FOLDED_PER_NAME - (row?.folded ?? 0);
      for (const place of isOver) {
        const shape = folded[place] ?? "";
        const isTaken = known.has(shape) || addedFolds.has(shape);
        if (!isTaken && addedFolds.size < foldRoom) addedFolds.add(shape);
        answer[isTaken || addedFolds.has(shape) ? "folded" : "bare"].push(place);
      }
    }
    this.#refresh(
      name,
      [...known].flatMap(([one, seenHour]) => (seenHour < hour ? [one] : [])),
      hour,
    );
    this.#insert(name, added, hour, 0);
    this.#insert(name, [...addedFolds], hour, 1);
    if (added.length + addedFolds.size > 0) {
      if (!row && this.#names !== undefined) this.#names++;
      this.#store.sql.exec(
        "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?)",
        name,
        (row?.active ?? 0) + added.length,
        (row?.folded ?? 0) + addedFolds.size,
        row?.swept_hour ?? hour,
      );
    }
    return answer;
  }

  /** Counted once, then kept in step: a request may bring thousands of new names. */
  #countNames(): number {
    this.#names ??= this.#store.sql
      .exec<{ names: number }>("SELECT count(*) AS names FROM names")
      .toArray()
      .reduce((sum, { names }) => sum + names, 0);
    return this.#names;
  }

  #find(name: string): NameRow | undefined {
    return this.#store.sql
      .exec<NameRow>("SELECT active, folded, swept_hour FROM names WHERE name = ?", name)
      .toArray()[0];
  }

  #seenHours(name: string, series: readonly string[]): Map<string, number> {
    const rows = this.#store.sql.exec<{ series: string; seen_hour: number }>(
      "SELECT series, seen_hour FROM series WHERE name = ? AND series IN (SELECT value FROM json_each(?))",
      name,
      JSON.stringify(series),
    );
    return new Map(rows.toArray().map((row) => [row.series, row.seen_hour]));
  }

  #refresh(name: string, series: readonly string[], hour: number): void {
    if (series.length === 0) return;
    this.#store.sql.exec(
      "UPDATE series SET seen_hour = ? WHERE name = ? AND series IN (SELECT value FROM json_each(?))",
      hour,
      name,
      JSON.stringify(series),
    );
  }

  #insert(name: string, series: readonly string[], hour: number, isFolded: 0 | 1): void {
    if (series.length === 0) return;
    this.#store.sql.exec(
      "INSERT OR IGNORE INTO series SELECT ?, value, ?, ? FROM json_each(?)",
      name,
      hour,
      isFolded,
      JSON.stringify(series),
    );
  }

  #sweepName(name: string, hour: number): NameRow | undefined {
    const { sql } = this.#store;
    sql.exec("DELETE FROM series WHERE name = ? AND seen_hour < ?", name, hour - IDLE_HOURS);
    const [left] = sql
      .exec<{ total: number; folded: number }>(
        "SELECT COUNT(*) AS total, COALESCE(SUM(is_folded), 0) AS folded FROM series WHERE name = ?",
        name,
      )
      .toArray();
    const { total = 0, folded = 0 } = left ?? {};
    if (total === 0) {
      sql.exec("DELETE FROM names WHERE name = ?", name);
      return undefined;
    }
    const row = { active: total - folded, folded, swept_hour: hour };
    sql.exec("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?)", name, row.active, folded, hour);
    return row;
  }
}
