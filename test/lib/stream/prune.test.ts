// Until when claims may be dropped where the spillway has sent on what is old, and how long a run of drops goes on.
import { describe, expect, it } from "vitest";
import type { Progress } from "../../../lib/storage/storage.ts";
import { claimHorizonMs, dropInTime } from "../../../lib/stream/prune.ts";

const HOUR = 3_600_000;
const owned = [0, 1].map((partition) => ({ group: "g", topic: "t", partition }));

/** Read through until then. */
const progress = (...times: number[]): Progress[] =>
  times.map((readThroughMs, partition) => ({
    group: "g",
    topic: "t",
    partition,
    nextOffset: 0,
    incarnation: 0,
    epoch: 0,
    recordsTotal: 0,
    deadTotal: 0,
    expiredTotal: 0,
    readThroughMs,
    watermarkMs: 0,
    updatedAt: "",
  }));

describe("what the spillway sent on", () => {
  const untilMs = 100 * HOUR;
  const drained = [
    { untilMs: 99 * HOUR, oldestMs: 40 * HOUR },
    { untilMs, oldestMs: 60 * HOUR },
  ];

  it("is held until every partition is read beyond its hour, and a minute more", () => {
    const beyond = untilMs + 60_001;
    const horizon = (...times: number[]) => claimHorizonMs(progress(...times), owned, null, drained);
    // Its partition was read to the end within the hour, and then it came.
    expect(horizon(99.5 * HOUR, 99.5 * HOUR)).toBe(36 * HOUR);
    expect(horizon(beyond, untilMs + 60_000)).toBe(36 * HOUR);
    expect(horizon(untilMs + 60_000, beyond)).toBe(36 * HOUR);
    expect(horizon(beyond, beyond)).toBe(beyond - 24 * HOUR);
    expect(horizon(99 * HOUR, 200 * HOUR)).toBe(16 * HOUR);
    expect(horizon(200 * HOUR)).toBeUndefined();
  });

  it("does not hide what it still holds", () => {
    const read = progress(99.5 * HOUR, 99.5 * HOUR);
    expect(claimHorizonMs(read, owned, 50 * HOUR, drained)).toBe(26 * HOUR);
  });
});

describe("a run of drops", () => {
  const store = (rows: number) => {
    const state = { rows, statements: 0, nowMs: 1_000 };
    const drop = async (limit: number) => {
      const gone = Math.min(limit, state.rows);
      state.rows -= gone;
      state.statements++;
      state.nowMs += 100;
      return gone;
    };
    return { state, run: async () => await dropInTime(drop, () => state.nowMs) };
  };

  it("goes on until nothing is left", async () => {
    const { state, run } = store(1_000_007);
    expect(await run()).toBe(1_000_007);
    expect(state).toMatchObject({ rows: 0, statements: 101 });
  });

  it("ends when its time is over", async () => {
    const { state, run } = store(1e9);
    expect(await run()).toBe(2_000_000);
    expect(state.nowMs).toBe(21_000);
  });
});
