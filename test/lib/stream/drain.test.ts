// Where a drain reads from: marks that tell a topic made anew, epochs, what is told of an idle partition.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import { emptyCommit } from "../../../lib/stream/empty-commit.ts";
import { isMarkOf, markOf } from "../../../lib/stream/identity.ts";
import { claimHorizonMs } from "../../../lib/stream/prune.ts";
import { resumePartition } from "../../../lib/stream/resume.ts";
import type { DrainMemory } from "../../../lib/stream/run.ts";
import type { Progress } from "../../../lib/storage/storage.ts";
import type { Signal } from "../../../lib/telemetry/signal.ts";
import { logs, openWorld, Reading, START_MS, type World } from "../../support/stream-world.ts";

let world: World;
let reading: Reading;
/** Offsets that were fetched from. */
let fetched: number[];
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
});
beforeEach(async () => {
  reading = new Reading(world, await world.newTopic());
  fetched = [];
  reading.deps.transport = {
    ...world.transport,
    fetch: async (request) => {
      fetched.push(request.offset);
      return await world.transport.fetch(request);
    },
  };
});

const send = async (...messages: string[]) => {
  for (const message of messages) await reading.send({ batch: message, records: logs(message) });
};

describe("a position fresh from the store", () => {
  it("is checked by the message before it, in the same read", async () => {
    await send("a", "b");
    await reading.drain();
    await send("c");
    fetched = [];
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 1 });
    expect(fetched).toEqual([1, 3]);
    expect(reading.stored()).toEqual(["a", "b", "c"]);
  });

  it("is not checked again by the owner that goes on from it", async () => {
    await send("a");
    const memory = newDrainMemory();
    await reading.drain(0, memory);
    await send("b");
    fetched = [];
    await reading.drain(0, memory);
    expect(fetched).toEqual([1, 2]);
  });
});

it("takes few days of what is older than anything is kept for, and the others as late", async () => {
  const timestamps = Array.from({ length: 1_000 }, (_, day) =>
    new Date(START_MS - day * 86_400_000).toISOString(),
  );
  await reading.write([JSON.stringify(timestamps.map((timestamp) => ({ message: timestamp, timestamp })))]);
  const source = { ...reading.source(), keptDays: 30 };
  await drainPartition(source, reading.deps, { timeMs: 20_000, batches: 5 }, newDrainMemory());
  expect(reading.stored()).toEqual(timestamps.slice(0, 131).toReversed());
  expect(await reading.counted("nobody")).toEqual({ stored: 131, late: 869, foreign: 1_000 });
});

const renamed = (from: string, to: string) => async (request: Parameters<typeof world.transport.fetch>[0]) =>
  await world.transport.fetch({ ...request, topic: request.topic === from ? to : request.topic });

describe("a topic made anew", () => {
  /** The group goes on reading under the old name; what it gets is another log. */
  async function makeAnew(...messages: string[]): Promise<void> {
    const other = new Reading(world, await world.newTopic());
    for (const message of messages) await other.send({ batch: `anew ${message}`, records: logs(message) });
    const { earliestOffset, latestOffset } = world.transport;
    reading.deps.transport = {
      ...world.transport,
      fetch: renamed(reading.topic, other.topic),
      earliestOffset: async (_, partition) => await earliestOffset(other.topic, partition),
      latestOffset: async (_, partition) => await latestOffset(other.topic, partition),
    };
  }

  it("stops the partition where it is longer already, and keeps it stopped for the same owner", async () => {
    await send("a", "b");
    const memory = newDrainMemory();
    await reading.drain(0, memory);
    await makeAnew("x", "y", "z", "zz");
    memory.position = undefined;
    for (let i = 0; i < 2; i++) {
      const result = await reading.drain(0, memory);
      expect(result).toMatchObject({ state: "stopped", records: 0 });
      expect(result.reason).toMatch(/another message lies at 1 .* made anew/);
    }
    expect(reading.stored()).toEqual(["a", "b"]);
  });

  it("is not taken for what it is not: retention that took the message before goes on", async () => {
    await send("a", "b", "c");
    const memory = newDrainMemory();
    await reading.drain(0, memory, reading.deps);
    await send("d");
    await world.expire(reading.topic, 0, 3);
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 1, expired: 0 });
    await send("e", "f");
    await world.expire(reading.topic, 0, 5);
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 1, expired: 1 });
  });

  it("is read from its start as a new incarnation once a person says so", async () => {
    await send("a", "b");
    await reading.drain();
    await makeAnew("a", "x", "y");
    expect(await reading.drain()).toMatchObject({ state: "stopped" });
    const { transport } = reading.deps;
    const resumed = await resumePartition(reading.source(), { ...reading.deps, transport });
    expect(resumed).toEqual({ outcome: "resumed", incarnation: 1, nextOffset: 0 });
    expect(await reading.store.position(reading.source())).toEqual({
      nextOffset: 0,
      incarnation: 1,
      epoch: 0,
      mark: null,
      watermarkMs: START_MS,
    });
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 3 });
    expect(reading.stored()).toEqual(["a", "a", "b", "x", "y"]);
    expect(await resumePartition(reading.source(1), { ...reading.deps, transport })).toEqual({
      outcome: "never_read",
    });
  });
});

