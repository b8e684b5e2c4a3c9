// When windows are told: by event time, by the clock once nothing comes and nothing can be under way, at most so many at
// once; what is late, what an outage delays, and what a group that is built anew or only watches leaves out.
import { describe, expect, it } from "vitest";
import { newDrainMemory } from "../../../lib/stream/drain.ts";
import { nextResult } from "../../../lib/stream/results.ts";
import { START_MS, WindowReading } from "./window-reading.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

const told = (reading: WindowReading) =>
  reading.sent().map(({ window_start, revision, final, count, removed }) => {
    const minute = (Date.parse(window_start) - START_MS) / MINUTE;
    return `${minute} r${revision}${final ? " final" : ""} ${removed ? "removed" : count}`;
  });

describe("an idle partition", () => {
  it("says when it wants to be drained, and then tells what is due, on time and final", async () => {
    const reading = new WindowReading("1m");
    reading.send([{ ms: START_MS + 1_000 }]);
    reading.nowMs += 5_000;
    expect(await reading.drain()).toMatchObject({ state: "caught-up", wakeAtMs: START_MS + MINUTE + 10_000 });
    reading.nowMs = START_MS + MINUTE + 9_999;
    expect(await reading.drain()).toMatchObject({ commits: 0, wakeAtMs: START_MS + MINUTE + 10_000 });
    reading.nowMs++;
    expect(await reading.drain()).toMatchObject({ commits: 1, wakeAtMs: START_MS + 6 * MINUTE + 10_000 });
    expect(told(reading)).toEqual(["0 r1 1"]);
    reading.nowMs = START_MS + 6 * MINUTE + 10_000;
    expect(await reading.drain()).toMatchObject({ commits: 1, wakeAtMs: null });
    expect(told(reading)).toEqual(["0 r1 1", "0 r1 final 1"]);
    reading.nowMs += DAY;
    expect(await reading.drain()).toMatchObject({ commits: 0, wakeAtMs: null });
  });

  it("does not go on while something may be under way, and reads once more when nothing is", async () => {
    const reading = new WindowReading("1m");
    reading.send([{ ms: START_MS }]);
    await reading.drain();
    reading.nowMs += 2 * MINUTE;
    let isSpillEmpty = false;
    reading.deps.isSpillEmpty = async () => {
      // What was in the spillway comes to the log just before it is empty.
      if (isSpillEmpty && reading.log.messages("metrics.raw", 0).length === 1)
        reading.send([{ ms: START_MS + 5 }]);
      return isSpillEmpty;
    };
    expect(await reading.drain()).toMatchObject({ commits: 0, wakeAtMs: reading.nowMs + 10_000 });
    isSpillEmpty = true;
    await reading.drain();
    expect(told(reading)).toEqual(["0 r1 2"]);
  });

  it("tells no more at once than a commit takes, and the rest right after it", async () => {
    const reading = new WindowReading("1m");
    reading.owner = newDrainMemory({ maxResults: 10 });
    reading.send(Array.from({ length: 25 }, (_, i) => ({ ms: START_MS, host: `h${i}` })));
    await reading.drain();
    reading.nowMs += 2 * MINUTE;
    expect(await reading.drain(2)).toMatchObject({ state: "budget" });
    expect(await reading.drain()).toMatchObject({ state: "caught-up" });
    expect(
      reading.commits.map(({ outbox }) => outbox.flatMap(({ value }) => JSON.parse(value)).length),
    ).toEqual([0, 0, 10, 10, 5]);
    expect(new Set(reading.sent().map(({ labels }) => labels.host)).size).toBe(25);
  });

  it("tells nothing where results are off", async () => {
    const reading = new WindowReading("1m", { processedTopic: null });
    reading.send([{ ms: START_MS }]);
    reading.nowMs += 10 * MINUTE;
    expect(await reading.drain()).toMatchObject({ wakeAtMs: null });
    expect(reading.sent()).toEqual([]);
    expect(await reading.stored("1m")).toMatchObject([{ dueMs: null, revision: 0 }]);
  });
});

