// No tenant reads, changes, spends or counts what is another's, on any endpoint that is there now or later: this walks
// the real route table, so a route without a scope, or without a proof of its wall, fails here and is told how to mend it.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { app } from "../../functions/app.ts";
import { definitionOf, scopesOf, type RouteDefinition } from "../../functions/define-route.ts";
import { SCOPES } from "../../lib/auth/api-key.ts";
import { SIGNALS } from "../../lib/telemetry/signal.ts";
import { drain, problemOf } from "../support/worker/client.ts";
import { rowsOfDays } from "../support/worker/day-tables.ts";
import { FORGED_INTAKE, type ForgedIntake } from "../support/worker/forged-intake.ts";
import { alertWalls, storeAlerts } from "../support/worker/stored-alerts.ts";
import { newTenant, storeKey, storeRecords, type StoredTenant } from "../support/worker/stored-tenant.ts";

/** For everybody, without a key; each must tell nothing of any tenant. */
const PUBLIC = new Set(["GET /healthz", "GET /openapi.json"]);

/** What proves a route's wall between two tenants; `key` is the stranger's, with all scopes but `operator`. */
type Wall =
  /** Paths at which the owner finds his own; the stranger must not, and his answers stay as they were without it. */
  | {
      reads: (owner: StoredTenant) => string[];
      /** What his answers tell of the deployment's state beside what is his, which differs from time to time. */
      ignores?: RegExp;
    }
  /** Tries to write what is the owner's, and looks whether it was. */
  | { writes: (owner: StoredTenant, key: string) => Promise<void> };

const WALLS: Record<string, Wall> = {
  "GET /api/v1/metrics": {
    reads: ({ marker }) =>
      ["", `?name=${marker}`, `?label.host=${marker}`, "?from=2026-01-01&limit=1000"].map(
        (query) => `/api/v1/metrics${query}`,
      ),
  },
  "GET /api/v1/metrics/windows": {
    reads: ({ marker }) =>
      ["", "&by=host", `&label.host=${marker}`, "&step=1h"].map(
        (query) => `/api/v1/metrics/windows?name=${marker}&window=5m${query}`,
      ),
  },
  "GET /api/v1/stats": {
    reads: ({ tenant }) => ["/api/v1/stats", `/api/v1/stats?tenant=${tenant}`],
    ignores: /"(processed|dlq)":[^,}]*/g,
  },
  "GET /api/v1/metrics/names": {
    reads: ({ marker }) => ["/api/v1/metrics/names", `/api/v1/metrics/names?prefix=${marker}`],
  },
  "GET /api/v1/logs": {
    reads: ({ marker }) =>
      ["", `?q=${marker}`, `?service=${marker}`, `?level=${marker}`].map((query) => `/api/v1/logs${query}`),
  },
  "GET /api/v1/events": {
    reads: ({ marker }) => ["/api/v1/events", `/api/v1/events?event_type=${marker}`],
  },
  "GET /api/v1/traces": {
    reads: ({ marker }) =>
      ["", "?status=error", `?service=${marker}`].map((query) => `/api/v1/traces${query}`),
  },
  "GET /api/v1/traces/:id": { reads: ({ traceId }) => [`/api/v1/traces/${traceId}`] },
  "GET /api/v1/dlq": {
    reads: ({ marker }) =>
      ["", "?error_type=malformed_json", `?topic=topic-${marker}`].map((query) => `/api/v1/dlq${query}`),
  },
  "GET /api/v1/dlq/:group/:topic/:incarnation/:partition/:offset/:index": {
    reads: ({ marker }) => [`/api/v1/dlq/group-${marker}/topic-${marker}/1/0/0/-1`],
  },
  "GET /api/v1/ledger": {
    reads: ({ tenant }) => ["/api/v1/ledger", `/api/v1/ledger?tenant=${tenant}`],
    // Whether records of anybody are on their way; and what the stranger himself accepts in this test.
    ignores:
      /"(settled|balanced|waiting|spilled|difference|accepted|stored|deduplicated|client_discarded)":[^,}]*/g,
  },
  "GET /api/v1/admin/keys": {
    reads: ({ tenant }) => ["/api/v1/admin/keys", `/api/v1/admin/keys?tenant=${tenant}`],
  },
  "POST /api/v1/admin/keys": {
    async writes({ tenant }, key) {
      const body = { name: "mine", scopes: ["query"], tenant };
      const response = await ask("POST", "/api/v1/admin/keys", key, JSON.stringify(body));
      expect(await problemOf(response)).toMatchObject({ status: 403, code: "forbidden" });
    },
  },
  "POST /api/v1/admin/keys/:id/rotate": {
    writes: (owner, key) => leavesKeyAlone("POST", "/rotate", owner, key),
  },
  "DELETE /api/v1/admin/keys/:id": { writes: (owner, key) => leavesKeyAlone("DELETE", "", owner, key) },
  "POST /api/v1/client-reports": {
    async writes({ tenant }, key) {
      const discarded = [{ reason: "other", signal: "logs", quantity: 7 }];
      const path = "/api/v1/client-reports";
      await ask("POST", path, key, JSON.stringify({ tenant, discarded }));
      const told = await ask("POST", path, key, JSON.stringify({ discarded }), { "X-Scope-OrgID": tenant });
      expect(told.status).toBe(202);
      const sum = "SELECT sum(quantity) AS quantity FROM client_reports WHERE tenant = ?";
      expect(await env.DB.prepare(sum).bind(tenant).first("quantity")).toBeNull();
      expect(await env.DB.prepare(sum).bind(STRANGER.tenant).first("quantity")).toBe(7);
    },
  },
  "POST /api/v1/dlq/:topic/replay": {
    async writes({ marker }, key) {
      const ids = [`group-${marker}/logs.raw/1/0/0/-1`];
      const answers = await Promise.all(
        [{ ids }, { all: true }].map((body) =>
          ask("POST", "/api/v1/dlq/logs.raw/replay", key, JSON.stringify(body)),
        ),
      );
      for (const answer of answers) expect(await answer.json()).toMatchObject({ replayed: 0 });
    },
  },
  ...alertWalls(ask),
  ...Object.fromEntries(
    Object.entries(FORGED_INTAKE).map(([name, forged]) => [
      name,
      { writes: keepsAsTheWriters(name, forged) },
    ]),
  ),
};

