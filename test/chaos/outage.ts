// One long outage: Kafka is away for a time while records come at a steady rate. Every request must be answered 202, as
// spilled; after its return all of it must be drained, faster than it came, and stored once.
import { setTimeout as sleep } from "node:timers/promises";
import { runLane, type LaneLog } from "./lane.ts";
import { Load } from "./load.ts";
import { quiesce, type Pending } from "./quiesce.ts";
import type { OnProgress, RunOptions } from "./run.ts";
import { Truth } from "./truth.ts";
import { verify, type Violation } from "./verify.ts";
import { World } from "./world.ts";

export interface OutageOptions {
  seconds: number;
  recordsPerSecond: number;
}

export interface OutageResult {
  outage: OutageOptions;
  records: number;
  answered: number;
  answers: Record<string, number>;
  lost: number;
  duplicated: number;
  dead: number;
  difference: number | undefined;
  /** From Kafka's return until the spillway was empty. */
  drainSeconds: number;
  /** Records that left the spillway in a second, over those that came in. */
  drainFactor: number;
  violations: Violation[];
}

const STEP_MS = 50;
const REST_MS = 300_000;
const KINDS = [
  "keyed-logs",
  "keyed-events",
  "keyed-metrics",
  "otlp-logs",
  "otlp-metrics",
  "keyed-logs",
] as const;

export async function runOutage(
  run: RunOptions,
  outage: OutageOptions,
  onProgress: OnProgress,
): Promise<OutageResult> {
  const { seconds, recordsPerSecond } = outage;
  const world = await World.open(run);
  const truth = new Truth(run.seed);
  const load = new Load();
  const violations: Violation[] = [];
  try {
    const lanes = KINDS.map((kind, lane) => runLane(world, { seed: run.seed, lane, kind }, load));
    // Both sides have seen Kafka before it goes.
    load.allow(recordsPerSecond);
    await load.reaches(recordsPerSecond, 10_000);
    await load.pause(10_000);
    await quiesce(world, truth.remade, 30_000);
    load.resume();
    const before = load.issued;
    await world.kafka.kill();
    const startedMs = performance.now();
    const endMs = startedMs + seconds * 1_000;
    for (let nowMs = startedMs; nowMs < endMs; nowMs = performance.now()) {
      load.allow(before + ((nowMs - startedMs) / 1_000) * recordsPerSecond);
      onProgress(nowMs - startedMs, seconds * 1_000, `Kafka is away, ${load.issued} records`);
      await sleep(STEP_MS);
    }
    const duringOutage = load.issued - before;
    await load.pause(30_000);
    load.end();
    const logs = await Promise.all(lanes);
    const backMs = performance.now();
    await world.kafka.start();
    const drainSeconds = await untilDrained(world, backMs, onProgress);
    await quiesce(world, truth.remade, REST_MS).catch((error: unknown) =>
      violations.push({ check: "rest", count: 1, detail: String(error) }),
    );
    const findings = await verify(world, logs, truth);
    const answers = answersOf(logs);
    const others = Object.entries(answers).filter(
      ([status]) => !status.startsWith("20") || status.startsWith("207"),
    );
    if (others.length > 0)
      violations.push({
        check: "answers",
        count: others.length,
        detail: `in an outage: ${JSON.stringify(answers)}`,
      });
    return {
      outage,
      records: load.issued,
      answered: findings.answered,
      answers,
      lost: findings.lost,
      duplicated: findings.duplicated,
      dead: findings.ledger?.dead ?? 0,
      difference: findings.ledger?.difference,
      drainSeconds,
      drainFactor: duringOutage / drainSeconds / recordsPerSecond,
      violations: [...violations, ...findings.violations],
    };
  } finally {
    await world.close();
  }
}

async function untilDrained(world: World, backMs: number, onProgress: OnProgress): Promise<number> {
  for (;;) {
    const seconds = (performance.now() - backMs) / 1_000;
    if (seconds > REST_MS / 1_000) return seconds;
    const { spilled, isSpillKnown } = await world.control<Pending>({ op: "pending" });
    onProgress(0, 1, `${spilled} messages in the spillway`);
    if (spilled === 0 && isSpillKnown) return seconds;
    await sleep(STEP_MS);
  }
}

function answersOf(logs: readonly LaneLog[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { answers } of logs)
    for (const [status, count] of answers) sums[status] = (sums[status] ?? 0) + count;
  return sums;
}

export function formatOutage(result: OutageResult): string {
  const { outage, records, answered, lost, duplicated, dead, difference, drainSeconds, drainFactor } = result;
  const lines = [
    `Kafka away for ${outage.seconds} s at ${outage.recordsPerSecond} records/s: ${records} records, ${answered} answered, ` +
      `${lost} lost, ${duplicated} twice, ${dead} dead, ledger ${difference}; drained in ${drainSeconds.toFixed(1)} s, ` +
      `${drainFactor.toFixed(1)} times as fast as they came`,
    `  answers: ${JSON.stringify(result.answers)}`,
    ...result.violations.map(({ check, count, detail }) => `  ✘ ${check} (${count}): ${detail}`),
  ];
  return `${lines.join("\n")}\n`;
}
