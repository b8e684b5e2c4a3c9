// Generated streams for the windows' test, and how they are run: messages of metric points with disorder, copies and idle
// stretches on two partitions, read by two owners over one store that dies, lies and moves its floor. All from a seed.
import { Buffer } from "node:buffer";
import { createMemoryStore, type MemoryStore } from "../../../lib/storage/memory.ts";
import { StorageError, type PartitionCommit, type StreamStore } from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import type { DrainMemory, DrainResult, DrainSource } from "../../../lib/stream/run.ts";
import { parseWindows, type WindowDefinition } from "../../../lib/windows/definition.ts";
import { seriesId } from "../../../lib/windows/series.ts";
import { createMemoryLog, type MemoryLog } from "../../support/memory-log.ts";

const TOPIC = "metrics.raw";
const GROUP = "g";
export const PARTITIONS = [0, 1];
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A record as the reference sees it. */
export interface Point {
  tenant: string;
  name: string;
  labels: Record<string, string>;
  ms: number;
  value: number;
  isCounter: boolean;
  series: string;
  /** The same for each copy. */
  identity: string;
  partition: number;
  offset: number;
  index: number;
}

/** A commit that the store took. */
export interface Step {
  commit: PartitionCommit;
  nowMs: number;
}

export interface Played {
  definitions: readonly WindowDefinition[];
  latenessMs: number;
  maxResults: number;
  points: Point[];
  steps: Step[];
  store: MemoryStore;
  /** What happened, for whoever has to find out. */
  history: string[];
  tally: Record<string, number>;
  lastStates: string[];
}

/** mulberry32 */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const WINDOWS = ["1m,5m", "session:30s", "3m/1m", "session:2m,1h", "10m/5m", "1m"];

const known = new Map<string, string>();

function seriesOf(tenant: string, name: string, labels: Record<string, string>): string {
  const key = JSON.stringify([tenant, name, labels]);
  const series = known.get(key) ?? seriesId(tenant, name, labels);
  known.set(key, series);
  return series;
}

class Died extends Error {}

