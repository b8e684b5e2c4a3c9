// The API of alerts: rules, silences, notifiers, what is active and what was; each tenant's own, the deployment's for
// operators.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { alerts } from "../../functions/alerts.ts";
import { judgeTenant } from "../../functions/alert-tick.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import type { Scope } from "../../lib/auth/api-key.ts";
import { ProduceLatency } from "../../lib/alerts/produce-latency.ts";
import {
  alertRuleShape,
  alertShape,
  madeNotifierShape,
  notifierShape,
  silenceShape,
  testedRuleShape,
} from "../../lib/http/alert-shape.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { problemOf } from "../support/worker/client.ts";
import { alertIds, alertWalls, storeAlerts } from "../support/worker/stored-alerts.ts";
import { newTenant, storeKey, type StoredTenant } from "../support/worker/stored-tenant.ts";

const app = new Hono<AppEnv>();
app.use(prepare);
app.route("/", alerts);

const PATH = "/api/v1/alerts";
/** Nobody judges beside the test. */
const OFF = { ...env, ALERTING: "off" };

let owner: StoredTenant;
let key: string;
let operator: string;

async function ask(
  method: string,
  path: string,
  as = key,
  body?: string,
  bindings: Env = OFF,
): Promise<Response> {
  const context = createExecutionContext();
  const headers = {
    Authorization: `Bearer ${as}`,
    ...(body === undefined ? {} : { "Content-Type": "application/json" }),
  };
  const request = new Request(`http://weir.test${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const response = await app.fetch(request, bindings, context);
  await waitOnExecutionContext(context);
  return response;
}

/** What a shape does not know it leaves out: so nothing is told that is not in the document. */
async function read<T>(response: Response, shape: z.ZodType<T>, status = 200): Promise<T> {
  const text = await response.text();
  expect(response.status, text).toBe(status);
  const body: unknown = JSON.parse(text);
  expect(shape.parse(body)).toEqual(body);
  return body as T;
}

const post = async (path: string, body: object, as = key) =>
  await ask("POST", `${PATH}${path}`, as, JSON.stringify(body));
const get = async <T>(path: string, shape: z.ZodType<T>, as = key) =>
  await read(await ask("GET", `${PATH}${path}`, as), z.array(shape));

beforeEach(async () => {
  owner = newTenant();
  const scopes: Scope[] = ["query", "admin"];
  key = await storeKey(owner.tenant, scopes);
  operator = await storeKey(owner.tenant, ["operator"]);
});

describe("rules", () => {
  it("are made, listed, shown and deleted", async () => {
    const body = {
      name: "CPU",
      expr: "cpu > 80 for 5m",
      severity: "critical",
      annotations: { summary: "{{value}}" },
    };
    const made = await read(await post("/rules", body), alertRuleShape, 201);
    expect(made).toMatchObject({
      ...body,
      tenant: owner.tenant,
      for: "5m",
      repeat_interval: "4h",
      notifiers: null,
    });
    expect(await get("/rules", alertRuleShape)).toEqual([made]);
    expect(await read(await ask("GET", `${PATH}/rules/${made.id}`), alertRuleShape)).toEqual(made);
    expect(await read(await ask("DELETE", `${PATH}/rules/${made.id}`), alertRuleShape)).toEqual(made);
    expect(await get("/rules", alertRuleShape)).toEqual([]);
    for (const method of ["GET", "DELETE"])
      expect(await problemOf(await ask(method, `${PATH}/rules/${made.id}`))).toMatchObject({ status: 404 });
  });

  it("that are wrong are refused by column and mend", async () => {
    const problem = await problemOf(await post("/rules", { name: "CPU", expr: "cpu => 80" }));
    expect(problem).toMatchObject({
      status: 400,
      errors: [{ path: "expr", message: /^column 5: one = compares labels/ }],
    });
    expect(await problemOf(await post("/rules", { name: "x", expr: "lag() > 1" }))).toMatchObject({
      detail: /scope operator/,
    });
    const hourly = { ...env, WINDOWS: "1h" };
    const odd = JSON.stringify({ name: "x", expr: "avg(cpu, 5m) > 1" });
    expect(await problemOf(await ask("POST", `${PATH}/rules`, key, odd, hourly))).toMatchObject({
      detail: /no multiple of a window of this deployment \(1h\)/,
    });
  });

  describe("are changed in place", () => {
    const patch = async (id: string, change: object, as = key, query = "") =>
      await ask("PATCH", `${PATH}/rules/${id}${query}`, as, JSON.stringify(change));
    const make = async (fields: object = {}) =>
      await read(await post("/rules", { name: "CPU", expr: "cpu > 80", ...fields }), alertRuleShape, 201);

    it("by what is named", async () => {
      const made = await make({ for: "5m", annotations: { summary: "hot" } });
      const body = { name: "ops", kind: "webhook", url: "https://hooks.example.com/x" };
      const { id: notifier } = await read(await post("/notifiers", body), madeNotifierShape, 201);
      const unknown = await problemOf(await patch(made.id, { notifiers: [notifier, "ops"] }));
      expect(unknown.errors).toMatchObject([
        { path: "notifiers[1]", message: expect.stringContaining("(ops)") },
      ]);
      expect(made).toMatchObject({ revision: 1, enabled: true, updated_at: made.created_at });
      const change = { expr: "cpu > 90", severity: "critical", notifiers: [notifier], repeat_interval: "1h" };
      const changed = await read(await patch(made.id, change), alertRuleShape);
      expect(changed).toEqual({ ...made, ...change, revision: 2, updated_at: changed.updated_at });
      expect(Date.parse(changed.updated_at)).toBeGreaterThanOrEqual(Date.parse(made.updated_at));
      const off = await read(await patch(made.id, { enabled: false, notifiers: null }), alertRuleShape);
      expect(off).toMatchObject({ enabled: false, notifiers: null, revision: 3 });
      expect(await get("/rules", alertRuleShape)).toEqual([off]);
      // What is so already is no change.
      expect(await read(await patch(made.id, { enabled: false }), alertRuleShape)).toEqual(off);
    });

    it("by two at once, and neither undoes the other", async () => {
      const { id } = await make();
      const responses = await Promise.all([
        patch(id, { name: "Hot" }),
        patch(id, { severity: "critical" }),
        patch(id, { expr: "cpu > 95" }),
      ]);
      expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
      const [rule] = await get("/rules", alertRuleShape);
      expect(rule).toMatchObject({ name: "Hot", severity: "critical", expr: "cpu > 95", revision: 4 });
    });

    it("once by those who both saw one revision", async () => {
      const { id } = await make();
      const responses = await Promise.all([
        patch(id, { name: "A", revision: 1 }),
        patch(id, { name: "B", revision: 1 }),
      ]);
      expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
      const refused = responses.find(({ status }) => status === 409) as Response;
      expect(await problemOf(refused)).toMatchObject({
        status: 409,
        code: "rule_changed",
        detail: /^`revision` is 2 by now, since .*; read the rule again\.$/,
      });
    });

    it("only to what could be made", async () => {
      const { id } = await make();
      for (const [change, path] of [
        [{ expr: "cpu >" }, "expr"],
        [{ expr: "lag() > 1" }, "expr"],
        [{ expr: "avg(cpu, 7s) > 1" }, "expr"],
        [{ name: "" }, "name"],
        [{ tenant: "x" }, "tenant"],
        [{ revision: 0 }, "revision"],
      ] as const)
        expect(await problemOf(await patch(id, change))).toMatchObject({ status: 400, errors: [{ path }] });
      expect(await problemOf(await patch("none", { name: "x" }))).toMatchObject({ status: 404 });
      await read(await ask("DELETE", `${PATH}/rules/${id}`), alertRuleShape);
      expect(await problemOf(await patch(id, { name: "x" }))).toMatchObject({ status: 404 });
    });

    it("by administrators of the tenant, and by operators", async () => {
      const { id } = await make();
      const reader = await storeKey(owner.tenant, ["query"]);
      const stranger = await storeKey(newTenant().tenant, ["admin"]);
      const query = `?tenant=${owner.tenant}`;
      expect((await patch(id, { name: "x" }, reader)).status).toBe(403);
      expect((await patch(id, { name: "x" }, stranger)).status).toBe(404);
      expect((await patch(id, { name: "x" }, stranger, query)).status).toBe(403);
      const foreign = await storeKey(newTenant().tenant, ["operator"]);
      expect((await patch(id, { name: "x" }, foreign)).status).toBe(404);
      const changed = await read(await patch(id, { name: "x" }, foreign, query), alertRuleShape);
      expect(changed).toMatchObject({ id, tenant: owner.tenant, name: "x" });
    });

    it("if they are defaults, too, and are deleted then as before", async () => {
      const query = "?tenant=_deployment";
      const id = "default-spill";
      expect((await patch(id, { enabled: false })).status).toBe(404);
      expect((await patch(id, { enabled: false }, key, query)).status).toBe(403);
      const responses = await Promise.all([
        patch(id, { expr: "spill_age() > 10m", revision: 1 }, operator, query),
        patch(id, { severity: "info", revision: 1 }, operator, query),
      ]);
      expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
      const changed = await read(await patch(id, { name: "Away" }, operator, query), alertRuleShape);
      expect(changed).toMatchObject({ name: "Away", revision: 3, created_by: "weir", tenant: "_deployment" });
      const listed = await get(`/rules${query}`, alertRuleShape, operator);
      expect(listed.find((one) => one.id === id)).toEqual(changed);
      expect(listed.filter((one) => one.id === id)).toHaveLength(1);
      const path = `${PATH}/rules/${id}${query}`;
      await read(await ask("DELETE", path, operator), alertRuleShape);
      expect((await ask("GET", path, operator)).status).toBe(404);
      expect((await patch(id, { name: "x" }, operator, query)).status).toBe(404);
      await env.DB.prepare("DELETE FROM alert_rules WHERE id = ?").bind(id).run();
    });
  });

  it("are at most a hundred", async () => {
    await env.DB.prepare(
      `INSERT INTO alert_rules (tenant, id, rule, created_at, created_by)
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
       SELECT ?, i, '{"name":"x","expr":"x > 1"}', '', '' FROM n`,
    )
      .bind(owner.tenant)
      .run();
    expect(await problemOf(await post("/rules", { name: "x", expr: "x > 1" }))).toMatchObject({
      status: 403,
      detail: /one too many: a tenant has at most 100/,
    });
  });

  it("are tried without being made, on what is stored", async () => {
    const time = new Date(Date.now() - 10_000).toISOString();
    const points = [
      { host: "a", value: 90 },
      { host: "b", value: 10 },
    ];
    const rows = points.map(({ host, value }, index) => ({
      tenant: owner.tenant,
      offset: 0,
      index,
      record: { timestamp: time, name: "cpu", value, labels: { host } },
    }));
    const place = { group: "weir-storage", topic: `t-${owner.marker}`, partition: 0 };
    const store = createD1StreamStore(env.DB);
    const rawFloorDay = await store.rawFloorDay();
    await store.commit(partitionCommit(place, { next: positionAt(1), rows: { metrics: rows }, rawFloorDay }));
    const tried = await read(await post("/rules/test", { name: "x", expr: "cpu > 80" }), testedRuleShape);
    expect(tried.results.toSorted((x, y) => y.value - x.value)).toEqual([
      { labels: { host: "a" }, value: 90, violated: true },
      { labels: { host: "b" }, value: 10, violated: false },
    ]);
    const only = await read(
      await post("/rules/test", { name: "x", expr: 'cpu{host!="a"} > 80' }),
      testedRuleShape,
    );
    expect(only.results).toHaveLength(1);
    expect(
      (await read(await post("/rules/test", { name: "x", expr: "p95(cpu, 5m) > 80" }), testedRuleShape))
        .results,
    ).toEqual([]);
    expect(tried.error).toBeNull();
    expect(await get("/rules", alertRuleShape)).toEqual([]);
  });

  it("of the deployment are the operator's; its defaults are deleted as others", async () => {
    const ofDeployment = "?tenant=_deployment";
    expect(await problemOf(await ask("GET", `${PATH}/rules${ofDeployment}`))).toMatchObject({ status: 403 });
    const rules = await get(`/rules${ofDeployment}`, alertRuleShape, operator);
    expect(rules.map(({ id }) => id)).toEqual([
      "default-lag",
      "default-produce-p99",
      "default-dead-letters",
      "default-spill",
    ]);
    const body = { name: "Lag", expr: "lag() > 500", tenant: "_deployment" };
    expect(await problemOf(await post("/rules", body))).toMatchObject({ status: 403 });
    const made = await read(await post("/rules", body, operator), alertRuleShape, 201);
    expect(made.tenant).toBe("_deployment");
    const path = `${PATH}/rules/default-lag${ofDeployment}`;
    await read(await ask("DELETE", path, operator), alertRuleShape);
    expect((await ask("DELETE", path, operator)).status).toBe(404);
    const left = await get(`/rules${ofDeployment}`, alertRuleShape, operator);
    expect(left.map(({ id }) => id)).not.toContain("default-lag");
    expect(left.map(({ id }) => id)).toContain(made.id);
  });
});

describe("alerts", () => {
  it("are what is active, with silences as they are now, and the history by state", async () => {
    await storeAlerts(owner);
    const active = await get("", alertShape);
    expect(active).toMatchObject([
      { state: "firing", rule: alertIds(owner).rule, labels: { host: owner.marker }, silenced: true },
    ]);
    expect(await get("?state=firing", alertShape)).toEqual([{ ...active[0], silenced: false }]);
    expect(await get("?state=resolved", alertShape)).toEqual([]);
    await read(await ask("DELETE", `${PATH}/rules/${alertIds(owner).rule}`), alertRuleShape);
    vi.spyOn(console, "info").mockImplementation(() => undefined);
    const options = { nowMs: Date.now(), latency: new ProduceLatency(), context: createExecutionContext() };
    await judgeTenant(env, owner.tenant, options);
    expect(await get("", alertShape)).toEqual([]);
    expect((await get("?state=all", alertShape)).map(({ state }) => state)).toEqual(["resolved", "firing"]);
    vi.restoreAllMocks();
  });

  it("come in pages, each once", async () => {
    await env.DB.prepare(
      `INSERT INTO alert_transitions (id, tenant, state, at_ms, alert)
       WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
       SELECT ?1 || '/r/f/' || i, ?1, 'firing', i / 3, json_object('i', i) FROM n`,
    )
      .bind(owner.tenant)
      .run();
    const seen: number[] = [];
    let next: string | undefined = `${PATH}?state=all&limit=7`;
    while (next !== undefined) {
      const response: Response = await ask("GET", next);
      seen.push(...(await response.json<{ i: number }[]>()).map(({ i }) => i));
      next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    }
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBe(25);
    expect(seen.map((i) => Math.floor(i / 3))).toEqual(
      seen.map((i) => Math.floor(i / 3)).toSorted((a, b) => b - a),
    );
  });

  it.each([
    ["?state=loud", "state"],
    ["?cursor=nonsense", "cursor"],
    ["?limit=0", "limit"],
    ["?severity=x", "severity"],
  ])("with %s are refused", async (query, path) => {
    expect(await problemOf(await ask("GET", `${PATH}${query}`))).toMatchObject({
      status: 400,
      errors: [{ path }],
    });
  });
});

describe("silences", () => {
  it("are made, listed and ended", async () => {
    const body = {
      matchers: [{ name: "host", value: "a" }],
      starts_at: "2126-01-01T00:00:00+01:00",
      ends_at: "2126-01-02T00:00:00Z",
      comment: "moving",
    };
    const made = await read(await post("/silences", body), silenceShape, 201);
    expect(made).toMatchObject({
      state: "pending",
      starts_at: "2125-12-31T23:00:00.000Z",
      matchers: [{ name: "host", op: "=", value: "a" }],
    });
    expect(made.author).toBe(made.created_by);
    expect(await get("/silences", silenceShape)).toEqual([made]);
    const ended = await read(await ask("DELETE", `${PATH}/silences/${made.id}`), silenceShape);
    expect(ended.state).toBe("expired");
    expect(await get("/silences", silenceShape)).toEqual([]);
    expect(await get("/silences?expired=true", silenceShape)).toEqual([ended]);
  });

  it.each([
    [{ ends_at: "2020-01-01T00:00:00Z" }, "ends_at", 400],
    [{ starts_at: "2127-01-01T00:00:00Z" }, "ends_at", 400],
    [{ matchers: [] }, "matchers", 400],
    [{ comment: undefined }, "comment", 400],
    [{ matchers: [{ name: "a", op: "=~", value: ".*" }] }, "matchers[0].op", 400],
  ])("with %j are refused", async (fields, path, status) => {
    const body = {
      matchers: [{ name: "a", value: "b" }],
      ends_at: "2126-01-02T00:00:00Z",
      comment: "c",
      ...fields,
    };
    expect(await problemOf(await post("/silences", body))).toMatchObject({ status, errors: [{ path }] });
  });
});

describe("notifiers", () => {
  const body = { name: "hook", kind: "webhook", url: "https://hooks.example.com/T0/very-secret" };

  it("are made, listed by their hosts, and deleted with what was to be sent", async () => {
    const response = await post("/notifiers", body);
    const made = await read(response, madeNotifierShape, 201);
    expect(made).toMatchObject({
      host: "hooks.example.com",
      kind: "webhook",
      sent_total: 0,
      last_error: null,
    });
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { secret: _, ...told } = made;
    expect(await get("/notifiers", notifierShape)).toEqual([told]);
    expect(JSON.stringify([made, told])).not.toContain("very-secret");
    await env.DB.prepare("INSERT INTO alert_outbox VALUES (?, ?, ?, '{}', 0, 0, 0)")
      .bind(crypto.randomUUID(), owner.tenant, made.id)
      .run();
    expect(await read(await ask("DELETE", `${PATH}/notifiers/${made.id}`), notifierShape)).toEqual(told);
    const left = env.DB.prepare("SELECT count(*) AS n FROM alert_outbox WHERE target = ?").bind(made.id);
    expect(await left.first("n")).toBe(0);
    expect(await get("/notifiers", notifierShape)).toEqual([]);
  });

  it.each([
    "https://169.254.169.254/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://2130706433:444/x",
    "ftp://a.example.com/",
  ])("at %s are refused", async (url) => {
    const production = { ...env, ENVIRONMENT: "production", ALERT_WEBHOOK_SECRET: "s".repeat(32) };
    const text = JSON.stringify({ ...body, url });
    const problem = await problemOf(await ask("POST", `${PATH}/notifiers`, key, text, production));
    expect(problem).toMatchObject({ status: 400, errors: [{ path: "url" }] });
  });

  it("with signatures need the deployment's secret, outside of development", async () => {
    const production = { ...env, ENVIRONMENT: "production" };
    const text = JSON.stringify(body);
    const problem = await problemOf(await ask("POST", `${PATH}/notifiers`, key, text, production));
    expect(problem).toMatchObject({ status: 503, code: "misconfigured", detail: /ALERT_WEBHOOK_SECRET/ });
  });
});

describe("between tenants", () => {
  const walls = alertWalls((method, path, as, body) => ask(method, path, as, body));

  it.each(Object.keys(walls))("%s has a wall", async (name) => {
    await storeAlerts(owner);
    const stranger = await storeKey(newTenant().tenant, ["ingest", "query", "admin"]);
    const wall = walls[name];
    if (wall && "writes" in wall) return await wall.writes(owner, stranger);
    for (const path of wall?.reads(owner) ?? []) {
      expect(await (await ask("GET", path)).text()).toContain(owner.marker);
      expect((await (await ask("GET", path, stranger)).text()).replaceAll(path, "")).not.toContain(
        owner.marker,
      );
    }
    return undefined;
  });

  it("reading takes query, writing admin", async () => {
    const reader = await storeKey(owner.tenant, ["query"]);
    const admin = await storeKey(owner.tenant, ["admin"]);
    expect((await ask("GET", PATH, admin)).status).toBe(403);
    expect((await ask("GET", PATH, reader)).status).toBe(200);
    const rule = JSON.stringify({ name: "x", expr: "x > 1" });
    expect((await ask("POST", `${PATH}/rules`, reader, rule)).status).toBe(403);
    expect((await ask("POST", `${PATH}/rules`, admin, rule)).status).toBe(201);
  });
});
