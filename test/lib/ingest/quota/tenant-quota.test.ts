// The object's side, step by step: what is lent, given back, expired, written down and restored, each in the one case
// in which leaving it out would admit too much.
import { describe, expect, it } from "vitest";
import { LEASE_HOLD_MS, LEASE_USE_MS, type Grant } from "../../../../lib/ingest/quota/lease.ts";
import { quotaLimits, type Amounts, type QuotaLimits } from "../../../../lib/ingest/quota/limits.ts";
import { TenantQuota } from "../../../../lib/ingest/quota/tenant-quota.ts";

const LIMITS = quotaLimits({ requestsPerSecond: 100, burst: 1_000 });

function openQuota(limits: QuotaLimits | null = LIMITS) {
  const disk = new Map<string, unknown>();
  let lives = 0;
  let writes = 0;
  const live = () =>
    new TenantQuota(
      {
        get: (key) => structuredClone(disk.get(key)),
        put: (key, value) => (writes++, void disk.set(key, value)),
      },
      `life-${++lives}`,
    );
  let quota = live();
  return {
    ask(
      atMs: number,
      need: Amounts,
      extra: Amounts = {},
      returns: Parameters<TenantQuota["lease"]>[0]["returns"] = [],
    ) {
      return quota.lease({ bucket: "tenant", limits, need, extra, returns }, atMs);
    },
    restart: () => (quota = live()),
    quota: () => quota,
    writes: () => writes,
    disk,
  };
}

/** All that is there, one by one or so. */
function drain(ask: (need: Amounts) => Grant, dimension: "requests" | "records" = "requests"): number {
  let sum = 0;
  for (const step of [100, 10, 1]) while (ask({ [dimension]: step }).isGranted) sum += step;
  return sum;
}

describe("loans", () => {
  it("hold the refill up until they end, since they may all be used at once", () => {
    const { ask } = openQuota();
    expect(ask(0, { requests: 1 }, { requests: 100 })).toMatchObject({
      isGranted: true,
      extra: { requests: 100 },
    });
    // 999 ms flowed in, but 100 are lent: 900 is all there may be.
    expect(drain((need) => ask(LEASE_HOLD_MS - 1, need))).toBe(900);
  });

  it("end, and what flows in from then on is there", () => {
    const { ask } = openQuota();
    ask(0, { requests: 1 }, { requests: 100 });
    expect(drain((need) => ask(LEASE_HOLD_MS + 500, need))).toBe(950);
  });

  it("are used by isolates for less time than the object holds them, by what a clock may stand still", () => {
    expect(LEASE_HOLD_MS - LEASE_USE_MS).toBeGreaterThanOrEqual(200);
  });

  it("take a quarter of what is above half, and nothing but a slice below", () => {
    const { ask } = openQuota();
    expect(ask(0, {}, { requests: 10_000 })).toMatchObject({ extra: { requests: 125 } });
    drain((need) =>
      ask(0, {}).left.requests! > 400
        ? ask(0, need)
        : { ...ask(0, {}), isGranted: false, dimension: "requests", retryAfterMs: 1 },
    );
    expect(ask(0, {}, { requests: 10_000 })).toMatchObject({ extra: { requests: 5 } });
  });

  it("that come back in time are there again, once", () => {
    const { ask } = openQuota();
    const lease = ask(0, {}, { requests: 100 });
    const back = { id: lease.isGranted ? lease.id : "", returned: { requests: 60 }, kept: { requests: 10 } };
    ask(100, {}, {}, [back]);
    // Heard a second time, or in the wrong order, it is ignored.
    expect(ask(100, {}, {}, [back]).left).toEqual({ requests: 960 });
  });

  it("that come back after their end are gone: whoever looked since has counted them as spent", () => {
    const { ask } = openQuota();
    const lease = ask(0, {}, { requests: 100 });
    const id = lease.isGranted ? lease.id : "";
    expect(drain((need) => ask(2_000, need))).toBe(1_000);
    const back = { id, returned: { requests: 100 }, kept: {} };
    expect(ask(2_000, { requests: 1 }, {}, [back])).toMatchObject({ isGranted: false });
  });

  it("of more than was lent do not come back", () => {
    const { ask } = openQuota();
    drain((need) => ask(0, need));
    const lease = ask(1_000, {}, { requests: 5 });
    const id = lease.isGranted ? lease.id : "";
    const forged = { id, returned: { requests: 500 }, kept: {} };
    expect(ask(1_000, { requests: 200 }, {}, [forged])).toMatchObject({ isGranted: false });
  });
});

