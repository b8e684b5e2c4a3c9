// The run itself: every lane warmed up, then rounds in which each lane gets its turn, so that noise of the machine falls
// on all alike; every second round goes backwards. After each turn the sink must hold exactly what was acknowledged.
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "./bench-error.ts";
import { cpuTimeMs } from "./cpu-time.ts";
import type { Child } from "./ipc.ts";
import { LANES, type Lane } from "./lanes.ts";
import type { LoadOptions, LoadResult } from "./load.ts";
import type { SinkCounts } from "./sink.ts";
import type { RoundMeasure } from "./statistics.ts";
import type { RunningWorker } from "./worker-processes.ts";

export type RunOptions = { rounds: number; roundMs: number; warmUpMs: number; connections: number };

export type Run = {
  sink: Child;
  load: Child;
  workers: readonly RunningWorker[];
  onProgress: (done: number, of: number, what: string) => void;
};

/** Public, in the documentation, and refused outside development. */
const DEV_KEY = "weir_dev_local00000000000000000000";
/** Weir's consumers, woken by the last requests, gather for 100 ms and look once: their CPU belongs to the turn. */
const SETTLE_MS = 250;
const CALL_TIMEOUT_MS = 5_000;
/** Beyond the load's own time: opening connections and waiting for the last answers. */
const LOAD_MARGIN_MS = 20_000;

/** @returns per lane its measures, in the order of the rounds */
export async function runRounds(run: Run, options: RunOptions): Promise<Map<Lane, RoundMeasure[]>> {
  const measures = new Map<Lane, RoundMeasure[]>(LANES.map((lane) => [lane, []]));
  const turns = LANES.length * (options.rounds + 1);
  let done = 0;
  for (const lane of LANES) {
    run.onProgress(done++, turns, `warming up, ${lane.name}`);
    await measure(run, lane, options.connections, options.warmUpMs);
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const lane of round % 2 === 0 ? LANES : LANES.toReversed()) {
      run.onProgress(done++, turns, `round ${round + 1} of ${options.rounds}, ${lane.name}`);
      measures.get(lane)?.push(await measure(run, lane, options.connections, options.roundMs));
    }
  }
  return measures;
}

async function measure(
  { sink, load, workers }: Run,
  lane: Lane,
  connections: number,
  durationMs: number,
): Promise<RoundMeasure> {
  const worker = workers.find(({ name }) => name === lane.worker);
  if (!worker) throw new BenchError("child_failed", `there is no worker ${lane.worker}`);
  const options: LoadOptions = {
    url: worker.url,
    path: lane.path,
    signal: lane.signal,
    recordsPerRequest: lane.recordsPerRequest,
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${DEV_KEY}` },
    connections: lane.connections ?? connections,
    durationMs,
    answerHolds: lane.answerHolds,
  };
  const cpuBeforeMs = cpuTimeMs(worker.pid);
  const { requests, elapsedMs, p50Ms, p99Ms } = await load.call<LoadResult>(
    "run",
    options,
    durationMs + LOAD_MARGIN_MS,
  );
  await sleep(SETTLE_MS);
  const cpuMs = cpuTimeMs(worker.pid) - cpuBeforeMs;
  const records = requests * lane.recordsPerRequest;
  const counts = await sink.call<SinkCounts>("takeCounts", undefined, CALL_TIMEOUT_MS);
  if (counts.faults.length > 0)
    throw new BenchError("counts_differ", `${lane.name}: ${counts.faults.join("; ")}`);
  if (counts.records !== records) {
    const acknowledged = `${records} records were acknowledged in ${requests} requests`;
    const arrived = `the sink got ${counts.records} in ${counts.produceRequests}`;
    throw new BenchError("counts_differ", `${lane.name}: ${acknowledged}, ${arrived}`);
  }
  return { requests, records, produceRequests: counts.produceRequests, elapsedMs, cpuMs, p50Ms, p99Ms };
}
