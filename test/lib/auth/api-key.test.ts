import { describe, expect, it } from "vitest";
import {
  authenticate,
  credentialOf,
  DEV_KEY,
  hashSecret,
  SCOPES,
  type KeyStore,
  type StoredKey,
} from "../../../lib/auth/api-key.ts";

const SECRET = "s3cretS3cretS3cret";
const KEY = `weir_k1_${SECRET}`;
const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
const STORED: StoredKey = {
  id: "k1",
  tenant: "acme",
  secretSha256: hashSecret(SECRET),
  scopes: ["ingest", "query"],
  expiresAtMs: undefined,
  isRevoked: false,
};

const storeOf = (...keys: StoredKey[]): KeyStore => ({
  find: async (id) => keys.find((key) => key.id === id),
});
const store = storeOf(STORED);
const production = { nowMs: NOW_MS, isDevelopment: false };
const isTakenWith = async (expiresAtMs: number) =>
  (await authenticate(KEY, storeOf({ ...STORED, expiresAtMs }), production)) !== undefined;
const basic = (userAndPassword: string) => `Basic ${btoa(userAndPassword)}`;

describe("the credential", () => {
  it.each<[string, Record<string, string>]>([
    ["Bearer", { authorization: `Bearer ${KEY}` }],
    ["bearer in small letters, with more space", { authorization: `  bearer   ${KEY} ` }],
    ["X-API-Key", { "x-api-key": ` ${KEY} ` }],
    ["the bare key", { authorization: KEY }],
    ["Basic", { authorization: basic(`user:${KEY}`) }],
    ["Basic without a user", { authorization: basic(`:${KEY}`) }],
    ["BASIC", { authorization: `BASIC ${btoa(`u:${KEY}`)}` }],
    ["an empty X-API-Key beside a Bearer", { "x-api-key": "", authorization: `Bearer ${KEY}` }],
    ["X-API-Key before Authorization", { "x-api-key": KEY, authorization: "Bearer other" }],
  ])("is read from %s", (_, headers) => expect(credentialOf(new Headers(headers))).toBe(KEY));

  it("is all behind the first colon of Basic", () => {
    expect(credentialOf(new Headers({ authorization: basic("user:pa:ss:") }))).toBe("pa:ss:");
  });

  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["an empty Authorization", { authorization: " " }],
    ["another scheme", { authorization: `Digest ${KEY}` }],
    ["Basic that is not base64", { authorization: "Basic %%%" }],
    ["Basic without a colon", { authorization: basic(KEY) }],
  ])("is none in %s", (_, headers) => expect(credentialOf(new Headers(headers))).toBeUndefined());
});

describe("a key", () => {
  it("that is right tells who asks", async () => {
    expect(await authenticate(KEY, store, production)).toEqual({
      tenant: "acme",
      keyId: "k1",
      scopes: new Set(["ingest", "query"]),
    });
  });

  it.each<[string, string]>([
    ["a wrong secret", `weir_k1_${SECRET.slice(0, -1)}x`],
    ["a longer secret", `${KEY}x`],
    ["an unknown id", `weir_k2_${SECRET}`],
    ["the id of another case", `weir_K1_${SECRET}`],
    ["no secret", "weir_k1_"],
    ["a short secret", "weir_k1_short"],
    ["no prefix", SECRET],
    ["nothing", ""],
    ["a line end behind it", `${KEY}\n`],
    ["the hash for the secret", `weir_k1_${hashSecret(SECRET)}`],
    ["a secret without end", `weir_k1_${"a".repeat(100_000)}`],
  ])("with %s is refused", async (_, credential) => {
    expect(await authenticate(credential, store, production)).toBeUndefined();
  });

  it("that is revoked is refused", async () => {
    expect(await authenticate(KEY, storeOf({ ...STORED, isRevoked: true }), production)).toBeUndefined();
  });

  it("is good until the millisecond of its expiry", async () => {
    expect([await isTakenWith(NOW_MS + 1), await isTakenWith(NOW_MS), await isTakenWith(NOW_MS - 1)]).toEqual(
      [true, false, false],
    );
    // Regression: an expiry that could not be read was no expiry.
    expect(await isTakenWith(Number.NaN)).toBe(false);
  });

  it("tells what it is bound to", async () => {
    const limits = { requestsPerSecond: 5, burst: 10 };
    const bound = storeOf({ ...STORED, signals: ["logs"], origins: ["https://a.example"], limits });
    expect(await authenticate(KEY, bound, production)).toMatchObject({
      signals: new Set(["logs"]),
      origins: new Set(["https://a.example"]),
      limits,
    });
  });

  it("that was rotated is good with both secrets until the overlap's last millisecond", async () => {
    const isTaken = async (secret: string, untilMs: number) => {
      const previous = { secretSha256: hashSecret(SECRET), untilMs };
      const rotated = storeOf({ ...STORED, secretSha256: hashSecret(`new${SECRET}`), previous });
      return (await authenticate(`weir_k1_${secret}`, rotated, production)) !== undefined;
    };
    expect([await isTaken(SECRET, NOW_MS + 1), await isTaken(SECRET, NOW_MS)]).toEqual([true, false]);
    expect(await isTaken(SECRET, Number.NaN)).toBe(false);
    expect(await isTaken(`new${SECRET}`, NOW_MS)).toBe(true);
    expect(await isTaken(`other${SECRET}`, NOW_MS + 1)).toBe(false);
  });

  it("is not looked for in the store unless it has the form of one", async () => {
    const asked: string[] = [];
    const watching: KeyStore = {
      find: async (id) => {
        asked.push(id);
        return undefined;
      },
    };
    for (const credential of [
      "",
      "weir_",
      "weir_a b_0123456789abcdef",
      `weir_${"a".repeat(41)}_${SECRET}`,
      DEV_KEY,
    ])
      await authenticate(credential, watching, production);
    expect(asked).toEqual([]);
  });

  it("is in nobody's hands while the store is away", async () => {
    const broken: KeyStore = { find: () => Promise.reject(new Error("away")) };
    await expect(authenticate(KEY, broken, production)).rejects.toThrow("away");
  });
});

describe("the development key", () => {
  it("has all scopes of the tenant dev in development", async () => {
    expect(await authenticate(DEV_KEY, store, { nowMs: NOW_MS, isDevelopment: true })).toEqual({
      tenant: "dev",
      keyId: "dev",
      scopes: new Set(SCOPES),
    });
  });

  it("is refused everywhere else, also where someone stored it", async () => {
    const planted = storeOf({ ...STORED, id: "dev", secretSha256: hashSecret("local00000000000000000000") });
    expect(await authenticate(DEV_KEY, store, production)).toBeUndefined();
    expect(await authenticate(DEV_KEY, planted, production)).toBeUndefined();
  });

  it("is one key: another secret of its id is refused in development too", async () => {
    expect(
      await authenticate(`weir_dev_${SECRET}`, store, { nowMs: NOW_MS, isDevelopment: true }),
    ).toBeUndefined();
  });
});
