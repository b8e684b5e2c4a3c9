// The commit protocol against a model: several owners on the same partitions, in any order, dying anywhere, with every
// kind of copy on the log. In the end each record that was accepted is stored once, and the ledger balances.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createIntentStore } from "../../../lib/storage/intent.ts";
import { createMemoryIntentControl } from "../../../lib/storage/memory-intents.ts";
import { positionIn, type MemoryTables } from "../../../lib/storage/memory-tables.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { StorageError, type PartitionCommit, type StreamStore } from "../../../lib/storage/storage.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import { emptyCommit } from "../../../lib/stream/empty-commit.ts";
import { readAgain } from "../../../lib/stream/read-again.ts";
import type { Log } from "../../../lib/telemetry/log.ts";
import { logsSource } from "../../support/drain-source.ts";
import { createMemoryLog, type MemoryLog } from "../../support/memory-log.ts";
import { createTokenSink } from "../../support/memory-sinks.ts";
import { Stage } from "../../support/stage.ts";
import { DEFAULT_TENANT, faultsOf, NOW_MS, PARTITIONS, REFUSED, trafficArbitrary } from "./commit-model.ts";

const TOPIC = "logs.raw";
const GROUP = "g";
const BUDGET = { timeMs: 1_000, batches: 100 };

const sourceOf = (partition: number) => logsSource({ group: GROUP, topic: TOPIC, partition }, DEFAULT_TENANT);

/** An owner of all partitions that keeps its memory of each, as an object does, from round to round. */
async function own(
  log: MemoryLog,
  store: StreamStore,
  partitions: readonly number[],
  rounds: number,
  reached: (step: string) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const memories = new Map(partitions.map((partition) => [partition, newDrainMemory()]));
  const deps = { transport: log.transport, store, now: () => NOW_MS, sleep: async () => undefined, reached };
  let states: string[] = [];
  for (let round = 0; round < rounds; round++) {
    states = [];
    for (const [partition, memory] of memories) {
      const result = await drainPartition(sourceOf(partition), deps, BUDGET, memory);
      states.push(result.reason ?? result.state);
    }
  }
  return states;
}

/** A store that will not have some records. */
function refusing(store: StreamStore): StreamStore {
  const judge = ({ rows }: PartitionCommit) => {
    if (rows.logs.some(({ record }) => record.message === REFUSED))
      throw new StorageError("a record that this store refuses", { code: "storage_rejected" });
  };
  return {
    ...store,
    async commit(commit) {
      judge(commit);
      return await store.commit(commit);
    },
    async rehearse(commit) {
      judge(commit);
      await store.rehearse(commit);
    },
  };
}

/** Begins the group anew, from the start of each partition. */
async function reset(store: StreamStore): Promise<void> {
  for (const partition of PARTITIONS) {
    for (;;) {
      const from = await store.position(sourceOf(partition));
      // An owner that met the partition for the first time took the epoch from another.
      if (from?.epoch === 1) break;
      const next = { nextOffset: 0, incarnation: 0, epoch: 1, mark: null, watermarkMs: 0 };
      const id = { group: GROUP, topic: TOPIC, partition };
      const outcome = await store.commit(emptyCommit(id, from, next, { rawFloorDay: 0, nowMs: NOW_MS }));
      if (outcome === "committed") break;
    }
  }
}

