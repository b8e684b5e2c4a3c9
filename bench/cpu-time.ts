// CPU time that a process has used so far, user and system, all threads. On Linux from /proc in steps of 10 ms, so a
// round of two seconds is good to half a percent; elsewhere from `ps`, in steps of 10 ms (macOS) or a whole second.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { BenchError } from "./bench-error.ts";

/** proc(5): times are in units of sysconf(_SC_CLK_TCK), which Linux shows to programs as 100 on all but two old machines. */
const MS_PER_TICK = 10;
const PS_TIMEOUT_MS = 5_000;

/** @throws BenchError when there is no such process, or no way to ask */
export function cpuTimeMs(pid: number): number {
  try {
    if (process.platform === "linux") return parseProcStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    const ps = ["-o", "time=", "-p", String(pid)];
    return parsePsTime(execFileSync("ps", ps, { encoding: "utf8", timeout: PS_TIMEOUT_MS }));
  } catch (error) {
    const reason = `it ended, or this system tells no CPU times: ${String(error)}`;
    throw new BenchError("child_failed", `the CPU time of workerd cannot be read; ${reason}`);
  }
}

/** proc(5): utime and stime are fields 14 and 15; the name before them may hold spaces and brackets. */
export function parseProcStat(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** POSIX ps: `[dd-]hh:mm:ss`; macOS: `mm:ss.cc`. */
export function parsePsTime(text: string): number {
  const [, days = "0", clock = ""] = /^(?:(\d+)-)?([\d:.]+)$/.exec(text.trim()) ?? [];
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  if (clock === "" || Number.isNaN(seconds)) throw new RangeError(`not a time: ${text.trim()}`);
  return Math.round((Number(days) * 86_400 + seconds) * 1_000);
}
