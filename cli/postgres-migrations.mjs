// Brings a PostgreSQL database up to the newest file of migrations/postgres: each file once, in the order of names, as one
// transaction with the row that tells of it. Two that run at once wait for each other. Errors hold no password.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";

const CONNECT_TIMEOUT_S = 10;

const MAKE_TABLE = `CREATE TABLE IF NOT EXISTS weir_migrations
  (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`;

/** What the database refused, or that it could not be reached; each file is applied whole or not at all. */
export class PostgresMigrationError extends Error {
  name = "PostgresMigrationError";
}

/**
 * @param {string} url
 * @param {string} dir
 */
export async function applyPostgresMigrations(url, dir) {
  if (!existsSync(dir)) return [];
  const files = readdirSync(dir)
    .filter((name) => name.endsWith(".sql"))
    .toSorted();
  const applied = [];
  let sql;
  let at = "connecting";
  try {
    sql = postgres(url, {
      max: 1,
      fetch_types: false,
      connect_timeout: CONNECT_TIMEOUT_S,
      onnotice: () => undefined,
    });
    // Two that make the table at once: one of them is refused, although it says IF NOT EXISTS.
    await sql.unsafe(MAKE_TABLE).catch(() => sql.unsafe(MAKE_TABLE));
    for (const name of files) {
      at = name;
      const isNew = await sql.begin(async (transaction) => {
        await transaction.unsafe("LOCK TABLE weir_migrations IN SHARE ROW EXCLUSIVE MODE");
        const known = await transaction.unsafe("SELECT 1 FROM weir_migrations WHERE name = $1", [name]);
        if (known.length > 0) return false;
        await transaction.unsafe(readFileSync(join(dir, name), "utf8"));
        await transaction.unsafe("INSERT INTO weir_migrations (name) VALUES ($1)", [name]);
        return true;
      });
      if (isNew) applied.push(name);
    }
  } catch (error) {
    throw new PostgresMigrationError(`migrations/postgres: ${at}: ${reasonOf(error)}`);
  } finally {
    await sql?.end({ timeout: 1 });
  }
  return applied;
}

/** Of an address that is none Node repeats the whole in its error, with the password: that is left out. */
function reasonOf(error) {
  if (error instanceof TypeError || error instanceof URIError) return "the URL is not postgres://…";
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error.message || error.code || String(error);
}
