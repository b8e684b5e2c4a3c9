// Commits on PostgreSQL: one transaction, which begins with the fence. The fence is the move of the partition's offset
// itself: it takes the row's lock, and finds no row where the position is not the one the batch was planned from.
import { dailyRows, dayOf, RAW_KIND, storedByDay, type DailyRows } from "../day.ts";
import type { OutboxEntry, PartitionCommit, PartitionId, Position, StreamStore } from "../storage.ts";
import { SIGNALS } from "../../telemetry/signal.ts";
import { storeSamples } from "./alert-samples.ts";
import { claim, claimedUnder, dropClaims } from "./claims.ts";
import type { PostgresConnections } from "./connections.ts";
import { storeStats } from "./consumer-stats.ts";
import { noteReplayed } from "./dead-letters.ts";
import { epochsBefore } from "./epochs.ts";
import { ensurePartitions } from "./partitions.ts";
import { ledgerUnder, progressUnder } from "./progress.ts";
import { isKept, rawFloorDay } from "./retention.ts";
import { insertsOf, type Statement } from "./rows.ts";
import type { RawRow, Run, Value } from "./session.ts";
import { arrayOf, readText, storedText } from "./text.ts";
import { postgresWindows, storeWindows } from "./windows.ts";

const PARTITION = "group_id = $1 AND topic = $2 AND partition = $3::integer";
const IS_AT = `next_offset = $4::bigint AND incarnation = $5::bigint AND epoch = $6::bigint
  AND watermark_ms = $7::bigint`;

/** What was read in time is known of one making of the topic and one epoch only. */
const MOVE = `UPDATE offsets SET
    next_offset = $8::bigint, incarnation = $9::bigint, epoch = $10::bigint, watermark_ms = $11::bigint,
    mark = $12::text, records_total = records_total + $13::bigint, dead_total = dead_total + $14::bigint,
    expired_total = expired_total + $15::bigint, updated_at = $16::text,
    read_through_ms = CASE WHEN incarnation = $9::bigint AND epoch = $10::bigint
      THEN greatest(read_through_ms, $17::bigint) ELSE $17::bigint END
  WHERE ${PARTITION} AND ${IS_AT} RETURNING 1 AS moved`;

const BEGIN_PARTITION = `INSERT INTO offsets (group_id, topic, partition, next_offset, incarnation, epoch, watermark_ms,
    mark, records_total, dead_total, expired_total, updated_at, read_through_ms)
  VALUES ($1, $2, $3::integer, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::text, $9::bigint, $10::bigint,
    $11::bigint, $12::text, $13::bigint)
  ON CONFLICT (group_id, topic, partition) DO NOTHING RETURNING 1 AS moved`;

/** Looked for first: an insert that finds it there would still use up a number. Epochs beyond the first are not seen. */
const ADD_SOURCE = `INSERT INTO sources (topic, incarnation, epoch, is_visible)
  SELECT $1::text, $2::bigint, $3::bigint, $3::bigint = 0
  WHERE NOT EXISTS
    (SELECT FROM sources WHERE topic = $1::text AND incarnation = $2::bigint AND epoch = $3::bigint)
  ON CONFLICT (topic, incarnation, epoch) DO NOTHING`;

const ADD_LEDGER = `INSERT INTO ledger (group_id, topic, partition, incarnation, epoch, tenant, signal,
    stored, dead, late, deduplicated, redelivered, foreign_records)
  SELECT $1::text, $2::text, $3::integer, $4::bigint, $5::bigint, tenant, signal, sum(stored), sum(dead), sum(late),
    sum(deduplicated), sum(redelivered), sum(foreign_records)
  FROM unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
    $13::bigint[]) AS e (tenant, signal, stored, dead, late, deduplicated, redelivered, foreign_records)
  GROUP BY tenant, signal
  ON CONFLICT (group_id, topic, partition, incarnation, epoch, tenant, signal) DO UPDATE SET
    stored = ledger.stored + excluded.stored, dead = ledger.dead + excluded.dead,
    late = ledger.late + excluded.late, deduplicated = ledger.deduplicated + excluded.deduplicated,
    redelivered = ledger.redelivered + excluded.redelivered,
    foreign_records = ledger.foreign_records + excluded.foreign_records`;

/** How much of it lies in which day: what becomes expired with the day's partition. */
const ADD_TO_DAYS = `INSERT INTO day_rows (group_id, topic, partition, incarnation, epoch, kind, day, tenant, stored)
  SELECT $1::text, $2::text, $3::integer, $4::bigint, $5::bigint, kind, day, tenant, stored
  FROM unnest($6::text[], $7::integer[], $8::text[], $9::bigint[]) AS e (kind, day, tenant, stored)
  ON CONFLICT (kind, day, group_id, topic, partition, incarnation, epoch, tenant)
  DO UPDATE SET stored = day_rows.stored + excluded.stored`;

