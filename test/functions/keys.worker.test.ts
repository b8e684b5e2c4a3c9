// Who is let in, and to what: credentials, scopes, tenants; and the keys' administration over the API, against real D1.
// One file, since each case of the administration ends in who is let in.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import worker from "../../functions/worker.ts";
import { hashSecret } from "../../lib/auth/api-key.ts";
import { issuedKeyShape, keyShape, type IssuedKey, type Key } from "../../lib/auth/key-shapes.ts";
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

const KEYS = "/api/v1/admin/keys";
const ALL = ["ingest", "query", "admin", "operator"];
const newTenant = () => `t-${crypto.randomUUID()}`;

/** A call with a key of one's own; the development key (an operator's) where none is given. */
async function call(method: string, path: string, key?: string, body?: unknown): Promise<Response> {
  return await send(path, {
    method,
    headers: { "Content-Type": "application/json", ...(key === undefined ? {} : { Authorization: key }) },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

async function make(fields: object, by?: string): Promise<IssuedKey> {
  const response = await call("POST", KEYS, by, { name: "test", ...fields });
  expect(response.status, await response.clone().text()).toBe(201);
  return issuedKeyShape.strict().parse(await response.json());
}

async function adminOf(tenant: string, scopes = ["ingest", "query", "admin"]): Promise<string> {
  return (await make({ tenant, scopes })).key;
}

async function list(query: string, key?: string): Promise<{ keys: Key[]; next: string | undefined }> {
  const response = await call("GET", query.startsWith("/") ? query : `${KEYS}${query}`, key);
  expect(response.status, await response.clone().text()).toBe(200);
  const keys = keyShape
    .strict()
    .array()
    .parse(await response.json());
  return { keys, next: /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1] };
}

/** Whether the key opens the list of logs (scope `query`). */
const opens = async (key: string) => (await call("GET", "/api/v1/logs", key)).status === 200;

/** Another isolate has a cache of its own. */
function anotherIsolate(): (key: string) => Promise<number> {
  const itsEnv = { ...env };
  return async (key) => {
    const context = createExecutionContext();
    const request = new Request("http://weir.test/api/v1/logs", { headers: { "X-API-Key": key } });
    const { status } = await worker.fetch(request, itsEnv, context);
    await waitOnExecutionContext(context);
    return status;
  };
}

describe("the keys' administration", () => {
  const START_MS = Date.parse("2026-11-21T10:00:00.000Z");
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: START_MS });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

  it("makes a key that works at once, and tells it once", async () => {
    const tenant = newTenant();
    const response = await call("POST", KEYS, undefined, {
      name: " shop, Köln ",
      scopes: ["ingest", "query"],
      signals: ["logs", "traces"],
      limits: { requests_per_second: 0.5, burst: 10, bytes_per_second: 1_000_000 },
      expires_at: "2026-12-01T01:00:00+01:00",
      tenant,
    });
    expect(response.status).toBe(201);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const { key, ...told } = issuedKeyShape.strict().parse(await response.json());
    expect(key).toMatch(new RegExp(`^weir_${told.id}_[A-Za-z0-9]{40}$`));
    expect(told).toMatchObject({
      name: "shop, Köln",
      tenant,
      scopes: ["ingest", "query"],
      signals: ["logs", "traces"],
      origins: null,
      limits: { requests_per_second: 0.5, burst: 10, bytes_per_second: 1_000_000 },
      created_at: "2026-11-21T10:00:00.000Z",
      created_by: "dev",
      expires_at: "2026-12-01T00:00:00.000Z",
      rotated_at: null,
      revoked_at: null,
    });
    expect(await opens(key)).toBe(true);
    const { keys } = await list(`?tenant=${tenant}`);
    expect(keys).toEqual([told]);
    expect(JSON.stringify(keys)).not.toContain(key.split("_")[2]);
  });

  it("ends a key at its expiry", async () => {
    const { key } = await make({ scopes: ["query"], expires_at: "2026-11-21T10:00:30Z" });
    expect(await opens(key)).toBe(true);
    pass(29_999);
    expect(await opens(key)).toBe(true);
    pass(1);
    expect(await opens(key)).toBe(false);
  });

  it("lists newest first, in pages that hold under writes", async () => {
    const tenant = newTenant();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      if (i !== 3) pass(1); // Two of the same millisecond.
      ids.push((await make({ tenant, scopes: ["query"] })).id);
    }
    const seen: string[] = [];
    for (let next: string | undefined = `?tenant=${tenant}&limit=2`; next !== undefined;) {
      const page = await list(next);
      expect(page.keys.length).toBeLessThanOrEqual(2);
      seen.push(...page.keys.map(({ id }) => id));
      next = page.next;
      pass(1);
      await make({ tenant, scopes: ["query"] });
    }
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect([seen[0], seen[3], seen[4]]).toEqual([ids[4], ids[1], ids[0]]);
    // A page that the last key fills exactly has no next one.
    const last = newTenant();
    await make({ tenant: last, scopes: ["query"] });
    expect((await list(`?tenant=${last}&limit=1`)).next).toBeUndefined();
    // Operators see all tenants', where they ask for it.
    const tenants = new Set((await list("?tenant=*&limit=1000")).keys.map((key) => key.tenant));
    expect(tenants.has(tenant) && tenants.has(last)).toBe(true);
    expect((await list("?limit=1000")).keys.every((key) => key.tenant === "dev")).toBe(true);
  });

  it("is a wall between tenants", async () => {
    const [a, b] = [newTenant(), newTenant()];
    const [adminA, adminB] = [await adminOf(a), await adminOf(b)];
    const ofB = await make({ scopes: ["ingest", "query"] }, adminB);
    expect(ofB.tenant).toBe(b);
    expect((await list("", adminA)).keys.map(({ tenant }) => tenant)).toEqual([a]);
    for (const asked of [b, "*"]) {
      const refused = await problemOf(await call("GET", `${KEYS}?tenant=${asked}`, adminA));
      expect(refused).toMatchObject({ status: 403, code: "forbidden" });
    }
    const made = await call("POST", KEYS, adminA, { name: "n", scopes: ["query"], tenant: b });
    expect(await problemOf(made)).toMatchObject({ status: 403, errors: [{ path: "tenant" }] });

    const { request_id: _, ...rotated } = await problemOf(
      await call("POST", `${KEYS}/${ofB.id}/rotate`, adminA),
    );
    const { request_id: __, ...unknown } = await problemOf(
      await call("POST", `${KEYS}/nobodys/rotate`, adminA),
    );
    expect(rotated).toMatchObject({ status: 404 });
    expect(rotated).toEqual(unknown); // Not even that it exists is told.
    expect((await call("DELETE", `${KEYS}/${ofB.id}`, adminA)).status).toBe(404);
    expect(await opens(ofB.key)).toBe(true);
    expect((await list("", adminB)).keys.find(({ id }) => id === ofB.id)).toMatchObject({
      rotated_at: null,
      revoked_at: null,
    });
    // Its own administrator may, and so may an operator.
    expect((await call("POST", `${KEYS}/${ofB.id}/rotate`, adminB)).status).toBe(200);
    expect((await call("DELETE", `${KEYS}/${ofB.id}`)).status).toBe(200);
  });

  it("hands out no more than the asker has", async () => {
    const tenant = newTenant();
    const admin = await adminOf(tenant, ["query", "admin"]);
    for (const scopes of [["operator"], ["ingest"], ["query", "operator"]]) {
      const refused = await call("POST", KEYS, admin, { name: "n", scopes });
      expect(await problemOf(refused), scopes.join()).toMatchObject({
        status: 403,
        errors: [{ path: "scopes" }],
      });
    }
    // Rotating tells a secret, so it is handing out, too.
    const operators = await make({ tenant, scopes: ALL });
    for (const [method, path] of [
      ["POST", `${KEYS}/${operators.id}/rotate`],
      ["DELETE", `${KEYS}/${operators.id}`],
    ] as const)
      expect((await call(method, path, admin)).status).toBe(403);
    expect(await opens(operators.key)).toBe(true);
    // An ingest key he cannot rotate he can still end.
    const writers = await make({ tenant, scopes: ["ingest"] });
    expect((await call("POST", `${KEYS}/${writers.id}/rotate`, admin)).status).toBe(403);
    expect((await call("DELETE", `${KEYS}/${writers.id}`, admin)).status).toBe(200);
    for (const scopes of [["ingest"], ["query"], ["ingest", "query"]]) {
      const { key } = await make({ scopes });
      for (const [method, path] of [
        ["GET", KEYS],
        ["POST", KEYS],
        ["POST", `${KEYS}/x/rotate`],
        ["DELETE", `${KEYS}/x`],
      ] as const)
        expect((await call(method, path, key)).status, `${method} ${path}`).toBe(403);
    }
  });

  it("lets no administrator out of the signals of his own key, nor give a quota", async () => {
    const scopes = ["ingest"];
    const tenant = newTenant();
    const { key } = await make({ tenant, scopes: ["ingest", "admin"], signals: ["logs"] });
    const own = await make({ scopes }, key);
    expect(own).toMatchObject({ signals: ["logs"], limits: null });
    expect((await call("POST", `${KEYS}/${own.id}/rotate`, key)).status).toBe(200);
    for (const signals of [undefined, ["logs", "traces"]]) {
      const wider = await make({ tenant, scopes, ...(signals && { signals }) });
      expect((await call("POST", `${KEYS}/${wider.id}/rotate`, key)).status).toBe(403);
    }
    const refused = async (fields: object) =>
      (await problemOf(await call("POST", KEYS, key, { name: "n", scopes, ...fields }))).errors[0];
    expect(await refused({ signals: ["logs", "metrics"] })).toMatchObject({
      path: "signals",
      reason: "forbidden",
    });
    const limits = { requests_per_second: 1, burst: 1 };
    expect(await refused({ limits })).toMatchObject({ path: "limits", reason: "forbidden" });
    expect(await make({ scopes, limits })).toMatchObject({ limits });
  });

  it("rotates: the new secret at once, the old one for the overlap", async () => {
    const { id, key: old } = await make({ scopes: ["query"] });
    const elsewhere = anotherIsolate();
    expect([await opens(old), await elsewhere(old)]).toEqual([true, 200]);
    pass(10_000);
    const response = await call("POST", `${KEYS}/${id}/rotate`, undefined, { overlap_seconds: 3600 });
    expect(response.status).toBe(200);
    const rotated = issuedKeyShape.strict().parse(await response.json());
    expect(rotated).toMatchObject({
      id,
      rotated_at: "2026-11-21T10:00:10.000Z",
      rotated_by: "dev",
      previous_until: "2026-11-21T11:00:10.000Z",
    });
    expect(rotated.key).not.toBe(old);
    // Regression: an isolate that remembered the old secret refused the new one for a minute.
    expect(await elsewhere(rotated.key)).toBe(200);
    expect([await opens(rotated.key), await opens(old)]).toEqual([true, true]);
    pass(3_599_999);
    expect(await opens(old)).toBe(true);
    pass(1);
    expect([await opens(rotated.key), await opens(old)]).toEqual([true, false]);
  });

  it("rotates without overlap unless asked, and never keeps a third secret", async () => {
    const { id, key: first } = await make({ scopes: ["query"] });
    const rotate = async (body?: object) =>
      issuedKeyShape.parse(await (await call("POST", `${KEYS}/${id}/rotate`, undefined, body)).json()).key;
    const second = await rotate({ overlap_seconds: 600 });
    const third = await rotate({ overlap_seconds: 600 });
    expect([await opens(first), await opens(second), await opens(third)]).toEqual([false, true, true]);
    const fourth = await rotate();
    expect([await opens(third), await opens(fourth)]).toEqual([false, true]);
    expect(await opens(await rotate({}))).toBe(true);
    expect(await opens(fourth)).toBe(false);
  });

  it("revokes: here at once, in every other isolate within 60 s", async () => {
    const { id, key } = await make({ scopes: ["query"] });
    const elsewhere = anotherIsolate();
    expect(await elsewhere(key)).toBe(200);
    expect((await call("POST", `${KEYS}/${id}/rotate`, undefined, { overlap_seconds: 600 })).status).toBe(
      200,
    );
    pass(1_000);
    const revoked = await call("DELETE", `${KEYS}/${id}`);
    expect(revoked.status).toBe(200);
    const told = keyShape.strict().parse(await revoked.json());
    expect(told).toMatchObject({
      revoked_at: "2026-11-21T10:00:01.000Z",
      revoked_by: "dev",
      previous_until: null,
    });
    expect(await opens(key)).toBe(false);
    pass(59_000);
    expect(await elsewhere(key)).toBe(401);
    // Again changes nothing, and a revoked key cannot be rotated back to life.
    const again = await call("DELETE", `${KEYS}/${id}`);
    expect([again.status, await again.json()]).toEqual([200, told]);
    expect((await call("POST", `${KEYS}/${id}/rotate`)).status).toBe(409);
    expect((await list("?limit=1000")).keys.find((one) => one.id === id)).toEqual(told);
  });

  it("keeps nothing that a leaked database could be used for", async () => {
    const issued = await make({ scopes: ["query"] });
    const rotated = issuedKeyShape.parse(
      await (await call("POST", `${KEYS}/${issued.id}/rotate`, undefined, { overlap_seconds: 60 })).json(),
    );
    const tables = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{
      name: string;
    }>();
    let dump = "";
    for (const { name } of tables.results.filter((table) => !table.name.startsWith("_cf_"))) {
      const rows = await env.DB.prepare(`SELECT * FROM "${name}"`).all();
      dump += JSON.stringify(rows.results);
    }
    expect(dump).toContain(issued.id);
    for (const { key } of [issued, rotated]) {
      const secret = key.split("_")[2] ?? "";
      expect(secret).toHaveLength(40);
      expect(dump).toContain(hashSecret(secret));
      expect(dump.includes(secret)).toBe(false);
    }
  });

  const good = { name: "n", scopes: ["ingest"] };
  it.each<[string, unknown, string, string]>([
    ["no JSON", "{", "malformed_json", ""],
    ["nothing", "", "malformed_json", ""],
    ["an array", [], "wrong_type", ""],
    ["null", null, "wrong_type", ""],
    ["no name", { scopes: ["ingest"] }, "missing_field", "name"],
    ["an empty name", { ...good, name: "  " }, "wrong_type", "name"],
    ["a long name", { ...good, name: "n".repeat(101) }, "too_long", "name"],
    ["a name with a line end", { ...good, name: "a\nb" }, "wrong_type", "name"],
    ["a name with half a character", '{"name":"\\ud800","scopes":["ingest"]}', "wrong_type", "name"],
    ["no scopes", { name: "n" }, "missing_field", "scopes"],
    ["empty scopes", { ...good, scopes: [] }, "wrong_type", "scopes"],
    ["a scope that is none", { ...good, scopes: ["root"] }, "wrong_type", "scopes[0]"],
    ["a scope twice", { ...good, scopes: ["ingest", "ingest"] }, "wrong_type", "scopes"],
    ["scopes as a text", { ...good, scopes: "ingest" }, "wrong_type", "scopes"],
    ["a signal that is none", { ...good, signals: ["smoke"] }, "wrong_type", "signals[0]"],
    ["signals without ingest", { name: "n", scopes: ["query"], signals: ["logs"] }, "wrong_type", "signals"],
    [
      "a browser key that reads",
      { ...good, scopes: ["ingest", "query"], origins: ["https://a.example"] },
      "wrong_type",
      "scopes",
    ],
    ["an origin with a path", { ...good, origins: ["https://a.example/"] }, "wrong_type", "origins[0]"],
    ["any origin", { ...good, origins: ["*"] }, "wrong_type", "origins[0]"],
    ["no limits in limits", { ...good, limits: {} }, "missing_field", "limits.requests_per_second"],
    [
      "a limit of nothing",
      { ...good, limits: { requests_per_second: 0, burst: 1 } },
      "wrong_type",
      "limits.requests_per_second",
    ],
    [
      "a limit that is no number",
      '{"name":"n","scopes":["ingest"],"limits":{"requests_per_second":1e999,"burst":1}}',
      "wrong_type",
      "limits.requests_per_second",
    ],
    [
      "half a burst",
      { ...good, limits: { requests_per_second: 1, burst: 1.5 } },
      "wrong_type",
      "limits.burst",
    ],
    [
      "an expiry without a zone",
      { ...good, expires_at: "2027-01-01T00:00:00" },
      "invalid_timestamp",
      "expires_at",
    ],
    [
      "a day that is none",
      { ...good, expires_at: "2027-02-30T00:00:00Z" },
      "invalid_timestamp",
      "expires_at",
    ],
    [
      "an expiry that is past",
      { ...good, expires_at: "2026-11-21T10:00:00Z" },
      "timestamp_out_of_range",
      "expires_at",
    ],
    ["a tenant that is none", { ...good, tenant: "a b" }, "wrong_type", "tenant"],
    ["all tenants", { ...good, tenant: "*" }, "wrong_type", "tenant"],
    ["a typing error", { ...good, orgins: ["https://a.example"] }, "unknown_field", "orgins"],
    [
      "a prototype",
      '{"name":"n","scopes":["ingest"],"__proto__":{"tenant":"x"}}',
      "unknown_field",
      "__proto__",
    ],
    ["a body of 65 KiB", { ...good, name: "n".repeat(65 * 1024) }, "body_too_large", ""],
  ])("refuses %s", async (_, body, code, path) => {
    const told = await problemOf(await call("POST", KEYS, undefined, body));
    expect([told.code, told.errors[0]?.path]).toEqual([code, path]);
    expect(told.status).toBe(code === "body_too_large" ? 413 : 400);
  });

  it("refuses bytes that are no UTF-8, and tells all faults at once", async () => {
    const bytes = await send(KEYS, { method: "POST", body: new Uint8Array([0x7b, 0xff]) });
    expect(await problemOf(bytes)).toMatchObject({ status: 400, code: "invalid_utf8" });
    const told = await problemOf(await call("POST", KEYS, undefined, { name: 1, scopes: [], x: 1, y: 2 }));
    expect(told.errors.map(({ path }) => path)).toEqual(["name", "scopes", "x", "y"]);
    expect(told.detail).toContain("`name` must be of the type string.");
  });

  it.each<[unknown, string, string]>([
    [{ overlap_seconds: -1 }, "wrong_type", "overlap_seconds"],
    [{ overlap_seconds: 7 * 24 * 3600 + 1 }, "wrong_type", "overlap_seconds"],
    [{ overlap_seconds: 0.5 }, "wrong_type", "overlap_seconds"],
    [{ overlap_seconds: "60" }, "wrong_type", "overlap_seconds"],
    [{ overlap: 60 }, "unknown_field", "overlap"],
    ["[", "malformed_json", ""],
  ])("refuses the rotation %j", async (body, code, path) => {
    const { id, key } = await make({ scopes: ["query"] });
    const told = await problemOf(await call("POST", `${KEYS}/${id}/rotate`, undefined, body));
    expect([told.status, told.code, told.errors[0]?.path]).toEqual([400, code, path]);
    expect(await opens(key)).toBe(true);
  });

  it.each(["?limit=0", "?limit=1001", "?cursor=x", "?cursor=%F0%9F%98%80", "?tenants=a"])(
    "refuses the list %s",
    async (query) => {
      const told = await problemOf(await call("GET", `${KEYS}${query}`));
      expect(told).toMatchObject({ status: 400, code: "invalid_query" });
    },
  );

  it("holds a key to its signals", async () => {
    const { key } = await make({ scopes: ["ingest"], signals: ["logs"] });
    expect((await call("POST", "/api/v1/logs", key, { message: "m" })).status).toBe(202);
    for (const path of ["/api/v1/metrics", "/metrics", "/api/v1/events"]) {
      const refused = await problemOf(await call("POST", path, key, { name: "n", value: 1 }));
      expect(refused, path).toMatchObject({ status: 403, code: "forbidden" });
    }
  });
});