describe("a late record", () => {
  it("raises the revision, also of a final result", async () => {
    const reading = new WindowReading("1m");
    reading.send([{ ms: START_MS }, { ms: START_MS + 2 * MINUTE }]);
    reading.nowMs += 3 * MINUTE;
    await reading.drain();
    reading.send([{ ms: START_MS + 1 }]);
    await reading.drain();
    reading.send([{ ms: START_MS + 20 * MINUTE }]);
    reading.nowMs += 30 * MINUTE;
    await reading.drain();
    reading.send([{ ms: START_MS + 2 }]);
    await reading.drain();
    expect(told(reading).filter((one) => one.startsWith("0 "))).toEqual([
      "0 r1 1",
      "0 r2 2",
      "0 r2 final 2",
      "0 r3 final 3",
    ]);
  });

  it("joins sessions: the one that goes is told once more, as removed", async () => {
    const reading = new WindowReading("session:1m", { latenessMs: 0 });
    reading.send([{ ms: START_MS }, { ms: START_MS + 2 * MINUTE }, { ms: START_MS + 10 * MINUTE }]);
    reading.nowMs += 10 * MINUTE;
    await reading.drain();
    reading.send([{ ms: START_MS + MINUTE }]);
    await reading.drain();
    expect(told(reading)).toEqual(["0 r1 final 1", "2 r1 final 1", "2 r2 final removed", "0 r2 final 3"]);
    expect(await reading.stored("session:1m")).toHaveLength(2);
  });

  it("of a day whose raw rows are gone is told in the late topic, counted, and nowhere else", async () => {
    const reading = new WindowReading("1m");
    const midnight = Math.floor(START_MS / DAY) * DAY;
    reading.memory.tables.floors.raw = midnight / DAY;
    reading.send([{ ms: midnight - 1 }, { ms: midnight }]);
    await reading.drain();
    reading.memory.tables.floors.raw++;
    reading.send([{ ms: midnight + DAY - 1 }]);
    // The floor that it remembers is not the store's any more: planned again, once.
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 0 });
    const late = reading.sent("metrics.late") as unknown as {
      record: { timestamp: string };
      tenant: string;
    }[];
    expect(late.map(({ record }) => Date.parse(record.timestamp))).toEqual([
      midnight - 1,
      midnight + DAY - 1,
    ]);
    expect([...reading.memory.tables.ledger.values()]).toMatchObject([{ stored: 1, late: 2, foreign: 0 }]);
    expect(await reading.stored("1m")).toHaveLength(1);
  });
});

describe("an outage of ten minutes", () => {
  it("makes no record late: the windows it fills afterwards are whole", async () => {
    const reading = new WindowReading("1m,5m,1h");
    reading.memory.tables.floors.raw = Math.floor(START_MS / DAY);
    const second = (i: number) => ({ ms: START_MS + i * 1_000, value: i });
    let isSpillEmpty = true;
    reading.deps.isSpillEmpty = async () => isSpillEmpty;
    const spilled: number[] = [];
    for (let i = 0; i < 1_200; i++) {
      reading.nowMs = START_MS + i * 1_000;
      // From minute 5 to 15 nothing reaches the log; then it comes beside what is new.
      const isOut = i >= 300 && i < 900;
      isSpillEmpty = !isOut && spilled.length === 0;
      if (isOut) spilled.push(i);
      else {
        reading.send([second(i)]);
        const due = spilled.splice(0, 10);
        if (due.length > 0) reading.send(due.map(second));
      }
      if (i % 7 === 0) await reading.drain();
    }
    reading.nowMs += 2 * 3_600_000;
    await reading.drain();
    expect(reading.sent("metrics.late")).toEqual([]);
    const last = new Map(reading.sent().map((one) => [`${one.window} ${one.window_start}`, one]));
    for (const [window, size, windows] of [
      ["1m", 60, 20],
      ["5m", 300, 4],
      ["1h", 3_600, 1],
    ] as const) {
      const ofKind = [...last.values()].filter((one) => one.window === window);
      expect(ofKind).toHaveLength(windows);
      for (const one of ofKind) {
        const first = (Date.parse(one.window_start) - START_MS) / 1_000;
        const count = Math.min(size, 1_200 - first);
        const sum = (count * (2 * first + count - 1)) / 2;
        expect(one).toMatchObject({ final: true, count, sum });
      }
    }
  });
});

describe("growth of a counter", () => {
  it("counts from the newest point of the window before, whether it is held or has to be read", async () => {
    for (const cacheBytes of [1, undefined]) {
      const reading = new WindowReading("1m");
      reading.owner = newDrainMemory(cacheBytes === undefined ? {} : { cacheBytes });
      for (let i = 0; i < 6; i++) {
        reading.send([{ ms: START_MS + i * MINUTE, value: i * 10, kind: "counter" }]);
        reading.nowMs += MINUTE;
        await reading.drain();
      }
      const increases = reading.sent().map(({ increase }) => increase);
      expect(increases.slice(0, 4)).toEqual([undefined, 10, 10, 10]);
    }
  });
});

