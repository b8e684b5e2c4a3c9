// One run of a seed: the world is opened, lanes send while act after act makes something fail, all of it is healed, comes
// to rest, and is compared with what clients were told. What the product breaks is a violation; only a world that cannot
// be had throws.
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "../../cli/build.mjs";
import { AlertProbe, UNJUDGEABLE, type ProbeLog } from "./alert-probe.ts";
import { Random } from "../fuzz/bodies/random.ts";
import type { FaultName } from "./fault-names.ts";
import { FAULTS, type Scene } from "./faults.ts";
import { runLane, type LaneLog } from "./lane.ts";
import { Load, waitFor } from "./load.ts";
import { planActs, type Act } from "./plan.ts";
import { isDrained, quiesce } from "./quiesce.ts";
import { LANE_KINDS } from "./requests.ts";
import { Truth } from "./truth.ts";
import { verify, type Findings, type Violation } from "./verify.ts";
import { World } from "./world.ts";

export interface RunOptions {
  seed: number;
  records: number;
  storage: "d1" | "postgres";
  kafka: "local" | "real";
  faults: readonly FaultName[];
  /** Numbers of the acts to keep; undefined: all. */
  only: readonly number[] | undefined;
  /** The mechanism that is left out. */
  mutation: string | undefined;
}

export interface RunResult extends Findings {
  options: RunOptions;
  acts: Act[];
  records: number;
  /** Acts by fault, and requests that the proxy failed. */
  injected: Record<string, number>;
  answers: Record<string, number>;
  /** Steps at which nobody came to be killed. */
  unreached: string[];
  seconds: number;
}

/** An act's share is sent within this, or the next one begins. */
const ACT_MS = 8_000;
const DRAINED_WITHIN_MS = 10_000;
const LANES_END_MS = 60_000;
const REST_MS = 60_000;

export type OnProgress = (done: number, of: number, what: string) => void;

export async function buildForRuns(): Promise<void> {
  await build(["local-kafka", "chaos-worker", "dev"]);
}

export async function runSeed(options: RunOptions, onProgress: OnProgress): Promise<RunResult> {
  const startedMs = performance.now();
  const acts = planActs(options);
  const truth = new Truth(options.seed);
  const load = new Load();
  const violations: Violation[] = [];
  const injected: Record<string, number> = {};
  const broken = (check: Violation["check"], error: unknown) =>
    void violations.push({ check, count: 1, detail: error instanceof Error ? error.message : String(error) });
  onProgress(0, acts.length + 1, "starting");
  const world = await World.open(options);
  try {
    // Where another mechanism is left out it would only take its time.
    const isProbed = options.mutation === undefined || options.mutation.startsWith("alert-");
    const probe = isProbed ? await AlertProbe.begin(world, load, truth, options.seed) : undefined;
    const lanes = LANE_KINDS.map((kind, lane) => runLane(world, { seed: options.seed, lane, kind }, load));
    for (const [place, act] of acts.entries()) {
      onProgress(place, acts.length + 1, `${act.fault} (act ${act.number}, ${load.issued} records)`);
      truth.begin(`${act.fault} (act ${act.number})`);
      const from = Math.max(load.issued, (options.records * place) / acts.length);
      const until = (options.records * (place + 1)) / acts.length;
      const scene: Scene = {
        world,
        load,
        truth,
        random: new Random(act.seed),
        async share(fraction, withinMs) {
          const wanted = from + fraction * (until - from);
          load.allow(wanted);
          await load.reaches(wanted, withinMs);
        },
      };
      if (UNJUDGEABLE.includes(act.fault)) truth.unjudgeable();
      try {
        await FAULTS[act.fault](scene);
      } catch (error) {
        broken(
          "faults",
          `${act.fault} (act ${act.number}): ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      injected[act.fault] = (injected[act.fault] ?? 0) + 1;
      await world.heal();
      truth.judgeable();
      // Half of the time the rest comes behind what is held, half of the time once all of that is in Kafka.
      if (Random.of(act.seed, 1).oneIn(2)) await waitFor(() => isDrained(world), DRAINED_WITHIN_MS);
      load.allow(until);
      await load.reaches(until, ACT_MS);
    }
    onProgress(acts.length, acts.length + 1, "coming to rest");
    const probed = probe?.end();
    const logs = await endLanes(lanes, load, options.records, probed);
    await quiesce(world, truth.remade, REST_MS).catch((error: unknown) => broken("rest", error));
    const findings = await verify(world, logs, truth, await probed);
    return {
      ...findings,
      violations: [...violations, ...findings.violations],
      options,
      acts,
      records: load.issued,
      injected: {
        ...injected,
        "requests failed by the proxy": world.proxy.injected(),
        "worker starts": world.restarts,
      },
      answers: sumAnswers(logs),
      unreached: truth.unreached,
      seconds: (performance.now() - startedMs) / 1_000,
    };
  } finally {
    load.end();
    await world.close();
  }
}

/** What is still to be sent is sent, what is tried again gets its time, then it is over. */
async function endLanes(
  lanes: readonly Promise<LaneLog>[],
  load: Load,
  records: number,
  probed: Promise<ProbeLog> | undefined,
): Promise<LaneLog[]> {
  load.allow(records);
  await load.reaches(records, LANES_END_MS);
  if (probed) await Promise.race([probed, sleep(LANES_END_MS, undefined, { ref: false })]);
  await load.pause(LANES_END_MS);
  load.end();
  const logs = await Promise.all(lanes);
  return probed ? [...logs, (await probed).lane] : logs;
}

function sumAnswers(logs: readonly LaneLog[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { answers } of logs)
    for (const [status, count] of answers) sums[status] = (sums[status] ?? 0) + count;
  return sums;
}
