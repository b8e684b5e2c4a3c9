// `npm run bench`: what the intake costs beside the least that a worker could do, in one run. Builds the worker first,
// so that what is measured is the tree as it stands. Prints no figure unless every record is accounted for.
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { defineCommand, runMain } from "citty";
import { watchParents } from "../cli/dev/parent-watch.ts";
import { BenchError } from "./bench-error.ts";
import { startChild } from "./ipc.ts";
import { runLoad } from "./load.ts";
import { ARGUMENTS, parseOptions } from "./options.ts";
import { BENCH_SIGNALS, createBodies, RECORDS_PER_REQUEST } from "./payload.ts";
import { Progress } from "./progress.ts";
import { formatReport, reportLanes, type Report } from "./report.ts";
import { runRounds, type RunOptions } from "./rounds.ts";
import { runSink } from "./sink.ts";
import { runWorkers, type RunningWorker, type StartOptions } from "./worker-processes.ts";

/** dist/bench.mjs, so its folder's folder. */
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CHILD_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 90_000;
const CALL_TIMEOUT_MS = 5_000;

const command = defineCommand({
  meta: { name: "bench", description: "Intake cost per record, beside a parse-and-forward floor." },
  args: ARGUMENTS,
  async run({ rawArgs }) {
    const progress = new Progress(process.stderr);
    try {
      const { options, json } = parseOptions(rawArgs);
      const report = await bench(options, progress);
      progress.clear();
      process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : formatReport(report));
    } catch (error) {
      progress.clear();
      if (!isExpected(error)) throw error;
      process.stderr.write(`bench: ${error.message}\n`);
      // Not by itself: a child that did start would keep this process waiting.
      process.exit(1);
    }
  },
});

function isExpected(error: unknown): error is Error {
  return error instanceof BenchError || (error instanceof Error && error.name === "BuildError");
}

async function bench(options: RunOptions, progress: Progress): Promise<Report> {
  progress.show(0, 1, "building the worker");
  const builder = (await import(pathToFileURL(join(root, "cli", "build.mjs")).href)) as {
    build(names: string[]): Promise<void>;
  };
  await builder.build(["worker"]);

  const tempDir = mkdtempSync(join(tmpdir(), "weir-bench-"));
  process.on("exit", () => rmSync(tempDir, { recursive: true, force: true }));
  progress.show(0, 1, "starting workerd");
  const children = await Promise.all([
    startChild("sink", {}, CHILD_TIMEOUT_MS),
    startChild("load", {}, CHILD_TIMEOUT_MS),
    // Miniflare's own temporary files go with ours.
    startChild("workers", { TMPDIR: tempDir }, CHILD_TIMEOUT_MS),
  ]);
  try {
    const [sink, load, host] = children;
    const sinkUrl = await sink.call<string>("url", undefined, CALL_TIMEOUT_MS);
    const start: StartOptions = { root, tempDir, sinkUrl };
    const workers = await host.call<RunningWorker[]>("start", start, START_TIMEOUT_MS);
    const onProgress = progress.show.bind(progress);
    const measures = await Promise.race([
      runRounds({ sink, load, workers, onProgress }, options),
      ...children.map(({ ended }) => ended),
    ]);
    return {
      machine: { cores: availableParallelism(), node: process.versions.node, platform: process.platform },
      rounds: options.rounds,
      connections: options.connections,
      recordsPerRequest: RECORDS_PER_REQUEST,
      bytesPerRecord: meanRecordBytes(),
      lanes: reportLanes(measures),
    };
  } finally {
    for (const child of children) child.kill();
  }
}

function meanRecordBytes(): number {
  const bytes = BENCH_SIGNALS.flatMap((signal) => createBodies(signal, 1, Date.now())).map(
    ({ length }) => length,
  );
  return Math.round(bytes.reduce((sum, length) => sum + length, 0) / bytes.length / RECORDS_PER_REQUEST);
}

/** Exiting runs the exit hooks, which end the children and remove the temporary files. */
function exitOnSignals(): void {
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  process.on("SIGHUP", () => process.exit(129));
  watchParents(() => process.exit(143));
}

// Children run this same file with their role as its argument, and have an IPC channel.
const role = process.connected ? process.argv[2] : undefined;
switch (role) {
  case "sink":
    await runSink();
    break;
  case "load":
    runLoad();
    break;
  case "workers":
    runWorkers();
    break;
  default:
    exitOnSignals();
    await runMain(command);
}
