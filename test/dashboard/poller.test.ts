import { beforeEach, describe, expect, it } from "vitest";
import type { Problem } from "../../dashboard/data/api-client.ts";
import { type Job, type Outcome, Poller, type PollerState } from "../../dashboard/data/poller.ts";

/** Time that a test moves; due actions run in order, and what they await is settled in between. */
class ManualTimers {
  nowMs = 0;
  #actions: Array<{ dueMs: number; action: () => void }> = [];

  now(): number {
    return this.nowMs;
  }

  after(ms: number, action: () => void): () => void {
    const entry = { dueMs: this.nowMs + ms, action };
    this.#actions.push(entry);
    return () => {
      this.#actions = this.#actions.filter((other) => other !== entry);
    };
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#actions
        .filter(({ dueMs }) => dueMs <= endMs)
        .toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (!next) break;
      this.#actions = this.#actions.filter((other) => other !== next);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.action();
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    }
    this.nowMs = endMs;
  }
}

const fail = (kind: Problem["kind"], retryAfterMs?: number): Outcome => ({
  ok: false,
  problem: { kind, status: 0, code: "", detail: "", ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
});

let timers: ManualTimers;
let states: PollerState[];
let asked: string[];
let answers: Record<string, Outcome>;

function job(name: string, everyMs: number): Job {
  return {
    everyMs,
    run: () => {
      asked.push(name);
      return Promise.resolve(answers[name] ?? { ok: true });
    },
  };
}

function start(...jobs: Job[]): Poller {
  const poller = new Poller(jobs, timers, (state) => states.push(state));
  poller.start();
  return poller;
}

beforeEach(() => {
  timers = new ManualTimers();
  states = [];
  asked = [];
  answers = {};
});

describe("the poller", () => {
  it("asks each job at once and then at its own interval", async () => {
    start(job("a", 5_000), job("b", 10_000));
    await timers.advance(20_000);
    expect(asked.filter((name) => name === "a")).toHaveLength(5);
    expect(asked.filter((name) => name === "b")).toHaveLength(3);
  });

  it("never asks a job again that has not answered", async () => {
    let runs = 0;
    const hanging: Job = {
      everyMs: 1_000,
      run: () => {
        runs += 1;
        return new Promise(() => {});
      },
    };
    start(hanging, job("a", 1_000));
    await timers.advance(10_000);
    expect(runs).toBe(1);
    expect(asked).toHaveLength(11);
  });

  it("asks nothing while paused, and everything at once afterwards", async () => {
    const poller = start(job("a", 5_000));
    await timers.advance(1_000);
    poller.pause();
    await timers.advance(60_000);
    expect(asked).toHaveLength(1);
    poller.start();
    await timers.advance(0);
    expect(asked).toHaveLength(2);
    expect(states).toEqual(["live", "paused", "live"]);
  });

  it("sends one question ever more rarely while the server is away, and all when it is back", async () => {
    answers = { a: fail("unreachable"), b: fail("unreachable") };
    start(job("a", 5_000), job("b", 5_000));
    await timers.advance(0);
    expect(states.at(-1)).toBe("unreachable");
    asked = [];
    await timers.advance(60_000);
    // 1, 2, 4, 8 and then every 15 s.
    expect(asked).toHaveLength(7);
    answers = {};
    asked = [];
    await timers.advance(15_000);
    expect(new Set(asked)).toEqual(new Set(["a", "b"]));
    expect(states.at(-1)).toBe("live");
  });

  const slowJob: Job = {
    everyMs: 10_000,
    run: async () => {
      asked.push("slow");
      await new Promise<void>((resolve) => timers.after(8_000, resolve));
      return fail("slow");
    },
  };

  it("does not take one slow question for the server being away, while others are answered", async () => {
    start(slowJob, job("a", 5_000));
    await timers.advance(60_000);
    expect(states).toEqual(["live"]);
    expect(asked.filter((name) => name === "slow")).toHaveLength(4);
    expect(asked.filter((name) => name === "a")).toHaveLength(13);
  });

  it("takes the server for away where nothing is answered in time, and finds it back by any question", async () => {
    answers = { a: fail("slow") };
    start(slowJob, job("a", 5_000));
    await timers.advance(60_000);
    expect(states).toEqual(["live", "unreachable"]);
    answers = {};
    await timers.advance(60_000);
    expect(states).toEqual(["live", "unreachable", "live"]);
  });

  it("stops on a refused key until it is started again", async () => {
    answers = { a: fail("unauthorized") };
    const poller = start(job("a", 1_000), job("b", 1_000));
    await timers.advance(60_000);
    expect(asked).toEqual(["a", "b"]);
    poller.pause();
    expect(states.at(-1)).toBe("unauthorized");
    answers = {};
    poller.start();
    await timers.advance(0);
    expect(asked).toEqual(["a", "b", "a", "b"]);
  });

  it("is not stopped by the answer to a question from before the start", async () => {
    let answer: ((outcome: Outcome) => void) | undefined;
    const slow: Job = { everyMs: 1_000, run: () => new Promise((resolve) => (answer = resolve)) };
    const poller = start(slow);
    await timers.advance(0);
    poller.pause();
    poller.start();
    answer?.(fail("unauthorized"));
    await timers.advance(0);
    expect(states.at(-1)).toBe("live");
  });

  it("waits as long as a busy server asks, and a minute where it may not ask", async () => {
    answers = { busy: fail("busy", 30_000), denied: fail("forbidden") };
    start(job("busy", 1_000), job("denied", 1_000));
    await timers.advance(59_000);
    expect(asked).toEqual(["busy", "denied", "busy"]);
    await timers.advance(1_000);
    expect(asked.filter((name) => name === "denied")).toHaveLength(2);
  });

  it("asks a hurried job at once", async () => {
    const logs = job("logs", 60_000);
    const poller = start(logs, job("a", 60_000));
    await timers.advance(100);
    poller.hurry(logs);
    await timers.advance(0);
    expect(asked).toEqual(["logs", "a", "logs"]);
  });
});
