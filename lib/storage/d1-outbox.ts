// The outbox on D1: rows of a commit that are sent after it, in the order in which they were written.
import { withDeadline, type D1, type D1Statement } from "./d1-database.ts";
import { elementsOf, jsonChunks } from "./d1-json.ts";
import type { OutboxEntry, PartitionCommit, PartitionId } from "./storage.ts";

/** What is read at once ends with the entry that brings it here: an isolate has 128 MB for all it does. */
const MAX_READ_CHARS = 4_000_000;

const ADD = `WITH ${elementsOf(1, "e")} INSERT INTO outbox (id, group_id, source_topic, partition, topic, key, value)
  SELECT e.value ->> 0, ?2, ?3, ?4, e.value ->> 1, e.value ->> 2, e.value ->> 3 FROM e WHERE true
  ON CONFLICT (id) DO NOTHING`;

const oldest = (condition: string) => `SELECT id, topic, key, value FROM (
    SELECT *, sum(length(value)) OVER (ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ahead
    FROM outbox INDEXED BY outbox_by_partition
    WHERE group_id = ?1 AND source_topic = ?2 AND partition = ?3
      ${condition} ORDER BY sequence LIMIT ?4)
  WHERE coalesce(ahead, 0) < ${MAX_READ_CHARS} ORDER BY sequence`;

const OLDEST = oldest("");
const OLDEST_EXCEPT = oldest("AND topic NOT IN (SELECT value FROM json_each(?5))");

/** Found by their ids alone (the signs keep SQLite to that), however many wait. */
const REMOVE = `DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?1))
  AND +group_id = ?2 AND +source_topic = ?3 AND +partition = ?4`;

export function outboxStatements(db: D1, commit: PartitionCommit): D1Statement[] {
  const entries = commit.outbox.map(({ id, topic, key, value }) => [id, topic, key, value]);
  return [...jsonChunks(entries)].map((chunk) =>
    db.prepare(ADD).bind(chunk, commit.group, commit.topic, commit.partition),
  );
}

export async function oldestOutbox(
  db: D1,
  id: PartitionId,
  limit: number,
  exceptTopics: readonly string[] = [],
): Promise<OutboxEntry[]> {
  const values = [id.group, id.topic, id.partition, limit];
  const statement =
    exceptTopics.length === 0
      ? db.prepare(OLDEST).bind(...values)
      : db.prepare(OLDEST_EXCEPT).bind(...values, JSON.stringify(exceptTopics));
  const { results } = await withDeadline("reading the outbox", () => statement.all());
  return results.map((row) => ({
    id: String(row.id),
    topic: String(row.topic),
    key: row.key === null || row.key === undefined ? null : String(row.key),
    value: String(row.value),
  }));
}

export async function removeSent(db: D1, id: PartitionId, ids: readonly string[]): Promise<void> {
  const statements = [...jsonChunks(ids)].map((chunk) =>
    db.prepare(REMOVE).bind(chunk, id.group, id.topic, id.partition),
  );
  if (statements.length > 0) await withDeadline("clearing the outbox", () => db.batch(statements));
}