async function leavesKeyAlone(
  method: string,
  rest: string,
  { keyId }: StoredTenant,
  key: string,
): Promise<void> {
  const row = async () => await env.DB.prepare("SELECT * FROM api_keys WHERE id = ?").bind(keyId).first();
  const before = await row();
  const response = await ask(method, `/api/v1/admin/keys/${keyId}${rest}`, key);
  expect(await problemOf(response)).toMatchObject({ status: 404, code: "not_found" });
  expect(await row()).toEqual(before);
}

/** The tenant is the key's, whatever the request says of it. */
function keepsAsTheWriters(name: string, { topic, table, column, attempts }: ForgedIntake) {
  return async ({ tenant }: StoredTenant, key: string): Promise<void> => {
    // Whether it is there already depends on what other files did.
    await fetch("http://control.test/topics", {
      method: "POST",
      body: JSON.stringify({ name: topic, partitions: 3 }),
    });
    const mark = `wall-${crypto.randomUUID()}`;
    const path = name.replace("POST ", "");
    const statuses = [];
    for (const { body, headers } of attempts(mark, tenant))
      statuses.push((await ask("POST", path, key, body, { "X-Scope-OrgID": tenant, ...headers })).status);
    expect([200, 202, 204]).toContain(statuses[0]);
    await drain(topic);
    const rows = await rowsOfDays<{ tenant: string }>(table, "tenant", `${column} = ?`, mark);
    expect([...new Set(rows.map((row) => row.tenant))]).toEqual([STRANGER.tenant]);
  };
}

const OWNER = newTenant();
/** Of the same trace as the owner, by chance or on purpose. */
const STRANGER = { ...newTenant(), traceId: OWNER.traceId };

