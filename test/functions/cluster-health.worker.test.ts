// The one object that knows Kafka's health: what it was told outlives it, and one probe goes at a time.
import { abortAllDurableObjects, env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clusterOf, knownState } from "../../functions/cluster.ts";
import { ClusterHealth } from "../../functions/objects/cluster-health.ts";
import { MAX_OPEN_MS, PROBE_LEASE_MS } from "../../lib/kafka/breaker.ts";
import { HEALTHY, toClusterState } from "../../lib/kafka/cluster-state.ts";

const cluster = clusterOf(env);
const FAILING = { ok: 0, failed: 3 };

beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(console, "log").mockImplementation(() => {});
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await cluster.report({ ok: 1, failed: 0 });
  for (const shard of (await cluster.state()).spilled) await cluster.noteSpill(shard, false);
});

/** The breaker is half-open: its time has passed. */
async function halfOpen(): Promise<void> {
  await cluster.report(FAILING);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + MAX_OPEN_MS });
}

describe("the shards that hold messages", () => {
  it("are known in order, and after a restart", async () => {
    for (const shard of [7, 0, 3, 7]) expect(await cluster.noteSpill(shard, true)).toBe(true);
    expect(await cluster.noteSpill(3, false)).toBe(true);
    expect(await cluster.noteSpill(5, false)).toBe(true);
    await abortAllDurableObjects();
    expect(await cluster.state()).toMatchObject({ breaker: "closed", spilled: [0, 7] });
  });
});

describe("the breaker", () => {
  it("is open after three failures, to whoever asks, and after a restart", async () => {
    expect(await cluster.mayTry()).toEqual({ ok: true });
    await Promise.all([1, 2, 3].map(() => cluster.report({ ok: 0, failed: 1 })));
    const state = await cluster.state();
    expect(state.breaker).not.toBe("closed");
    await abortAllDurableObjects();
    expect((await cluster.state()).retryAtMs).toBe(state.retryAtMs);
  });

  it("lets one of many through when its time has come, and that after a restart, too", async () => {
    await halfOpen();
    const asked = await Promise.all(Array.from({ length: 10 }, () => cluster.mayTry()));
    expect(asked.filter(({ ok }) => ok)).toHaveLength(1);
    await abortAllDurableObjects();
    expect(await cluster.mayTry()).toMatchObject({ ok: false });
    vi.setSystemTime(Date.now() + PROBE_LEASE_MS);
    expect(await cluster.mayTry()).toEqual({ ok: true });
  });

  it("closes by a success, and lets all through", async () => {
    await halfOpen();
    expect(await cluster.mayTry()).toEqual({ ok: true });
    await cluster.report({ ok: 1, failed: 0 });
    expect(await cluster.state()).toEqual(HEALTHY);
    const asked = await Promise.all(Array.from({ length: 10 }, () => cluster.mayTry()));
    expect(asked.every(({ ok }) => ok)).toBe(true);
  });
});

describe("an object that is away", () => {
  it("holds nobody up: Kafka is taken for healthy, and what is told of a shard is to be told again", async () => {
    const hang = () => new Promise<never>(() => {});
    for (const method of ["state", "mayTry", "noteSpill", "report"] as const)
      vi.spyOn(ClusterHealth.prototype, method).mockImplementation(hang);
    const startMs = Date.now();
    expect(
      await Promise.all([
        cluster.state(),
        cluster.mayTry(),
        cluster.noteSpill(1, true),
        cluster.report(FAILING),
      ]),
    ).toEqual([HEALTHY, { ok: true }, false, undefined]);
    expect(Date.now() - startMs).toBeLessThan(2_000);
  });
});

it("what an isolate was told last is what it goes by where nothing is told", () => {
  const open = { breaker: "open", retryAtMs: 1, spilled: [2] } as const;
  expect(knownState(toClusterState(open))).toEqual(open);
  // Nobody knows whether that still holds.
  expect(knownState(undefined)).toEqual({ ...open, isOld: true });
  expect(knownState({})).toEqual({ ...open, isOld: true });
  expect(knownState(toClusterState(HEALTHY))).toEqual(HEALTHY);
  expect(knownState(undefined)).toEqual({ ...HEALTHY, isOld: true });
});