const ADD_OUTBOX = `INSERT INTO outbox (group_id, source_topic, partition, id, topic, key, value)
  SELECT $1::text, $2::text, $3::integer, id, topic, key, value
  FROM unnest($4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS e (id, topic, key, value, i) ORDER BY i
  ON CONFLICT (id) DO NOTHING`;

/** An isolate has 128 MB for all its requests: a page ends with the entry that reaches this. */
const MAX_OUTBOX_CHARS = 4_000_000;

const OUTBOX = `SELECT id, topic, key, value FROM (
    SELECT *, sum(length(value)) OVER (ORDER BY sequence) - length(value) AS chars_before FROM (
      SELECT sequence, id, topic, key, value FROM outbox
      WHERE group_id = $1 AND source_topic = $2 AND partition = $3::integer AND topic <> ALL ($5::text[])
      ORDER BY sequence LIMIT $4::integer
    ) AS oldest
  ) AS page WHERE chars_before < ${MAX_OUTBOX_CHARS} ORDER BY sequence`;

const SENT = `DELETE FROM outbox WHERE id = ANY ($4::text[])
  AND group_id = $1 AND source_topic = $2 AND partition = $3::integer`;

const POSITION = `SELECT next_offset, incarnation, epoch, mark, watermark_ms FROM offsets WHERE ${PARTITION}`;

const READ_THROUGH = `UPDATE offsets SET read_through_ms = greatest(read_through_ms, $8::bigint)
  WHERE ${PARTITION} AND ${IS_AT}`;

export function createPostgresStreamStore(connections: PostgresConnections): StreamStore {
  return {
    async position(id) {
      const [row] = await connections.read("reading a position", POSITION, partitionOf(id));
      return row && positionOf(row);
    },

    async commit(commit) {
      const daily = dailyRows(commit.rows);
      return await connections.transaction("committing a batch", async (run) => {
        if (!(await move(run, commit))) return { outcome: "fenced", isKept: false };
        if (!(await isKept(run, commit.rawFloorDay))) return { outcome: "conflict", isKept: false };
        if (!(await claim(run, commit.claims, commit.committedAtMs)))
          return { outcome: "conflict", isKept: false };
        await store(run, commit, daily);
        return { outcome: "committed", isKept: true };
      });
    },

    async rehearse(commit) {
      const daily = dailyRows(commit.rows);
      await connections.transaction("rehearsing a batch", async (run) => {
        await store(run, commit, daily);
        return { outcome: undefined, isKept: false };
      });
    },

    async claimed(keys) {
      if (keys.length === 0) return [];
      return await connections.transaction("reading claims", async (run) => ({
        outcome: await claimedUnder(run, keys),
        isKept: true,
      }));
    },

    ...postgresWindows(connections),

    async rawFloorDay() {
      return await rawFloorDay(connections);
    },

    async noteReplayed(ids) {
      await noteReplayed(connections, ids);
    },

    async readThrough(id, position, atMs) {
      await connections.read("noting a read to the end", READ_THROUGH, [
        ...partitionOf(id),
        ...placeOf(position),
        atMs,
      ]);
    },

    async dropClaims(beforeMs, limit) {
      return await connections.transaction("dropping claims", async (run) => ({
        outcome: await dropClaims(run, beforeMs, limit),
        isKept: true,
      }));
    },

    async epochsBefore(source, fromOffset, toOffset) {
      return await epochsBefore(connections, source, fromOffset, toOffset);
    },

    async outbox(id, limit, exceptTopics = []) {
      const values = [...partitionOf(id), limit, arrayOf(exceptTopics.map(storedText))];
      const rows = await connections.read("reading the outbox", OUTBOX, values);
      return rows.map((row): OutboxEntry => ({
        id: readText(String(row.id)),
        topic: readText(String(row.topic)),
        key: typeof row.key === "string" ? readText(row.key) : null,
        value: readText(String(row.value)),
      }));
    },

    async sent(id, ids) {
      if (ids.length === 0) return;
      const values = [...partitionOf(id), arrayOf(ids.map(storedText))];
      await connections.read("clearing the outbox", SENT, values);
    },

    async progress(groupPrefix) {
      return await progressUnder(connections, groupPrefix);
    },

    async ledger(groupPrefix, tenant) {
      return await ledgerUnder(connections, groupPrefix, tenant);
    },
  };
}

function partitionOf({ group, topic, partition }: PartitionId): [string, string, number] {
  return [storedText(group), storedText(topic), partition];
}

