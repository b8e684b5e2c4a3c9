// Applies a folder's *.sql to a local D1 the way `wrangler d1 migrations apply` does: same table, same order, each
// file once. A file and its row are one transaction, so a failure half-way leaves nothing of that file behind.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The part of D1's API used here; its types come with the worker's, which Node's side does not load. */
export type MigratedDatabase = {
  prepare(sql: string): Statement;
  batch(statements: Statement[]): Promise<unknown>;
};
type Statement = { run(): Promise<unknown>; all(): Promise<{ results: Record<string, unknown>[] }> };

/** A migration that SQLite refused; the database is as it was before that file. */
class MigrationError extends Error {
  override readonly name = "MigrationError";
  readonly code = "migration_failed";
  readonly retryable = false;
}

/**
 * Brings `database` up to the newest file of `dir`.
 *
 * @returns the names of the files applied now, oldest first
 * @throws MigrationError naming the file
 */
export async function applyMigrations(
  database: MigratedDatabase,
  dir: string,
  table: string,
): Promise<string[]> {
  if (!existsSync(dir)) return [];
  await database
    .prepare(
      `CREATE TABLE IF NOT EXISTS ${table}(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`,
    )
    .run();
  const rows = await database.prepare(`SELECT name FROM ${table}`).all();
  const done = new Set(rows.results.map((row) => row["name"]));
  const pending = readdirSync(dir)
    .filter((name) => name.endsWith(".sql") && !done.has(name))
    .toSorted((a, b) => sequence(a) - sequence(b) || (a < b ? -1 : 1));
  for (const name of pending) {
    try {
      // The local D1 hands a whole script to SQLite, so no splitter of ours can cut a trigger in two. The row is part
      // of that script, as wrangler has it: SQLite's `exec` refuses a script that ends in a comment.
      const script = readFileSync(join(dir, name), "utf8");
      const row = `INSERT INTO ${table} (name) VALUES ('${name.replaceAll("'", "''")}');`;
      await database.batch([database.prepare(`${script}\n${row}`)]);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MigrationError(`migrations/${name}: ${reason}`, { cause });
    }
  }
  return pending;
}

/** Wrangler orders by the number that a file's name begins with. */
function sequence(name: string): number {
  const number = Number.parseInt(name, 10);
  return Number.isNaN(number) ? Number.POSITIVE_INFINITY : number;
}
