// The log of one partition in SQLite: gapless offsets, appends that happen whole or not at all, reads and bounds in
// O(log n) beside what they return. Old records go by age and by size, in bounded steps, oldest first.
//
// Each row carries the running total of bytes up to its end: the size of any stretch is then a difference of two
// rows, and an append writes nothing but its records (Cloudflare bills by rows written).
import { KafkaError } from "../errors.ts";
import type { FetchedRecord } from "../transport.ts";
import {
  MAX_CALL_BYTES,
  MAX_RECORD_BYTES,
  RECORD_OVERHEAD_BYTES,
  sizeOf,
  type AppendRecord,
  type LogSettings,
} from "./objects.ts";
import { headersFromText, headersToText, SCHEMA } from "./log-schema.ts";
import { hasTable, type SqlStore } from "./sql-store.ts";

/**
 * An object's database may hold 10 GB (developers.cloudflare.com/durable-objects/platform/limits) and refuses writes
 * beyond. Well before that the oldest records go, whatever the settings say.
 */
const MAX_DATABASE_BYTES = 8_000_000_000;

/** Records in one answer. */
const MAX_READ_RECORDS = 10_000;

/** What is kept in memory. */
interface Head extends LogSettings {
  topic: string;
  partition: number;
  start: number;
  end: number;
  /** Running totals of bytes at the start and at the end. */
  startTotal: number;
  endTotal: number;
}

export interface Expiry {
  /** Records that went because the database is full, not by the topic's settings. */
  forced: number;
  /** Whether more of the same is waiting. */
  hasMore: boolean;
  /** When the oldest record comes of age; undefined where nothing will. */
  nextMs: number | undefined;
}

type Row = {
  offset: number;
  timestamp_ms: number;
  headers: string | null;
  key: ArrayBuffer | null;
  value: ArrayBuffer | null;
};

export class StoredLog {
  readonly #store: SqlStore;
  readonly #maxDatabaseBytes: number;
  #head: Head | undefined;

  constructor(store: SqlStore, maxDatabaseBytes = MAX_DATABASE_BYTES) {
    this.#store = store;
    this.#maxDatabaseBytes = maxDatabaseBytes;
  }

  /** Of what this is the log; undefined before it is created. */
  get name(): { topic: string; partition: number } | undefined {
    const head = this.#load();
    return head && { topic: head.topic, partition: head.partition };
  }

