// The workers under load, each in a workerd of its own, so that CPU time can be told apart. All are started alike by
// Miniflare's API but asked directly: its entry worker and the assets' router, which stand before a worker at home and
// not in production, are no part of the figures.
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import type { MiniflareOptions } from "miniflare";
import { applyMigrations } from "../cli/dev/migrations.ts";
import { childrenOf } from "../cli/dev/process-identity.ts";
import { readWorkerOptions } from "../cli/dev/worker-options.ts";
import { BenchError } from "./bench-error.ts";
import { FLOOR_SOURCES } from "./floor-workers.ts";
import { answerCalls } from "./ipc.ts";
import { FLOORS, WEIR_SETTINGS, type WorkerName } from "./lanes.ts";

export type StartOptions = {
  root: string;
  /** For D1 and the Durable Objects; goes when this process ends. */
  tempDir: string;
  sinkUrl: string;
};
export type RunningWorker = { name: WorkerName; url: string; pid: number };

const PARTITIONS = 3;

export function runWorkers(): void {
  answerCalls({ start });
}

async function start({ root, tempDir, sinkUrl }: StartOptions): Promise<RunningWorker[]> {
  // Our own parent removes it too, unless it was killed.
  process.on("exit", () => rmSync(tempDir, { recursive: true, force: true }));
  const { worker, databases } = await readWorkerOptions(root);
  const running: RunningWorker[] = [];
  for (const name of FLOORS) {
    const { compatibilityDate, compatibilityFlags } = worker;
    const { url, pid } = await launch({
      compatibilityDate: compatibilityDate ?? "",
      compatibilityFlags: compatibilityFlags ?? [],
      modules: true,
      script: FLOOR_SOURCES[name],
      bindings: { SINK_URL: `${sinkUrl}/raw` },
    });
    running.push({ name, url, pid });
  }

  const scriptPath = join(root, "dist", "worker", "index.js");
  const { assets: _, ...bound } = worker;
  for (const [name, settings] of Object.entries(WEIR_SETTINGS)) {
    const { url, pid, miniflare } = await launch({
      ...bound,
      bindings: {
        ...worker.bindings,
        ENVIRONMENT: "development",
        KAFKA_TRANSPORT: "rest-v2",
        KAFKA_REST_URL: sinkUrl,
        KAFKA_PARTITIONS: String(PARTITIONS),
        LOG_REQUESTS: "off",
        ...settings,
      },
      modules: true,
      scriptPath,
      modulesRoot: dirname(scriptPath),
      defaultPersistRoot: join(tempDir, name),
    });
    for (const { binding, migrationsDir, migrationsTable } of databases) {
      await applyMigrations(await miniflare.getD1Database(binding), migrationsDir, migrationsTable);
    }
    running.push({ name: name as WorkerName, url, pid });
  }
  return running;
}

async function launch(options: MiniflareOptions) {
  // Only this role pays for loading it.
  const { Log, LogLevel, Miniflare } = await import("miniflare");
  const before = new Set(childrenOf(process.pid));
  const miniflare = new Miniflare({
    ...options,
    host: "127.0.0.1",
    port: 0,
    // Otherwise a start fetches a description of "this request" from the internet.
    cf: false,
    log: new Log(LogLevel.WARN),
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      // What the worker logs is read from there too, and is worth seeing: under this load it should be silent.
      for (const stream of [stdout, stderr]) {
        stream.on("data", (chunk: Uint8Array) => process.stderr.write(chunk));
      }
    },
  });
  const url = (await miniflare.unsafeGetDirectURL()).origin;
  const [pid, ...others] = childrenOf(process.pid).filter((child) => !before.has(child));
  if (pid === undefined || others.length > 0) {
    throw new BenchError("unsupported", "workerd's process cannot be found");
  }
  return { miniflare, url, pid };
}
