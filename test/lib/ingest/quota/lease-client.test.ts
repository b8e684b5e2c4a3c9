// The isolate's side: when it asks, when it does not, and what it does while the object is away.
import { describe, expect, it } from "vitest";
import {
  ASK_DEADLINE_MS,
  FAILED_MS,
  LeaseClient,
  type LeasePorts,
} from "../../../../lib/ingest/quota/lease-client.ts";
import { LeaseClients } from "../../../../lib/ingest/quota/lease-clients.ts";
import type { ClusterState, LeaseAnswer, LeaseAsk } from "../../../../lib/ingest/quota/lease.ts";
import { quotaLimits } from "../../../../lib/ingest/quota/limits.ts";
import { TenantQuota } from "../../../../lib/ingest/quota/tenant-quota.ts";

const LIMITS = quotaLimits({ requestsPerSecond: 10, burst: 100 });
const ONE = { requests: 1 };

/** A client and its object; time stands still but for `pass`, which lets timers go off at once. */
function open(limits: ReturnType<typeof quotaLimits> | null = LIMITS) {
  const quota = new TenantQuota({ get: () => undefined, put: () => {} }, "life");
  const world = {
    nowMs: 50_000,
    asks: [] as LeaseAsk[],
    mode: "well" as "well" | "throws" | "silent",
    state: { breaker: "closed" } as ClusterState,
  };
  const ports: LeasePorts = {
    ask: async (ask): Promise<LeaseAnswer> => {
      world.asks.push(structuredClone(ask));
      if (world.mode === "throws") throw new Error("overloaded");
      if (world.mode === "silent") return await new Promise(() => {});
      return { ...quota.lease(ask, world.nowMs), state: world.state };
    },
    timer: {
      now: () => world.nowMs,
      after(ms, act) {
        // Only what waits for a silent object, or for a lease's end, comes to its time.
        const turn = setTimeout(() => {
          world.nowMs += ms;
          act();
        }, 0);
        return () => clearTimeout(turn);
      },
    },
  };
  const client = new LeaseClient("tenant", limits, world.nowMs);
  return { client, ports, world, quota };
}

describe("an object that is away", () => {
  it.each(["throws", "silent"] as const)(
    "is stood in for (%s): within bounds, and asked again in a second",
    async (mode) => {
      const { client, ports, world } = open();
      world.mode = mode;
      const before = world.nowMs;
      expect(await client.take(ONE, ports)).toMatchObject({
        isGranted: true,
        isFailedOpen: true,
        state: undefined,
      });
      expect(world.nowMs - before).toBe(mode === "silent" ? ASK_DEADLINE_MS : 0);
      let granted = 1;
      for (let i = 0; i < 50; i++) if ((await client.take(ONE, ports)).isGranted) granted++;
      // One second's worth, and one call for all of them.
      expect(granted).toBe(10);
      expect(world.asks).toHaveLength(1);
      const refused = await client.take(ONE, ports);
      expect(refused).toMatchObject({ isGranted: false, isFailedOpen: true, retryAfterMs: 100 });

      world.mode = "well";
      world.nowMs += FAILED_MS;
      expect(await client.take(ONE, ports)).toMatchObject({ isGranted: true, isFailedOpen: false });
      expect(world.asks).toHaveLength(2);
    },
  );

  it("that comes and goes does not fill the spare budget anew", async () => {
    const { client, ports, world } = open();
    world.mode = "throws";
    let through = 0;
    for (let second = 0; second < 10; second++) {
      for (let i = 0; i < 100; i++) if ((await client.take(ONE, ports)).isGranted) through++;
      world.nowMs += FAILED_MS;
    }
    expect(through).toBe(100);
  });

  it("holds up nobody who has no quota", async () => {
    const { client, ports, world } = open(null);
    world.mode = "throws";
    for (let i = 0; i < 1_000; i++) {
      expect(await client.take(ONE, ports)).toMatchObject({
        isGranted: true,
        isFailedOpen: true,
        state: undefined,
      });
    }
    expect(world.asks).toHaveLength(1);
  });
});

describe("a refusal", () => {
  it("comes from the object, then from memory for as long as it said, never longer", async () => {
    const { client, ports, world } = open(quotaLimits({ requestsPerSecond: 1, burst: 1 }));
    expect((await client.take(ONE, ports)).isGranted).toBe(true);
    const asks = world.asks.length;
    expect(await client.take(ONE, ports)).toMatchObject({
      isGranted: false,
      dimension: "requests",
      retryAfterMs: 1_000,
    });
    world.nowMs += 400;
    for (let i = 0; i < 100; i++) {
      expect(await client.take(ONE, ports)).toMatchObject({ isGranted: false, retryAfterMs: 600 });
    }
    expect(world.asks).toHaveLength(asks + 1);
    world.nowMs += 600;
    expect((await client.take(ONE, ports)).isGranted).toBe(true);
  });

  it("does not outlast a clock that is set back, nor does a lease or a failure", async () => {
    const { client, ports, world } = open(quotaLimits({ requestsPerSecond: 1, burst: 1 }));
    expect((await client.take(ONE, ports)).isGranted).toBe(true);
    expect((await client.take(ONE, ports)).isGranted).toBe(false);
    const asked = world.asks.length;
    world.nowMs -= 20_000;
    await client.take(ONE, ports);
    expect(world.asks.length).toBe(asked + 1);

    const other = open(null);
    await other.client.take(ONE, other.ports);
    other.world.state = { breaker: "open" };
    other.world.nowMs -= 20_000;
    expect((await other.client.take(ONE, other.ports)).state).toEqual({ breaker: "open" });

    const failed = open(null);
    failed.world.mode = "throws";
    await failed.client.take(ONE, failed.ports);
    failed.world.mode = "well";
    failed.world.nowMs -= 20_000;
    expect((await failed.client.take(ONE, failed.ports)).isFailedOpen).toBe(false);
  });

  it("of a large need does not refuse a small one", async () => {
    const { client, ports } = open(quotaLimits({ requestsPerSecond: 1, burst: 10, recordsPerSecond: 10 }));
    expect((await client.take({ records: 60 }, ports)).isGranted).toBe(true);
    expect((await client.take({ records: 60 }, ports)).isGranted).toBe(false);
    expect((await client.take({ records: 30 }, ports)).isGranted).toBe(true);
  });
});

describe("the state", () => {
  it("is never older than a lease, with a quota or without", async () => {
    for (const limits of [LIMITS, null]) {
      const { client, ports, world } = open(limits);
      for (let i = 0; i < 5; i++) await client.take(ONE, ports);
      world.state = { breaker: "open" };
      world.nowMs += 750;
      expect((await client.take(ONE, ports)).state).toEqual({ breaker: "open" });
    }
  });
});

describe("the clients of an isolate", () => {
  it("are one for each bucket, and begin anew with other limits", () => {
    const clients = new LeaseClients();
    const first = clients.of("a", "tenant", LIMITS, 0);
    expect(clients.of("a", "tenant", quotaLimits({ requestsPerSecond: 10, burst: 100 }), 0)).toBe(first);
    expect(clients.of("b", "tenant", LIMITS, 0)).not.toBe(first);
    expect(clients.of("a", "key:k", LIMITS, 0)).not.toBe(first);
    expect(clients.of("a", "tenant", null, 0)).not.toBe(first);
  });
});
