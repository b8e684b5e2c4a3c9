// What an owner holds of windows: how rarely it asks the store, how much it holds, and that what it lets go is not lost.
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import {
  StorageError,
  type StoredWindow,
  type StreamStore,
  type WindowLookup,
} from "../../../lib/storage/storage.ts";
import { MAX_WINDOWS_PER_COMMIT } from "../../../lib/stream/aggregate.ts";
import { newDrainMemory } from "../../../lib/stream/drain.ts";
import { CACHE_BYTES } from "../../../lib/stream/window-cache.ts";
import { decodePartial } from "../../../lib/windows/partial-codec.ts";
import { START_MS, WindowReading } from "./window-reading.ts";

const MINUTE = 60_000;

describe("an owner that goes on", () => {
  it("asks for windows only after a start that may find some", async () => {
    const reading = new WindowReading("1m,5m,1h");
    for (let i = 0; i < 30; i++) {
      reading.nowMs = START_MS + i * 20_000;
      reading.send([{ ms: reading.nowMs }]);
      await reading.drain();
    }
    expect(reading.lookups).toEqual([]);
    reading.owner = newDrainMemory();
    for (let i = 30; i < 60; i++) {
      reading.nowMs = START_MS + i * 20_000;
      reading.send([{ ms: reading.nowMs }]);
      await reading.drain();
    }
    // The hour was there when it began; the minute and the five are new ones.
    expect(reading.lookups).toEqual([1]);
    expect((await reading.stored("1h")).map(({ state }) => decodePartial(state).count)).toEqual([60]);
  });

  it("holds what it had when its place turns out to be the same, and nothing where it is not", async () => {
    const reading = new WindowReading("1h");
    reading.send([{ ms: START_MS }]);
    await reading.drain();
    reading.owner.position = undefined;
    reading.send([{ ms: START_MS + 1 }]);
    await reading.drain();
    expect(reading.lookups).toEqual([]);
    // Somebody else goes on, and this owner comes back.
    const mine = reading.owner;
    reading.owner = newDrainMemory();
    reading.send([{ ms: START_MS + 2 }]);
    await reading.drain();
    reading.owner = mine;
    reading.send([{ ms: START_MS + 3 }]);
    expect(await reading.drain()).toMatchObject({ state: "fenced" });
    await reading.drain();
    expect(reading.lookups).toEqual([1, 1]);
    expect((await reading.stored("1h")).map(({ state }) => decodePartial(state).count)).toEqual([4]);
  });

  it("counts nothing of a commit that was not made, or of which nobody knows", async () => {
    const { stream } = createMemoryStore();
    let fate: "well" | "before" | "after" = "well";
    const store: StreamStore = {
      ...stream,
      async commit(commit) {
        if (fate === "before") throw new StorageError("away");
        const outcome = await stream.commit(commit);
        if (fate === "after") throw new StorageError("away");
        return outcome;
      },
    };
    const reading = new WindowReading("1h", {}, store);
    for (const next of ["well", "before", "after", "well"] as const) {
      reading.send([{ ms: START_MS }]);
      fate = next;
      await reading.drain();
    }
    const [put] = reading.commits.at(-1)?.windows.put ?? [];
    expect(decodePartial(put?.state ?? "").count).toBe(4);
  });

  it("blames no record for a window that cannot be read", async () => {
    const { stream } = createMemoryStore();
    const store: StreamStore = {
      ...stream,
      windowHorizon: async () => ({ nextDueMs: null, newestStartMs: { "1h": START_MS } }),
      windows: async (_, [lookup]) => {
        const { tenant, name, series, window, fromMs: startMs } = lookup as WindowLookup;
        const rest = { endMs: startMs + 60 * MINUTE, dueMs: null, revision: 0, state: "AQAAAAAA" };
        return [{ tenant, name, series, window, startMs, ...rest }];
      },
    };
    const reading = new WindowReading("1h", {}, store);
    reading.send([{ ms: START_MS }]);
    expect(await reading.drain()).toMatchObject({
      state: "failed",
      reason: expect.stringContaining("a stored window cannot be read"),
      deadLetters: 0,
    });
  });

  it("tells a series' labels once a day", async () => {
    const reading = new WindowReading("1m");
    const days: number[] = [];
    for (const later of [0, 1, 2, 86_400_000]) {
      reading.nowMs += later;
      reading.send([{ ms: START_MS + 1 }]);
      await reading.drain();
    }
    for (const { windows } of reading.commits) days.push(windows.series.length);
    expect(days.filter((series) => series > 0)).toEqual([1, 1]);
  });
});

