// Who a process is. A pid alone is reused; a pid with its start time is one process and no other. Reads /proc on
// Linux and asks `ps` elsewhere. A zombie counts as gone.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

export type ProcessIdentity = { pid: number; started: string };

const onLinux = process.platform === "linux";

/** @returns undefined when there is no such process (any more) */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = onLinux ? startedByProc(pid) : startedByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Ends a process group; true when there was one. Only for groups whose leader this program started. */
export function killGroup(leaderPid: number): boolean {
  return kill(-leaderPid);
}

/** Ends the process if it still is the one that was identified. */
export function killExactly(identity: ProcessIdentity): boolean {
  return isAlive(identity) && kill(identity.pid);
}

/** @returns the parent's pid, or undefined when the process is gone */
export function parentOf(pid: number): number | undefined {
  if (onLinux) return Number(procStat(pid)?.[1]) || undefined;
  return Number(ps(["-o", "ppid=", "-p", String(pid)])) || undefined;
}

/** The direct children of a process. */
export function childrenOf(pid: number): number[] {
  if (!onLinux) {
    return ps(["-axo", "pid=,ppid="])
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []));
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => Number(procStat(candidate)?.[1]) === pid);
}

/** The command line's words; empty when the process is gone. */
export function commandOf(pid: number): string[] {
  if (!onLinux) return ps(["-o", "command=", "-p", String(pid)]).split(/\s+/);
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

function kill(target: number): boolean {
  try {
    process.kill(target, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

function startedByProc(pid: number): string | undefined {
  const fields = procStat(pid);
  if (fields === undefined) return undefined;
  // proc(5): state is field 3, num_threads 20, starttime 22. A killed process of many threads (workerd) is a zombie
  // before its last thread has ended; until then its ports are taken.
  if ("ZX".includes(fields[0] ?? "X") && Number(fields[17]) <= 1) return undefined;
  // In clock ticks since boot, so it takes the boot to be unique.
  return `${bootId()}:${fields[19]}`;
}

/** proc(5) from field 3 (state) on; the name before it may hold spaces and brackets. */
function procStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

function startedByPs(pid: number): string | undefined {
  const [state, ...started] = ps(["-o", "stat=,lstart=", "-p", String(pid)])
    .trim()
    .split(/\s+/);
  return !state || state.startsWith("Z") ? undefined : started.join(" ");
}

function ps(args: string[]): string {
  try {
    return execFileSync("ps", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 2_000,
    });
  } catch {
    return "";
  }
}
