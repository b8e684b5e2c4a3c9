// How a partition's log lies in its tables, and how a record's headers lie in a column.
import { Buffer } from "node:buffer";
import type { RecordHeader } from "../transport.ts";

/** What is small comes first, so that looking at it leaves a large value's pages unread. */
export const SCHEMA = `
  CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    retention_ms INTEGER NOT NULL,
    retention_bytes INTEGER NOT NULL,
    start_offset INTEGER NOT NULL
  );
  CREATE TABLE records (
    offset INTEGER PRIMARY KEY,
    total_bytes INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    appended_ms INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    headers TEXT,
    key BLOB,
    value BLOB
  );
`;

/** Pairs of name and base64; a null stays one. */
export function headersToText(headers: readonly RecordHeader[]): string {
  return JSON.stringify(
    headers.map(({ name, value }) => [name, value && Buffer.from(value).toString("base64")]),
  );
}

export function headersFromText(text: string): RecordHeader[] {
  const pairs = JSON.parse(text) as [string, string | null][];
  return pairs.map(([name, value]) => ({
    name,
    value: value === null ? null : new Uint8Array(Buffer.from(value, "base64")),
  }));
}
