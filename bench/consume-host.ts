// The worker with its D1 and Durable Objects, in a process of its own: started as `npm start` starts it, woken as the
// cron wakes it, and looked into beside it.
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Miniflare } from "miniflare";
import { applyMigrations } from "../cli/dev/migrations.ts";
import { childrenOf } from "../cli/dev/process-identity.ts";
import { readWorkerOptions } from "../cli/dev/worker-options.ts";
import { BenchError } from "./bench-error.ts";
import { answerCalls } from "./ipc.ts";

export type HostOptions = {
  root: string;
  /** For D1 and the Durable Objects; goes when this process ends. */
  tempDir: string;
  bindings: Record<string, string>;
};
export type RunningHost = { url: string; pid: number };

/** The part of a worker's stub used here; its types come with the worker's, which Node's side does not load. */
type ScheduledWorker = { scheduled(event: { cron: string }): Promise<{ outcome: string }> };

const MAX_TRIES = 5;
const TRY_AGAIN_MS = 200;

let miniflare: Miniflare | undefined;

export function runHost(): void {
  answerCalls({ start, wake, ask });
}

async function start({ root, tempDir, bindings }: HostOptions): Promise<RunningHost> {
  // Our own parent removes it too, unless it was killed.
  process.on("exit", () => rmSync(tempDir, { recursive: true, force: true }));
  const { worker, databases } = await readWorkerOptions(root);
  const { assets: _, ...bound } = worker;
  const scriptPath = join(root, "dist", "worker", "index.js");
  const { Log, LogLevel, Miniflare } = await import("miniflare");
  const before = new Set(childrenOf(process.pid));
  miniflare = new Miniflare({
    ...bound,
    bindings: { ...worker.bindings, ...bindings },
    modules: true,
    scriptPath,
    modulesRoot: dirname(scriptPath),
    defaultPersistRoot: join(tempDir, "worker"),
    host: "127.0.0.1",
    port: 0,
    // Otherwise a start fetches a description of "this request" from the internet.
    cf: false,
    log: new Log(LogLevel.WARN),
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      for (const stream of [stdout, stderr])
        stream.on("data", (chunk: Uint8Array) => process.stderr.write(chunk));
    },
  });
  const { origin: url } = await miniflare.ready;
  for (const { binding, migrationsDir, migrationsTable } of databases)
    await applyMigrations(await miniflare.getD1Database(binding), migrationsDir, migrationsTable);
  const [pid, ...others] = childrenOf(process.pid).filter((child) => !before.has(child));
  if (pid === undefined || others.length > 0)
    throw new BenchError("unsupported", "workerd's process cannot be found");
  return { url, pid };
}

/** The cron's call. */
async function wake(): Promise<void> {
  const { outcome } = await again(async () => {
    const worker = (await miniflare!.getWorker()) as unknown as ScheduledWorker;
    return await worker.scheduled({ cron: "* * * * *" });
  });
  if (outcome !== "ok") throw new BenchError("child_failed", `the scheduled handler ended as ${outcome}`);
}

/** One query of D1. */
async function ask(sql: string): Promise<Record<string, unknown>[]> {
  return await again(async () => {
    const { results } = await (await miniflare!.getD1Database("DB")).prepare(sql).all();
    return results;
  });
}

/** Under load a connection that Miniflare kept open is now and then closed under its next request. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      const { message, cause } = error as Error;
      const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
      if (tries === MAX_TRIES) throw new BenchError("child_failed", why);
      await sleep(TRY_AGAIN_MS);
    }
  }
}
