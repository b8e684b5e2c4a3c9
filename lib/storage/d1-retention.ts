// Retention on D1. Each day's table goes in one transaction with its part of the ledger; a day that is dropped twice at
// once is dropped by the first, and the second finds nothing to move.
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { tableOf } from "./d1-days.ts";
import { DAY_MS, SIGNAL_OF, type DayKind } from "./day.ts";
import { KINDS, type KindGroup, type RetentionStore } from "./retention.ts";

/** developers.cloudflare.com/d1/platform/limits: the largest database of the paid plan. */
const MAX_BYTES = 10_000_000_000;

/** Fails the batch as a conflict where days are kept no longer that it was planned with. */
const GUARD =
  "INSERT INTO fence (ok, floor) SELECT 1, 1 FROM retention WHERE kind = 'raw' AND floor_day > ?1";

const FLOOR = "SELECT floor_day FROM retention WHERE kind = 'raw'";

const RAISE = `INSERT INTO retention (kind, floor_day) VALUES (?1, ?2)
  ON CONFLICT (kind) DO UPDATE SET floor_day = excluded.floor_day WHERE floor_day < excluded.floor_day`;

/** ?1: the kinds. */
const OLDEST = `SELECT kind, day FROM days WHERE kind IN (SELECT value FROM json_each(?1)) ORDER BY day, kind LIMIT 1`;

const OF_DAY = "kind = ?1 AND day = ?2";
const COUNT = `SELECT coalesce(sum(stored), 0) AS records FROM day_rows WHERE ${OF_DAY}`;
const EXPIRE = `UPDATE ledger SET stored = ledger.stored - d.stored, expired = ledger.expired + d.stored
  FROM (SELECT * FROM day_rows WHERE ${OF_DAY}) AS d
  WHERE ledger.tenant = d.tenant AND ledger.group_id = d.group_id AND ledger.topic = d.topic
    AND ledger.partition = d.partition AND ledger.incarnation = d.incarnation AND ledger.epoch = d.epoch
    AND ledger.signal = ?3`;

const DROP_DEAD = `DELETE FROM dead_letters WHERE (source, partition, offset, idx, group_id) IN
  (SELECT source, partition, offset, idx, group_id FROM dead_letters INDEXED BY dead_letters_by_time
    WHERE dlq_timestamp < ?1 LIMIT ?2)`;

const DROP_SERIES = `DELETE FROM series WHERE (tenant, name, series) IN
  (SELECT tenant, name, series FROM series WHERE seen_day < ?1 LIMIT ?2)`;

/**
 * ?1: ISO 8601. An offset tells the making that is read now alone, so it stands for the earlier ones, too. A row whose
 * source is missing is seen: what is known to lie in days that are kept, however far ahead, holds its source.
 */
const IS_FORGOTTEN = `(s.is_visible = 0 OR s.visible_until_ms IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM offsets AS o
    WHERE o.topic = s.topic AND o.epoch = s.epoch AND o.updated_at >= ?1)
  AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.source = s.id)
  AND NOT EXISTS (SELECT 1 FROM newest_windows AS w WHERE w.source = s.id AND w.start_ms >=
    ${DAY_MS} * coalesce((SELECT floor_day FROM retention WHERE kind = 'windows'), 0))
  AND NOT EXISTS (SELECT 1 FROM day_rows AS r
    WHERE r.topic = s.topic AND r.incarnation = s.incarnation AND r.epoch = s.epoch)`;
/**
 * SQLite gives the highest number again once its row is gone, and rows of two sources would be one's. So a row of no
 * topic takes the next number before the highest goes.
 */
const KEEP_NUMBER = `INSERT INTO sources (id, topic, incarnation, epoch)
  SELECT s.id + 1, '', 0, 0 FROM sources AS s WHERE s.id = (SELECT max(id) FROM sources) AND ${IS_FORGOTTEN}
  ON CONFLICT (topic, incarnation, epoch) DO UPDATE SET id = excluded.id`;
const DROP_SOURCES = `DELETE FROM sources AS s WHERE ${IS_FORGOTTEN}`;

export const floorGuard = (db: D1, rawFloorDay: number): D1Statement => db.prepare(GUARD).bind(rawFloorDay);

/** The first day whose raw rows are kept; 0 while nothing was ever dropped. */
export async function rawFloorDay(db: D1): Promise<number> {
  const { results } = await withDeadline("reading the first day kept", () => db.prepare(FLOOR).all());
  return Number(results[0]?.floor_day ?? 0);
}

export function createD1RetentionStore(db: D1, maxBytes = MAX_BYTES): RetentionStore {
  const oldest = async (group: KindGroup) => {
    const { results } = await withDeadline("looking for old days", () =>
      db.prepare(OLDEST).bind(JSON.stringify(KINDS[group])).all(),
    );
    const [row] = results;
    return row && { kind: row.kind as DayKind, day: Number(row.day) };
  };

  return {
    async retire(group, floorDay) {
      await withDeadline("raising the first day kept", () => db.prepare(RAISE).bind(group, floorDay).all());
      const found = await oldest(group);
      if (!found || found.day >= floorDay) return undefined;
      const [counted] = await withDeadline("dropping a day", () =>
        db.batch(dropStatements(db, found.kind, found.day)),
      );
      return { ...found, records: Number(counted?.results[0]?.records ?? 0) };
    },

    async oldestRawDay() {
      return (await oldest("raw"))?.day;
    },

    async dropDeadLetters(beforeMs, limit) {
      const { meta } = await withDeadline("dropping dead letters", () =>
        db.prepare(DROP_DEAD).bind(new Date(beforeMs).toISOString(), limit).all(),
      );
      return meta.changes;
    },

    async dropSeries(day, limit) {
      const { meta } = await withDeadline("dropping series", () =>
        db.prepare(DROP_SERIES).bind(day, limit).all(),
      );
      return meta.changes;
    },

    async dropSources(beforeMs) {
      const before = new Date(beforeMs).toISOString();
      const statements = [KEEP_NUMBER, DROP_SOURCES].map((sql) => db.prepare(sql).bind(before));
      await withDeadline("dropping sources", () => db.batch(statements));
    },

    async size() {
      const { meta } = await withDeadline("reading the database's size", () => db.prepare(FLOOR).all());
      return meta.size_after === undefined ? undefined : { bytes: meta.size_after, maxBytes };
    },
  };
}

/** The first tells how many records of the ledger go. */
function dropStatements(db: D1, kind: DayKind, day: number): D1Statement[] {
  const of = (sql: string, ...more: string[]) => db.prepare(sql).bind(kind, day, ...more);
  return [
    of(COUNT),
    ...(kind === "windows"
      ? [db.prepare("DELETE FROM due_days WHERE day = ?1").bind(day)]
      : [of(EXPIRE, SIGNAL_OF[kind]), of(`DELETE FROM day_rows WHERE ${OF_DAY}`)]),
    of(`DELETE FROM days WHERE ${OF_DAY}`),
    db.prepare(`DROP TABLE IF EXISTS ${tableOf(kind, day)}`),
  ];
}
