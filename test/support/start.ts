// Real processes for e2e tests: all of Weir as `npm start` runs it, or the worker alone in a process of its own that a
// test may kill. Free ports, the caller's data folder, and everything that was started is ended by its own pid.
import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "../../cli/build.mjs";
import type { WorkerHostProcessOptions, WorkerHostReport } from "../../cli/dev/worker-host.ts";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const devKey = "weir_dev_local00000000000000000000";

const startTimeoutMs = 60_000;
/** Miniflare is ready within some 3 s; once in some hundred starts on a busy machine it never is. */
const workerStartTimeoutMs = 25_000;
const workerStarts = 2;
const stopTimeoutMs = 12_000;
const pollMs = 25;

export type Role = "supervisor" | "kafka" | "worker" | "workerd" | "agent";

export type StartedWeir = {
  url: string;
  kafkaUrl: string | undefined;
  /** The process that was started: npm, or the supervisor itself. */
  process: ChildProcess;
  /** Who runs as what now, by the run file. */
  pids(): Partial<Record<Role, number>>;
  /** On Linux: every live process that descends from this start, whoever its parent is by now. */
  survivors(): { pid: number; command: string }[];
  output(): string;
  /** Ends it as Ctrl-C does, and whatever is left of it by force. */
  stop(): Promise<void>;
};

export type StartWeirOptions = {
  dataDir: string;
  /** On top of this process's own; WEIR_PORT and WEIR_KAFKA_PORT are 0 unless given. */
  env?: Record<string, string>;
  /** Starts through npm, as a person does; otherwise half a second sooner without. */
  npm?: boolean;
};

/** A start that never became ready; `output` is all it said. */
export class StartFailed extends Error {
  override readonly name = "StartFailed";
  readonly output: string;
  readonly status: number | null;

  constructor(output: string, status: number | null) {
    super(`weir did not start (status ${status}):\n${output}`);
    this.output = output;
    this.status = status;
  }
}

/**
 * Starts all of Weir and waits until it says that it is ready.
 *
 * @throws StartFailed
 */
export async function startWeir({ dataDir, env = {}, npm = false }: StartWeirOptions): Promise<StartedWeir> {
  const mark = randomUUID();
  const [command, args] = npm ? ["npm", ["start"]] : [process.execPath, [join(root, "cli", "start.mjs")]];
  const child = spawn(command, args, {
    cwd: root,
    // A group of its own, so that a test can signal it as a terminal signals the foreground.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      WEIR_PORT: "0",
      WEIR_KAFKA_PORT: "0",
      WEIR_DATA: dataDir,
      ...env,
      WEIR_TEST_MARK: mark,
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exited = once(child, "close");

  const deadlineMs = Date.now() + startTimeoutMs;
  while (!output.includes("Ctrl-C stops it")) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended) await exited;
    if (ended || Date.now() > deadlineMs) {
      killAll(mark);
      throw new StartFailed(output, child.exitCode);
    }
    await sleep(pollMs);
  }

  const weir: StartedWeir = {
    url: /dashboard\s+(http:\/\/[^/\s]+)/.exec(output)?.[1] ?? "",
    kafkaUrl: /kafka\s+(http:\/\/\S+)/.exec(output)?.[1],
    process: child,
    pids: () => readRunFile(dataDir),
    survivors: () => processesMarked(mark),
    output: () => output,
    async stop() {
      signalQuietly(-(child.pid ?? 0), "SIGINT");
      await until(() => child.exitCode !== null || child.signalCode !== null, stopTimeoutMs).catch(() => {});
      killAll(mark);
    },
  };
  return weir;
}