describe("a loss of memory", () => {
  it("gives no tokens", () => {
    const { ask, restart } = openQuota();
    const before = drain((need) => ask(0, need));
    restart();
    expect(before + drain((need) => ask(0, need))).toBeLessThanOrEqual(1_000);
  });

  it("at any moment of a bucket's use gives none either", () => {
    for (let spent = 0; spent <= 1_000; spent += 37) {
      const { ask, restart } = openQuota();
      for (let i = 0; i < spent; i++) ask(0, { requests: 1 });
      restart();
      expect(spent + drain((need) => ask(0, need))).toBeLessThanOrEqual(1_000);
    }
  });

  it("does not forget what is lent", () => {
    const { ask, restart } = openQuota();
    ask(0, {}, { requests: 125 });
    restart();
    // 125 may still be used by the isolate: together no more than the burst.
    expect(125 + drain((need) => ask(LEASE_HOLD_MS - 10, need))).toBeLessThanOrEqual(1_000);
  });

  it("while loans hold the refill up gives no more than was there", () => {
    const limits = quotaLimits({ requestsPerSecond: 500, burst: 1_000 });
    const { ask, restart } = openQuota(limits);
    for (let i = 0; i < 3; i++) ask(i * 300, {}, { requests: 100 });
    const { left } = ask(1_000, {});
    restart();
    expect(drain((need) => ask(1_000, need))).toBeLessThanOrEqual(left.requests!);
  });

  it("is over in time: the rate flows, and an idle bucket is full", () => {
    const { ask, restart } = openQuota();
    drain((need) => ask(0, need));
    restart();
    expect(drain((need) => ask(12_500, need))).toBe(1_000);
  });

  it("after what cannot be read begins empty", () => {
    const { ask, disk } = openQuota();
    disk.set("bucket:tenant", { v: 99 });
    expect(ask(0, { requests: 1 })).toMatchObject({ isGranted: false });
    expect(ask(3_000, { requests: 1 })).toMatchObject({ isGranted: true });
  });

  it("costs few writes", () => {
    const { ask, writes } = openQuota();
    for (let atMs = 0; atMs < 60_000; atMs += 10) ask(atMs, { requests: 1 });
    expect(writes()).toBeLessThan(70);
  });
});

describe("a refusal", () => {
  it("says what ran out and when the need can be met, and spends nothing of the rest", () => {
    const { ask } = openQuota(quotaLimits({ requestsPerSecond: 10, burst: 10, recordsPerSecond: 100 }));
    expect(drain((need) => ask(0, need), "records")).toBe(100);
    expect(ask(0, { requests: 1, records: 50 })).toMatchObject({
      isGranted: false,
      dimension: "records",
      retryAfterMs: 500,
      left: { requests: 10, records: 0 },
    });
  });

  it("keeps to its word", () => {
    const { ask } = openQuota(quotaLimits({ requestsPerSecond: 3, burst: 7 }));
    drain((need) => ask(0, need));
    const answer = ask(0, { requests: 1 });
    const retryAfterMs = answer.isGranted ? 0 : answer.retryAfterMs;
    expect(ask(retryAfterMs - 2, { requests: 1 }).isGranted).toBe(false);
    expect(ask(retryAfterMs, { requests: 1 }).isGranted).toBe(true);
  });
});

describe("a need above the whole burst", () => {
  it("passes once the bucket is half full, and leaves a debt", () => {
    const { ask } = openQuota(quotaLimits({ requestsPerSecond: 10, burst: 10, recordsPerSecond: 100 }));
    expect(ask(0, { records: 400 }).isGranted).toBe(true);
    const answer = ask(0, { records: 1 });
    expect(answer).toMatchObject({ isGranted: false, retryAfterMs: 3_010 });
    expect(ask(3_010, { records: 1 }).isGranted).toBe(true);
    // The next such one when the bucket is half full again.
    expect(ask(3_400, { records: 400 }).isGranted).toBe(false);
    expect(ask(3_600, { records: 400 }).isGranted).toBe(true);
  });
});

describe("other limits", () => {
  it("count at once, and give nothing", () => {
    const { quota } = openQuota();
    const ask = (atMs: number, requestsPerSecond: number, burst: number, requests: number) =>
      quota().lease(
        {
          bucket: "tenant",
          limits: quotaLimits({ requestsPerSecond, burst }),
          need: { requests },
          extra: {},
          returns: [],
        },
        atMs,
      );
    ask(0, 10, 100, 90);
    expect(ask(0, 1_000, 10_000, 1).left).toEqual({ requests: 9 });
    expect(ask(1_000, 10, 50, 1).left).toEqual({ requests: 49 });
  });

  it("of a key are a bucket of its own", () => {
    const { quota, ask } = openQuota();
    drain((need) => ask(0, need));
    const key = quota().lease(
      { bucket: "key:k1", limits: LIMITS, need: { requests: 1 }, extra: {}, returns: [] },
      0,
    );
    expect(key).toMatchObject({ isGranted: true, left: { requests: 999 } });
  });
});
