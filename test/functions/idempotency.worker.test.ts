// One Idempotency-Key stands for one body: in the objects' real storage, through losses of memory, for 24 hours.
import { abortAllDurableObjects, env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { claimKey } from "../../functions/idempotency.ts";
import type { IdempotencyKeys } from "../../functions/objects/idempotency-keys.ts";
import { bodyHash, CLAIM_MS, claimHash, contentBatch, keyedBatch } from "../../lib/ingest/idempotency.ts";
import { StoredClaims } from "../../lib/ingest/stored-claims.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

let tenant: string;
const claim = async (key: string, body: string, signal = "logs", of = tenant) =>
  await claimKey(env, { tenant: of, signal, key, body: bytes(body) });
const stubOf = (key: string, signal = "logs") =>
  env.IDEMPOTENCY.getByName(`${tenant}/${claimHash(tenant, signal, key)[0]! % 8}`);

beforeEach(() => {
  tenant = `t-${crypto.randomUUID()}`;
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a key", () => {
  it("stands for the first body it came with", async () => {
    expect(await claim("a", "one")).toBe("new");
    expect(await claim("a", "one")).toBe("same");
    expect(await claim("a", "two")).toBe("different");
    expect(await claim("a", "one")).toBe("same");
    expect(await claim("b", "two")).toBe("new");
  });

  it("is another one for another tenant and another signal", async () => {
    expect(await claim("a", "one")).toBe("new");
    expect(await claim("a", "two", "metrics")).toBe("new");
    expect(await claim("a", "two", "logs", `${tenant}-2`)).toBe("new");
    expect(await claim("a", "one")).toBe("same");
  });

  it("is claimed once by many at the same time", async () => {
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => claim("a", i < 10 ? "one" : "two")),
    );
    expect(claims.filter((one) => one === "new")).toHaveLength(1);
    expect(claims.filter((one) => one === "different")).toHaveLength(10);
  });

  it("outlives the object's memory", async () => {
    expect(await claim("a", "one")).toBe("new");
    await abortAllDurableObjects();
    expect(await claim("a", "two")).toBe("different");
  });

  it("is free again after 24 hours", async () => {
    const start = Date.now();
    vi.setSystemTime(start);
    expect(await claim("a", "one")).toBe("new");
    vi.setSystemTime(start + CLAIM_MS - 1);
    expect(await claim("a", "two")).toBe("different");
    vi.setSystemTime(start + CLAIM_MS);
    expect(await claim("a", "two")).toBe("new");
  });

  it("that is too old is removed by the alarm, which ends when nothing is left", async () => {
    const start = Date.now();
    vi.setSystemTime(start);
    await claim("a", "one");
    const count = async () =>
      await runInDurableObject(stubOf("a"), async (object: IdempotencyKeys) => await object.count());
    expect(await runDurableObjectAlarm(stubOf("a"))).toBe(true);
    expect(await count()).toBe(1);
    vi.setSystemTime(start + CLAIM_MS + 1);
    expect(await runDurableObjectAlarm(stubOf("a"))).toBe(true);
    expect(await count()).toBe(0);
    expect(await runDurableObjectAlarm(stubOf("a"))).toBe(false);
  });
});

describe("a shard", () => {
  it("holds so many and no more; the oldest go first", async () => {
    await runInDurableObject(stubOf("bounds"), (_: IdempotencyKeys, state) => {
      const claims = new StoredClaims(state.storage, 100);
      const one = (i: number, body = "x") =>
        claims.claim(claimHash("t", "logs", `${i}`), bodyHash(bytes(body)), i);
      for (let i = 0; i < 1_000; i++) {
        expect(one(i)).toBe("new");
        expect(claims.count).toBeLessThanOrEqual(100);
      }
      expect(one(999, "y")).toBe("different");
      expect(one(950)).toBe("same");
      expect(one(0)).toBe("new");
      // Counted right, also by one that begins with what is there.
      expect(new StoredClaims(state.storage, 100).count).toBe(claims.count);
    });
  });
});

describe("an object that is away", () => {
  it("holds nobody up: unknown, and told", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(Object.getPrototypeOf(env.IDEMPOTENCY), "getByName").mockImplementation(() => {
      throw new Error("overloaded");
    });
    expect(await claim("a", "one")).toBe("unknown");
    expect(warn.mock.calls.join()).toMatch(/idempotency_unknown/);
  });
});

describe("the batch of a key", () => {
  it("is another one for another body: a key that is free again has nothing taken for a repeat", () => {
    const batch = keyedBatch("nightly", bytes("monday"));
    expect(batch).toMatch(/^nightly\/[0-9a-f]{32}$/);
    expect(keyedBatch("nightly", bytes("monday"))).toBe(batch);
    expect(keyedBatch("nightly", bytes("tuesday"))).not.toBe(batch);
  });
});

describe("the batch of a body", () => {
  it("is the same for the same bytes of the same tenant, and no other", () => {
    // printf 'acme\0body' | sha256sum
    expect(contentBatch("acme", bytes("body"))).toBe("h-6cc5635678f2d26089ceb23acf81ef67");
    expect(contentBatch("acme2", bytes("body"))).not.toBe(contentBatch("acme", bytes("body")));
    expect(contentBatch("acme", bytes("body2"))).not.toBe(contentBatch("acme", bytes("body")));
    expect(contentBatch("acme", bytes("body"))).toMatch(/^h-[0-9a-f]{32}$/);
  });
});