describe("a group", () => {
  it("that is built anew counts and tells nothing, leaves out what is too old, and ends where it has to", async () => {
    const building = { untilOffset: async () => 3, fromTimeMs: START_MS, takesAllFrom: 2 };
    const reading = new WindowReading("1m", { building });
    for (const ms of [START_MS, START_MS - 1, START_MS - 2, START_MS + 1]) reading.send([{ ms }]);
    reading.nowMs += DAY;
    expect(await reading.drain()).toMatchObject({
      state: "caught-up",
      wakeAtMs: null,
      outgoing: 0,
      records: 2,
    });
    expect(await reading.store.position(reading.source)).toMatchObject({ nextOffset: 3 });
    expect(reading.memory.tables.ledger.size).toBe(0);
    expect(reading.memory.tables.claims.all()).toHaveLength(3);
    expect(reading.memory.tables.rows.metrics.size).toBe(2);
    expect((await reading.stored("1m")).map(({ startMs }) => startMs - START_MS)).toEqual([-MINUTE, 0]);
    // It goes on from there, and now it counts. What was on time before is not told, as if it had been.
    delete reading.source.building;
    await reading.drain();
    expect([...reading.memory.tables.ledger.values()]).toMatchObject([{ stored: 1 }]);
    expect(told(reading).toSorted()).toEqual(["-1 r1 final 1", "0 r1 final 2"]);
  });

  it("that looks for nothing passes over what is there, unread", async () => {
    const reading = new WindowReading("1m");
    reading.deps.observe = { isIdle: true, samplesOf: () => expect.unreachable() };
    reading.send([{ ms: START_MS, value: 7 }]);
    reading.send([{ ms: START_MS, value: 8 }]);
    expect(await reading.drain()).toMatchObject({ state: "caught-up", records: 0 });
    const commit = reading.commits.at(-1);
    expect(commit?.next.nextOffset).toBe(2);
    // Claims of others need not wait for it.
    expect(commit?.claims).toEqual({ first: [], repeated: [], receivedMs: reading.nowMs });
    expect(commit?.ledger).toEqual([]);
  });

  it("that watches keeps what it makes of the rows, and nothing else", async () => {
    const reading = new WindowReading("1m");
    const sample = { tenant: "acme", rule: "r", series: "s", name: "cpu", labels: {}, time: "1" };
    reading.deps.observe = {
      isIdle: false,
      samplesOf: ({ metrics }) =>
        metrics.map(({ record }) => ({
          ...sample,
          value: Number(record.value),
          violatedTime: null,
          violatedValue: null,
        })),
    };
    reading.send([{ ms: START_MS, value: 7 }]);
    reading.log.append("metrics.raw", 0, new TextEncoder().encode("{"));
    reading.nowMs += DAY;
    expect(await reading.drain()).toMatchObject({ state: "caught-up", wakeAtMs: null, outgoing: 0 });
    const [, commit] = reading.commits;
    expect(commit?.alertSamples).toMatchObject([{ value: 7 }]);
    expect(commit?.claims.first).toEqual([]);
    expect(commit?.ledger).toEqual([]);
    expect(commit).toMatchObject({
      rows: { metrics: [] },
      deadLetters: [],
      outbox: [],
      windows: { put: [], removed: [], series: [] },
    });
  });
});

describe("the figures of a commit", () => {
  it("are its messages, the time it took, and how long its oldest message had waited", async () => {
    const reading = new WindowReading("1m");
    reading.send([{ ms: START_MS }]);
    reading.nowMs += 4_000;
    reading.send([{ ms: START_MS }]);
    reading.nowMs += 1_000;
    reading.deps.reached = async (step) => void (step === "after-fetch" && (reading.nowMs += 30));
    await reading.drain();
    expect(reading.commits.at(-1)?.stats).toEqual({ messages: 2, busyMs: 30, lagMs: 5_030 });
  });
});

describe("what comes next of a window", () => {
  const window = { endMs: 100, dueMs: 100 as number | null, revision: 0 };
  it("is nothing before its end, whatever is told", () => {
    expect(nextResult(window, true, 99, 50, true)).toMatchObject({ dueMs: 100, send: false });
    expect(nextResult({ ...window, revision: 3, dueMs: null }, true, 99, 50, true)).toMatchObject({
      dueMs: 100,
    });
  });

  it("is final at once where there is no lateness", () => {
    expect(nextResult(window, false, 100, 0, true)).toEqual({
      dueMs: null,
      revision: 1,
      send: true,
      isFinal: true,
    });
  });

  it("waits for room, and is known as changed then", () => {
    const left = nextResult({ ...window, revision: 1, dueMs: 150 }, true, 120, 50, false);
    expect(left).toMatchObject({ dueMs: 100, revision: 1, send: false });
    expect(nextResult({ endMs: 100, ...left }, false, 120, 50, true)).toEqual({
      dueMs: 150,
      revision: 2,
      send: true,
      isFinal: false,
    });
  });

  it("is put off where the lateness has been raised since", () => {
    expect(nextResult({ ...window, revision: 1, dueMs: 150 }, false, 160, 500, true)).toMatchObject({
      dueMs: 600,
      revision: 1,
      send: false,
    });
  });
});
