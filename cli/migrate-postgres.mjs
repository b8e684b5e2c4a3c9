// Makes or renews Weir's tables on PostgreSQL: `WEIR_POSTGRES_URL=postgres://… node cli/migrate-postgres.mjs`. The URL is
// that of the database itself, not Hyperdrive's, and its user must be allowed to make tables.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { applyPostgresMigrations, PostgresMigrationError } from "./postgres-migrations.mjs";

const dir = join(dirname(dirname(fileURLToPath(import.meta.url))), "migrations", "postgres");
const url = process.env.WEIR_POSTGRES_URL;
if (!url) {
  process.stderr.write("WEIR_POSTGRES_URL must be set: postgres://user:password@host:5432/database\n");
  process.exitCode = 1;
} else {
  try {
    const applied = await applyPostgresMigrations(url, dir);
    process.stdout.write(applied.length === 0 ? "up to date\n" : `applied ${applied.join(", ")}\n`);
  } catch (error) {
    if (!(error instanceof PostgresMigrationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
