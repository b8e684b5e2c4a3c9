import { describe, expect, it, vi } from "vitest";
import { authenticate, hashSecret, type KeyStore, type StoredKey } from "../../../lib/auth/api-key.ts";
import { createD1KeyStore, KeyCache } from "../../../lib/auth/d1-key-store.ts";
import { KeyStoreError, type KeyDatabase } from "../../../lib/auth/key-database.ts";

const key = (id: string): StoredKey => ({
  id,
  tenant: "t",
  secretSha256: hashSecret(id),
  scopes: ["ingest"],
  expiresAtMs: undefined,
  isRevoked: false,
});

/** A store whose content changes, and that counts how often it is asked. */
class CountingStore implements KeyStore {
  readonly keys = new Map<string, StoredKey>();
  asked = 0;
  async find(id: string): Promise<StoredKey | undefined> {
    this.asked++;
    return this.keys.get(id);
  }
}

describe("the cache", () => {
  it("asks once a minute, so that a revocation is in force within 60 s", async () => {
    const store = new CountingStore();
    store.keys.set("a", key("a"));
    let nowMs = 1_000_000;
    const cached = new KeyCache().over(store, () => nowMs);
    expect((await cached.find("a"))?.isRevoked).toBe(false);
    store.keys.set("a", { ...key("a"), isRevoked: true });
    nowMs += 59_999;
    expect((await cached.find("a"))?.isRevoked).toBe(false);
    expect(store.asked).toBe(1);
    nowMs += 1;
    expect((await cached.find("a"))?.isRevoked).toBe(true);
    expect(store.asked).toBe(2);
  });

  it("counts the minute from before the store was asked", async () => {
    let nowMs = 0;
    let asked = 0;
    const slow: KeyStore = {
      async find(id) {
        asked++;
        nowMs += 5_000;
        return key(id);
      },
    };
    const cached = new KeyCache().over(slow, () => nowMs);
    await cached.find("a");
    nowMs = 60_000;
    await cached.find("a");
    expect(asked).toBe(2);
  });

  it("forgets a key that was deleted", async () => {
    const store = new CountingStore();
    store.keys.set("a", key("a"));
    let nowMs = 0;
    const cached = new KeyCache().over(store, () => nowMs);
    await cached.find("a");
    store.keys.clear();
    nowMs = 60_000;
    expect(await cached.find("a")).toBeUndefined();
  });

  it("asks once in 5 s for an id that is none, and never later for one that was just made", async () => {
    const store = new CountingStore();
    let nowMs = 0;
    const cache = new KeyCache();
    const cached = cache.over(store, () => nowMs);
    for (let i = 0; i < 100; i++) expect(await cached.find("a")).toBeUndefined();
    expect(store.asked).toBe(1);
    store.keys.set("a", key("a"));
    nowMs = 4_999;
    expect(await cached.find("a")).toBeUndefined();
    nowMs = 5_000;
    expect(await cached.find("a")).toBeDefined();
    // Whoever made it says so, and then there is no wait.
    await cached.find("b");
    store.keys.set("b", key("b"));
    cache.forget("b");
    expect(await cached.find("b")).toBeDefined();
  });

  it("does not let guesses push keys out, and remembers at most 10,000 of them", async () => {
    const store = new CountingStore();
    store.keys.set("a", key("a"));
    const cached = new KeyCache().over(store, () => 0);
    await cached.find("a");
    for (let i = 0; i <= 10_000; i++) await cached.find(`guess${i}`);
    store.asked = 0;
    await cached.find("a");
    await cached.find("guess10000");
    await cached.find("guess1");
    expect(store.asked).toBe(0);
    await cached.find("guess0");
    expect(store.asked).toBe(1);
  });

  it("asks again for a secret that does not fit, once in 5 s: it may be newer than what is remembered", async () => {
    const secrets = ["a".repeat(40), "b".repeat(40)];
    const store = new CountingStore();
    store.keys.set("a", { ...key("a"), secretSha256: hashSecret(secrets[0] ?? "") });
    let nowMs = 0;
    const cached = new KeyCache().over(store, () => nowMs);
    const isTaken = async (secret = "") =>
      (await authenticate(`weir_a_${secret}`, cached, { nowMs, isDevelopment: false })) !== undefined;
    expect(await isTaken(secrets[0])).toBe(true);
    store.keys.set("a", { ...key("a"), secretSha256: hashSecret(secrets[1] ?? "") });
    nowMs = 5_000;
    expect(await isTaken(secrets[1])).toBe(true);
    expect(await isTaken(secrets[0])).toBe(false);
    expect(store.asked).toBe(2);
    for (let i = 0; i < 100; i++) expect(await isTaken("c".repeat(40))).toBe(false);
    expect(store.asked).toBe(2);
  });

  it("holds at most 10,000 keys, and lets the one read longest ago go", async () => {
    const store: KeyStore & { asked: string[] } = {
      asked: [],
      async find(id) {
        this.asked.push(id);
        return key(id);
      },
    };
    const cached = new KeyCache().over(store, () => 0);
    for (let i = 0; i <= 10_000; i++) await cached.find(`k${i}`);
    store.asked.length = 0;
    await cached.find("k1");
    await cached.find("k10000");
    expect(store.asked).toEqual([]);
    await cached.find("k0");
    expect(store.asked).toEqual(["k0"]);
  });

  it("keeps nothing of a store that failed", async () => {
    let isAway = true;
    const store: KeyStore = {
      find: (id) => (isAway ? Promise.reject(new Error("away")) : Promise.resolve(key(id))),
    };
    const cached = new KeyCache().over(store, () => 0);
    await expect(cached.find("a")).rejects.toThrow("away");
    isAway = false;
    expect(await cached.find("a")).toBeDefined();
  });
});

