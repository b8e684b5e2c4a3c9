// How far groups have read, and what became of the records they read.
import type { LedgerRow, Progress } from "../storage.ts";
import type { Signal } from "../../telemetry/signal.ts";
import type { PostgresConnections } from "./connections.ts";
import { readText, storedText } from "./text.ts";

const PROGRESS = `SELECT * FROM offsets WHERE starts_with(group_id, $1::text) ORDER BY group_id, topic, partition`;

const LEDGER = `SELECT * FROM ledger
  WHERE starts_with(group_id, $1::text) AND ($2::text IS NULL OR tenant = $2::text)
  ORDER BY group_id, topic, partition, incarnation, epoch, tenant, signal`;

export async function progressUnder(
  connections: PostgresConnections,
  groupPrefix: string,
): Promise<Progress[]> {
  const rows = await connections.read("reading progress", PROGRESS, [storedText(groupPrefix)]);
  return rows.map((row) => ({
    group: readText(String(row.group_id)),
    topic: readText(String(row.topic)),
    partition: Number(row.partition),
    nextOffset: Number(row.next_offset),
    incarnation: Number(row.incarnation),
    epoch: Number(row.epoch),
    recordsTotal: Number(row.records_total),
    deadTotal: Number(row.dead_total),
    expiredTotal: Number(row.expired_total),
    readThroughMs: Number(row.read_through_ms),
    watermarkMs: Number(row.watermark_ms),
    updatedAt: String(row.updated_at),
  }));
}

export async function ledgerUnder(
  connections: PostgresConnections,
  groupPrefix: string,
  tenant: string | undefined,
): Promise<LedgerRow[]> {
  const values = [storedText(groupPrefix), tenant === undefined ? null : storedText(tenant)];
  const rows = await connections.read("reading the ledger", LEDGER, values);
  return rows.map((row) => ({
    group: readText(String(row.group_id)),
    topic: readText(String(row.topic)),
    partition: Number(row.partition),
    incarnation: Number(row.incarnation),
    epoch: Number(row.epoch),
    tenant: readText(String(row.tenant)),
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
