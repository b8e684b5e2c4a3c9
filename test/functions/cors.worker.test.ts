// Keys for browsers: which origins they are good from, and what a browser gets to see (Fetch Standard, "CORS protocol").
import { describe, expect, it } from "vitest";
import { issuedKeyShape } from "../../lib/auth/key-shapes.ts";
import { postJson, problemOf, send } from "../support/worker/client.ts";

const APP = "https://app.example.com";

async function browserKey(origins: string[] = [APP, "https://*.example.net"]): Promise<string> {
  const made = await postJson("/api/v1/admin/keys", { name: "web", scopes: ["ingest"], origins });
  expect(made.status).toBe(201);
  return issuedKeyShape.parse(await made.json()).key;
}

async function write(
  key: string,
  origin: string | undefined,
  body = '{"message":"m"}',
  path = "/api/v1/logs",
) {
  return await send(path, {
    method: "POST",
    body,
    headers: { "X-API-Key": key, Authorization: "", ...(origin === undefined ? {} : { Origin: origin }) },
  });
}

const preflight = async (path: string, headers: Record<string, string>) =>
  await send(path, { method: "OPTIONS", headers: { Authorization: "", ...headers } });

const readableBy = (response: Response) => response.headers.get("access-control-allow-origin");

describe("a key for browsers", () => {
  it.each([APP, "https://a.example.net", "https://b.a.example.net"])("writes from %s", async (origin) => {
    const response = await write(await browserKey(), origin);
    expect(response.status).toBe(202);
    expect(readableBy(response)).toBe(origin);
    expect(response.headers.get("vary")).toBe("Origin");
    expect(response.headers.get("access-control-expose-headers")).toBe(
      "Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Weir-Reason, traceparent",
    );
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
  });

  it.each([
    undefined,
    "null",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.example",
    "https://example.net",
    "https://evilexample.net",
    "https://*.example.net",
  ])("does not write from %s", async (origin) => {
    const response = await write(await browserKey(), origin);
    expect(readableBy(response)).toBeNull();
    expect(await problemOf(response)).toMatchObject({ status: 403, code: "forbidden" });
  });

  it("opens nothing else, right origin or not", async () => {
    const key = await browserKey();
    for (const path of ["/api/v1/logs", "/api/v1/admin/keys", "/kafka/status"]) {
      const headers = { "X-API-Key": key, Authorization: "", Origin: APP };
      const response = await send(path, { headers });
      expect([response.status, readableBy(response)], path).toEqual([403, null]);
    }
  });

  it("lets its pages read errors, too", async () => {
    const key = await browserKey();
    const bad = await write(key, APP, "{");
    expect([bad.status, readableBy(bad)]).toEqual([400, APP]);
    expect(await problemOf(bad)).toMatchObject({ code: "malformed_json" });
  });

  it("that is unknown is told so, readably, wherever it is from", async () => {
    const response = await write("weir_nobody_aaaaaaaaaaaaaaaaaaaa", APP);
    expect([response.status, readableBy(response)]).toEqual([401, APP]);
  });
});

describe("a key for servers", () => {
  it("writes from anywhere, but no page may read the answer", async () => {
    const made = await postJson("/api/v1/admin/keys", { name: "server", scopes: ["ingest"] });
    const { key } = issuedKeyShape.parse(await made.json());
    const response = await write(key, "https://evil.example");
    expect([response.status, readableBy(response)]).toEqual([202, null]);
    expect(readableBy(await write(key, undefined))).toBeNull();
  });
});

describe("a preflight", () => {
  const asked = { Origin: APP, "Access-Control-Request-Method": "POST" };

  it.each([
    "/api/v1/logs",
    "/api/v1/metrics",
    "/metrics",
    "/api/v1/events",
    "/kafka/publish",
    "/v1/logs",
    "/v1/metrics",
    "/v1/traces",
    "/api/v1/write",
    "/api/v1/client-reports",
  ])("of %s is answered without a key, and without asking D1", async (path) => {
    const response = await send(
      path,
      { method: "OPTIONS", headers: { Authorization: "", ...asked } },
      { DB: "none" },
    );
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    expect(readableBy(response)).toBe(APP);
    expect(response.headers.get("vary")).toBe("Origin");
    expect(response.headers.get("access-control-allow-methods")).toBe("POST");
    const headers = (response.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(", ");
    for (const name of [
      "content-type",
      "content-encoding",
      "authorization",
      "x-api-key",
      "idempotency-key",
      "traceparent",
    ])
      expect(headers).toContain(name);
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
  });

  it.each<[string, Record<string, string>]>([
    ["/api/v1/logs", { ...asked, "Access-Control-Request-Method": "GET" }],
    ["/api/v1/logs", { Origin: APP }],
    ["/api/v1/admin/keys", asked],
    ["/kafka/flush", asked],
    ["/api/v1/logs/x", asked],
  ])("that asks for more is not one (%s %j)", async (path, headers) => {
    const response = await preflight(path, headers);
    expect(response.status).toBeGreaterThanOrEqual(404);
    expect(readableBy(response)).toBeNull();
  });

  it("is the same in production", async () => {
    const init = { method: "OPTIONS", headers: { Authorization: "", ...asked } };
    const response = await send("/api/v1/logs", init, {
      ENVIRONMENT: "production",
      KAFKA_REST_URL: "https://k.test",
    });
    expect([response.status, readableBy(response)]).toEqual([204, APP]);
  });
});
