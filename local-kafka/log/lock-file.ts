/**
 * One process per data directory. Whoever wants it puts down a file of its own, lock.PID.START.TOKEN, and then looks
 * round: any other file whose process lives means no. Names are never used twice, so a file of a dead process can be
 * removed by anybody, and of two who come at once at least the later sees the other. The start time keeps a process
 * that got a dead owner's id from being taken for it; a lock left by `kill -9` is no obstacle.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

/** Two who come at once both step back; the next try, a random moment later, has a winner. */
const ATTEMPTS = 5;
const RETRY_MS = 40;

class DataDirLockedError extends Error {
  override readonly name = "DataDirLockedError";
  readonly code = "data_dir_locked";
  readonly retryable = false;
}

/** Takes the lock and returns what gives it back. Rejects with DataDirLockedError while its owner lives. */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const started = encodeURIComponent(await processStart(process.pid)).replaceAll(".", "%2E");
  for (let attempt = 1; ; attempt += 1) {
    const own = `lock.${process.pid}.${started}.${randomUUID()}`;
    const path = join(dataDir, own);
    await writeFile(path, "", { flag: "wx" });
    const owner = await findOwner(dataDir, own);
    if (owner === undefined) return () => rm(path, { force: true });
    await rm(path, { force: true });
    if (attempt === ATTEMPTS) throw new DataDirLockedError(`${dataDir} is in use by process ${owner}`);
    await delay(Math.random() * RETRY_MS);
  }
}

/** Process id of a living owner other than `own`; removes what dead ones left. */
async function findOwner(dataDir: string, own: string): Promise<number | undefined> {
  for (const name of await readdir(dataDir)) {
    const [, pid, started] = /^lock\.(\d+)\.([^.]*)\.[^.]+$/.exec(name) ?? [];
    if (pid === undefined || name === own) continue;
    if (await isAlive(Number(pid), decodeURIComponent(started ?? ""))) return Number(pid);
    await rm(join(dataDir, name), { force: true });
  }
  return undefined;
}

async function isAlive(pid: number, started: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const found = await processStart(pid);
  return found === "" || started === "" || found === started;
}

/** Start time of a process; empty when it cannot be told, which counts as "may be the owner". */
async function processStart(pid: number): Promise<string> {
  try {
    const fields = await readFile(`/proc/${pid}/stat`, "utf8");
    // proc(5): the second field is in parentheses and may hold spaces; starttime is field 22, the 20th after it.
    return fields.slice(fields.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    // No /proc: macOS and the BSDs have ps.
  }
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], {
      timeout: 5000,
    });
    return stdout.trim();
  } catch {
    return "";
  }
}
