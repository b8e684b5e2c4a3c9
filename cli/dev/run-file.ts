// Who runs on a data folder: `<data folder>/run.json` holds the supervisor and all it started, each as pid and start
// time. It is written whole (rename) and claimed before anything else happens, so a second start on the same folder is
// refused while the first one lives, and whatever a dead one left behind is ended before ports are tried.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { identify, isAlive, killExactly, killGroup, type ProcessIdentity } from "./process-identity.ts";

export type RunningProcess = ProcessIdentity & { name: string; leadsGroup: boolean };

type RunRecord = { supervisor: ProcessIdentity; processes: RunningProcess[] };

/** Another supervisor owns the data folder. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  readonly code = "folder_in_use";
  readonly retryable = false;
  readonly pid: number;

  constructor(pid: number) {
    super(`another Weir (process ${pid}) runs on this data folder`);
    this.pid = pid;
  }
}

/** Time for the children of a dead supervisor to end by themselves, as they do when its channel closes. */
const graceMs = 1_500;
const killMs = 3_000;
/** Longer than any pause between reading a record and renaming over it, which is a few statements. */
const settleMs = 60;
const pollMs = 25;

export class RunFile {
  readonly #path: string;
  readonly #own: ProcessIdentity;
  #processes: RunningProcess[];

  private constructor(path: string, own: ProcessIdentity, processes: RunningProcess[]) {
    this.#path = path;
    this.#own = own;
    this.#processes = processes;
  }

  /**
   * Takes the folder over and ends what an earlier run left behind.
   *
   * @returns the claim, and the names of what had to be killed
   * @throws FolderInUseError
   */
  static async claim(dataDir: string): Promise<{ runFile: RunFile; reaped: string[] }> {
    mkdirSync(dataDir, { recursive: true });
    const path = join(dataDir, "run.json");
    const own = identify(process.pid);
    if (!own) throw new Error("this process cannot be found in the process table");
    const earlier = readRecord(path);
    if (earlier && isAlive(earlier.supervisor)) throw new FolderInUseError(earlier.supervisor.pid);
    // What is left over stays on record until it is gone: this process may be killed while it reaps.
    const runFile = new RunFile(path, own, earlier?.processes ?? []);
    runFile.#write();
    await sleep(settleMs);
    const settled = readRecord(path);
    if (settled && settled.supervisor.pid !== own.pid) throw new FolderInUseError(settled.supervisor.pid);
    const reaped = await reap(runFile.#processes);
    runFile.#processes = [];
    runFile.#write();
    return { runFile, reaped };
  }

  /** Puts a process on record under its name, in place of the one that had it. */
  set(name: string, pid: number, leadsGroup: boolean): void {
    const identity = identify(pid);
    if (identity) this.#replace(name, { ...identity, name, leadsGroup });
  }

  delete(name: string): void {
    this.#replace(name);
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }

  #replace(name: string, ...added: RunningProcess[]): void {
    this.#processes = [...this.#processes.filter((process) => process.name !== name), ...added];
    this.#write();
  }

  #write(): void {
    const record: RunRecord = { supervisor: this.#own, processes: this.#processes };
    const temporary = `${this.#path}.${process.pid}.tmp`;
    writeFileSync(temporary, `${JSON.stringify(record, undefined, 2)}\n`);
    renameSync(temporary, this.#path);
  }
}

async function reap(processes: RunningProcess[]): Promise<string[]> {
  await allGone(processes, graceMs);
  const left = processes.filter(isAlive);
  for (const process of left) {
    if (process.leadsGroup) killGroup(process.pid);
    else killExactly(process);
  }
  if (!(await allGone(left, killMs))) {
    const names = left.filter(isAlive).map(({ name, pid }) => `${name} (process ${pid})`);
    throw new Error(`left over from an earlier run and not to be ended: ${names.join(", ")}`);
  }
  return left.map(({ name }) => name);
}

async function allGone(processes: RunningProcess[], withinMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + withinMs;
  while (processes.some(isAlive)) {
    if (Date.now() > deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}

/** A record that cannot be read is as good as none: it was never written by half, so somebody else did it. */
function readRecord(path: string): RunRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, "utf8")) as Partial<RunRecord>;
    return record.supervisor && Array.isArray(record.processes) ? (record as RunRecord) : undefined;
  } catch {
    return undefined;
  }
}