describe("an epoch", () => {
  it("is that of the group for a partition read later, and part of each claim's key", async () => {
    const at = (epoch: number) => ({ nextOffset: 0, incarnation: 0, epoch, mark: null, watermarkMs: 0 });
    await reading.send({ batch: "b", attempt: 1, records: logs("a") });
    await reading.send({ batch: "b", attempt: 1, partition: 1, records: logs("a") });
    await reading.drain(0);
    const [first] = reading.commits.at(-1)?.claims.first ?? [];
    const { group, topic } = reading.source();
    const from = await reading.store.position(reading.source());
    const told = { rawFloorDay: 0, nowMs: START_MS };
    await reading.store.commit(emptyCommit({ group, topic, partition: 0 }, from, at(2), told));
    await reading.drain(1);
    expect(await reading.store.position(reading.source(1))).toMatchObject({ epoch: 2, nextOffset: 1 });
    const [second] = reading.commits.at(-1)?.claims.first ?? [];
    expect(second?.key).not.toBe(first?.key);
    expect(reading.stored()).toEqual(["a", "a"]);
  });
});

describe("an end that is announced", () => {
  it("has the batch in hand finished, and no other begun", async () => {
    await send("a", "b");
    let isEnding = false;
    const { transport } = reading.deps;
    const oneByOne = async (request: Parameters<typeof transport.fetch>[0]) =>
      (await transport.fetch(request)).slice(0, 1);
    const deps = {
      ...reading.deps,
      transport: { ...transport, fetch: oneByOne },
      reached: async (step: string) => void (isEnding ||= step === "before-commit"),
      isEnding: () => isEnding,
    };
    expect(await reading.drain(0, undefined, deps)).toMatchObject({ state: "budget", records: 1 });
    expect(reading.stored()).toEqual(["a"]);
  });
});

describe("a partition at its end", () => {
  /** When the store was told, in seconds since the start. */
  function readsTold(): number[] {
    const told: number[] = [];
    const { readThrough } = reading.store;
    reading.deps.store = {
      ...reading.store,
      readThrough: async (id, position, atMs) => {
        told.push((atMs - START_MS) / 1_000);
        await readThrough(id, position, atMs);
      },
    };
    return told;
  }
  const drainAs = async (signal: Signal, memory: DrainMemory, batches = 20) =>
    await drainPartition({ ...reading.source(), signal }, reading.deps, { timeMs: 20_000, batches }, memory);
  const readThroughMs = async () => (await reading.store.progress("g"))[0]?.readThroughMs;

  it("is told to be read through at most every 15 minutes while nothing comes", async () => {
    const told = readsTold();
    const memory = newDrainMemory();
    for (let minute = 0; minute <= 31; minute++) {
      reading.nowMs = START_MS + minute * 60_000;
      await reading.drain(0, memory);
    }
    expect(told).toEqual([0, 900, 1_800]);
    await send("a");
    reading.nowMs = START_MS;
    await reading.drain(0, memory);
    expect(await readThroughMs()).toBe(START_MS + 30 * 60_000);
  });

  it("of metrics, by which rules go, is told so at each look of the cron, however early that is", async () => {
    const told = readsTold();
    const memory = newDrainMemory();
    const looks = [0, 59, 119, 121, 179];
    for (const seconds of looks) {
      reading.nowMs = START_MS + seconds * 1_000;
      await drainAs("metrics", memory);
    }
    expect(told).toEqual([0, 59, 119, 179]);
  });

  it("is told so, too, where messages come that bear no receipt", async () => {
    readsTold();
    const memory = newDrainMemory();
    const lags: number[] = [];
    for (let seconds = 0; seconds <= 600; seconds += 10) {
      reading.nowMs = START_MS + seconds * 1_000;
      await reading.write(['{"name":"cpu","value":1}']);
      await drainAs("metrics", memory);
      lags.push(reading.nowMs - ((await readThroughMs()) ?? 0));
    }
    expect(Math.max(...lags)).toBeLessThan(60_000);
  });

  it("is told so where they come so fast that no read finds the end", async () => {
    const told = readsTold();
    const { transport } = reading.deps;
    reading.deps.transport = {
      ...transport,
      fetch: async (request) => {
        reading.nowMs += 1_000;
        await reading.write(['{"name":"cpu","value":1}']);
        return await transport.fetch(request);
      },
    };
    const memory = newDrainMemory();
    for (let drains = 0; drains < 12; drains++) {
      expect(await drainAs("metrics", memory, 10)).toMatchObject({ state: "budget" });
      expect(reading.nowMs - ((await readThroughMs()) ?? 0)).toBeLessThan(60_000);
    }
    const betweenS = told.slice(1).map((one, i) => one - (told[i] ?? 0));
    expect(betweenS.length).toBeGreaterThan(0);
    expect(Math.min(...betweenS)).toBeGreaterThanOrEqual(45);
  });

  it("is not told so before what lay there is committed", async () => {
    const told = readsTold();
    const { transport } = reading.deps;
    await reading.write(Array.from({ length: 6 }, () => '{"name":"cpu","value":1}'));
    const oneByOne = async (request: Parameters<typeof transport.fetch>[0]) => {
      reading.nowMs += 1_000;
      return (await transport.fetch(request)).slice(0, 1);
    };
    reading.deps.transport = { ...transport, fetch: oneByOne };
    const memory = newDrainMemory();
    await drainAs("metrics", memory, 5);
    expect(memory.position?.nextOffset).toBe(4);
    expect(told).toEqual([]);
    await drainAs("metrics", memory, 5);
    expect(memory.position?.nextOffset).toBe(6);
    expect(told).toHaveLength(1);
  });

  it("has the newest receipt for it where something came, but never a time that is still to come", async () => {
    await reading.send({ batch: "a", receivedMs: START_MS - 5_000, records: logs("a") });
    await reading.send({ batch: "b", receivedMs: START_MS - 9_000, records: logs("b") });
    await reading.send({ batch: "c", receivedMs: START_MS + 9e9, partition: 1, records: logs("c") });
    await reading.drain(0);
    await reading.drain(1);
    expect(reading.commits.map(({ claims }) => claims.receivedMs)).toEqual([
      undefined,
      START_MS - 5_000,
      undefined,
      START_MS,
    ]);
  });
});

