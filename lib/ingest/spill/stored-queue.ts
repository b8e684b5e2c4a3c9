// Messages that wait for Kafka, in a Durable Object's SQLite: in order, until they are removed as acknowledged or set
// aside as refused. Nothing here waits, so an append or a removal is whole or not at all. Sums are kept beside the
// messages in the same transactions, so that telling them never means counting.
import type { KafkaErrorCode } from "../../kafka/errors.ts";
import type { SqlStore } from "../../kafka/embedded/sql-store.ts";
import { sentBytesOf } from "../../kafka/request-size.ts";
import type { Signal } from "../../telemetry/signal.ts";
import type { HeldMessage, NextPage, RefusedMessage, SpillQueue } from "./drain-spill.ts";
import { DrainedHours } from "./drained-hours.ts";
import { Totals, type Total } from "./totals.ts";
import {
  keyHash,
  type Drained,
  type Refusal,
  type SpillMessage,
  type SpillSums,
  type TenantSpill,
} from "./spill-port.ts";

/** What a message takes beside its key and value: names, numbers, three B-trees (measured: 100 bytes, without gaps). */
const ROW_BYTES = 150;

/** Refusals told in a status. */
const MAX_TOLD_REFUSALS = 10;

/**
 * AUTOINCREMENT, so that a number is never given again to a later message. `hash` modulo the partition count is the
 * partition. `code` is null while a message waits its turn. The small columns stand before the large ones, which SQLite
 * then need not read to skip them.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    hash INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    signal TEXT NOT NULL,
    records INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    code TEXT,
    error TEXT,
    again_ms INTEGER,
    key BLOB NOT NULL,
    value BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS waiting ON messages (topic, id, hash, sent) WHERE code IS NULL;
  CREATE INDEX IF NOT EXISTS refused ON messages (again_ms) WHERE code IS NOT NULL;
  CREATE INDEX IF NOT EXISTS by_age ON messages (received_ms, code);
  CREATE TABLE IF NOT EXISTS totals (
    tenant TEXT NOT NULL,
    signal TEXT NOT NULL,
    messages INTEGER NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, signal)
  ) STRICT, WITHOUT ROWID;
`;

export class StoredQueue implements SpillQueue {
  readonly #store: SqlStore;
  readonly #drained: DrainedHours;
  #bytes: number;

  constructor(store: SqlStore) {
    this.#store = store;
    store.sql.exec(SCHEMA);
    this.#drained = new DrainedHours(store);
    this.#bytes = this.#one<{ bytes: number }>("SELECT COALESCE(SUM(bytes), 0) AS bytes FROM totals").bytes;
  }

  /** All of it, or nothing where it throws. */
  append(messages: readonly SpillMessage[]): void {
    const added = new Totals();
    this.#store.transactionSync(() => {
      for (const message of messages) {
        const { topic, key, value, tenant, signal, records, receivedMs } = message;
        const bytes = heldBytesOf(message);
        this.#store.sql.exec(
          `INSERT INTO messages (topic, hash, sent, tenant, signal, records, received_ms, bytes, key, value)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          topic,
          keyHash(key),
          sentBytesOf({ partition: 0, key, value }),
          tenant,
          signal,
          records,
          receivedMs,
          bytes,
          key,
          value,
        );
        added.add({ tenant, signal, messages: 1, records, bytes });
      }
      this.#addTotals(added);
    });
    this.#bytes += added.bytes;
  }

  /** Whether any message waits: of a topic, or at all. */
  holds(topic?: string): boolean {
    const found =
      topic === undefined
        ? this.#store.sql.exec("SELECT 1 FROM messages WHERE code IS NULL LIMIT 1")
        : this.#store.sql.exec("SELECT 1 FROM messages WHERE code IS NULL AND topic = ? LIMIT 1", topic);
    return found.toArray().length > 0;
  }

  topics(): string[] {
    const found: string[] = [];
    // From one to the next by the index; DISTINCT would read all of it.
    for (let last = ""; ;) {
      const { topic } = this.#one<{ topic: string | null }>(
        "SELECT MIN(topic) AS topic FROM messages WHERE code IS NULL AND topic > ?",
        last,
      );
      if (topic === null) return found;
      found.push(topic);
      last = topic;
    }
  }

  page({ topic, after, partitions, except, maxMessages, maxSentBytes }: NextPage): HeldMessage[] {
    // What fits is found by the index alone; a first message that is too large by itself is the page.
    return this.#store.sql
      .exec<{ id: number; hash: number; key: ArrayBuffer; value: ArrayBuffer }>(
        `WITH next AS (
           SELECT id, sent FROM messages
           WHERE code IS NULL AND topic = ? AND id > ? AND hash % ? NOT IN (SELECT value FROM json_each(?))
           ORDER BY id LIMIT ?
         ), summed AS (SELECT id, sent, SUM(sent) OVER (ORDER BY id) AS total FROM next)
         SELECT id, hash, key, value FROM messages
         WHERE id IN (SELECT id FROM summed WHERE total <= ? OR total = sent) ORDER BY id`,
        topic,
        after,
        partitions,
        JSON.stringify([...except]),
        maxMessages,
        maxSentBytes,
      )
      .toArray()
      .map(({ id, hash, key, value }) => ({
        id,
        hash,
        key: new Uint8Array(key),
        value: new Uint8Array(value),
      }));
  }

  remove(ids: readonly number[], nowMs: number): void {
    const removed = new Totals();
    let oldestMs = Infinity;
    this.#store.transactionSync(() => {
      const rows = this.#store.sql.exec<Omit<Total, "messages"> & { received: number }>(
        `DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))
         RETURNING tenant, signal, records, bytes, received_ms AS received`,
        JSON.stringify(ids),
      );
      for (const { tenant, signal, records, bytes, received } of rows.toArray()) {
        removed.add({ tenant, signal, messages: -1, records: -records, bytes: -bytes });
        oldestMs = Math.min(oldestMs, received);
      }
      this.#addTotals(removed);
      if (oldestMs < Infinity) this.#drained.note(oldestMs, nowMs);
    });
    this.#bytes += removed.bytes;
  }

  refuse(ids: readonly number[], code: KafkaErrorCode, error: string, againMs: number): void {
    this.#store.sql.exec(
      `UPDATE messages SET code = ?, error = ?, again_ms = ? WHERE id IN (SELECT value FROM json_each(?))`,
      code,
      error,
      againMs,
      JSON.stringify(ids),
    );
  }

  refusedUntil(atMs: number, limit: number): RefusedMessage[] {
    return this.#store.sql
      .exec<{
        id: number;
        topic: string;
        hash: number;
        code: KafkaErrorCode;
        error: string;
        key: ArrayBuffer;
        value: ArrayBuffer;
      }>(
        `SELECT id, topic, hash, code, error, key, value FROM messages
         WHERE code IS NOT NULL AND again_ms <= ? ORDER BY again_ms, id LIMIT ?`,
        atMs,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, key: new Uint8Array(row.key), value: new Uint8Array(row.value) }));
  }

  /** When the first of the refused is to be tried again; null where there is none. */
  get refusedAgainMs(): number | null {
    return this.#one<{ again: number | null }>(
      "SELECT MIN(again_ms) AS again FROM messages WHERE code IS NOT NULL",
    ).again;
  }

  /** What is held, with what a message takes beside its bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the oldest was received of those that wait their turn; the refused wait for somebody, not for Kafka. */
  get oldestWaitingMs(): number | null {
    const [oldest] = this.#store.sql
      .exec<{ received_ms: number }>(
        "SELECT received_ms FROM messages INDEXED BY by_age WHERE code IS NULL ORDER BY received_ms LIMIT 1",
      )
      .toArray();
    return oldest?.received_ms ?? null;
  }

  /** When the first of a topic's was received that wait; null: none does. */
  firstWaitingMs(topic: string): number | null {
    const [first] = this.#store.sql
      .exec<{ received_ms: number }>(
        `SELECT received_ms FROM messages INDEXED BY waiting
         WHERE code IS NULL AND topic = ? ORDER BY id LIMIT 1`,
        topic,
      )
      .toArray();
    return first?.received_ms ?? null;
  }

  /** What was sent on, by the hour. */
  drained(): Drained[] {
    return this.#drained.list();
  }

  sums(): SpillSums {
    return {
      ...this.#one<Pick<SpillSums, "messages" | "records" | "bytes">>(
        `SELECT COALESCE(SUM(messages), 0) AS messages, COALESCE(SUM(records), 0) AS records,
           COALESCE(SUM(bytes), 0) AS bytes FROM totals`,
      ),
      oldestMs: this.oldestWaitingMs,
      refused: this.#one<{ refused: number }>(
        "SELECT COUNT(*) AS refused FROM messages WHERE code IS NOT NULL",
      ).refused,
    };
  }

  byTenant(): TenantSpill[] {
    return this.#store.sql
      .exec<{ tenant: string; signal: Signal; records: number }>(
        "SELECT tenant, signal, records FROM totals ORDER BY tenant, signal",
      )
      .toArray();
  }

  refusals(): Refusal[] {
    return this.#store.sql
      .exec<{ [K in keyof Refusal]: Refusal[K] }>(
        `SELECT topic, tenant, records, received_ms AS receivedMs, code, error AS message
         FROM messages WHERE code IS NOT NULL ORDER BY id LIMIT ?`,
        MAX_TOLD_REFUSALS,
      )
      .toArray();
  }

  #addTotals(changes: Totals): void {
    const { sql } = this.#store;
    for (const { tenant, signal, messages, records, bytes } of changes) {
      sql.exec(
        `INSERT INTO totals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant, signal) DO UPDATE SET
           messages = messages + ?3, records = records + ?4, bytes = bytes + ?5`,
        tenant,
        signal,
        messages,
        records,
        bytes,
      );
      if (messages < 0)
        sql.exec("DELETE FROM totals WHERE tenant = ? AND signal = ? AND messages = 0", tenant, signal);
    }
  }

  // oxlint-disable-next-line no-unnecessary-type-parameters -- as `exec` has it: the row's shape is the query's
  #one<Row extends Record<string, string | number | null>>(query: string, ...bindings: string[]): Row {
    const [row] = this.#store.sql.exec<Row>(query, ...bindings).toArray();
    if (!row) throw new Error(`no row: ${query}`);
    return row;
  }
}

/** What a message counts against the limit on size. */
export function heldBytesOf({ key, value }: SpillMessage): number {
  return key.length + value.length + ROW_BYTES;
}
