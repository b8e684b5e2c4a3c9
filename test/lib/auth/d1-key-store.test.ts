import { describe, expect, it } from "vitest";
import { hashSecret, type KeyStore, type StoredKey } from "../../../lib/auth/api-key.ts";
import {
  createD1KeyStore,
  KeyCache,
  KeyStoreError,
  type KeyDatabase,
} from "../../../lib/auth/d1-key-store.ts";

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

  it("remembers no unknown id, so that a new key works at once and guesses take no memory", async () => {
    const store = new CountingStore();
    const cached = new KeyCache().over(store, () => 0);
    expect(await cached.find("a")).toBeUndefined();
    store.keys.set("a", key("a"));
    expect(await cached.find("a")).toBeDefined();
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

const answering = (all: (sql: string, id: string) => Promise<{ results: unknown[] }>): KeyDatabase => ({
  prepare: (sql) => ({ bind: (id) => ({ all: () => all(sql, id) }) }),
});

describe("D1", () => {
  const row = {
    id: "a",
    tenant: "acme",
    secret_sha256: "00",
    scopes: '["ingest","admin"]',
    expires_at: null,
    revoked_at: null,
  };
  const find = (changes: object) =>
    createD1KeyStore(answering(async () => ({ results: [{ ...row, ...changes }] }))).find("a");

  it("is asked by a bound id, never by one in the statement", async () => {
    const seen: string[] = [];
    const db = answering(async (sql, id) => {
      seen.push(sql, id);
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

  it.each([{ scopes: '["root"]' }, { scopes: "ingest" }, { tenant: null }])(
    "a row that is no key (%j) is no principal",
    async (changes) => {
      await expect(find(changes)).rejects.toBeInstanceOf(KeyStoreError);
    },
  );

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
