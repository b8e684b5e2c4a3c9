// What the store refuses is found and kept aside, exactly; what is beside it is stored; and a store that is away is never
// taken for bad data (design.md, decision 10).
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newDrainMemory } from "../../../lib/stream/drain.ts";
import { TenantTrips } from "../../../lib/stream/tenant-trips.ts";
import { logs, openWorld, Reading, type World } from "../../support/stream-world.ts";

let world: World;
let reading: Reading;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
});
beforeEach(async () => {
  reading = new Reading(world, await world.newTopic());
  reading.poison = /poison/;
});

const letters = () =>
  [...reading.memory.tables.deadLetters.values()]
    .map(({ letter }) => letter)
    .toSorted((a, b) => a.offset - b.offset || a.index - b.index);
const numbered = (count: number, isBad: (i: number) => boolean, from = 0) =>
  logs(...Array.from({ length: count }, (_, i) => `${isBad(i) ? "poison" : "good"} ${from + i}`));

describe("records that the store refuses", () => {
  it("are found exactly, among messages and within them, and are dead with their raw bytes", async () => {
    const bad = new Set([3, 17, 18, 39]);
    for (let message = 0; message < 20; message++) {
      const isBad = (i: number) => (message === 4 || message === 11) && bad.has(i);
      await reading.send({ batch: `b${message}`, records: numbered(40, isBad, message * 40) });
    }
    expect(await reading.drainAll()).toMatchObject({ state: "caught-up" });
    expect(await reading.counted()).toEqual({ stored: 792, dead: 8 });
    expect(reading.stored()).toHaveLength(792);
    expect(reading.stored().every((message) => message.startsWith("good"))).toBe(true);
    expect(letters().map(({ offset, index }) => [offset, index])).toEqual(
      [4, 11].flatMap((offset) => [...bad].map((index) => [offset, index])),
    );
    expect(letters()[0]).toMatchObject({
      errorType: "storage_rejected",
      attempts: 3,
      error: "the row is refused",
    });
    const original = Buffer.from(letters()[0]?.originalValue ?? "", "base64").toString();
    expect(JSON.parse(original)).toEqual({ message: "poison 163" });
    // Twice for each of the two messages: before the second and the third try of all of its records together.
    expect(reading.sleeps).toEqual([100, 200, 100, 200]);
  });

  it("take a bounded number of tries in a drain, and the next drain goes on where it ended", async () => {
    await reading.send({ batch: "b", records: numbered(2_000, (i) => i % 200 === 0) });
    const memory = newDrainMemory();
    let drains = 0;
    for (let state = "budget"; state === "budget"; drains++) {
      const before = reading.rehearsals;
      ({ state } = await reading.drain(0, memory));
      expect(reading.rehearsals - before).toBeLessThanOrEqual(20);
    }
    expect(drains).toBeGreaterThan(5);
    expect(await reading.counted()).toEqual({ stored: 1_990, dead: 10 });
    // Halving alone: 10 × 2 × 11, and each found one twice more.
    expect(reading.rehearsals).toBeLessThan(250);
  });

  it("are no longer so when a later try takes them", async () => {
    await reading.send({ batch: "b", records: numbered(8, (i) => i === 5) });
    reading.deps.sleep = async () => void (reading.poison = undefined);
    await reading.drainAll();
    expect(await reading.counted()).toEqual({ stored: 8 });
    expect(letters()).toEqual([]);
  });

  it("hold up nobody where no store takes even the tenant's name", async () => {
    await reading.send({ tenant: "poison", batch: "b", records: logs("a", "b") });
    await reading.send({ batch: "c", records: logs("after") });
    expect(await reading.drainAll()).toMatchObject({ state: "caught-up" });
    expect(reading.stored()).toEqual(["after"]);
    expect(await reading.counted("nobody")).toEqual({ dead: 2, foreign: 2 });
    expect(letters()).toMatchObject([{ tenant: "nobody", offset: 0, index: -1, attempts: 3 }]);
  });

  it("are dead as a message where each alone would be taken", async () => {
    await reading.send({ batch: "b", records: logs("one", "two") });
    reading.poison = /one.*two/;
    await reading.send({ batch: "c", records: logs("after") });
    await reading.drainAll();
    expect(reading.stored()).toEqual(["after"]);
    expect(await reading.counted()).toEqual({ stored: 1, dead: 2 });
    expect(letters()).toMatchObject([{ index: -1, tenant: "acme", attempts: 3 }]);
  });

  it("are no dead letter where they are copies of what was stored before", async () => {
    reading.poison = undefined;
    const stored = [
      { batch: "b", records: logs("poison", "a") },
      { batch: "c", records: logs("poison") },
    ];
    for (const one of stored) await reading.send({ ...one, attempt: 1 });
    await reading.drainAll();
    reading.poison = /poison/;
    for (const attempt of [1, 2]) for (const one of stored) await reading.send({ ...one, attempt });
    await reading.drainAll();
    expect(await reading.counted()).toEqual({ stored: 3, redelivered: 3, deduplicated: 3 });
    expect(letters()).toEqual([]);
  });
});

