// Who is let in, and to what: credentials, scopes, tenants.
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { hashSecret } from "../../lib/auth/api-key.ts";
import { drain, getList, postJson, problemOf, send } from "../support/worker/client.ts";

const service = () => `s-${crypto.randomUUID()}`;

describe("keys", () => {
  async function makeKey(
    scopes: string[],
    fields: { expires_at?: string; revoked_at?: string } = {},
  ): Promise<string> {
    const id = crypto.randomUUID().replaceAll("-", "");
    const secret = "s".repeat(32);
    await env.DB.prepare(
      "INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, created_at, expires_at, revoked_at) VALUES (?, 'acme', 'test', ?, ?, '2026-01-01', ?, ?)",
    )
      .bind(
        id,
        hashSecret(secret),
        JSON.stringify(scopes),
        fields.expires_at ?? null,
        fields.revoked_at ?? null,
      )
      .run();
    return `weir_${id}_${secret}`;
  }

  const ask = async (authorization: string, path = "/api/v1/logs", init: RequestInit = {}) =>
    await send(path, { ...init, headers: { Authorization: authorization } });

  it("are asked for, in a way that senders of Basic understand too", async () => {
    const context = { method: "POST", body: '{"message":"m"}' };
    for (const authorization of [
      "",
      "Bearer nonsense",
      "Bearer weir_nobody_aaaaaaaaaaaaaaaaaaaa",
      "Digest x",
    ]) {
      const response = await ask(authorization, "/api/v1/logs", context);
      expect(response.headers.get("www-authenticate")).toMatch(/Bearer.*Basic/);
      expect(await problemOf(response)).toMatchObject({ status: 401, code: "unauthorized" });
    }
  });

  it("are taken in every form of the contract", async () => {
    const key = await makeKey(["ingest"]);
    const init = { method: "POST", body: '{"message":"m"}' };
    for (const authorization of [`Bearer ${key}`, `bearer ${key}`, key, `Basic ${btoa(`any:${key}`)}`]) {
      expect((await ask(authorization, "/api/v1/logs", init)).status, authorization).toBe(202);
    }
    const response = await send("/api/v1/logs", {
      ...init,
      headers: { "X-API-Key": key, Authorization: "" },
    });
    expect(response.status).toBe(202);
  });

  it("open only what their scopes say", async () => {
    const ingestOnly = `Bearer ${await makeKey(["ingest"])}`;
    expect(await problemOf(await ask(ingestOnly))).toMatchObject({ status: 403, code: "forbidden" });
    const queryOnly = `Bearer ${await makeKey(["query"])}`;
    expect((await ask(queryOnly)).status).toBe(200);
    for (const path of ["/kafka/status", "/api/v1/lag"])
      expect((await ask(queryOnly, path)).status).toBe(403);
    const posted = await ask(queryOnly, "/api/v1/logs", { method: "POST", body: "{}" });
    expect(posted.status).toBe(403);
  });

  it("end when they expire or are revoked", async () => {
    const expired = await makeKey(["query"], { expires_at: "2026-01-02T00:00:00Z" });
    const revoked = await makeKey(["query"], { revoked_at: "2026-01-02T00:00:00Z" });
    for (const key of [expired, revoked]) expect((await ask(`Bearer ${key}`)).status).toBe(401);
  });

  it("of development are refused elsewhere", async () => {
    expect((await send("/api/v1/logs", {}, { ENVIRONMENT: "production" })).status).toBe(401);
    expect((await send("/api/v1/logs", {}, { ENVIRONMENT: "development" })).status).toBe(200);
  });

  it("show their tenant its own records only", async () => {
    const name = service();
    const acme = `Bearer ${await makeKey(["ingest", "query"])}`;
    await ask(acme, "/api/v1/logs", {
      method: "POST",
      body: JSON.stringify({ message: "acme's", service: name }),
    });
    await postJson("/api/v1/logs", { message: "dev's", service: name });
    await drain("logs.raw");
    const own = await ask(acme, `/api/v1/logs?service=${name}`);
    expect(await own.json()).toMatchObject([{ message: "acme's" }]);
    expect(await getList(`/api/v1/logs?service=${name}`)).toMatchObject([{ message: "dev's" }]);
  });
});
