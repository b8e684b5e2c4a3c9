// Quotas inside workerd: one object for each tenant, over its real storage, through losses of memory.
import {
  abortAllDurableObjects,
  createExecutionContext,
  env,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ClusterHealth } from "../../functions/objects/cluster-health.ts";
import type { QuotaBucket } from "../../functions/objects/quota-bucket.ts";
import { clusterOf } from "../../functions/cluster.ts";
import { RequestQuota, type QuotaSubject } from "../../functions/quota.ts";
import type { QuotaOptions } from "../../lib/ingest/quota/limits.ts";

/** Slow enough that what flows in during a test hardly counts. */
const QUOTA: QuotaOptions = { requestsPerSecond: 1, burst: 40 };

let subject: QuotaSubject;

beforeEach(() => {
  subject = { tenant: `t-${crypto.randomUUID()}`, keyId: "k1" };
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function request(
  who = subject,
  tenantQuota: QuotaOptions | null = QUOTA,
): Promise<{ isGranted: boolean; headers: Record<string, string>; quota: RequestQuota; message: string }> {
  const context = createExecutionContext();
  const quota = new RequestQuota(env, context, who, tenantQuota);
  const refusal = await quota.take({ requests: 1 });
  return { isGranted: !refusal, headers: quota.headers(), quota, message: refusal?.message ?? "" };
}

async function countGranted(requests: number, who = subject, tenantQuota = QUOTA): Promise<number> {
  let granted = 0;
  for (let i = 0; i < requests; i++) if ((await request(who, tenantQuota)).isGranted) granted++;
  return granted;
}

const asksOf = async (tenant: string) =>
  await runInDurableObject(env.QUOTA.getByName(tenant), async (object: QuotaBucket) => await object.asks());

describe("a tenant's quota", () => {
  it("lets the burst through and no more, and says when to come again", async () => {
    const startMs = Date.now();
    const granted = await countGranted(120);
    expect(granted).toBeGreaterThanOrEqual(40);
    expect(granted).toBeLessThanOrEqual(41 + (Date.now() - startMs) / 1000);
    const { isGranted, headers, message } = await request();
    expect(isGranted).toBe(false);
    expect(headers).toEqual({
      "RateLimit-Policy": '"requests";q=40;w=40',
      RateLimit: '"requests";r=0;t=1',
      "Retry-After": "1",
    });
    expect(message).toMatch(/tenant has no requests left/);
  });

  it("is met at once by many requests at the same time", async () => {
    const answers = await Promise.all(Array.from({ length: 120 }, async () => await request()));
    const granted = answers.filter(({ isGranted }) => isGranted).length;
    expect(granted).toBeGreaterThanOrEqual(40);
    expect(granted).toBeLessThanOrEqual(43);
    expect(answers.some(({ quota }) => quota.isFailedOpen)).toBe(false);
  });

  it("costs far less than one call a request", async () => {
    const roomy = { requestsPerSecond: 10_000, burst: 100_000 };
    expect(await countGranted(1_000, subject, roomy)).toBe(1_000);
    const asks = await asksOf(subject.tenant);
    expect(asks).toBeGreaterThan(0);
    expect(asks).toBeLessThan(50);
  });

  it("is left alone by another tenant's flood", async () => {
    const flooder = { tenant: `t-${crypto.randomUUID()}`, keyId: "k2" };
    await countGranted(100, flooder);
    expect((await request(flooder)).isGranted).toBe(false);
    expect(await countGranted(30)).toBe(30);
  });

  it("is not that of a key with limits of its own", async () => {
    await countGranted(100);
    const own = { ...subject, keyId: "k9", limits: { requestsPerSecond: 1, burst: 5 } };
    const granted = await countGranted(20, own);
    expect(granted).toBeGreaterThanOrEqual(5);
    expect(granted).toBeLessThanOrEqual(7);
    expect((await request(own)).message).toMatch(/key has no requests left/);
  });

  it("counts records and bytes where they are limited, after the body is read", async () => {
    const limited: QuotaOptions = {
      requestsPerSecond: 1,
      burst: 10,
      recordsPerSecond: 10,
      bytesPerSecond: 1_000,
    };
    const quota = new RequestQuota(env, createExecutionContext(), subject, limited);
    expect(await quota.take({ requests: 1 })).toBeUndefined();
    expect(await quota.take({ records: 90, bytes: 500 })).toBeUndefined();
    expect(quota.headers().RateLimit).toMatch(
      /^"requests";r=9;t=1, "records";r=1\d;t=\d+, "bytes";r=9\d\d\d;t=1$/,
    );
    expect(await quota.take({ records: 90, bytes: 500 })).toMatchObject({ reason: "quota_exceeded" });
    expect(Number(quota.headers()["Retry-After"])).toBeGreaterThanOrEqual(7);
  });
});

describe("an object that loses its memory", () => {
  it("admits no more for it", async () => {
    const startMs = Date.now();
    let granted = 0;
    for (let round = 0; round < 10; round++) {
      granted += await countGranted(9);
      await abortAllDurableObjects();
    }
    // An aborted object fails one call; that request is let through by the spare budget, and counted apart.
    expect(granted).toBeGreaterThan(5);
    expect(granted).toBeLessThanOrEqual(40 + 10 + (Date.now() - startMs) / 1000);
  });

  it("writes before it answers", async () => {
    const stub = () => env.QUOTA.getByName(subject.tenant);
    const lease = async (requests: number) =>
      await stub().lease({
        bucket: "tenant",
        limits: { requests: { burst: 1_000, perSecond: 1 } },
        need: { requests },
        extra: {},
        returns: [],
      });
    expect((await lease(900)).isGranted).toBe(true);
    await abortAllDurableObjects();
    expect((await lease(101)).isGranted).toBe(false);
  });
});

describe("an object that is away", () => {
  it("loses no telemetry: a second's worth passes, and is told", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(Object.getPrototypeOf(env.QUOTA), "getByName").mockImplementation(() => {
      throw new Error("no such luck");
    });
    const { isGranted, quota, headers } = await request(subject, { requestsPerSecond: 10, burst: 100 });
    expect(isGranted).toBe(true);
    expect(quota.isFailedOpen).toBe(true);
    expect(quota.state).toBeUndefined();
    expect(headers.RateLimit).toBe('"requests";r=9;t=10');
    expect(warn.mock.calls.join()).toMatch(/quota_object_away/);
  });
});

describe("no quota", () => {
  it("still brings the cluster's state, within a lease", async () => {
    const first = await request(subject, null);
    expect(first).toMatchObject({ isGranted: true, headers: { RateLimit: '"unlimited";r=999999999999999' } });
    const well = { breaker: "closed", retryAtMs: 0, spilled: [] };
    expect(first.quota.state).toEqual(well);
    await clusterOf(env).noteSpill(3, true);
    await expect
      .poll(async () => (await request(subject, null)).quota.state, { timeout: 1_000, interval: 50 })
      .toEqual({ ...well, spilled: [3] });
    await clusterOf(env).noteSpill(3, false);
  });

  it("brings the last known state, and in time, while the keeper of the state is away", async () => {
    const lease = async () =>
      await env.QUOTA.getByName(subject.tenant).lease({
        bucket: "tenant",
        limits: null,
        need: { requests: 1 },
        extra: {},
        returns: [],
      });
    await clusterOf(env).noteSpill(5, true);
    expect((await lease()).state).toMatchObject({ spilled: [5] });
    vi.spyOn(ClusterHealth.prototype, "state").mockImplementation(() => new Promise<never>(() => {}));
    await scheduler.wait(250);
    const startMs = Date.now();
    expect(await lease()).toMatchObject({ isGranted: true, state: { spilled: [5] } });
    // Of the 500 ms that an isolate waits for a lease.
    expect(Date.now() - startMs).toBeLessThan(450);
    vi.restoreAllMocks();
    await clusterOf(env).noteSpill(5, false);
  });

  it("costs no call a request", async () => {
    for (let i = 0; i < 200; i++) expect((await request(subject, null)).isGranted).toBe(true);
    expect(await asksOf(subject.tenant)).toBeLessThan(20);
  });
});

describe("what goes on behind an answer", () => {
  it("gives the rest of a lease back, and ends", async () => {
    const context = createExecutionContext();
    for (let i = 0; i < 20; i++) {
      expect(await new RequestQuota(env, context, subject, QUOTA).take({ requests: 1 })).toBeUndefined();
    }
    await waitOnExecutionContext(context);
    // All but what was used, and one or two that were kept for the time of a renewal.
    const { left } = await env.QUOTA.getByName(subject.tenant).lease({
      bucket: "tenant",
      limits: { requests: { burst: 40, perSecond: 1 } },
      need: {},
      extra: {},
      returns: [],
    });
    expect(left.requests).toBeGreaterThanOrEqual(17);
    expect(left.requests).toBeLessThanOrEqual(22);
  });
});
