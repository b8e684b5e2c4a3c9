// How old what the spillway sent on was, by the hour in which it did: a message is forgotten here once Kafka has it, and
// may stand unread in the log long after. Told for as long as Kafka keeps messages.
import type { SqlStore } from "../../kafka/embedded/sql-store.ts";
import type { Drained } from "./spill-port.ts";

const HOUR_MS = 3_600_000;

/** Kafka's usual retention (log.retention.hours). */
const KEPT_HOURS = 168;

const SCHEMA = `CREATE TABLE IF NOT EXISTS drained (hour INTEGER PRIMARY KEY, oldest_ms INTEGER NOT NULL) STRICT`;

export class DrainedHours {
  readonly #store: SqlStore;

  constructor(store: SqlStore) {
    this.#store = store;
    store.sql.exec(SCHEMA);
  }

  /** For a transaction of the caller's. @param oldestMs receipt of the oldest that was sent on just now */
  note(oldestMs: number, nowMs: number): void {
    const { sql } = this.#store;
    const hour = Math.floor(nowMs / HOUR_MS);
    sql.exec(
      `INSERT INTO drained VALUES (?1, ?2)
       ON CONFLICT (hour) DO UPDATE SET oldest_ms = MIN(oldest_ms, excluded.oldest_ms)`,
      hour,
      oldestMs,
    );
    sql.exec("DELETE FROM drained WHERE hour < ?", hour - KEPT_HOURS);
  }

  list(): Drained[] {
    return this.#store.sql
      .exec<{ hour: number; oldest_ms: number }>("SELECT hour, oldest_ms FROM drained ORDER BY hour")
      .toArray()
      .map(({ hour, oldest_ms: oldestMs }) => ({ untilMs: (hour + 1) * HOUR_MS, oldestMs }));
  }
}
