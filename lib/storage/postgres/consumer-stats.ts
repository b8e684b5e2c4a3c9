// The consumers' figures on PostgreSQL: one statement a commit adds to the row of all time and to that of the minute.
import {
  ADDED_COLUMNS,
  addedBy,
  ALL_TIME,
  figuresFrom,
  minuteOf,
  type ConsumerStats,
  type StatsStore,
} from "../consumer-stats.ts";
import type { PartitionCommit } from "../storage.ts";
import type { PostgresConnections } from "./connections.ts";
import type { RawRow, Run } from "./session.ts";
import { arrayOf, readText, storedText } from "./text.ts";

const ADD = `INSERT INTO consumer_stats
    (minute, group_id, topic, partition, since_ms, committed_at_ms, lag_ms, ${ADDED_COLUMNS.join(", ")})
  SELECT m, $2::text, $3::text, $4::integer, $5::bigint, $5::bigint, $6::bigint,
    ${ADDED_COLUMNS.map((_, i) => `$${i + 7}::bigint`).join(", ")}
  FROM unnest($1::bigint[]) AS m
  ON CONFLICT (minute, group_id, topic, partition) DO UPDATE SET
    since_ms = least(consumer_stats.since_ms, excluded.since_ms),
    committed_at_ms = excluded.committed_at_ms, lag_ms = excluded.lag_ms,
    ${ADDED_COLUMNS.map((column) => `${column} = consumer_stats.${column} + excluded.${column}`).join(", ")}`;

const TOTALS = `SELECT * FROM consumer_stats WHERE minute = ${ALL_TIME} AND starts_with(group_id, $1::text)
  ORDER BY group_id, topic, partition`;

const RECENT = `SELECT group_id, topic, partition, ${ADDED_COLUMNS.map((column) => `sum(${column})::bigint AS ${column}`).join(", ")}
  FROM consumer_stats
  WHERE minute > ${ALL_TIME} AND minute >= $2::bigint AND minute < $3::bigint AND starts_with(group_id, $1::text)
  GROUP BY group_id, topic, partition`;

const PRUNE = `WITH dropped AS
    (DELETE FROM consumer_stats WHERE minute > ${ALL_TIME} AND minute < $1::bigint RETURNING 1)
  SELECT count(*)::bigint AS dropped FROM dropped`;

export async function storeStats(run: Run, commit: PartitionCommit): Promise<void> {
  const added = addedBy(commit);
  if (!added) return;
  const { group, topic, partition, committedAtMs, stats } = commit;
  const minutes = arrayOf([ALL_TIME, minuteOf(committedAtMs)]);
  const lagMs = Math.max(0, Math.round(stats?.lagMs ?? 0));
  const place = [storedText(group), storedText(topic), partition];
  await run(ADD, [minutes, ...place, committedAtMs, lagMs, ...added]);
}

export function createPostgresStatsStore(connections: PostgresConnections): StatsStore {
  return {
    async consumerStats(groupPrefix, { from, to }) {
      const prefix = storedText(groupPrefix);
      return await connections.transaction("reading the consumers' figures", async (run) => {
        const [totals, recent] = await Promise.all([run(TOTALS, [prefix]), run(RECENT, [prefix, from, to])]);
        const recentOf = new Map(recent.map((row) => [placeOf(row), row]));
        const outcome = totals.map((row): ConsumerStats => {
          const lately = recentOf.get(placeOf(row));
          return {
            group: readText(String(row.group_id)),
            topic: readText(String(row.topic)),
            partition: Number(row.partition),
            total: figuresFrom((column) => Number(row[column])),
            recent: figuresFrom((column) => Number(lately?.[column] ?? 0)),
            sinceMs: Number(row.since_ms),
            committedAtMs: Number(row.committed_at_ms),
            lagMs: Number(row.lag_ms),
          };
        });
        return { outcome, isKept: true };
      });
    },

    async pruneStats(beforeMinute) {
      const rows = await connections.read("pruning the consumers' figures", PRUNE, [beforeMinute]);
      return Number(rows[0]?.dropped ?? 0);
    },
  };
}

const placeOf = (row: RawRow) => JSON.stringify([row.group_id, row.topic, row.partition]);