  /** @returns whether a log that was there got other settings */
  create(topic: string, partition: number, { retentionMs, retentionBytes }: LogSettings): boolean {
    const head = this.#load();
    if (head?.retentionMs === retentionMs && head.retentionBytes === retentionBytes) return false;
    this.#store.transactionSync(() => {
      if (!head) this.#store.sql.exec(SCHEMA);
      this.#store.sql.exec(
        `INSERT INTO log VALUES (1, ?, ?, ?, ?, 0)
         ON CONFLICT (id) DO UPDATE SET
           retention_ms = excluded.retention_ms, retention_bytes = excluded.retention_bytes`,
        topic,
        partition,
        retentionMs,
        retentionBytes,
      );
    });
    this.#head = undefined;
    return head !== undefined;
  }

  /** @returns offset of the first; nothing here waits, so no other append comes between the end and the records */
  append(records: readonly AppendRecord[], nowMs: number): number {
    const head = this.#opened();
    const sizes = records.map(sizeOf);
    if (sizes.some((bytes) => bytes > MAX_RECORD_BYTES)) {
      throw new KafkaError("too_large", `a record has more than ${MAX_RECORD_BYTES} bytes`);
    }
    if (sizes.reduce((sum, bytes) => sum + bytes, 0) > MAX_CALL_BYTES) {
      throw new KafkaError("too_large", `these records have more than ${MAX_CALL_BYTES} bytes together`);
    }
    let { end, endTotal } = head;
    this.#store.transactionSync(() => {
      records.forEach(({ key, value, headers, timestampMs = nowMs }, i) => {
        const bytes = (sizes[i] ?? 0) + RECORD_OVERHEAD_BYTES;
        endTotal += bytes;
        this.#store.sql.exec(
          "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          end++,
          endTotal,
          bytes,
          nowMs,
          timestampMs,
          headers?.length ? headersToText(headers) : null,
          key,
          value,
        );
      });
    });
    const base = head.end;
    Object.assign(head, { end, endTotal });
    return base;
  }

  /** @returns none at the end; at least one record where there is one */
  read(offset: number, maxBytes: number): FetchedRecord[] {
    const { topic, partition, start, end } = this.#opened();
    if (offset < start || offset > end) {
      throw new KafkaError(
        "offset_out_of_range",
        `${topic}/${partition} holds offsets ${start} to ${end}, not ${offset}`,
      );
    }
    if (offset === end) return [];
    // The inner query finds the first record that is too much, by small columns only.
    const rows = this.#store.sql.exec<Row>(
      `SELECT offset, timestamp_ms, headers, key, value FROM records
       WHERE offset >= ?1 AND offset < COALESCE(
         (SELECT later.offset FROM records AS later
          WHERE later.offset > ?1 AND later.offset < ?1 + ?3 AND later.total_bytes >
            (SELECT total_bytes - bytes FROM records WHERE offset = ?1) + ?2
          ORDER BY later.offset LIMIT 1),
         ?1 + ?3)
       ORDER BY offset`,
      offset,
      Math.min(maxBytes, MAX_CALL_BYTES),
      MAX_READ_RECORDS,
    );
    return rows.toArray().map((row) => ({
      offset: row.offset,
      key: row.key && new Uint8Array(row.key),
      value: row.value && new Uint8Array(row.value),
      headers: row.headers === null ? [] : headersFromText(row.headers),
      timestampMs: row.timestamp_ms,
    }));
  }

  bounds(): { start: number; end: number } {
    const { start, end } = this.#opened();
    return { start, end };
  }

  /** Moves the start at once; `expire` frees the room. */
  deleteRecords(beforeOffset: number): void {
    const head = this.#opened();
    if (!Number.isSafeInteger(beforeOffset) || beforeOffset < 0 || beforeOffset > head.end) {
      throw new KafkaError(
        "offset_out_of_range",
        `${head.topic}/${head.partition} ends at ${head.end}, before ${beforeOffset}`,
      );
    }
    if (beforeOffset > head.start) this.#moveStart(head, beforeOffset);
  }

  /** Whether the log is over its limit of size, or the database over what is safe. */
  isOverfull(): boolean {
    const head = this.#load();
    if (!head) return false;
    const { retentionBytes, startTotal, endTotal } = head;
    return (
      (retentionBytes >= 0 && endTotal - startTotal > retentionBytes) ||
      this.#store.sql.databaseSize > this.#maxDatabaseBytes
    );
  }

  /**
   * One step: lets records go and frees their room, at most `maxRecords` of each. Age is counted from when a record
   * was appended, since its own timestamp is the sender's word. As in Kafka, at least `retention.bytes` stay.
   */
  expire(nowMs: number, maxRecords: number): Expiry {
    const head = this.#load();
    if (!head) return { forced: 0, hasMore: false, nextMs: undefined };
    const { retentionMs, retentionBytes, start } = head;
    let bytes = head.endTotal - head.startTotal;
    let excess = this.#store.sql.databaseSize - this.#maxDatabaseBytes;
    let gone = 0;
    let forced = 0;
    const oldest = this.#store.sql
      .exec<{ bytes: number; appended_ms: number }>(
        "SELECT bytes, appended_ms FROM records WHERE offset >= ? ORDER BY offset LIMIT ?",
        start,
        maxRecords + 1,
      )
      .toArray();
    for (const row of oldest.slice(0, maxRecords)) {
      const isOld = retentionMs >= 0 && row.appended_ms <= nowMs - retentionMs;
      const isMuch = retentionBytes >= 0 && bytes - row.bytes >= retentionBytes;
      if (!isOld && !isMuch && excess <= 0) break;
      if (!isOld && !isMuch) forced++;
      gone++;
      bytes -= row.bytes;
      excess -= row.bytes;
    }
    if (gone > 0) this.#moveStart(head, start + gone);
    const isSwept = this.#sweep(head.start, maxRecords);
    const next = oldest[gone];
    return {
      forced,
      hasMore: !isSwept || (gone === maxRecords && next !== undefined),
      nextMs: next && retentionMs >= 0 ? next.appended_ms + retentionMs : undefined,
    };
  }

  #moveStart(head: Head, start: number): void {
    this.#store.sql.exec("UPDATE log SET start_offset = ?", start);
    head.start = start;
    head.startTotal = this.#totalBefore(start, head);
  }

  /** @returns whether nothing before `start` is left */
  #sweep(start: number, maxRecords: number): boolean {
    const [first] = this.#store.sql
      .exec<{ offset: number | null }>("SELECT MIN(offset) AS offset FROM records")
      .toArray();
    if (typeof first?.offset !== "number" || first.offset >= start) return true;
    this.#store.sql.exec("DELETE FROM records WHERE offset < ?", Math.min(start, first.offset + maxRecords));
    return start <= first.offset + maxRecords;
  }

  #totalBefore(offset: number, { end, endTotal }: Pick<Head, "end" | "endTotal">): number {
    if (offset === end) return endTotal;
    const [row] = this.#store.sql
      .exec<{ before: number }>("SELECT total_bytes - bytes AS before FROM records WHERE offset = ?", offset)
      .toArray();
    return row?.before ?? endTotal;
  }

  #opened(): Head {
    const head = this.#load();
    if (!head) throw new KafkaError("unknown_topic", "there is no such topic, or it has no such partition");
    return head;
  }

  /** Reads only: a mistaken name must not make a database. */
  #load(): Head | undefined {
    if (this.#head || !hasTable(this.#store, "log")) return this.#head;
    const [row] = this.#store.sql
      .exec<{
        topic: string;
        partition: number;
        retention_ms: number;
        retention_bytes: number;
        start_offset: number;
      }>("SELECT * FROM log")
      .toArray();
    if (!row) return undefined;
    const [last] = this.#store.sql
      .exec<{
        offset: number;
        total_bytes: number;
      }>("SELECT offset, total_bytes FROM records ORDER BY offset DESC LIMIT 1")
      .toArray();
    const start = row.start_offset;
    // Whatever was removed lies before the start, so a log without rows ends where it starts.
    const end = last ? last.offset + 1 : start;
    const endTotal = last?.total_bytes ?? 0;
    this.#head = {
      topic: row.topic,
      partition: row.partition,
      retentionMs: row.retention_ms,
      retentionBytes: row.retention_bytes,
      start,
      end,
      startTotal: this.#totalBefore(start, { end, endTotal }),
      endTotal,
    };
    return this.#head;
  }
}
