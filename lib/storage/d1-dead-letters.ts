// Dead letters on D1, newest first; those of one moment by their place. A page begins behind a letter, which it finds by
// its id and within the tenant that asks.
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";
import type { QueryStore, StoredDeadLetter, StreamStore } from "./storage.ts";

const KEY = ["dlq_timestamp", "source", "partition", "offset", "idx", "group_id"] as const;
const keyOf = (table: string) => KEY.map((column) => `${table}.${column}`).join(", ");

const COLUMNS = `s.topic, s.incarnation, d.partition, d.offset, d.idx, d.group_id, d.tenant, d.original_key, d.error,
  d.error_type, d.attempts, d.dlq_timestamp, d.replays`;

interface Where {
  sql: string;
  values: D1Value[];
}

export function d1DeadLetters(db: D1): Pick<QueryStore, "deadLetters" | "deadLetter"> {
  return {
    async deadLetters({ tenant, topic, errorType, from, to, limit, after }) {
      const where: Where[] = [{ sql: "s.is_visible = 1", values: [] }];
      if (tenant !== undefined) where.push({ sql: "d.tenant = ?", values: [tenant] });
      if (topic !== undefined) where.push({ sql: "s.topic = ?", values: [topic] });
      if (errorType !== undefined) where.push({ sql: "d.error_type = ?", values: [errorType] });
      if (from !== undefined) where.push({ sql: "d.dlq_timestamp >= ?", values: [from] });
      if (to !== undefined) where.push({ sql: "d.dlq_timestamp < ?", values: [to] });
      if (after !== undefined) {
        const last = whereId(after, tenant, "l", "ls");
        if (!last) return [];
        where.push({
          sql: `(${keyOf("d")}) < (SELECT ${keyOf("l")} FROM dead_letters AS l JOIN sources AS ls ON ls.id = l.source
            WHERE ${last.sql})`,
          values: last.values,
        });
      }
      const index = tenant === undefined ? "dead_letters_by_time" : "dead_letters_by_tenant";
      const sql = `SELECT ${COLUMNS} FROM dead_letters AS d INDEXED BY ${index}
        CROSS JOIN sources AS s ON s.id = d.source
        WHERE ${where.map((one) => one.sql).join(" AND ")}
        ORDER BY ${KEY.map((column) => `d.${column} DESC`).join(", ")} LIMIT ?`;
      const { results } = await withDeadline("querying dead letters", () =>
        db
          .prepare(sql)
          .bind(...where.flatMap((one) => one.values), limit)
          .all(),
      );
      return results.map(toDeadLetter);
    },

    async deadLetter(id, tenant) {
      const where = whereId(id, tenant, "d", "s");
      if (!where) return undefined;
      const sql = `SELECT ${COLUMNS}, d.original_value FROM dead_letters AS d JOIN sources AS s ON s.id = d.source
        WHERE ${where.sql}`;
      const { results } = await withDeadline("looking up a dead letter", () =>
        db
          .prepare(sql)
          .bind(...where.values)
          .all(),
      );
      const [row] = results;
      return row && { ...toDeadLetter(row), originalValue: textOrNull(row.original_value) };
    },
  };
}

const NOTE_REPLAYED = `UPDATE dead_letters AS d SET replays = replays + 1 FROM sources AS s WHERE s.id = d.source AND `;

/** Some statements each: their parameters are bound one by one. */
const NOTED_AT_ONCE = 100;

async function noteReplayed(db: D1, ids: readonly string[]): Promise<void> {
  const places = ids.flatMap((id) => whereId(id, undefined, "d", "s") ?? []);
  for (let at = 0; at < places.length; at += NOTED_AT_ONCE) {
    const statements = places
      .slice(at, at + NOTED_AT_ONCE)
      .map(({ sql, values }) => db.prepare(NOTE_REPLAYED + sql).bind(...values));
    await withDeadline("noting replays", () => db.batch(statements));
  }
}

export const d1Replays = (db: D1): Pick<StreamStore, "noteReplayed"> => ({
  noteReplayed: (ids) => noteReplayed(db, ids),
});

/** @returns undefined for what is no id */
function whereId(
  id: string,
  tenant: string | undefined,
  letters: string,
  sources: string,
): Where | undefined {
  // A topic's name holds no slash; a group's may.
  const parts = /^(.+)\/([^/]+)\/(\d+)\/(\d+)\/(\d+)\/(-1|\d+)$/s.exec(id)?.slice(1);
  if (!parts) return undefined;
  const [group = "", topic = "", ...place] = parts;
  const sql = `${letters}.group_id = ? AND ${sources}.topic = ? AND ${sources}.incarnation = ?
    AND ${letters}.partition = ? AND ${letters}.offset = ? AND ${letters}.idx = ? AND ${sources}.is_visible = 1`;
  const values = [group, topic, ...place.map(Number)];
  if (tenant === undefined) return { sql, values };
  return { sql: `${sql} AND ${letters}.tenant = ?`, values: [...values, tenant] };
}

function toDeadLetter(row: Record<string, D1Value>): StoredDeadLetter {
  const place = [row.group_id, row.topic, row.incarnation, row.partition, row.offset, row.idx];
  return {
    id: place.join("/"),
    group: String(row.group_id),
    tenant: String(row.tenant),
    topic: String(row.topic),
    incarnation: Number(row.incarnation),
    partition: Number(row.partition),
    offset: Number(row.offset),
    index: Number(row.idx),
    originalKey: textOrNull(row.original_key),
    error: String(row.error),
    errorType: String(row.error_type),
    attempts: Number(row.attempts),
    deadAt: String(row.dlq_timestamp),
    replays: Number(row.replays),
  };
}

function textOrNull(value: D1Value | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
