// wrangler.toml as Miniflare options, so that bindings, dates and flags are written down once. Wrangler itself does
// the translation; importing it takes 1.8 s (measured), so the outcome is kept under dist/ until an input changes.
// Never kept: `.dev.vars`, which hold secrets. Refuses what a file cannot hold.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { WorkerOptions } from "miniflare";

export type LocalWorkerOptions = {
  /** Everything Miniflare needs but the script: bindings, Durable Objects, D1, assets. */
  worker: Omit<WorkerOptions, "script" | "scriptPath" | "modules">;
  crons: string[];
  /** Per D1 binding: the folder of its migrations and the table that lists the applied ones. */
  databases: { binding: string; migrationsDir: string; migrationsTable: string }[];
};

/**
 * Reads `wrangler.toml` in `root`.
 *
 * @throws whatever wrangler says about a faulty file
 */
export async function readWorkerOptions(root: string): Promise<LocalWorkerOptions> {
  const configPath = join(root, "wrangler.toml");
  const key = fingerprint(root, [configPath, ...assetRules(root)]);
  const cachePath = join(root, "dist", "worker-options.json");
  const cached = readCache(cachePath);
  if (cached?.key === key) return cached.options;
  const options = await translate(root, configPath);
  mkdirSync(dirname(cachePath), { recursive: true });
  const temporary = `${cachePath}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify({ key, options }));
  renameSync(temporary, cachePath);
  return options;
}

type DeclaredDatabase = { binding: string; migrations_dir?: string; migrations_table?: string };

async function translate(root: string, configPath: string): Promise<LocalWorkerOptions> {
  const wrangler = await import("wrangler");
  const config = wrangler.unstable_readConfig({ config: configPath });
  if (config.assets?.directory) mkdirSync(join(root, config.assets.directory), { recursive: true });
  // Hyperdrive's local stand-in is a connection string with a password: worker-runtime.ts adds it, and no file keeps it.
  const { workerOptions, externalWorkers } = wrangler.unstable_getMiniflareWorkerOptions({
    ...config,
    hyperdrive: [],
  });
  if (externalWorkers.length > 0) {
    throw new Error(
      "wrangler.toml asks for a binding that needs a second worker; cli/dev cannot run that yet",
    );
  }
  const declared: DeclaredDatabase[] = config.d1_databases;
  const databases = declared.map((database) => ({
    binding: database.binding,
    migrationsDir: join(root, database.migrations_dir ?? "migrations"),
    migrationsTable: database.migrations_table ?? "d1_migrations",
  }));
  const worker = {
    ...workerOptions,
    name: config.name ?? "weir",
    bindings: config.vars,
    // Named by the binding, not by the id that a first deploy writes into the file: local data stays where it is.
    d1Databases: Object.fromEntries(databases.map(({ binding }) => [binding, binding])),
  };
  return JSON.parse(
    JSON.stringify({ worker, crons: config.triggers.crons ?? [], databases }),
  ) as LocalWorkerOptions;
}

/** Headers and redirects for static assets are read by wrangler and become part of the options. */
function assetRules(root: string): string[] {
  return ["_headers", "_redirects"].map((name) => join(root, "dist", "dashboard", name));
}

function fingerprint(root: string, files: string[]): string {
  const wranglerVersion: unknown = createRequire(import.meta.url)("wrangler/package.json");
  const hash = createHash("sha256").update(root).update(JSON.stringify(wranglerVersion));
  for (const file of files) hash.update(`\0${file}\0`).update(readIfThere(file));
  return hash.digest("hex");
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readCache(path: string): { key: string; options: LocalWorkerOptions } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { key: string; options: LocalWorkerOptions };
  } catch {
    return undefined;
  }
}
