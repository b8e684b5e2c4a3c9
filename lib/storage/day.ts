// Days: raw rows are kept, and go, by the UTC day of their own time, in whole days since 1970.
import { momentToNanos, parseTimestamp } from "../telemetry/time.ts";
import { SIGNALS, type Signal } from "../telemetry/signal.ts";
import { StorageError, type LedgerEntry, type Row, type Rows } from "./storage.ts";

export const DAY_MS = 86_400_000;
const DAY_NS = 86_400_000_000_000n;

/** What the tables of a day hold. */
export type RawKind = "metrics" | "logs" | "events" | "spans";
export type DayKind = RawKind | "windows";

export const RAW_KIND: Record<Signal, RawKind> = {
  metrics: "metrics",
  logs: "logs",
  events: "events",
  traces: "spans",
};

export const SIGNAL_OF: Record<RawKind, Signal> = {
  metrics: "metrics",
  logs: "logs",
  events: "events",
  spans: "traces",
};

export const dayOf = (ms: number) => Math.floor(ms / DAY_MS);

/** @param nanos since the epoch, decimal text */
export function dayOfNanos(nanos: string): number {
  const total = BigInt(nanos);
  const day = total / DAY_NS;
  return Number(total < day * DAY_NS ? day - 1n : day);
}

/** As in `20261121`. */
export const dayText = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll("-", "");

export interface TimedRow<S extends Signal> extends Row<S> {
  /** Nanoseconds since the epoch, decimal text. */
  time: string;
}

export type DailyRows = { [S in Signal]: Map<number, TimedRow<S>[]> };

/** @throws StorageError `storage_rejected` where a record's time is none */
export function dailyRows(rows: Rows): DailyRows {
  return {
    metrics: byDay(rows.metrics),
    logs: byDay(rows.logs),
    events: byDay(rows.events),
    traces: byDay(rows.traces),
  };
}

function byDay<S extends Signal>(rows: readonly Row<S>[]): Map<number, TimedRow<S>[]> {
  const days = new Map<number, TimedRow<S>[]>();
  // Neighbours often have one time.
  let text: string | undefined;
  let time = "";
  let ofDay: TimedRow<S>[] = [];
  for (const { tenant, offset, index, record } of rows) {
    if (record.timestamp !== text) {
      const moment = parseTimestamp(record.timestamp);
      if (!moment.ok) {
        throw new StorageError(`record ${index} of ${tenant} at offset ${offset}: ${moment.error.message}`, {
          code: "storage_rejected",
        });
      }
      text = record.timestamp;
      time = momentToNanos(moment.value);
      const day = dayOf(moment.value.ms);
      const known = days.get(day);
      if (known) ofDay = known;
      else days.set(day, (ofDay = []));
    }
    ofDay.push({ tenant, offset, index, record, time });
  }
  return days;
}

export interface StoredOfDay {
  kind: RawKind;
  day: number;
  tenant: string;
  stored: number;
}

/**
 * Of a commit's rows those that its ledger counts as stored, by day and tenant: they are what expires with the day. An
 * epoch that is being built beside another counts none.
 */
export function storedByDay(daily: DailyRows, ledger: readonly LedgerEntry[]): StoredOfDay[] {
  const sums: StoredOfDay[] = [];
  for (const signal of SIGNALS) {
    const counted = new Set(
      ledger.filter((entry) => entry.signal === signal && entry.stored > 0).map(({ tenant }) => tenant),
    );
    for (const [day, rows] of daily[signal]) {
      const byTenant = new Map<string, number>();
      for (const { tenant } of rows) byTenant.set(tenant, (byTenant.get(tenant) ?? 0) + 1);
      for (const [tenant, stored] of byTenant)
        if (counted.has(tenant)) sums.push({ kind: RAW_KIND[signal], day, tenant, stored });
    }
  }
  return sums;
}