describe("claims", () => {
  const HOUR = 3_600_000;
  const owned = [0, 1].map((partition) => ({ group: "g", topic: "t", partition }));
  const progress = (...hours: number[]): Progress[] =>
    hours.map((hour, partition) => ({
      group: "g",
      topic: "t",
      partition,
      nextOffset: 0,
      incarnation: 0,
      epoch: 0,
      recordsTotal: 0,
      deadTotal: 0,
      expiredTotal: 0,
      readThroughMs: hour * HOUR,
      watermarkMs: 0,
      updatedAt: "",
    }));

  it("are dropped 24 hours behind the slowest partition and the oldest spill, whatever the clock says", () => {
    expect(claimHorizonMs(progress(100, 90), owned, null, [])).toBe(66 * HOUR);
    expect(claimHorizonMs(progress(100, 90), owned, 80 * HOUR, [])).toBe(56 * HOUR);
    expect(claimHorizonMs(progress(100, 90, 1), owned, 95 * HOUR, [])).toBe(66 * HOUR);
  });

  it("stay where a partition was never read, or nothing is known", () => {
    expect(claimHorizonMs(progress(100), owned, null, [])).toBeUndefined();
    expect(claimHorizonMs(progress(100, 0), owned, null, [])).toBeUndefined();
    expect(claimHorizonMs(progress(100, 24), owned, null, [])).toBeUndefined();
    expect(claimHorizonMs(progress(100, 90), [], null, [])).toBeUndefined();
  });
});

describe("a mark", () => {
  it("tells offset, key and value apart, and nothing from empty", () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const marks = [
      { offset: 1, key: null, value: bytes("ab") },
      { offset: 2, key: null, value: bytes("ab") },
      { offset: 1, key: bytes("a"), value: bytes("b") },
      { offset: 1, key: bytes(""), value: bytes("ab") },
      { offset: 1, key: null, value: null },
      { offset: 1, key: null, value: bytes("") },
    ].map(markOf);
    expect(new Set(marks).size).toBe(marks.length);
    expect(marks[0]).toMatch(/^1:[0-9a-f]{16}$/);
  });

  it("of another place says nothing: who moved the position knew of no marks", () => {
    const left = markOf({ offset: 4, key: null, value: null });
    expect([3, 4, 5, 40].map((offset) => isMarkOf(left, offset))).toEqual([false, true, false, false]);
    // As the first ones were written.
    expect(isMarkOf("fd8d1e2fed333e38", 4)).toBe(false);
  });
});
