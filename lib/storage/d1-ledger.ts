// The ledger on D1: sums by tenant and signal, added to in the commit that they tell of, and beside them how much of
// `stored` lies in the table of which day: what becomes `expired` with it.
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { jsonChunks } from "./d1-json.ts";
import type { StoredOfDay } from "./day.ts";
import type { LedgerRow, PartitionCommit } from "./storage.ts";
import type { Signal } from "../telemetry/signal.ts";

const COUNTS = ["stored", "dead", "late", "deduplicated", "redelivered", "foreign_records"] as const;

/** ?1: arrays of tenant, signal and the counts. */
const ADD = `INSERT INTO ledger (group_id, topic, partition, incarnation, epoch, tenant, signal, ${COUNTS.join(", ")})
  SELECT ?2, ?3, ?4, ?5, ?6, e.value ->> 0, e.value ->> 1, ${COUNTS.map((_, i) => `e.value ->> ${i + 2}`).join(", ")}
  FROM json_each(?1) AS e WHERE true
  ON CONFLICT (tenant, group_id, topic, partition, incarnation, epoch, signal)
  DO UPDATE SET ${COUNTS.map((count) => `${count} = ${count} + excluded.${count}`).join(", ")}`;

/** ?1: arrays of kind, day, tenant and how many. */
const ADD_TO_DAYS = `INSERT INTO day_rows (kind, day, group_id, topic, partition, incarnation, epoch, tenant, stored)
  SELECT e.value ->> 0, e.value ->> 1, ?2, ?3, ?4, ?5, ?6, e.value ->> 2, e.value ->> 3 FROM json_each(?1) AS e WHERE true
  ON CONFLICT DO UPDATE SET stored = stored + excluded.stored`;

const select = (where: string) => `SELECT * FROM ledger WHERE substr(group_id, 1, length(?1)) = ?1 ${where}
  ORDER BY group_id, topic, partition, incarnation, epoch, tenant, signal`;

export function ledgerStatements(
  db: D1,
  commit: PartitionCommit,
  storedByDay: readonly StoredOfDay[],
): D1Statement[] {
  const { group, topic, partition, next, ledger } = commit;
  const entries = ledger.map((entry) => [
    entry.tenant,
    entry.signal,
    entry.stored,
    entry.dead,
    entry.late,
    entry.deduplicated,
    entry.redelivered,
    entry.foreign,
  ]);
  const days = storedByDay.map(({ kind, day, tenant, stored }) => [kind, day, tenant, stored]);
  const place = [group, topic, partition, next.incarnation, next.epoch] as const;
  return [
    ...[...jsonChunks(entries)].map((chunk) => db.prepare(ADD).bind(chunk, ...place)),
    ...[...jsonChunks(days)].map((chunk) => db.prepare(ADD_TO_DAYS).bind(chunk, ...place)),
  ];
}

export async function ledgerOf(
  db: D1,
  groupPrefix: string,
  tenant: string | undefined,
): Promise<LedgerRow[]> {
  const statement =
    tenant === undefined
      ? db.prepare(select("")).bind(groupPrefix)
      : db.prepare(select("AND tenant = ?2")).bind(groupPrefix, tenant);
  const { results } = await withDeadline("reading the ledger", () => statement.all());
  return results.map((row) => ({
    group: String(row.group_id),
    topic: String(row.topic),
    partition: Number(row.partition),
    incarnation: Number(row.incarnation),
    epoch: Number(row.epoch),
    tenant: String(row.tenant),
    signal: String(row.signal) as Signal,
    stored: Number(row.stored),
    dead: Number(row.dead),
    late: Number(row.late),
    deduplicated: Number(row.deduplicated),
    redelivered: Number(row.redelivered),
    foreign: Number(row.foreign_records),
    expired: Number(row.expired),
  }));
}
