import { describe, expect, it } from "vitest";
import { cpuTimeMs, parseProcStat, parsePsTime } from "../../bench/cpu-time.ts";
import { BenchError } from "../../bench/bench-error.ts";

describe("CPU time", () => {
  it("finds utime and stime behind a name with spaces and brackets", () => {
    // proc(5): pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime …
    const stat = "4321 (work) erd (x) S 1 4321 4321 0 -1 4194304 10 0 0 0 250 50 0 0 20 0 8 0 999 0 0";
    expect(parseProcStat(stat)).toBe(3_000);
  });

  it.each([
    ["  0:01.23\n", 1_230],
    ["00:01:05", 65_000],
    ["2-03:00:00", 183_600_000],
  ])("reads %j from ps", (text, ms) => {
    expect(parsePsTime(text)).toBe(ms);
  });

  it("refuses what is not a time", () => {
    expect(() => parsePsTime("")).toThrow(RangeError);
  });

  it("grows with this process's own work", () => {
    const beforeMs = cpuTimeMs(process.pid);
    const untilMs = process.cpuUsage().user / 1_000 + 40;
    while (process.cpuUsage().user / 1_000 < untilMs);
    expect(cpuTimeMs(process.pid) - beforeMs).toBeGreaterThanOrEqual(30);
  });

  it("is an error for a process that is not there", () => {
    expect(() => cpuTimeMs(2 ** 22 + 1)).toThrow(BenchError);
  });
});