const placeOf = ({ nextOffset, incarnation, epoch, watermarkMs }: Position) => [
  nextOffset,
  incarnation,
  epoch,
  watermarkMs,
];

function positionOf(row: RawRow): Position {
  return {
    nextOffset: Number(row.next_offset),
    incarnation: Number(row.incarnation),
    epoch: Number(row.epoch),
    mark: typeof row.mark === "string" ? readText(row.mark) : null,
    watermarkMs: Number(row.watermark_ms),
  };
}

function insertsOfCommit(commit: PartitionCommit, daily: DailyRows): Statement[] {
  const { group, topic, partition, next, deadLetters } = commit;
  const { incarnation, epoch } = next;
  const deadAt = new Date(commit.committedAtMs).toISOString();
  return insertsOf(daily, deadLetters, { group, topic, partition, incarnation, epoch, deadAt });
}

/** @returns false where the position has moved */
async function move(run: Run, commit: PartitionCommit): Promise<boolean> {
  const { from, next, rows } = commit;
  const records = Object.values(rows).reduce((sum, { length }) => sum + length, 0);
  const values: Value[] = [
    ...placeOf(next),
    next.mark === null ? null : storedText(next.mark),
    records,
    commit.deadLetters.length,
    commit.expired,
    new Date(commit.committedAtMs).toISOString(),
    commit.claims.receivedMs ?? 0,
  ];
  const moved = from
    ? await run(MOVE, [...partitionOf(commit), ...placeOf(from), ...values])
    : await run(BEGIN_PARTITION, [...partitionOf(commit), ...values]);
  return moved.length > 0;
}

/** Sends all that a commit stores but claims and the position; of one that fails the server drops those behind it. */
async function store(run: Run, commit: PartitionCommit, daily: DailyRows): Promise<void> {
  const { topic, next, ledger, outbox } = commit;
  const inserts = insertsOfCommit(commit, daily);
  await ensureDays(run, commit, daily);
  const statements: Statement[] = [
    { sql: ADD_SOURCE, values: [storedText(topic), next.incarnation, next.epoch] },
    ...inserts,
  ];
  if (ledger.length > 0) {
    const values: Value[] = [
      ...partitionOf(commit),
      next.incarnation,
      next.epoch,
      arrayOf(ledger.map(({ tenant }) => storedText(tenant))),
      arrayOf(ledger.map(({ signal }) => signal)),
      arrayOf(ledger.map(({ stored }) => stored)),
      arrayOf(ledger.map(({ dead }) => dead)),
      arrayOf(ledger.map(({ late }) => late)),
      arrayOf(ledger.map(({ deduplicated }) => deduplicated)),
      arrayOf(ledger.map(({ redelivered }) => redelivered)),
      arrayOf(ledger.map(({ foreign }) => foreign)),
    ];
    statements.push({ sql: ADD_LEDGER, values });
  }
  const days = storedByDay(daily, ledger);
  if (days.length > 0) {
    const values: Value[] = [
      ...partitionOf(commit),
      next.incarnation,
      next.epoch,
      arrayOf(days.map(({ kind }) => kind)),
      arrayOf(days.map(({ day }) => day)),
      arrayOf(days.map(({ tenant }) => storedText(tenant))),
      arrayOf(days.map(({ stored }) => stored)),
    ];
    statements.push({ sql: ADD_TO_DAYS, values });
  }
  if (outbox.length > 0) {
    const values: Value[] = [
      ...partitionOf(commit),
      arrayOf(outbox.map(({ id }) => storedText(id))),
      arrayOf(outbox.map((entry) => storedText(entry.topic))),
      arrayOf(outbox.map(({ key }) => key)),
      arrayOf(outbox.map(({ value }) => storedText(value))),
    ];
    statements.push({ sql: ADD_OUTBOX, values });
  }
  // All at once, in this order: what the connection has prepared before needs one round trip together.
  const sent = [
    ...statements.map(({ sql, values }) => run(sql, values)),
    storeWindows(run, commit),
    storeSamples(run, commit),
    storeStats(run, commit),
  ];
  try {
    await Promise.all(sent);
  } finally {
    // None of them may go on when the transaction is taken back.
    await Promise.allSettled(sent);
  }
}

/**
 * All days that the commit writes to, before it writes any: to make one locks the whole table, and waits for those who
 * write to it.
 */
async function ensureDays(run: Run, { windows }: PartitionCommit, daily: DailyRows): Promise<void> {
  for (const signal of SIGNALS) {
    await ensurePartitions(run, RAW_KIND[signal], daily[signal].keys());
  }
  await ensurePartitions(
    run,
    "windows",
    windows.put.map(({ startMs }) => dayOf(startMs)),
  );
}
