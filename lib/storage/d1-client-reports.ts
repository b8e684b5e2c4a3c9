// What clients threw away, summed by tenant and day. A report whose answer was lost and that is sent again counts twice:
// it is a client's own word, and no part of the ledger's balance.
import { withDeadline, type D1 } from "./d1-database.ts";
import type { Discarded } from "../telemetry/client-report.ts";
import type { Signal } from "../telemetry/signal.ts";

const ADD = `INSERT INTO client_reports (tenant, day, signal, reason, quantity) VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity`;

/** @throws StorageError */
export async function addClientReport(
  db: D1,
  tenant: string,
  discarded: readonly Discarded[],
  nowMs: number,
): Promise<void> {
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const statements = discarded.map(({ signal, reason, quantity }) =>
    db.prepare(ADD).bind(tenant, day, signal, reason, quantity),
  );
  await withDeadline("adding a client report", () => db.batch(statements));
}

const SUMS = "SELECT tenant, signal, sum(quantity) AS quantity FROM client_reports";

/**
 * All that was reported and is kept still, whatever the reason.
 * @param tenant undefined: of all
 * @throws StorageError
 */
export async function discardedByClients(
  db: D1,
  tenant: string | undefined,
): Promise<{ tenant: string; signal: Signal; quantity: number }[]> {
  const statement =
    tenant === undefined
      ? db.prepare(`${SUMS} GROUP BY tenant, signal`)
      : db.prepare(`${SUMS} WHERE tenant = ?1 GROUP BY tenant, signal`).bind(tenant);
  const { results } = await withDeadline("reading client reports", () => statement.all());
  return results.map((row) => ({
    tenant: String(row.tenant),
    signal: row.signal as Signal,
    quantity: Number(row.quantity),
  }));
}

const DROP = `DELETE FROM client_reports WHERE (tenant, day, signal, reason) IN
  (SELECT tenant, day, signal, reason FROM client_reports WHERE day < ?1 LIMIT ?2)`;

/** Drops reports of the days before that of `beforeMs`. @returns how many were dropped @throws StorageError */
export async function dropClientReports(db: D1, beforeMs: number, limit: number): Promise<number> {
  const { meta } = await withDeadline("dropping client reports", () =>
    db.prepare(DROP).bind(new Date(beforeMs).toISOString().slice(0, 10), limit).all(),
  );
  return meta.changes;
}