const scriptArbitrary = fc.record({
  traffic: trafficArbitrary,
  /** How many messages one read gives. */
  maxMessages: fc.integer({ min: 1, max: 4 }),
  /** How much of the log is there when the owners begin. */
  already: fc.nat(12),
  isReset: fc.oneof(
    { weight: 4, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  turns: fc.array(fc.record({ next: fc.nat(11), luck: fc.nat(29) }), { minLength: 10, maxLength: 120 }),
});

/** What the owners of one run commit to. */
interface World {
  /** With a stage, each call is a step of the actor. */
  storeFor(stage?: Stage, actor?: string): StreamStore;
  texts(epoch: number): string[];
  tables: MemoryTables;
}

type OpenWorld = (log: MemoryLog) => World;

/** @param spoil of the store that owners use: what a fault of it would be */
const inMemory =
  (spoil: (store: StreamStore, tables: MemoryTables) => StreamStore = (store) => store): OpenWorld =>
  () => {
    const { stream, tables } = createMemoryStore();
    const store = refusing(spoil(stream, tables));
    const steps = ["position", "commit", "rehearse", "claimed", "readThrough"] as const;
    return {
      tables,
      storeFor: (stage, actor = "") => stage?.wrap(actor, "store", store, steps) ?? store,
      texts(epoch) {
        const sources = tables.sources.filter((source) => source.epoch === epoch).map(({ id }) => id);
        return [...tables.rows.logs.values()]
          .filter(({ key }) => sources.includes(key.source))
          .map(({ record }) => record.message);
      },
    };
  };

/** Rows in a store of their own, without transactions. */
const byIntents: OpenWorld = (log) => {
  const memory = createMemoryStore();
  const control = createMemoryIntentControl(memory);
  const sink = createTokenSink(1_000);
  const readContext = { signal: "logs" as const, defaultTenant: DEFAULT_TENANT, nowMs: NOW_MS };
  const steps = [
    "openIntent",
    "position",
    "begin",
    "retry",
    "finish",
    "abandon",
    "commit",
    "claimed",
  ] as const;
  return {
    tables: memory.tables,
    storeFor: (stage, actor = "") =>
      refusing(
        createIntentStore({
          control: stage?.wrap(actor, "control", control, steps) ?? control,
          sink: stage?.wrap(actor, "sink", sink, ["write", "holds"]) ?? sink,
          readAgain: (messages) => readAgain(log.transport, messages, readContext),
          now: () => NOW_MS,
          settleMs: 1,
        }),
      ),
    texts: (epoch) => sink.rows(epoch).map(({ record }) => (record as Log).message),
  };
};

/** How often each thing has happened, so that a property that holds since nothing happens is seen. */
type Tally = Record<"committed" | "fenced" | "conflict" | "deaths", number>;

const counting = (store: StreamStore, tally: Tally): StreamStore => ({
  ...store,
  async commit(commit) {
    const outcome = await store.commit(commit);
    tally[outcome]++;
    return outcome;
  },
});

const protocol = (open: OpenWorld, tally: Tally = { committed: 0, fenced: 0, conflict: 0, deaths: 0 }) =>
  fc.asyncProperty(scriptArbitrary, async ({ traffic, maxMessages, already, isReset, turns }) => {
    const log = createMemoryLog({ maxMessages });
    const { storeFor, texts, tables } = open(log);
    const lay = ({ partition, value }: (typeof traffic.copies)[number]) =>
      log.append(TOPIC, partition, new TextEncoder().encode(value));
    for (const copy of traffic.copies.slice(0, already)) lay(copy);

    const stage = new Stage();
    const storeOf = (actor: string) => counting(storeFor(stage, actor), tally);
    const tasks: Promise<unknown>[] = [
      [0, 1, 2],
      [1, 0, 2],
      [2, 1, 0],
    ].map((partitions, i) =>
      own(log, storeOf(`owner ${i}`), partitions, 2, (step) => stage.reached(`owner ${i}`, step)),
    );
    const produce = async () => {
      for (const copy of traffic.copies.slice(already)) {
        await stage.reached("producer", "append");
        lay(copy);
      }
    };
    tasks.push(produce());
    if (isReset) tasks.push(reset(storeOf("operator")));
    let turn = 0;
    await stage.run(tasks, (waiting) => {
      const { next, luck } = turns[turn++] ?? { next: turn, luck: 1 };
      const chosen = waiting[next % waiting.length];
      const dies = luck === 0 && chosen?.actor.startsWith("owner") === true;
      if (dies) tally.deaths++;
      return { next, dies };
    });

    // Whoever comes after them finds only what is stored and what lies on the log.
    const states = await own(log, storeFor(), PARTITIONS, 3);
    const faults = states.filter((state) => state !== "caught-up");
    const epoch = isReset ? 1 : 0;
    const ledger = [...tables.ledger.values()].filter((row) => row.epoch === epoch);
    faults.push(...faultsOf(texts(epoch), ledger, traffic));
    if (faults.length > 0) throw new Error(`${faults.join("\n")}\nafter\n${stage.history.join("\n")}`);
  });

/** Commits what is left of a commit, and sets the claims that were left out of it without a look at what is there. */
function commitUnchecked(
  store: StreamStore,
  tables: MemoryTables,
  unchecked: (commit: PartitionCommit) => Pick<PartitionCommit["claims"], "first" | "repeated">,
): StreamStore {
  return {
    ...store,
    async commit(commit) {
      const blind = unchecked(commit);
      const { claims } = commit;
      const checked = {
        first: claims.first.filter((claim) => !blind.first.includes(claim)),
        repeated: claims.repeated.filter((claim) => !blind.repeated.includes(claim)),
        receivedMs: claims.receivedMs,
      };
      const outcome = await store.commit({ ...commit, claims: checked });
      if (outcome === "committed") tables.claims.add({ ...claims, ...blind }, NOW_MS);
      return outcome;
    },
  };
}

describe("the commit protocol", () => {
  const worlds: [string, OpenWorld][] = [
    ["in one transaction", inMemory()],
    ["by intents", byIntents],
  ];
  it.each(worlds)("stores each record accepted once, and accounts for every copy: %s", async (_, open) => {
    const tally = { committed: 0, fenced: 0, conflict: 0, deaths: 0 };
    await fc.assert(protocol(open, tally), { numRuns: 150 });
    for (const [what, times] of Object.entries(tally)) expect(times, what).toBeGreaterThan(20);
  });

  it("counts a dead record once whose copy met its id as another's, both planned before either was there", async () => {
    const path =
      "123:105:4:5:5:3:3:3:8:3:3:3:3:5:10:10:10:16:19:23:6:4:4:4:5:4:4:10:8:8:8:8:8:10:15:15:9:9:14:15:15:15:11:15:15:15:15:15:13:13:9:11:11:11:9:10:10:10:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9:9";
    const script = fc.assert(protocol(inMemory()), { seed: -240_634_197, path, endOnFailure: true });
    await expect(script).resolves.toBeUndefined();
  });

  /** Each takes one rule out of the store: the property must find it. */
  const mutants: [string, (store: StreamStore, tables: MemoryTables) => StreamStore][] = [
    [
      "the fence",
      (store, tables) => ({
        ...store,
        commit: (commit) => store.commit({ ...commit, from: positionIn(tables, commit) }),
      }),
    ],
    [
      "the guard on first claims",
      (store, tables) =>
        commitUnchecked(store, tables, ({ claims }) => ({ first: claims.first, repeated: [] })),
    ],
    [
      "the guard on repeated claims",
      (store, tables) =>
        commitUnchecked(store, tables, ({ claims }) => ({ first: [], repeated: claims.repeated })),
    ],
  ];
  it.each(mutants)("needs %s", async (_, spoil) => {
    const found = await fc.check(protocol(inMemory(spoil)), { numRuns: 3_000, endOnFailure: true });
    expect(found.failed).toBe(true);
  });
});