describe("a store that is away", () => {
  it("makes no dead letter, whenever it goes", async () => {
    await reading.send({ batch: "b", records: numbered(64, (i) => i === 9 || i === 40) });
    const memory = newDrainMemory();
    const { commit, rehearse } = reading.store;
    let calls = 0;
    const failing = <T>(call: (given: Parameters<typeof commit>[0]) => Promise<T>) => {
      return async (given: Parameters<typeof commit>[0]) => {
        reading.isAway = ++calls % 3 === 0;
        return await call(given);
      };
    };
    reading.deps.store = { ...reading.store, commit: failing(commit), rehearse: failing(rehearse) };
    const states = new Set<string>();
    for (let drains = 0; drains < 200 && !states.has("caught-up"); drains++)
      states.add((await reading.drain(0, memory)).state);
    expect([...states].toSorted()).toContain("failed");
    expect(await reading.counted()).toEqual({ stored: 62, dead: 2 });
    expect(letters().map(({ index }) => index)).toEqual([9, 40]);
  });

  it("is waited for, for ever", async () => {
    await reading.drainAll();
    await reading.send({ batch: "b", records: logs("a") });
    reading.isAway = true;
    for (let i = 0; i < 20; i++)
      expect(await reading.drain()).toMatchObject({ state: "failed", deadLetters: 0, reason: "away" });
    reading.isAway = false;
    await reading.drainAll();
    expect(await reading.counted()).toEqual({ stored: 1 });
  });
});

describe("a tenant of whose records nearly all are refused", () => {
  it("is tripped: its refused messages are dead whole, until one is tried again a minute later", async () => {
    const memory = newDrainMemory();
    await reading.send({ tenant: "bad", batch: "1", records: numbered(120, (i) => i > 0) });
    await reading.drainAll(0, memory);
    expect(memory.trips.tripped(reading.nowMs)).toEqual(["bad"]);
    expect(letters()).toHaveLength(1);
    const tries = reading.rehearsals;
    await reading.send({ tenant: "bad", batch: "2", records: numbered(120, (i) => i > 0) });
    await reading.send({ tenant: "bad", batch: "3", records: logs("good all the same") });
    await reading.send({ tenant: "other", batch: "4", records: logs("other") });
    await reading.drainAll(0, memory);
    expect(reading.rehearsals).toBe(tries);
    expect(letters()).toMatchObject([{}, { tenant: "bad", offset: 1, index: -1, attempts: 1 }]);
    expect(await reading.counted("bad")).toEqual({ stored: 2, dead: 239 });
    expect(await reading.counted("other")).toEqual({ stored: 1 });
    reading.nowMs += 60_000;
    await reading.send({ tenant: "bad", batch: "5", records: numbered(120, (i) => i === 3) });
    await reading.drainAll(0, memory);
    expect(memory.trips.tripped(reading.nowMs)).toEqual([]);
    expect(await reading.counted("bad")).toEqual({ stored: 121, dead: 240 });
  });

  it("is told by at least 100 records in ten minutes, and by nine of ten", () => {
    const of = (...outcomes: [records: number, failed: number, atMs: number][]) => {
      const trips = new TenantTrips();
      for (const [records, failed, atMs] of outcomes) trips.note("t", records, failed, atMs);
      return trips.tripped(outcomes.at(-1)?.[2] ?? 0);
    };
    expect(of([100, 90, 0])).toEqual(["t"]);
    expect(of([100, 89, 0])).toEqual([]);
    expect(of([99, 99, 0])).toEqual([]);
    expect(of([50, 50, 0], [50, 50, 599_000])).toEqual(["t"]);
    expect(of([50, 50, 0], [50, 50, 601_000])).toEqual([]);
  });

  it("has one message a minute tried, and is forgotten after ten minutes without a refusal", () => {
    const trips = new TenantTrips();
    expect(trips.mayLookInto("t", 0)).toBe(true);
    trips.note("t", 100, 100, 0);
    expect([trips.mayLookInto("t", 59_999), trips.mayLookInto("t", 60_000)]).toEqual([false, true]);
    expect(trips.mayLookInto("t", 60_001)).toBe(false);
    trips.note("t", 10, 10, 60_002);
    expect(trips.mayLookInto("t", 120_001)).toBe(false);
    expect(trips.tripped(660_001)).toEqual(["t"]);
    expect(trips.tripped(660_002)).toEqual([]);
  });
});

describe("a message on which our own code throws", () => {
  it("is dead whole after three tries, and those around it are stored", async () => {
    await reading.send({ batch: "a", records: logs("before") });
    await reading.write(["otlp:cursed"]);
    await reading.send({ batch: "c", records: logs("after") });
    // Two looks find out that it throws, three are its tries; then its bytes can be told.
    let throws = 5;
    const curse = (value: Uint8Array | null) => {
      const { buffer } = value as Uint8Array;
      const get = () => {
        if (throws-- > 0) throw new TypeError("a fault of ours");
        return buffer;
      };
      return Object.defineProperty(value as Uint8Array, "buffer", { get });
    };
    const transport = {
      ...world.transport,
      fetch: async (request: Parameters<typeof world.transport.fetch>[0]) =>
        (await world.transport.fetch(request)).map((message) =>
          message.offset === 1 ? { ...message, value: curse(message.value) } : message,
        ),
    };
    const result = await reading.drain(0, undefined, { ...reading.deps, transport });
    expect(result).toMatchObject({ state: "caught-up" });
    expect(reading.stored()).toEqual(["after", "before"]);
    expect(letters()).toMatchObject([
      { offset: 1, index: -1, errorType: "internal_error", attempts: 3, originalValue: btoa("otlp:cursed") },
    ]);
    expect(reading.sleeps).toEqual([100, 200]);
  });
});
