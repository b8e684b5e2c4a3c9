import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { queryStoreOf, streamStoreOf } from "../../functions/storage.ts";

describe("the store", () => {
  it("is D1 unless another is asked for", async () => {
    const store = streamStoreOf(env);
    expect(await store.progress("nobody")).toEqual([]);
    store.close();
  });

  it("says what is missing where PostgreSQL is asked for without its binding", () => {
    const unbound = { ...env, STORAGE: "postgres" } as unknown as Env;
    for (const open of [streamStoreOf, queryStoreOf])
      expect(() => open(unbound)).toThrow(/STORAGE .*HYPERDRIVE.*docs\/storage\.md/);
  });

  it("tells no password of a binding that leads nowhere", async () => {
    const HYPERDRIVE = { host: "127.0.0.1", port: 1, user: "u", password: "s3cr3t@/", database: "d" };
    const unreachable = { ...env, STORAGE: "postgres", HYPERDRIVE } as unknown as Env;
    const store = streamStoreOf(unreachable);
    const failure = await store.progress("g").catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "StorageError", code: "storage_unavailable", retryable: true });
    expect(String(failure)).not.toMatch(/s3cr3t/);
    store.close();
  });
});
