// Retention on PostgreSQL. A commit reads the first day kept, and by that holds the table `retention` until its end; to
// raise it waits for those commits. A day's partition goes in one transaction with its part of the ledger.
import { DAY_MS, SIGNAL_OF, type DayKind } from "../day.ts";
import { KINDS, type KindGroup, type RetentionStore } from "../retention.ts";
import type { PostgresConnections } from "./connections.ts";
import { partitionName } from "./partitions.ts";
import type { Run } from "./session.ts";
import { arrayOf } from "./text.ts";

const FLOOR = "SELECT floor_day FROM retention WHERE kind = 'raw'";

/** Everyone waits behind who waits for a lock of a whole table. Tried again at the next call. */
const BE_BRIEF = "SET LOCAL lock_timeout = 5000";

const LOCK_FLOORS = "LOCK TABLE retention IN ACCESS EXCLUSIVE MODE";
const FLOOR_OF = "SELECT 1 AS raised FROM retention WHERE kind = $1 AND floor_day >= $2::integer";
const RAISE = `INSERT INTO retention (kind, floor_day) VALUES ($1, $2::integer)
  ON CONFLICT (kind) DO UPDATE SET floor_day = greatest(retention.floor_day, excluded.floor_day)`;

/** Names of partitions end with their day (partitions.ts). */
const OLDEST = `SELECT p.relname AS kind, right(c.relname, 8) AS day
  FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent JOIN pg_class AS c ON c.oid = i.inhrelid
  WHERE p.oid = ANY ($1::regclass[]) AND c.relkind = 'r' AND c.relname ~ '_[0-9]{8}$'
  ORDER BY 2, 1 LIMIT 1`;

const EXPIRE = `WITH gone AS (DELETE FROM day_rows WHERE kind = $1 AND day = $2::integer RETURNING *),
  moved AS (UPDATE ledger SET stored = ledger.stored - g.stored, expired = ledger.expired + g.stored
    FROM gone AS g
    WHERE ledger.group_id = g.group_id AND ledger.topic = g.topic AND ledger.partition = g.partition
      AND ledger.incarnation = g.incarnation AND ledger.epoch = g.epoch AND ledger.tenant = g.tenant
      AND ledger.signal = $3)
  SELECT coalesce(sum(stored), 0) AS records FROM gone`;

/** Whoever looks for windows that are due would look for them in a partition that is gone. */
const FORGET_DUE = "DELETE FROM due_days WHERE day = $1::integer";

const DROP_DEAD = `WITH dropped AS (DELETE FROM dead_letters WHERE (source, partition, "offset", idx, group_id) IN
    (SELECT source, partition, "offset", idx, group_id FROM dead_letters WHERE dlq_timestamp < $1
      ORDER BY dlq_timestamp LIMIT $2::integer) RETURNING 1)
  SELECT count(*) AS dropped FROM dropped`;

const DROP_SERIES = `WITH dropped AS (DELETE FROM series WHERE (tenant, name, series) IN
    (SELECT tenant, name, series FROM series WHERE seen_day < $1::integer LIMIT $2::integer) RETURNING 1)
  SELECT count(*) AS dropped FROM dropped`;

/**
 * $1: ISO 8601. An offset tells the making that is read now alone, so it stands for the earlier ones, too. What is known
 * to lie in days that are kept, however far ahead, holds its source.
 */
const DROP_SOURCES = `DELETE FROM sources AS s WHERE (NOT is_visible OR visible_until_ms IS NOT NULL)
  AND NOT EXISTS (SELECT FROM offsets AS o
    WHERE o.topic = s.topic AND o.epoch = s.epoch AND o.updated_at >= $1)
  AND NOT EXISTS (SELECT FROM dead_letters AS d WHERE d.source = s.id)
  AND NOT EXISTS (SELECT FROM newest_windows AS w WHERE w.source = s.id AND w.start_ms >=
    ${DAY_MS} * coalesce((SELECT floor_day FROM retention WHERE kind = 'windows'), 0)::bigint)
  AND NOT EXISTS (SELECT FROM day_rows AS r
    WHERE r.topic = s.topic AND r.incarnation = s.incarnation AND r.epoch = s.epoch)`;

/** Whether the days that a commit was planned with are still all kept; held until the transaction's end. */
export async function isKept(run: Run, rawFloorDay: number): Promise<boolean> {
  const [row] = await run(FLOOR);
  return Number(row?.floor_day ?? 0) <= rawFloorDay;
}

/** The first day whose raw rows are kept; 0 while nothing was ever dropped. */
export async function rawFloorDay(connections: PostgresConnections): Promise<number> {
  const [row] = await connections.read("reading the first day kept", FLOOR, []);
  return Number(row?.floor_day ?? 0);
}

export function createPostgresRetentionStore(connections: PostgresConnections): RetentionStore {
  const dropped = async (what: string, sql: string, before: string | number, limit: number) => {
    const [row] = await connections.read(what, sql, [before, limit]);
    return Number(row?.dropped ?? 0);
  };

  return {
    async retire(group, floorDay) {
      await raise(connections, group, floorDay);
      return await connections.transaction("dropping a day", async (run) => {
        const oldest = await oldestDay(run, group);
        if (!oldest || oldest.day >= floorDay) return { outcome: undefined, isKept: false };
        const { kind, day } = oldest;
        await run(BE_BRIEF);
        // The table before its partition, as all who use it do. Whoever wrote to the day has ended then, and is counted.
        await run(`LOCK TABLE ONLY ${kind} IN ACCESS EXCLUSIVE MODE`);
        const [moved] =
          kind === "windows" ? await run(FORGET_DUE, [day]) : await run(EXPIRE, [kind, day, SIGNAL_OF[kind]]);
        await run(`DROP TABLE IF EXISTS ${partitionName(kind, day)}`);
        return { outcome: { kind, day, records: Number(moved?.records ?? 0) }, isKept: true };
      });
    },

    async oldestRawDay() {
      return await connections.transaction("looking for old days", async (run) => ({
        outcome: (await oldestDay(run, "raw"))?.day,
        isKept: true,
      }));
    },

    async dropDeadLetters(beforeMs, limit) {
      return await dropped("dropping dead letters", DROP_DEAD, new Date(beforeMs).toISOString(), limit);
    },

    async dropSeries(day, limit) {
      return await dropped("dropping series", DROP_SERIES, day, limit);
    },

    async dropSources(beforeMs) {
      await connections.read("dropping sources", DROP_SOURCES, [new Date(beforeMs).toISOString()]);
    },

    async size() {
      return undefined;
    },
  };
}

async function raise(connections: PostgresConnections, group: KindGroup, floorDay: number): Promise<void> {
  // Mostly it is raised already: then nobody has to wait.
  const raised = await connections.read("reading the first day kept", FLOOR_OF, [group, floorDay]);
  if (raised.length > 0) return;
  await connections.transaction("raising the first day kept", async (run) => {
    await run(BE_BRIEF);
    await run(LOCK_FLOORS);
    await run(RAISE, [group, floorDay]);
    return { outcome: undefined, isKept: true };
  });
}

async function oldestDay(run: Run, group: KindGroup): Promise<{ kind: DayKind; day: number } | undefined> {
  const [row] = await run(OLDEST, [arrayOf(KINDS[group])]);
  if (!row) return undefined;
  const [, year, month, date] = /^(\d{4})(\d{2})(\d{2})$/.exec(String(row.day)) ?? [];
  return { kind: String(row.kind) as DayKind, day: Date.parse(`${year}-${month}-${date}`) / DAY_MS };
}
