// `npm run bench:consume`: a log full of metrics, the consumers woken, and the time until every record is stored and in
// its windows, with D1 in Miniflare. Prints no figure unless every record is accounted for.
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { watchParents } from "../cli/dev/parent-watch.ts";
import { BenchError } from "./bench-error.ts";
import { checkRows, checkWindows } from "./consume-check.ts";
import { formatConsumeReport, stretchesOf, type ConsumeReport, type Sample } from "./consume-figures.ts";
import { runHost, type HostOptions, type RunningHost } from "./consume-host.ts";
import { runLog, type FilledLog, type FillOptions } from "./consume-log.ts";
import { parseConsumeOptions, USAGE, type ConsumeOptions } from "./consume-options.ts";
import { cpuTimeMs } from "./cpu-time.ts";
import { startChild, type Child } from "./ipc.ts";
import { Progress } from "./progress.ts";

/** dist/bench-consume.mjs, so its folder's folder. */
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CHILD_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 90_000;
const FILL_TIMEOUT_MS = 1_800_000;
const CALL_TIMEOUT_MS = 60_000;
const SAMPLE_MS = 250;
/** The cron's interval. */
const WAKE_MS = 60_000;
/** Without any progress for so long it has failed. */
const STALL_MS = 120_000;
const PARTITIONS = 3;
const SIGNALS = ["logs", "metrics", "events", "traces"];
const STAGES = ["raw", "processed", "dlq", "late"];
const DEFAULT_WINDOWS = "1m,5m,1h";
const GROUP = "weir-storage";

const DONE = `SELECT sum(records_total) AS records, sum(dead_total) AS dead FROM offsets WHERE group_id = '${GROUP}'`;
const COMMITS = `SELECT sum(commits) AS commits FROM consumer_stats WHERE minute = -1 AND group_id = '${GROUP}'`;

async function main(): Promise<void> {
  const progress = new Progress(process.stderr);
  try {
    const asked = parseConsumeOptions(process.argv.slice(2));
    if (asked.help) return void process.stdout.write(USAGE);
    const report = await consume(asked.options, progress);
    progress.clear();
    process.stdout.write(
      asked.json ? `${JSON.stringify(report, undefined, 2)}\n` : formatConsumeReport(report),
    );
    process.exit(0);
  } catch (error) {
    progress.clear();
    if (!(error instanceof BenchError) && (error as Error).name !== "BuildError") throw error;
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exit(1);
  }
}

async function consume(options: ConsumeOptions, progress: Progress): Promise<ConsumeReport> {
  const { records, series, intervalMs, settings } = options;
  progress.show(0, records, "building the worker");
  const builder = (await import(pathToFileURL(join(root, "cli", "build.mjs")).href)) as {
    build(names: string[]): Promise<void>;
  };
  await builder.build(["worker"]);
  const tempDir = mkdtempSync(join(tmpdir(), "weir-bench-"));
  process.on("exit", () => rmSync(tempDir, { recursive: true, force: true }));
  const children = await Promise.all([
    startChild("log", {}, CHILD_TIMEOUT_MS),
    startChild("host", { TMPDIR: tempDir }, CHILD_TIMEOUT_MS),
  ]);
  const [log, host] = children;
  progress.show(0, records, "filling the log");
  const fill: FillOptions = {
    ...options,
    dataDir: join(tempDir, "kafka"),
    topics: [...SIGNALS.flatMap((signal) => STAGES.map((stage) => `${signal}.${stage}`)), "alerts"],
    filled: "metrics.raw",
    partitions: PARTITIONS,
  };
  const filled = await log.call<FilledLog>("fill", fill, FILL_TIMEOUT_MS);
  if (filled.records !== records)
    throw new BenchError("counts_differ", `the log holds ${filled.records} records`);
  const start: HostOptions = {
    root,
    tempDir,
    bindings: {
      ENVIRONMENT: "development",
      KAFKA_TRANSPORT: "rest-v2",
      KAFKA_REST_URL: filled.url,
      KAFKA_PARTITIONS: String(PARTITIONS),
      LOG_REQUESTS: "off",
      ...settings,
    },
  };
  const running = await host.call<RunningHost>("start", start, START_TIMEOUT_MS);
  const logPid = await log.call<number>("pid", undefined, CALL_TIMEOUT_MS);
  const logCpuBeforeMs = cpuTimeMs(logPid);
  const samples = await Promise.race([
    measure(host, running, records, progress),
    ...children.map(({ ended }) => ended),
  ]);
  const logCpuMs = cpuTimeMs(logPid) - logCpuBeforeMs;
  const peakMemoryMb = peakMemoryOf(running.pid);
  progress.show(records, records, "counting what is stored");
  await checkRows(host, records);
  const windows = await checkWindows(
    running.url,
    (settings["WINDOWS"] ?? DEFAULT_WINDOWS).split(","),
    options,
  );
  const [commits] = await host.call<Record<string, unknown>[]>("ask", COMMITS, CALL_TIMEOUT_MS);
  return {
    machine: { cores: availableParallelism(), node: process.versions.node, platform: process.platform },
    records,
    messages: filled.messages,
    bytesPerRecord: Math.round(filled.bytes / records),
    series,
    intervalMs,
    settings,
    windows,
    commits: Number(commits?.["commits"]),
    ...stretchesOf(samples),
    logCpuMicrosPerRecord: (logCpuMs * 1_000) / records,
    peakMemoryMb,
    databaseMb: bytesIn(join(tempDir, "worker", "d1")) / 1e6,
  };
}

async function measure(
  host: Child,
  { pid }: RunningHost,
  records: number,
  progress: Progress,
): Promise<Sample[]> {
  const startMs = performance.now();
  const samples: Sample[] = [{ ms: startMs, records: 0, cpuMs: cpuTimeMs(pid) }];
  let wokenMs = Number.NEGATIVE_INFINITY;
  let progressMs = startMs;
  for (;;) {
    if (performance.now() - wokenMs >= WAKE_MS) {
      wokenMs = performance.now();
      await host.call("wake", undefined, CALL_TIMEOUT_MS);
    }
    const [row] = await host.call<Record<string, unknown>[]>("ask", DONE, CALL_TIMEOUT_MS);
    const done = Number(row?.["records"] ?? 0);
    if (Number(row?.["dead"] ?? 0) > 0)
      throw new BenchError("counts_differ", `${String(row?.["dead"])} dead letters`);
    if (done > records) throw new BenchError("counts_differ", `${done} records were stored of ${records}`);
    const ms = performance.now();
    if (done > samples.at(-1)!.records) {
      samples.push({ ms, records: done, cpuMs: cpuTimeMs(pid) });
      progressMs = ms;
      progress.show(done, records, "reading");
    }
    if (done === records) return samples;
    if (ms - progressMs > STALL_MS)
      throw new BenchError("counts_differ", `it stands still at ${done} of ${records} records`);
    await sleep(SAMPLE_MS);
  }
}

/** Linux tells it; others do not. */
function peakMemoryOf(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1_000;
  } catch {
    return undefined;
  }
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

// Children run this same file with their role as its argument, and have an IPC channel.
switch (process.connected ? process.argv[2] : undefined) {
  case "log":
    runLog();
    break;
  case "host":
    runHost();
    break;
  default:
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const)
      process.on(signal, () => process.exit(status));
    watchParents(() => process.exit(143));
    await main();
}
