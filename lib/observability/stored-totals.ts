// Totals of many isolates in one object's SQLite: one row of JSON, and each isolate's last delivery. A delivery is added
// once: its number is remembered in the same transaction, for an hour after the isolate's last word.
import { addCounts, decodeCounts, encodeCounts, type Counts } from "./counts.ts";
import type { Flush } from "./flusher.ts";

const REMEMBERED_MS = 60 * 60_000;
const PRUNE_INTERVAL_MS = 60_000;

/** The part of a Durable Object's storage that is needed; all of it answers at once. */
interface SqlStore {
  sql: {
    exec<Row extends Record<string, ArrayBuffer | string | number | null>>(
      query: string,
      ...bindings: (string | number)[]
    ): { toArray(): Row[] };
  };
  transactionSync<T>(closure: () => T): T;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY CHECK (id = 1), counts TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS deliveries (
    isolate TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

export class StoredTotals {
  readonly #store: SqlStore;
  /** The row as it stands; undefined: not read in this life of the object, or in doubt. */
  #totals: Counts | undefined;
  #prunedMs = 0;

  constructor(store: SqlStore) {
    this.#store = store;
    store.sql.exec(SCHEMA);
  }

  /** @returns false where it had been added before */
  merge({ isolate, sequence, counts }: Flush, nowMs: number): boolean {
    try {
      return this.#store.transactionSync(() => {
        if (sequence <= this.#lastSequence(isolate)) return false;
        const totals = this.totals();
        addCounts(totals, counts);
        const { sql } = this.#store;
        sql.exec("INSERT OR REPLACE INTO totals (id, counts) VALUES (1, ?)", encodeCounts(totals));
        sql.exec(
          "INSERT OR REPLACE INTO deliveries (isolate, sequence, at_ms) VALUES (?, ?, ?)",
          isolate,
          sequence,
          nowMs,
        );
        this.#prune(nowMs);
        return true;
      });
    } catch (error) {
      // What is in memory has the delivery, what is stored has not.
      this.#totals = undefined;
      throw error;
    }
  }

  totals(): Counts {
    if (this.#totals) return this.#totals;
    const [row] = this.#store.sql.exec<{ counts: string }>("SELECT counts FROM totals").toArray();
    return (this.#totals = row ? decodeCounts(row.counts) : new Map());
  }

  /** Isolates that gave something within the last hour. */
  isolates(nowMs: number): number {
    const [row] = this.#store.sql
      .exec<{ count: number }>(
        "SELECT count(*) AS count FROM deliveries WHERE at_ms >= ?",
        nowMs - REMEMBERED_MS,
      )
      .toArray();
    return row?.count ?? 0;
  }

  #lastSequence(isolate: string): number {
    const [row] = this.#store.sql
      .exec<{ sequence: number }>("SELECT sequence FROM deliveries WHERE isolate = ?", isolate)
      .toArray();
    return row?.sequence ?? 0;
  }

  #prune(nowMs: number): void {
    if (nowMs - this.#prunedMs < PRUNE_INTERVAL_MS) return;
    this.#prunedMs = nowMs;
    this.#store.sql.exec("DELETE FROM deliveries WHERE at_ms < ?", nowMs - REMEMBERED_MS);
  }
}
