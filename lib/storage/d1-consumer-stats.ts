// The consumers' figures on D1: one statement a commit adds to the row of all time and to that of the minute.
import {
  ADDED_COLUMNS,
  addedBy,
  ALL_TIME,
  figuresFrom,
  minuteOf,
  type ConsumerStats,
  type StatsStore,
} from "./consumer-stats.ts";
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import type { PartitionCommit } from "./storage.ts";

const ADD = `INSERT INTO consumer_stats
    (minute, group_id, topic, partition, since_ms, committed_at_ms, lag_ms, ${ADDED_COLUMNS.join(", ")})
  SELECT m.value, ?2, ?3, ?4, ?5, ?5, ?6, ${ADDED_COLUMNS.map((_, i) => `?${i + 7}`).join(", ")}
  FROM json_each(?1) AS m WHERE true
  ON CONFLICT (minute, group_id, topic, partition) DO UPDATE SET
    since_ms = min(since_ms, excluded.since_ms), committed_at_ms = excluded.committed_at_ms, lag_ms = excluded.lag_ms,
    ${ADDED_COLUMNS.map((column) => `${column} = ${column} + excluded.${column}`).join(", ")}`;

const PREFIXED = "substr(group_id, 1, length(?1)) = ?1";

const TOTALS = `SELECT * FROM consumer_stats WHERE minute = ${ALL_TIME} AND ${PREFIXED}
  ORDER BY group_id, topic, partition`;

const RECENT = `SELECT group_id, topic, partition, ${ADDED_COLUMNS.map((column) => `sum(${column}) AS ${column}`).join(", ")}
  FROM consumer_stats WHERE minute > ${ALL_TIME} AND minute >= ?2 AND minute < ?3 AND ${PREFIXED}
  GROUP BY group_id, topic, partition`;

const PRUNE = `DELETE FROM consumer_stats WHERE minute > ${ALL_TIME} AND minute < ?1`;

export function statsStatements(db: D1, commit: PartitionCommit): D1Statement[] {
  const added = addedBy(commit);
  if (!added) return [];
  const { group, topic, partition, committedAtMs, stats } = commit;
  const minutes = JSON.stringify([ALL_TIME, minuteOf(committedAtMs)]);
  const lagMs = Math.max(0, Math.round(stats?.lagMs ?? 0));
  return [db.prepare(ADD).bind(minutes, group, topic, partition, committedAtMs, lagMs, ...added)];
}

export function createD1StatsStore(db: D1): StatsStore {
  return {
    async consumerStats(groupPrefix, { from, to }) {
      const [totals, recent] = await withDeadline("reading the consumers' figures", () =>
        Promise.all([
          db.prepare(TOTALS).bind(groupPrefix).all(),
          db.prepare(RECENT).bind(groupPrefix, from, to).all(),
        ]),
      );
      const recentOf = new Map(recent.results.map((row) => [placeOf(row), row]));
      return totals.results.map((row): ConsumerStats => {
        const lately = recentOf.get(placeOf(row));
        return {
          group: String(row.group_id),
          topic: String(row.topic),
          partition: Number(row.partition),
          total: figuresFrom((column) => Number(row[column])),
          recent: figuresFrom((column) => Number(lately?.[column] ?? 0)),
          sinceMs: Number(row.since_ms),
          committedAtMs: Number(row.committed_at_ms),
          lagMs: Number(row.lag_ms),
        };
      });
    },

    async pruneStats(beforeMinute) {
      const { meta } = await withDeadline("pruning the consumers' figures", () =>
        db.prepare(PRUNE).bind(beforeMinute).all(),
      );
      return meta.changes;
    },
  };
}

const placeOf = (row: Record<string, string | number | null>) =>
  JSON.stringify([row.group_id, row.topic, row.partition]);
