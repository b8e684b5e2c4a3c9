// Runs the built worker in workerd through Miniflare's API: bindings of wrangler.toml, D1 and Durable Objects kept in
// the data folder (laid out as `wrangler … --persist-to <data folder>` expects), migrations applied, assets served.
// Loopback only. Tells when workerd dies, which Miniflare itself does not notice.
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Log, LogLevel, Miniflare } from "miniflare";
import { applyPostgresMigrations } from "../postgres-migrations.mjs";
import { applyMigrations } from "./migrations.ts";
import { localHyperdrive, postgresUrlOf } from "./local-hyperdrive.ts";
import { childrenOf, commandOf } from "./process-identity.ts";
import { readWorkerOptions } from "./worker-options.ts";

export type WorkerHostOptions = {
  /** The project's folder: where wrangler.toml and migrations/ are. */
  root: string;
  /** 0 picks a free port; `url` tells which. */
  port: number;
  dataDir: string;
  /** Settings for the worker; they win over wrangler.toml's [vars]. */
  bindings: Record<string, string>;
  /** The bundle to run: dist/worker/index.js unless a test brings its own. It must export the same Durable Objects. */
  scriptPath?: string;
  /** What the binding HYPERDRIVE leads to: postgres://user:password@host:port/database. Its tables are made here. */
  postgresUrl?: string;
};

export type WorkerHost = {
  url: string;
  workerdPid: number | undefined;
  crons: string[];
  /** Names of the migrations that this start applied. */
  migrated: string[];
  /** Resolves when workerd ended without dispose() having been called. */
  died: Promise<void>;
  /** Calls the scheduled handler once. @returns its outcome, `ok` when all is well */
  runScheduled(cron: string): Promise<string>;
  /** @throws when the worker gives no HTTP answer in time; any status is an answer */
  probe(timeoutMs: number): Promise<void>;
  dispose(): Promise<void>;
};

/** The part of a worker's stub used here; its types come with the worker's, which Node's side does not load. */
type ScheduledWorker = {
  scheduled(event: { cron: string; scheduledTime: Date }): Promise<{ outcome: string }>;
};

/**
 * Starts the worker; resolves when it answers HTTP.
 *
 * @throws MigrationError, PostgresMigrationError, Miniflare's own errors (a taken port, a script that does not load)
 */
export async function startWorkerHost(options: WorkerHostOptions): Promise<WorkerHost> {
  const { worker, crons, databases } = await readWorkerOptions(options.root);
  const scriptPath = resolve(options.scriptPath ?? join(options.root, "dist", "worker", "index.js"));
  const migrated: string[] = [];
  const postgresUrl = options.postgresUrl ?? postgresUrlOf(process.env);
  const hyperdrive = localHyperdrive(postgresUrl);
  if (postgresUrl !== undefined && options.bindings["STORAGE"] === "postgres") {
    const applied = await applyPostgresMigrations(postgresUrl, join(options.root, "migrations", "postgres"));
    migrated.push(...applied.map((name) => `postgres/${name}`));
  }
  const persistRoot = join(resolve(options.dataDir), "v3");
  mkdirSync(persistRoot, { recursive: true });

  let disposing = false;
  let reportDeath: (() => void) | undefined;
  const died = new Promise<void>((resolveDied) => (reportDeath = resolveDied));
  const signalListeners = { SIGINT: process.listeners("SIGINT"), SIGTERM: process.listeners("SIGTERM") };
  const miniflare = new Miniflare({
    ...worker,
    ...hyperdrive.options,
    bindings: { ...worker.bindings, ...options.bindings, ...hyperdrive.bindings },
    modules: true,
    scriptPath,
    modulesRoot: dirname(scriptPath),
    host: "127.0.0.1",
    port: options.port,
    defaultPersistRoot: persistRoot,
    // Otherwise a start fetches a description of "this request" from the internet.
    cf: false,
    log: new Log(LogLevel.WARN),
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      passThrough(stdout, process.stdout);
      passThrough(stderr, process.stderr);
      stdout.once("end", () => {
        if (!disposing) reportDeath?.();
      });
    },
  });
  dropListenersAddedSince(signalListeners);

  const url = new URL(await miniflare.ready).origin;
  for (const { binding, migrationsDir, migrationsTable } of databases) {
    const database = await miniflare.getD1Database(binding);
    migrated.push(...(await applyMigrations(database, migrationsDir, migrationsTable)));
  }

  return {
    url,
    workerdPid: childrenOf(process.pid).find((pid) =>
      commandOf(pid).some((word) => word.includes("workerd")),
    ),
    crons,
    migrated,
    died,
    async runScheduled(cron) {
      const worker = (await miniflare.getWorker()) as unknown as ScheduledWorker;
      const { outcome } = await worker.scheduled({ cron, scheduledTime: new Date() });
      return outcome;
    },
    async probe(timeoutMs) {
      const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(timeoutMs) });
      await response.arrayBuffer();
    },
    async dispose() {
      disposing = true;
      await miniflare.dispose();
    },
  };
}

/** Miniflare's own signal handlers exit at once; ending in order is the caller's business. */
function dropListenersAddedSince(known: Record<"SIGINT" | "SIGTERM", NodeJS.SignalsListener[]>): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    for (const listener of process.listeners(signal)) {
      if (!known[signal].includes(listener)) process.removeListener(signal, listener);
    }
  }
}

function passThrough(from: Readable, to: NodeJS.WriteStream): void {
  createInterface({ input: from }).on("line", (line) => to.write(`${line}\n`));
}