/** Windows and nothing else, found by their place: the store in memory looks at each of them for each call. */
function indexed(): { store: StreamStore; windows: Map<string, StoredWindow>; sizes: number[] } {
  const { stream } = createMemoryStore();
  const windows = new Map<string, StoredWindow>();
  const keyOf = (series: string, window: string, startMs: number) => `${series}/${window}/${startMs}`;
  const sizes: number[] = [];
  const newest: Record<string, number> = {};
  const store: StreamStore = {
    ...stream,
    async commit(commit) {
      const rows = { metrics: [], logs: [], events: [], traces: [] };
      const changes = { put: [], removed: [], series: [] };
      const outcome = await stream.commit({ ...commit, rows, windows: changes });
      if (outcome !== "committed") return outcome;
      sizes.push(commit.windows.put.length);
      for (const put of commit.windows.put) {
        windows.set(keyOf(put.series, put.window, put.startMs), put);
        newest[put.window] = Math.max(newest[put.window] ?? 0, put.startMs);
      }
      return outcome;
    },
    async windows(_, lookups) {
      return lookups.flatMap(
        ({ series, window, fromMs }) => windows.get(keyOf(series, window, fromMs)) ?? [],
      );
    },
    windowHorizon: async () => ({ nextDueMs: null, newestStartMs: { ...newest } }),
  };
  return { store, windows, sizes };
}

describe("100,000 series", () => {
  it("of three windows each stay under the bound, in commits of bounded size, and none is lost", async () => {
    const { store, windows, sizes } = indexed();
    const reading = new WindowReading("1m,5m,1h", { processedTopic: null }, store);
    reading.keepsCommits = false;
    // All of them, and some of them once more.
    for (const [pass, messages] of [100, 20].entries()) {
      for (let message = 0; message < messages; message++)
        reading.send(
          Array.from({ length: 1_000 }, (_, i) => ({ ms: START_MS + pass, host: `h${message * 1_000 + i}` })),
        );
      expect(await reading.drain()).toMatchObject({ state: "caught-up", records: messages * 1_000 });
      expect(reading.owner.windows.bytes).toBeLessThanOrEqual(CACHE_BYTES);
      expect(reading.owner.windows.seriesCount).toBeGreaterThan(1_000);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_WINDOWS_PER_COMMIT);
    expect(windows.size).toBe(300_000);
    let points = 0;
    for (const { state } of windows.values()) points += decodePartial(state).count;
    expect(points).toBe(3 * 120_000);
  }, 120_000);

  it("of which some are due are told all the same, labels and all, though nothing of them is held", async () => {
    const reading = new WindowReading("1m");
    reading.owner = newDrainMemory({ cacheBytes: 1 });
    reading.send(Array.from({ length: 300 }, (_, i) => ({ ms: START_MS, value: i, host: `h${i}` })));
    await reading.drain();
    expect(reading.owner.windows.seriesCount).toBe(0);
    reading.nowMs += 2 * MINUTE;
    await reading.drain();
    const sums = Object.fromEntries(reading.sent().map(({ labels, sum }) => [labels.host, sum]));
    expect(sums).toEqual(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`h${i}`, i])));
  });
});
