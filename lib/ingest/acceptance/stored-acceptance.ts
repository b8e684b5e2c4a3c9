// The keeper of what isolates accepted, in one object's SQLite. A delivery is added once: its number is remembered in
// the same transaction, for an hour after the isolate's last word. An interval that was opened and is not delivered
// within a minute is shown as lost, with what it may have come to, until its delivery comes.
import type { Signal } from "../../telemetry/signal.ts";
import type { AcceptanceDelivery, Opening } from "./tally.ts";
import type { AcceptanceTotals } from "./totals.ts";

const REMEMBERED_MS = 60 * 60_000;

/** Half of it: a delivery first given longer ago, of an isolate that is forgotten, may have been added. */
const TOO_LATE_MS = REMEMBERED_MS / 2;

/** Isolates deliver every 20 s at the least (EDGE_FLUSH_MS). */
const LOST_AFTER_MS = 60_000;

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
  CREATE TABLE IF NOT EXISTS totals (
    tenant TEXT NOT NULL, signal TEXT NOT NULL, accepted INTEGER NOT NULL, unconfirmed INTEGER NOT NULL,
    PRIMARY KEY (tenant, signal)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS deliveries (
    isolate TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS open_intervals (
    isolate TEXT NOT NULL, sequence INTEGER NOT NULL, at_most INTEGER NOT NULL, opened_ms INTEGER NOT NULL,
    PRIMARY KEY (isolate, sequence)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS uncertain (
    id INTEGER PRIMARY KEY CHECK (id = 1), isolates INTEGER NOT NULL, at_most INTEGER NOT NULL,
    refused INTEGER NOT NULL, unregistered INTEGER NOT NULL
  );
  INSERT OR IGNORE INTO uncertain VALUES (1, 0, 0, 0, 0);
`;

/** An isolate holds back at most what it said last, over all of its intervals. */
const LOST = `SELECT count(*) AS isolates, coalesce(sum(at_most), 0) AS at_most FROM
  (SELECT max(at_most) AS at_most FROM open_intervals WHERE opened_ms < ? GROUP BY isolate)`;

export class StoredAcceptance {
  readonly #store: SqlStore;
  #prunedMs = 0;

  constructor(store: SqlStore) {
    this.#store = store;
    store.sql.exec(SCHEMA);
  }

  open({ isolate, sequence, atMost }: Opening, nowMs: number): void {
    this.#store.transactionSync(() => {
      this.#prune(nowMs);
      // One that was overtaken by its own delivery is closed already.
      if (sequence > (this.#lastSequence(isolate) ?? 0)) this.#open(isolate, sequence, atMost, nowMs);
    });
  }

  /** @returns `repeated`: it had been added before; `refused`: nobody can tell whether it had */
  deliver(delivery: AcceptanceDelivery, nowMs: number): "added" | "repeated" | "refused" {
    const { isolate, sequence, counts, unregistered, ageMs, nextAtMost } = delivery;
    return this.#store.transactionSync(() => {
      this.#prune(nowMs);
      const last = this.#lastSequence(isolate);
      const isKnown = last !== undefined && sequence <= last;
      const isRefused = last === undefined && ageMs > TOO_LATE_MS;
      if (nextAtMost > 0 && sequence >= (last ?? 0)) this.#open(isolate, sequence + 1, nextAtMost, nowMs);
      if (isKnown) return "repeated";
      const { sql } = this.#store;
      sql.exec("DELETE FROM open_intervals WHERE isolate = ? AND sequence <= ?", isolate, sequence);
      sql.exec("INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?)", isolate, sequence, nowMs);
      if (isRefused) {
        const records = counts.reduce((sum, { accepted, unconfirmed }) => sum + accepted + unconfirmed, 0);
        sql.exec("UPDATE uncertain SET refused = refused + ?", records);
        return "refused";
      }
      for (const { tenant, signal, accepted, unconfirmed } of counts) {
        sql.exec(
          `INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
           SET accepted = accepted + excluded.accepted, unconfirmed = unconfirmed + excluded.unconfirmed`,
          tenant,
          signal,
          accepted,
          unconfirmed,
        );
      }
      if (unregistered > 0) sql.exec("UPDATE uncertain SET unregistered = unregistered + ?", unregistered);
      return "added";
    });
  }

  /** @param tenant undefined: the sums of all */
  read(tenant: string | undefined, nowMs: number): AcceptanceTotals {
    const { sql } = this.#store;
    this.#clamp(nowMs);
    const columns = "SELECT tenant, signal, accepted, unconfirmed FROM totals";
    const rows = (
      tenant === undefined
        ? sql.exec<TotalsRow>(columns)
        : sql.exec<TotalsRow>(`${columns} WHERE tenant = ?`, tenant)
    ).toArray();
    const lostBeforeMs = nowMs - LOST_AFTER_MS;
    const [open] = sql
      .exec<{ count: number; oldest: number | null }>(
        "SELECT count(*) FILTER (WHERE opened_ms >= ?) AS count, min(opened_ms) AS oldest FROM open_intervals",
        lostBeforeMs,
      )
      .toArray();
    const [lost] = sql.exec<LostRow>(LOST, lostBeforeMs).toArray();
    const [forgotten] = sql.exec<LostRow & UncertainRow>("SELECT * FROM uncertain").toArray();
    return {
      counts: rows.map((row) => ({ ...row, signal: row.signal as Signal })),
      open: open?.count ?? 0,
      oldestOpenMs: open?.oldest ?? null,
      lostIsolates: (lost?.isolates ?? 0) + (forgotten?.isolates ?? 0),
      lostAtMost: (lost?.at_most ?? 0) + (forgotten?.at_most ?? 0),
      refused: forgotten?.refused ?? 0,
      unregistered: forgotten?.unregistered ?? 0,
    };
  }

  #open(isolate: string, sequence: number, atMost: number, nowMs: number): void {
    this.#store.sql.exec(
      `INSERT INTO open_intervals VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET at_most = max(at_most, excluded.at_most)`,
      isolate,
      sequence,
      atMost,
      nowMs,
    );
  }

  /** Undefined: nothing came of the isolate within the hour. */
  #lastSequence(isolate: string): number | undefined {
    const [row] = this.#store.sql
      .exec<{ sequence: number }>("SELECT sequence FROM deliveries WHERE isolate = ?", isolate)
      .toArray();
    return row?.sequence;
  }

  /** What was opened ahead was told by a clock that has been set back since; it would not be lost for as long. */
  #clamp(nowMs: number): void {
    this.#store.sql.exec("UPDATE open_intervals SET opened_ms = ?1 WHERE opened_ms > ?1", nowMs);
  }

  /** Isolates that ended are summed up after an hour, so that the table stays small; they remain shown. */
  #prune(nowMs: number): void {
    if (nowMs >= this.#prunedMs && nowMs - this.#prunedMs < PRUNE_INTERVAL_MS) return;
    this.#prunedMs = nowMs;
    this.#clamp(nowMs);
    const { sql } = this.#store;
    const beforeMs = nowMs - REMEMBERED_MS;
    sql.exec("DELETE FROM deliveries WHERE at_ms < ?", beforeMs);
    const [lost] = sql.exec<LostRow>(LOST, beforeMs).toArray();
    if (!lost || lost.isolates === 0) return;
    sql.exec(
      "UPDATE uncertain SET isolates = isolates + ?, at_most = at_most + ?",
      lost.isolates,
      lost.at_most,
    );
    sql.exec("DELETE FROM open_intervals WHERE opened_ms < ?", beforeMs);
  }
}

type TotalsRow = { tenant: string; signal: string; accepted: number; unconfirmed: number };
type LostRow = { isolates: number; at_most: number };
type UncertainRow = { refused: number; unregistered: number };