export type WorkerProcess = {
  url: string;
  process: ChildProcess;
  workerdPid: number | undefined;
  /** All that it and the worker have logged. */
  output(): string;
  /** Runs the scheduled handler once, from now. @returns its outcome, `ok` when all is well */
  tick(): Promise<string>;
  /** `kill -9` of the process and of workerd: a crash of the whole machine, as far as Weir can tell. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

/**
 * Runs the worker alone in a child process (dist/worker-host.mjs); builds what is needed first. `root` and the worker's
 * bundle are this project's unless given; the schedule is off unless asked for, so that a test decides when it ticks.
 *
 * @throws when the worker does not start
 */
export async function startWorkerProcess(
  options: Omit<WorkerHostProcessOptions, "root"> & { root?: string },
): Promise<WorkerProcess> {
  await build(options.scriptPath === undefined ? ["dev", "worker"] : ["dev"]);
  for (let left = workerStarts; ; left--) {
    const started = await startOnce(options);
    if (started) return started;
    if (left === 1)
      throw new Error(`the worker was not ready within ${workerStartTimeoutMs} ms, ${workerStarts} times`);
    process.stderr.write(
      `the worker was not ready within ${workerStartTimeoutMs} ms; it is started once more\n`,
    );
  }
}

/** @returns undefined when it did not become ready in time; it is ended then */
async function startOnce(
  options: Omit<WorkerHostProcessOptions, "root"> & { root?: string },
): Promise<WorkerProcess | undefined> {
  const child = fork(join(root, "dist", "worker-host.mjs"), {
    detached: true,
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, "exit");
  child.send({ type: "start", options: { root, schedule: false, ...options } });
  const late = new AbortController();
  const ready = await Promise.race([
    messageOf(child, "ready"),
    sleep(workerStartTimeoutMs, undefined, { signal: late.signal }),
  ]).finally(() => late.abort());
  if (!ready) {
    signalQuietly(-(child.pid ?? 0), "SIGKILL");
    await ended;
    return undefined;
  }
  return {
    url: ready.url,
    process: child,
    workerdPid: ready.workerdPid,
    output: () => output,
    async tick() {
      const ticked = messageOf(child, "ticked");
      child.send({ type: "tick" });
      return (await ticked).outcome;
    },
    async kill() {
      signalQuietly(-(child.pid ?? 0), "SIGKILL");
      await ended;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** Waits for a condition. @throws when it does not hold in time */
export async function until(condition: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const deadlineMs = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await sleep(pollMs);
  }
}

function messageOf<T extends WorkerHostReport["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<WorkerHostReport, { type: T }>> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      child.off("message", onMessage).off("exit", onExit);
      act();
    };
    const onMessage = (message: WorkerHostReport) => {
      if (message.type === type) settle(() => resolve(message as Extract<WorkerHostReport, { type: T }>));
      if (message.type === "failed") settle(() => reject(new Error(message.message)));
    };
    const onExit = () => settle(() => reject(new Error(`the worker's process ended before it said ${type}`)));
    child.on("message", onMessage).on("exit", onExit);
  });
}

function readRunFile(dataDir: string): Partial<Record<Role, number>> {
  const path = join(dataDir, "run.json");
  if (!existsSync(path)) return {};
  const { supervisor, processes } = JSON.parse(readFileSync(path, "utf8")) as {
    supervisor: { pid: number };
    processes: { name: Role; pid: number }[];
  };
  return {
    supervisor: supervisor.pid,
    ...Object.fromEntries(processes.map(({ name, pid }) => [name, pid] as const)),
  };
}

/** Found by an environment variable, which every descendant inherits. Elsewhere than on Linux there is no way to see it. */
function processesMarked(mark: string): { pid: number; command: string }[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // A zombie's environment is empty: it does not count.
        if (!readFileSync(`/proc/${name}/environ`, "utf8").includes(mark)) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return [{ pid: Number(name), command }];
      } catch {
        return []; // It ended while we looked.
      }
    });
}

function killAll(mark: string): void {
  for (const { pid } of processesMarked(mark)) signalQuietly(pid, "SIGKILL");
}

/** The process may be gone already, which is what the signal was for. */
function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH
  }
}