type Answer = (sql: string, values: unknown[]) => Promise<{ results: unknown[] }>;
const answering = (all: Answer): KeyDatabase => ({
  prepare: (sql) => ({ bind: (...values) => ({ all: () => all(sql, values) }) }),
});

describe("D1", () => {
  const row = {
    id: "a",
    tenant: "acme",
    name: "shop",
    secret_sha256: "00",
    scopes: '["ingest","admin"]',
    signals: null,
    origins: null,
    limits: null,
    previous_sha256: null,
    previous_until: null,
    created_at: "2026-11-01T00:00:00.000Z",
    created_by: null,
    expires_at: null,
    rotated_at: null,
    rotated_by: null,
    revoked_at: null,
    revoked_by: null,
  };
  const find = (changes: object) =>
    createD1KeyStore(answering(async () => ({ results: [{ ...row, ...changes }] }))).find("a");

  it("is asked by a bound id, never by one in the statement", async () => {
    const seen: unknown[] = [];
    const db = answering(async (sql, values) => {
      seen.push(sql, ...values);
      return { results: [] };
    });
    expect(await createD1KeyStore(db).find("x' OR 1")).toBeUndefined();
    expect(seen[0]).not.toContain("x'");
    expect(seen[1]).toBe("x' OR 1");
  });

  it("tells scopes, expiry and revocation", async () => {
    expect(await find({})).toEqual({
      id: "a",
      tenant: "acme",
      secretSha256: "00",
      scopes: ["ingest", "admin"],
      expiresAtMs: undefined,
      isRevoked: false,
    });
    expect(
      await find({ expires_at: "2026-11-21T10:00:00.000Z", revoked_at: "2026-11-20T10:00:00.000Z" }),
    ).toMatchObject({ expiresAtMs: Date.parse("2026-11-21T10:00:00.000Z"), isRevoked: true });
  });

  it("tells what a key is bound to, and the secret before a rotation", async () => {
    expect(
      await find({
        signals: '["logs"]',
        origins: '["https://a.example"]',
        limits: '{"requests_per_second":5,"burst":10,"bytes_per_second":7}',
        previous_sha256: "11",
        previous_until: "2026-11-21T10:00:00.000Z",
      }),
    ).toMatchObject({
      signals: ["logs"],
      origins: ["https://a.example"],
      limits: { requestsPerSecond: 5, burst: 10, bytesPerSecond: 7 },
      previous: { secretSha256: "11", untilMs: Date.parse("2026-11-21T10:00:00.000Z") },
    });
  });

  // What binds a key and cannot be read must not be no bond.
  it.each([
    { scopes: '["root"]' },
    { scopes: "ingest" },
    { tenant: null },
    { origins: "https://a.example" },
    { signals: "{}" },
    { limits: '{"burst":1}' },
  ])("a row that is no key (%j) is no principal", async (changes) => {
    await expect(find(changes)).rejects.toBeInstanceOf(KeyStoreError);
  });

  it("that does not answer is waited for 5 s", async () => {
    vi.useFakeTimers();
    try {
      const db = answering(() => new Promise(() => {}));
      const outcome = createD1KeyStore(db)
        .find("a")
        .then(
          () => "found",
          (error: Error) => error.name,
        );
      await vi.advanceTimersByTimeAsync(4_999);
      expect(await Promise.race([outcome, Promise.resolve("waiting")])).toBe("waiting");
      await vi.advanceTimersByTimeAsync(1);
      expect(await outcome).toBe("KeyStoreError");
    } finally {
      vi.useRealTimers();
    }
  });

  it("that fails is an error to retry, without what it said", async () => {
    const db = answering(() => Promise.reject(new Error("D1_ERROR: secret detail")));
    const failure = await createD1KeyStore(db)
      .find("a")
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KeyStoreError);
    expect(failure).toMatchObject({
      code: "storage_unavailable",
      retryable: true,
      message: "looking up a key failed",
    });
  });
});
