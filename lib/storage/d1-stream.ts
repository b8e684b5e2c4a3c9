// Commits on D1: rows, windows, dead letters, claims, ledger, outbox and the next offset in one batch, which is one
// transaction. The first statement is the fence: it fails the batch when the stored position is not the one the batch
// was planned from. The guards of the days kept and of the claims come after it.
import { sampleStatements } from "./d1-alert-samples.ts";
import { claimGuards, claimsOf, claimStatements, dropClaims } from "./d1-claims.ts";
import { statsStatements } from "./d1-consumer-stats.ts";
import { built, withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { d1Replays } from "./d1-dead-letters.ts";
import { epochsBefore } from "./d1-epochs.ts";
import { faultOf } from "./d1-fault.ts";
import { ledgerOf, ledgerStatements } from "./d1-ledger.ts";
import { oldestOutbox, outboxStatements, removeSent } from "./d1-outbox.ts";
import { floorGuard, rawFloorDay } from "./d1-retention.ts";
import { rowStatements } from "./d1-rows.ts";
import { d1Windows, windowStatements } from "./d1-windows.ts";
import { dailyRows, storedByDay } from "./day.ts";
import type { PartitionCommit, Position, Progress, StreamStore } from "./storage.ts";

const OF_PARTITION = "group_id = ?1 AND topic = ?2 AND partition = ?3";
const AT_POSITION = `${OF_PARTITION} AND next_offset = ?4 AND incarnation = ?5 AND epoch = ?6
  AND watermark_ms = ?7`;

/** Each writes a row that a constraint refuses, or none. */
const FENCE_UNREAD = `INSERT INTO fence (ok) SELECT 0 WHERE EXISTS (SELECT 1 FROM offsets WHERE ${OF_PARTITION})`;
const FENCE = `INSERT INTO fence (ok) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM offsets WHERE ${AT_POSITION})`;
const TAKE_BACK = "INSERT INTO fence (ok, rehearsal) VALUES (1, 1)";

const MOVE_OFFSET = `INSERT INTO offsets (group_id, topic, partition, next_offset, incarnation, epoch, mark,
    records_total, dead_total, expired_total, read_through_ms, updated_at, watermark_ms)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
  ON CONFLICT (group_id, topic, partition) DO UPDATE SET
    next_offset = excluded.next_offset, incarnation = excluded.incarnation, epoch = excluded.epoch,
    mark = excluded.mark, updated_at = excluded.updated_at, watermark_ms = excluded.watermark_ms,
    records_total = records_total + excluded.records_total, dead_total = dead_total + excluded.dead_total,
    expired_total = expired_total + excluded.expired_total,
    -- What begins anew reads again what was received long ago.
    read_through_ms = CASE WHEN incarnation = excluded.incarnation AND epoch = excluded.epoch
      THEN max(read_through_ms, excluded.read_through_ms) ELSE excluded.read_through_ms END`;

const READ_THROUGH = `UPDATE offsets SET read_through_ms = max(read_through_ms, ?8) WHERE ${AT_POSITION}`;

const POSITION = `SELECT next_offset, incarnation, epoch, mark, watermark_ms FROM offsets WHERE ${OF_PARTITION}`;

const PROGRESS = `SELECT * FROM offsets WHERE substr(group_id, 1, length(?1)) = ?1
  ORDER BY group_id, topic, partition`;

export function createD1StreamStore(db: D1): StreamStore {
  return {
    async position({ group, topic, partition }) {
      const { results } = await withDeadline("reading a position", () =>
        db.prepare(POSITION).bind(group, topic, partition).all(),
      );
      const [row] = results;
      if (!row) return undefined;
      return {
        nextOffset: Number(row.next_offset),
        incarnation: Number(row.incarnation),
        epoch: Number(row.epoch),
        mark: row.mark === null || row.mark === undefined ? null : String(row.mark),
        watermarkMs: Number(row.watermark_ms),
      };
    },

    async commit(commit) {
      const what = "committing a batch";
      const statements = built(what, () => [
        fence(db, commit),
        floorGuard(db, commit.rawFloorDay),
        ...claimGuards(db, commit.claims),
        ...commitStatements(db, commit),
      ]);
      try {
        await withDeadline(what, () => db.batch(statements));
        return "committed";
      } catch (error) {
        const fault = faultOf(error);
        if (fault === "fenced" || fault === "conflict") return fault;
        throw error;
      }
    },

    async rehearse(commit) {
      const what = "rehearsing a batch";
      const statements = built(what, () => [...commitStatements(db, commit), db.prepare(TAKE_BACK)]);
      try {
        await withDeadline(what, () => db.batch(statements));
      } catch (error) {
        if (faultOf(error) !== "rehearsed") throw error;
      }
    },

    claimed: (keys) => claimsOf(db, keys),
    dropClaims: (beforeMs, limit) => dropClaims(db, beforeMs, limit),

    ...d1Windows(db),
    ...d1Replays(db),
    rawFloorDay: () => rawFloorDay(db),

    async readThrough({ group, topic, partition }, position, atMs) {
      await withDeadline("noting a read to the end", () =>
        db
          .prepare(READ_THROUGH)
          .bind(group, topic, partition, ...placeOf(position), atMs)
          .all(),
      );
    },

    epochsBefore: (source, fromOffset, toOffset) => epochsBefore(db, source, fromOffset, toOffset),
    outbox: (id, limit, exceptTopics) => oldestOutbox(db, id, limit, exceptTopics),
    sent: (id, ids) => removeSent(db, id, ids),
    ledger: (groupPrefix, tenant) => ledgerOf(db, groupPrefix, tenant),

    async progress(groupPrefix) {
      const { results } = await withDeadline("reading progress", () =>
        db.prepare(PROGRESS).bind(groupPrefix).all(),
      );
      return results.map((row): Progress => ({
        group: String(row.group_id),
        topic: String(row.topic),
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
    },
  };
}

function fence(db: D1, { group, topic, partition, from }: PartitionCommit): D1Statement {
  if (!from) return db.prepare(FENCE_UNREAD).bind(group, topic, partition);
  return db.prepare(FENCE).bind(group, topic, partition, ...placeOf(from));
}

const placeOf = ({ nextOffset, incarnation, epoch, watermarkMs }: Position) =>
  [nextOffset, incarnation, epoch, watermarkMs] as const;

/** What a commit writes, whatever is there. */
function commitStatements(db: D1, commit: PartitionCommit): D1Statement[] {
  const { group, topic, partition, next, rows, deadLetters, ledger, claims, committedAtMs } = commit;
  const committedAt = new Date(committedAtMs).toISOString();
  const recordCount = Object.values(rows).reduce((sum, { length }) => sum + length, 0);
  const daily = dailyRows(rows);
  return [
    ...rowStatements(db, commit, daily, committedAt),
    ...windowStatements(db, commit),
    ...claimStatements(db, claims, committedAtMs),
    ...ledgerStatements(db, commit, storedByDay(daily, ledger)),
    ...sampleStatements(db, commit),
    ...statsStatements(db, commit),
    ...outboxStatements(db, commit),
    db
      .prepare(MOVE_OFFSET)
      .bind(
        group,
        topic,
        partition,
        next.nextOffset,
        next.incarnation,
        next.epoch,
        next.mark,
        recordCount,
        deadLetters.length,
        commit.expired,
        claims.receivedMs ?? 0,
        committedAt,
        next.watermarkMs,
      ),
  ];
}
