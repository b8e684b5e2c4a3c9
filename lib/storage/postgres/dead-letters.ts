// Dead letters, newest first. An id names the place that the letter came from: the list goes on behind that place.
import type { DeadLetterQuery, StoredDeadLetter } from "../storage.ts";
import { Conditions } from "./conditions.ts";
import type { PostgresConnections } from "./connections.ts";
import type { RawRow, Value } from "./session.ts";
import { readText, storedText } from "./text.ts";

/** `group/topic/incarnation/partition/offset/index`; a group's name may hold slashes, a topic's may not. */
const ID = /^(.*)\/([^/]*)\/(\d{1,15})\/(\d{1,9})\/(\d{1,15})\/(-1|\d{1,9})$/s;

const LETTERS = `FROM dead_letters AS d JOIN sources AS s ON s.id = d.source AND s.is_visible`;
const COLUMNS = `d.group_id, d.tenant, s.topic, s.incarnation, d.partition, d."offset", d.idx, d.original_key, d.error,
  d.error_type, d.attempts, d.dlq_timestamp, d.replays`;
const SORT_KEY = `d.dlq_timestamp, d.source, d.partition, d."offset", d.idx, d.group_id`;
const NEWEST_FIRST = SORT_KEY.split(", ")
  .map((column) => `${column} DESC`)
  .join(", ");
const IS_AT = `d.group_id = ? AND s.topic = ? AND s.incarnation = ?::bigint AND d.partition = ?::integer
  AND d."offset" = ?::bigint AND d.idx = ?::integer`;

export async function listDeadLetters(
  connections: PostgresConnections,
  { tenant, topic, errorType, from, to, limit, after }: DeadLetterQuery,
): Promise<StoredDeadLetter[]> {
  const conditions = new Conditions();
  if (tenant !== undefined) conditions.add("d.tenant = ?", storedText(tenant));
  if (topic !== undefined) conditions.add("s.topic = ?", storedText(topic));
  if (errorType !== undefined) conditions.add("d.error_type = ?", storedText(errorType));
  if (from !== undefined) conditions.add("d.dlq_timestamp >= ?", from);
  if (to !== undefined) conditions.add("d.dlq_timestamp < ?", to);
  if (after !== undefined) {
    const place = placeOf(after);
    if (!place) return [];
    // Nothing is behind a place where no letter is, or one of another tenant.
    const [isOwn, owner] = tenant === undefined ? ["", []] : ["AND d.tenant = ?", [storedText(tenant)]];
    conditions.add(
      `(${SORT_KEY}) < (SELECT ${SORT_KEY} ${LETTERS} WHERE ${IS_AT} ${isOwn} ORDER BY d.source DESC LIMIT 1)`,
      ...place,
      ...owner,
    );
  }
  const values = [...conditions.values, limit];
  const sql = `SELECT ${COLUMNS} ${LETTERS} WHERE ${conditions.sql}
    ORDER BY ${NEWEST_FIRST} LIMIT $${values.length}::integer`;
  return (await connections.read("querying dead letters", sql, values)).map(letterOf);
}

export async function findDeadLetter(
  connections: PostgresConnections,
  id: string,
  tenant: string | undefined,
): Promise<StoredDeadLetter | undefined> {
  const place = placeOf(id);
  if (!place) return undefined;
  const conditions = new Conditions();
  conditions.add(IS_AT, ...place);
  if (tenant !== undefined) conditions.add("d.tenant = ?", storedText(tenant));
  const sql = `SELECT ${COLUMNS}, d.original_value ${LETTERS} WHERE ${conditions.sql} ORDER BY d.source DESC LIMIT 1`;
  const [row] = await connections.read("reading a dead letter", sql, conditions.values);
  return row && { ...letterOf(row), originalValue: textOrNull(row.original_value) };
}

/** Only of what is seen, as they are listed. */
export async function noteReplayed(connections: PostgresConnections, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const place = placeOf(id);
    if (!place) continue;
    const conditions = new Conditions();
    conditions.add(IS_AT, ...place);
    const sql = `UPDATE dead_letters AS d SET replays = d.replays + 1 FROM sources AS s
      WHERE s.id = d.source AND s.is_visible AND ${conditions.sql}`;
    // oxlint-disable-next-line no-await-in-loop -- one connection, and few of them
    await connections.read("noting a replay", sql, conditions.values);
  }
}

function placeOf(id: string): Value[] | undefined {
  const [, group, topic, ...numbers] = ID.exec(id) ?? [];
  if (group === undefined || topic === undefined) return undefined;
  return [storedText(group), storedText(topic), ...numbers];
}

function letterOf(row: RawRow): StoredDeadLetter {
  const group = readText(String(row.group_id));
  const topic = readText(String(row.topic));
  const [incarnation, partition] = [Number(row.incarnation), Number(row.partition)];
  const [offset, index] = [Number(row.offset), Number(row.idx)];
  return {
    id: [group, topic, incarnation, partition, offset, index].join("/"),
    group,
    tenant: readText(String(row.tenant)),
    topic,
    incarnation,
    partition,
    offset,
    index,
    originalKey: textOrNull(row.original_key),
    error: readText(String(row.error)),
    errorType: readText(String(row.error_type)),
    attempts: Number(row.attempts),
    deadAt: String(row.dlq_timestamp),
    replays: Number(row.replays),
  };
}

function textOrNull(value: RawRow[string]): string | null {
  return value === null || value === undefined ? null : readText(String(value));
}
