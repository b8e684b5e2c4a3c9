// The part of a Durable Object's SQLite storage that the embedded log needs; all of it answers at once, without a
// promise, so nothing can come between a look and a write.

export type SqlValue = ArrayBuffer | string | number | null;

export interface SqlStore {
  sql: {
    exec<Row extends Record<string, SqlValue>>(
      query: string,
      ...bindings: (SqlValue | Uint8Array)[]
    ): { toArray(): Row[] };
    /** Bytes that the database takes; what was freed inside it does not count. */
    readonly databaseSize: number;
  };
  /** Undoes everything when `closure` throws. */
  transactionSync<T>(closure: () => T): T;
}

export function hasTable(store: SqlStore, name: string): boolean {
  const found = store.sql.exec(
    "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = ?",
    name,
  );
  return found.toArray().length > 0;
}
