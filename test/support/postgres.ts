// A real PostgreSQL on this machine, without its package's own cluster: for tests of what only a real one can show. Port
// and data are its own; nothing of it outlives the test process. Needs PostgreSQL 15 or newer: without it suites are
// skipped with `realPostgres.why`, except where CI=true is set, where importing this throws.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { applyPostgresMigrations } from "../../cli/postgres-migrations.mjs";
import { freePorts } from "./real-kafka/ports.ts";

const DEBIAN_ROOT = "/usr/lib/postgresql";
const START_DEADLINE_MS = 30_000;
const SETTINGS = ["listen_addresses=127.0.0.1", "max_connections=200", "fsync=off", "log_min_messages=fatal"];

export interface RealPostgres {
  /** The connection string of a user with a password, to a database that is migrated. */
  readonly url: string;
  readonly password: string;
  /** A connection string to a new database, not migrated. */
  createDatabase(): Promise<string>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data; resolves when it serves. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

interface Owner {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root: then it runs as the user that Debian's package made for it. */
const owner: Owner | undefined = process.getuid?.() === 0 ? postgresUser() : undefined;
const binaries = findBinaries();
export const realPostgres: { available: boolean; why: string } = lookAround();

function lookAround(): { available: boolean; why: string } {
  if (binaries && (process.getuid?.() !== 0 || owner)) return { available: true, why: "" };
  const why = "needs PostgreSQL 15 (Debian: postgresql-15)";
  if (process.env.CI === "true") throw new Error(`the PostgreSQL suites may not be skipped in CI: ${why}`);
  process.stderr.write(`PostgreSQL suites skipped: ${why}\n`);
  return { available: false, why };
}

export async function startPostgres(): Promise<RealPostgres> {
  const dir = mkdtempSync(join(tmpdir(), "weir-postgres-"));
  if (owner) chownSync(dir, owner.uid, owner.gid);
  const password = `p@ss/${randomUUID()}`;
  const passwordFile = join(dir, "password");
  writeFileSync(passwordFile, password);
  const [port = 0] = await freePorts(1);
  const data = join(dir, "data");
  let server: Server | undefined;
  const removeDir = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  const urlOf = (database: string) =>
    `postgres://weir:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const createDatabase = async () => {
    const name = `weir_${randomUUID().replaceAll("-", "")}`;
    const create = `CREATE DATABASE ${name}`;
    await run("psql", ["-h", dir, "-p", String(port), "-U", "weir", "-d", "postgres", "-qc", create]);
    return urlOf(name);
  };
  const start = async () => {
    if (server?.isRunning) return;
    server = await Server.start(dir, data, port);
  };
  try {
    const auth = ["--auth-local=trust", "--auth-host=scram-sha-256", `--pwfile=${passwordFile}`];
    await run("initdb", ["-D", data, "-U", "weir", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", ...auth]);
    await start();
    const url = await createDatabase();
    await applyPostgresMigrations(url, "migrations/postgres");
    return {
      url,
      password,
      createDatabase,
      kill: async () => await server?.end("SIGKILL"),
      start,
      async close() {
        await server?.end("SIGQUIT");
        removeDir();
      },
    };
  } catch (error) {
    await server?.end("SIGQUIT");
    removeDir();
    throw error;
  }
}

/** Never outlives this process: a watchdog (a shell that waits on a pipe from us) kills it and removes its data. */
class Server {
  readonly #process: ChildProcess;
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #killNow = (): void => void this.#process.kill("SIGQUIT");
  #output = "";

  private constructor(dir: string, data: string, port: number) {
    this.#process = spawn(
      toolPath("postgres"),
      ["-D", data, "-p", String(port), "-k", dir, ...SETTINGS.flatMap((setting) => ["-c", setting])],
      { ...owner, stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-4_000);
    });
    this.#ended = once(this.#process, "exit");
    this.#watchdog = spawn(
      "sh",
      ["-c", 'read -r _; kill -QUIT "$1"; sleep 1; rm -rf "$2"', "sh", String(this.#process.pid), dir],
      { stdio: ["pipe", "ignore", "ignore"], detached: true },
    );
    this.#watchdog.stdin?.on("error", () => undefined);
    process.once("exit", this.#killNow);
    this.#process.once("exit", () => {
      process.off("exit", this.#killNow);
      this.#watchdog.kill("SIGKILL");
    });
  }

  /** After a SIGKILL the old one's children take a moment to go; until then a new one does not start. */
  static async start(dir: string, data: string, port: number): Promise<Server> {
    const deadlineMs = Date.now() + START_DEADLINE_MS;
    for (;;) {
      const server = new Server(dir, data, port);
      while (server.isRunning && Date.now() < deadlineMs) {
        const isReady = await run("pg_isready", ["-q", "-h", dir, "-p", String(port)]).then(
          () => true,
          () => false,
        );
        if (isReady) return server;
        await sleep(50);
      }
      await server.end("SIGQUIT");
      if (Date.now() >= deadlineMs) throw new Error(`PostgreSQL did not start: ${server.#output.trim()}`);
      await sleep(100);
    }
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** @param signal SIGQUIT ends it at once, too, but it takes its shared memory with it */
  async end(signal: "SIGKILL" | "SIGQUIT"): Promise<void> {
    if (this.isRunning) this.#process.kill(signal);
    await this.#ended;
  }
}

async function run(tool: string, args: string[]): Promise<void> {
  await promisify(execFile)(toolPath(tool), args, { ...owner, cwd: tmpdir() });
}

function toolPath(tool: string): string {
  return join(binaries ?? "", tool);
}

function findBinaries(): string | undefined {
  const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT) : [];
  const dirs = versions
    .filter((version) => Number(version) >= 15)
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(DEBIAN_ROOT, version, "bin"));
  return [...dirs, ...(process.env.PATH ?? "").split(":")].find((dir) =>
    ["initdb", "postgres", "pg_isready", "psql"].every((tool) => existsSync(join(dir, tool))),
  );
}

function postgresUser(): Owner | undefined {
  try {
    const idOf = (flag: string) =>
      Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8", stdio: "pipe" }));
    return { uid: idOf("-u"), gid: idOf("-g") };
  } catch {
    return undefined;
  }
}