/** @param spoil of the store that owners use: what a fault of ours would be */
export async function play(
  seed: number,
  spoil: (store: StreamStore) => StreamStore = (s) => s,
): Promise<Played> {
  const next = random(seed);
  const below = (n: number) => Math.floor(next() * n);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const chance = (share: number) => next() < share;

  const parsed = parseWindows(pick(WINDOWS));
  if (!parsed.ok) throw new Error(parsed.error);
  const definitions = parsed.value;
  const latenessMs = pick([0, 60_000, 300_000]);
  const maxResults = pick([2, 5, 2_000, 2_000, 2_000, 2_000]);
  const cacheBytes = pick([1, 4_000, 12_000, 24_000_000, 24_000_000]);
  // Near midnight now and then, where sessions are cut.
  const startMs = Date.parse("2026-11-21T00:00:00.000Z") + pick([0, 10 * 3_600_000, -45_000, 120_000]);
  const calm = chance(0.3);

  const log: MemoryLog = createMemoryLog({ maxMessages: pick([1, 2, 3, 100]) });
  const store = createMemoryStore();
  store.tables.floors.raw = Math.floor(startMs / DAY_MS) - 3;
  const clock = { nowMs: startMs };
  const history: string[] = [];
  const tally: Record<string, number> = {};
  const note = (what: string) => {
    tally[what] = (tally[what] ?? 0) + 1;
    history.push(what);
  };
  const steps: Step[] = [];
  /** What the next commit meets with. */
  let fate: "well" | "refused before" | "lost after" = "well";
  let dies: string | undefined;
  const inner = spoil(store.stream);
  const faulty: StreamStore = {
    ...inner,
    async commit(commit) {
      const met = fate;
      fate = "well";
      if (met === "refused before") throw new StorageError("away");
      const outcome = await inner.commit(commit);
      note(
        `${outcome} ${commit.partition}: ${commit.next.nextOffset} at ${commit.next.watermarkMs - startMs}`,
      );
      tally[outcome] = (tally[outcome] ?? 0) + 1;
      if (outcome === "committed") steps.push({ commit, nowMs: clock.nowMs });
      if (met === "lost after") throw new StorageError("away");
      return outcome;
    },
    async windows(...given) {
      if (fate === "refused before" && below(2) === 0) {
        fate = "well";
        throw new StorageError("away");
      }
      tally.lookups = (tally.lookups ?? 0) + 1;
      return await inner.windows(...given);
    },
  };
  let isSpillEmpty = true;
  const deps = {
    transport: log.transport,
    store: faulty,
    now: () => clock.nowMs,
    sleep: async () => undefined,
    reached: async (step: string) => {
      if (step !== dies) return;
      dies = undefined;
      throw new Died(step);
    },
    isSpillEmpty: async () => isSpillEmpty,
  };
  const source = (partition: number): DrainSource => ({
    group: GROUP,
    topic: TOPIC,
    partition,
    signal: "metrics",
    startAt: "earliest",
    defaultTenant: "nobody",
    deadLetterTopic: "metrics.dlq",
    lateTopic: "metrics.late",
    processedTopic: "metrics.processed",
    processedTopics: null,
    windows: definitions,
    latenessMs,
    recentOffset: undefined,
  });
  const fresh = () => newDrainMemory({ cacheBytes, maxResults });
  const owners: DrainMemory[][] = [0, 1].map(() => PARTITIONS.map(fresh));
  const drain = async (owner: number, partition: number): Promise<DrainResult> => {
    const memory = owners[owner]?.[partition] as DrainMemory;
    const result = await drainPartition(
      source(partition),
      deps,
      { timeMs: 60_000, batches: 1 + below(30) },
      memory,
    );
    history.push(`owner ${owner} drained ${partition}: ${result.state} ${result.reason ?? ""}`);
    return result;
  };

  const points: Point[] = [];
  const sent: { text: string; records: Omit<Point, "partition" | "offset" | "index">[] }[] = [];
  const lay = (partition: number, { text, records }: (typeof sent)[number]) => {
    const offset = log.append(TOPIC, partition, Buffer.from(text));
    for (const [index, record] of records.entries()) points.push({ ...record, partition, offset, index });
  };
  /** Now and then late, or of another day; and ahead of the clock by a little. */
  const eventMs = (): number => {
    const kind = calm ? 9 : below(12);
    if (kind === 0) return clock.nowMs - below(20 * MINUTE_MS);
    if (kind === 1) return clock.nowMs - below(5 * DAY_MS);
    if (kind === 2) return clock.nowMs + below(2 * MINUTE_MS);
    return clock.nowMs - below(90_000);
  };
  let batches = 0;
  const produce = () => {
    const partition = pick(PARTITIONS);
    if (sent.length > 0 && chance(0.2)) {
      note("copy");
      return lay(partition, pick(sent));
    }
    const tenant = pick(["acme", "acme", "zeta"]);
    const batch = `b${batches++}`;
    const records = Array.from({ length: 1 + below(3) }, (_, i) => {
      const isCounter = chance(0.3);
      // Quarters add up exactly, in whatever order.
      const value = isCounter ? below(40) : (below(4_000) - 400) / 4;
      const labels: Record<string, string> = chance(0.3) ? { host: "a" } : {};
      const name = isCounter ? "requests" : "cpu";
      const series = seriesOf(tenant, name, labels);
      return {
        tenant,
        name,
        labels,
        series,
        ms: eventMs(),
        value,
        isCounter,
        identity: `${tenant}/${batch}/${i}`,
      };
    });
    const entries = records.map(({ name, labels, ms, value, isCounter }) => ({
      timestamp: new Date(ms).toISOString(),
      name,
      value,
      labels,
      ...(isCounter ? { kind: "counter" } : {}),
    }));
    const received = new Date(clock.nowMs).toISOString();
    const indices = records.map((_, i) => i);
    const message = {
      text: JSON.stringify({ v: 1, tenant, signal: "metrics", batch, received, indices, entries }),
      records,
    };
    sent.push(message);
    note("message");
    lay(partition, message);
  };

  const turns = 3 + below(5);
  for (let turn = 0; turn < turns; turn++) {
    for (let i = below(3); i > 0; i--) produce();
    clock.nowMs += pick([0, 1_000, 15_000, 61_000, 200_000, 400_000]);
    if (chance(0.1)) isSpillEmpty = !isSpillEmpty;
    if (chance(0.04)) {
      store.tables.floors.raw++;
      note("floor moves");
    }
    if (chance(0.1)) {
      owners[below(2)] = PARTITIONS.map(fresh);
      note("memory lost");
    }
    fate = pick(["well", "well", "well", "well", "refused before", "lost after"]);
    dies = chance(0.1) ? pick(["before-commit", "after-commit", "after-fetch"]) : undefined;
    await drain(below(2), pick(PARTITIONS));
  }
  // In the end all is read, and nothing is due any more.
  fate = "well";
  dies = undefined;
  isSpillEmpty = true;
  let lastStates: string[] = [];
  for (const later of [0, DAY_MS + 3_600_000 + latenessMs]) {
    clock.nowMs += later;
    lastStates = [];
    for (const partition of PARTITIONS) {
      let result: DrainResult;
      let drains = 0;
      do result = await drain(0, partition);
      while (result.state !== "caught-up" && ++drains < 400);
      lastStates.push(result.wakeAtMs === null ? result.state : `${result.state}, due at ${result.wakeAtMs}`);
    }
  }
  return { definitions, latenessMs, maxResults, points, steps, store, history, tally, lastStates };
}