async function ask(
  method: string,
  path: string,
  key?: string,
  body?: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  const context = createExecutionContext();
  const request = new Request(`http://weir.test${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  const response = await app.fetch(request, env, context);
  await waitOnExecutionContext(context);
  return response;
}

/** As an isolate tells that it accepted a record of each signal. */
async function accepted(tenant: string): Promise<void> {
  const counts = SIGNALS.map((signal) => ({ tenant, signal, accepted: 1, unconfirmed: 0 }));
  const isolate = crypto.randomUUID();
  const delivery = { isolate, sequence: 1, counts, unregistered: 0, ageMs: 0, nextAtMost: 0 };
  expect(await env.ACCEPTANCE.getByName("shard-0").deliver(delivery)).toEqual({ ok: true, value: "added" });
}

const nameOf = ({ method, path }: { method: string; path: string }) => `${method.toUpperCase()} ${path}`;
const entries = app.routes.filter(({ method }) => method !== "ALL");
const definitions = [...new Set(entries.map(({ handler }) => definitionOf(handler)))].filter(
  (one): one is RouteDefinition => one !== undefined,
);
const guarded = definitions.filter(({ scope }) => scope !== "none");
const ofTenants = guarded.filter((one) => scopesOf(one).some((scope) => scope !== "operator"));
/** A path that leads to the route, though to nothing that is there. */
const somewhere = (path: string) => path.replaceAll(/:[A-Za-z_]+/g, "nothing");

function readsOf(definition: RouteDefinition): string[] {
  const wall = WALLS[nameOf(definition)];
  return wall && "reads" in wall ? wall.reads(OWNER) : [];
}

describe("every route", () => {
  it.each([...new Set(entries.map(nameOf))])("%s is made by defineRoute", (name) => {
    const strays = entries.filter((entry) => nameOf(entry) === name && !definitionOf(entry.handler));
    const mend =
      `${name} is not made by defineRoute (functions/define-route.ts): without a definition nothing says which ` +
      "scope it needs. Write defineRoute(app, {…, scope}, handler) instead of app.get(…) or app.post(…).";
    expect(strays.map(nameOf), mend).toEqual([]);
  });

  it.each(definitions.filter(({ scope }) => scope === "none").map(nameOf))("%s may be public", (name) => {
    const mend =
      `${name} has the scope \`none\`: anybody may call it. If it tells nothing of any tenant, add it to PUBLIC in ` +
      "this test; else give it a scope.";
    expect(PUBLIC.has(name), mend).toBe(true);
  });

  it.each(guarded.map((one) => [nameOf(one), one] as const))("%s asks for a key", async (_, one) => {
    const response = await ask(one.method.toUpperCase(), somewhere(one.path));
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toMatch(/Bearer.*Basic/);
  });

  it.each(guarded.map((one) => [nameOf(one), one] as const))("%s asks for its scope", async (_, one) => {
    const others = SCOPES.filter((scope) => !scopesOf(one).includes(scope));
    expect(others.length).toBeGreaterThan(0);
    for (const scope of others) {
      const key = await storeKey(STRANGER.tenant, [scope]);
      const response = await ask(one.method.toUpperCase(), somewhere(one.path), key);
      expect(response.status, scope).toBe(403);
    }
    // All of the others together are not enough, either.
    const all = await storeKey(STRANGER.tenant, others);
    expect((await ask(one.method.toUpperCase(), somewhere(one.path), all)).status).toBe(403);
    if (one.signal === undefined) return;
    const signals = SIGNALS.filter((signal) => signal !== one.signal);
    const wrongSignals = await storeKey(STRANGER.tenant, ["ingest"], { signals });
    expect((await ask(one.method.toUpperCase(), somewhere(one.path), wrongSignals)).status).toBe(403);
  });
});

describe("between tenants", () => {
  let ownKey: string;
  let strangersKey: string;
  const before = new Map<string, string>();

  beforeAll(async () => {
    strangersKey = await storeKey(STRANGER.tenant, ["ingest", "query", "admin"]);
    await storeRecords(STRANGER);
    await storeAlerts(STRANGER);
    await accepted(STRANGER.tenant);
    for (const path of ofTenants.flatMap(readsOf)) {
      const { status, text } = await told(path, strangersKey);
      before.set(path, `${status} ${text}`);
    }
    ownKey = await storeKey(OWNER.tenant, ["ingest", "query", "admin"], { name: OWNER.marker });
    await storeKey(OWNER.tenant, ["query"], { id: OWNER.keyId, name: OWNER.marker });
    await storeRecords(OWNER);
    await storeAlerts(OWNER);
    await accepted(OWNER.tenant);
  });

  it.each(ofTenants.map((one) => [nameOf(one), one] as const))("%s has a wall", async (name, one) => {
    const wall = WALLS[name];
    if (!wall)
      throw new Error(
        `${name} has no proof of its wall. Add it to WALLS in this test: for a GET \`reads\` with paths at which the ` +
          "owner finds his marker (store what it reads in test/support/worker/stored-tenant.ts); for a way into the intake " +
          "an entry in test/support/worker/forged-intake.ts; else `writes`, which tries to change what is the owner's " +
          "with the stranger's key.",
      );
    if (one.method === "get" && !("reads" in wall)) throw new Error(`${name} is a GET: it needs \`reads\`.`);
    if ("writes" in wall) return await wall.writes(OWNER, strangersKey);
    for (const path of wall.reads(OWNER)) {
      const own = await told(path, ownKey);
      expect(own.status, `the owner at ${path}: ${own.text}`).toBe(200);
      // Else what follows would prove nothing.
      expect(own.text, path).toContain(OWNER.marker);
      const { status, text, headers } = await told(path, strangersKey);
      for (const part of [text, headers]) expect(withoutEcho(part, path), path).not.toContain(OWNER.marker);
      const stable = (answer: string | undefined) =>
        wall.ignores ? answer?.replaceAll(wall.ignores, "") : answer;
      expect(stable(`${status} ${text}`), `${path} tells another than before the owner wrote`).toBe(
        stable(before.get(path)),
      );
    }
    return undefined;
  });

  async function told(path: string, key: string): Promise<{ status: number; text: string; headers: string }> {
    const response = await ask("GET", path, key);
    const text = await response.text();
    // A request's own id differs each time; what a refusal says must not.
    const stable = text.replaceAll(/"request_id":"[^"]*"/g, "");
    return { status: response.status, text: stable, headers: JSON.stringify([...response.headers]) };
  }

  /** What the asker wrote himself may come back to him, as in `Link`. */
  function withoutEcho(text: string, path: string): string {
    const query = path.split("?")[1];
    return query === undefined ? text : text.replaceAll(query, "");
  }
});
