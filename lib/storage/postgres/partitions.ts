// Partitions by day of the tables that are split by time: made in the transaction that first writes to the day. Of two
// that come at once the later one waits for the earlier, and finds it made.
import { dayText, type DayKind } from "../day.ts";
import type { Run } from "./session.ts";
import { arrayOf } from "./text.ts";

const NANOS_PER_DAY = 86_400_000_000_000n;

/** How much of its key a day takes in each table. */
const PER_DAY: Record<DayKind, bigint> = {
  metrics: NANOS_PER_DAY,
  logs: NANOS_PER_DAY,
  events: NANOS_PER_DAY,
  spans: NANOS_PER_DAY,
  windows: 86_400_000n,
};

/** As in `metrics_20261121`. @param day since 1970, UTC */
export const partitionName = (table: DayKind, day: number) => `${table}_${dayText(day)}`;

/** Looked up in the catalogue itself: to_regclass() may tell what was so before the lock. $2: the table. */
const MISSING = `SELECT u.name FROM unnest($1::text[]) AS u (name) WHERE NOT EXISTS (SELECT FROM pg_class AS c
  WHERE c.relname = u.name AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = $2::text::regclass))`;

/** One for all tables: two that made partitions of two tables in turn would wait for each other. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtext('weir_partitions'))";

/**
 * Makes those of the days' partitions that are missing; where none is it is one look-up. The lock is of the transaction,
 * as Hyperdrive asks for. Attached rather than made in place, which would wait for whoever reads the table.
 */
export async function ensurePartitions(run: Run, table: DayKind, days: Iterable<number>): Promise<void> {
  const wanted = new Map([...new Set(days)].map((day) => [partitionName(table, day), day]));
  if (wanted.size === 0) return;
  const names = arrayOf([...wanted.keys()]);
  if ((await run(MISSING, [names, table])).length === 0) return;
  await run(LOCK);
  for (const { name } of await run(MISSING, [names, table])) {
    const partition = String(name);
    const from = BigInt(wanted.get(partition) as number) * PER_DAY[table];
    await run(`CREATE TABLE ${partition} (LIKE ${table} INCLUDING ALL)`);
    await run(
      `ALTER TABLE ${table} ATTACH PARTITION ${partition} FOR VALUES FROM (${from}) TO (${from + PER_DAY[table]})`,
    );
  }
}
