// The document at /openapi.json: whole, and true. What each GET answers fits the shape that the document has of it, and
// what the document says of parameters is what the endpoints take.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import type { z } from "zod";
import { app } from "../../functions/app.ts";
import { definitionOf, type RouteDefinition } from "../../functions/define-route.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { problemShape } from "../../lib/http/problem-shape.ts";
import { alertIds, storeAlerts } from "../support/worker/stored-alerts.ts";
import { newTenant, storeKey, storeRecords } from "../support/worker/stored-tenant.ts";

interface Operation {
  operationId: string;
  tags: string[];
  security: Record<string, string[]>[];
  parameters?: { name: string; in: string; required: boolean; schema: Record<string, unknown> }[];
  requestBody?: { content: object };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema?: object }> }>;
}
interface Document {
  openapi: string;
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, object>>;
}

async function ask(
  path: string,
  key = DEV_KEY,
  method = "GET",
  body?: string,
  settings: Record<string, string> = {},
): Promise<Response> {
  const context = createExecutionContext();
  const headers = { ...(key === "" ? {} : { Authorization: key }), "Content-Type": "application/json" };
  const init = { method, headers, ...(body === undefined ? {} : { body }) };
  const response = await app.fetch(
    new Request(`http://weir.test${path}`, init),
    Object.keys(settings).length > 0 ? { ...env, ...settings } : env,
    context,
  );
  await waitOnExecutionContext(context);
  return response;
}

const definitions = new Set(
  app.routes
    .map(({ handler }) => definitionOf(handler))
    .filter((one): one is RouteDefinition => one !== undefined),
);
const nameOf = ({ method, path }: RouteDefinition) => `${method.toUpperCase()} ${path}`;
const gets = [...definitions].filter(({ method }) => method === "get");

const stored = newTenant();
/** Of this file's own, since what is written to it cannot be read as a record. */
const topic = `t.${crypto.randomUUID()}`;
let key: string;
let document: Document;

beforeAll(async () => {
  await fetch("http://control.test/topics", {
    method: "POST",
    body: JSON.stringify({ name: topic, partitions: 3 }),
  });
  document = await (await ask("/openapi.json", "")).json();
  key = await storeKey(stored.tenant, ["query", "admin"], { name: stored.marker });
  await storeRecords(stored);
  await storeAlerts(stored);
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe("the document", () => {
  it("is OpenAPI 3.1, and the same at each time", async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    const [first, second] = [await ask("/openapi.json", ""), await ask("/openapi.json", "")];
    expect(first.headers.get("content-type")).toBe("application/json");
    expect(await first.text()).toBe(await second.text());
  });

  it("holds every route of the table, under its own name", () => {
    const told = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    const there = app.routes
      .filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(told.toSorted()).toEqual([...new Set(there)].toSorted());
    const names = operations().map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
  });

  it("points at nothing that is not in it", () => {
    const refs = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
    expect(refs.length).toBeGreaterThan(10);
    for (const ref of new Set(refs)) {
      const [, kind = "", name = ""] = /#\/components\/(\w+)\/([\w-]+)"$/.exec(ref) ?? [];
      expect(document.components[kind]?.[name], ref).toBeDefined();
    }
    const tags = document.tags.map(({ name }) => name);
    for (const { operation } of operations()) {
      expect(tags).toEqual(expect.arrayContaining(operation.tags));
      for (const scheme of operation.security.flatMap((one) => Object.keys(one)))
        expect(document.components["securitySchemes"]).toHaveProperty(scheme);
    }
  });

  it("names the parameters of each path", () => {
    for (const { path, operation } of operations()) {
      const inPath = (operation.parameters ?? []).filter((one) => one.in === "path");
      expect(inPath.every(({ required }) => required)).toBe(true);
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
    }
  });

  it("has no shape of which nothing is known", () => {
    for (const { path, method, operation } of operations())
      for (const [status, { content = {} }] of Object.entries(operation.responses))
        for (const [type, { schema }] of Object.entries(content))
          // Bytes have none ("Considerations for File Uploads").
          expect(Object.keys(schema ?? { bytes: true }), `${method} ${path} ${status} ${type}`).not.toEqual(
            [],
          );
  });
});

/** Where a GET answers 200, with the key's tenant's records or with the development key. */
const EXAMPLES: Record<string, () => string[]> = {
  "GET /healthz": () => ["/healthz"],
  "GET /openapi.json": () => ["/openapi.json"],
  "GET /kafka/status": () => ["/kafka/status"],
  "GET /metrics": () => ["/metrics"],
  "GET /api/v1/lag": () => ["/api/v1/lag"],
  "GET /api/v1/metrics": () => ["/api/v1/metrics"],
  "GET /api/v1/metrics/names": () => ["/api/v1/metrics/names"],
  "GET /api/v1/logs": () => ["/api/v1/logs"],
  "GET /api/v1/events": () => ["/api/v1/events"],
  "GET /api/v1/traces": () => ["/api/v1/traces"],
  "GET /api/v1/metrics/windows": () => [`/api/v1/metrics/windows?name=${stored.marker}&window=5m`],
  "GET /api/v1/admin/groups": () => ["/api/v1/admin/groups"],
  "GET /api/v1/admin/groups/:group": () => ["/api/v1/admin/groups/weir-storage"],
  "GET /api/v1/stats": () => ["/api/v1/stats"],
  "GET /api/v1/alerts": () => ["/api/v1/alerts", "/api/v1/alerts?state=all"],
  "GET /api/v1/alerts/rules": () => ["/api/v1/alerts/rules"],
  "GET /api/v1/alerts/rules/:id": () => [`/api/v1/alerts/rules/${alertIds(stored).rule}`],
  "GET /api/v1/alerts/silences": () => ["/api/v1/alerts/silences"],
  "GET /api/v1/alerts/notifiers": () => ["/api/v1/alerts/notifiers"],
  "GET /api/v1/traces/:id": () => [`/api/v1/traces/${stored.traceId}`],
  "GET /api/v1/dlq": () => ["/api/v1/dlq"],
  "GET /api/v1/dlq/:group/:topic/:incarnation/:partition/:offset/:index": () => [
    `/api/v1/dlq/group-${stored.marker}/topic-${stored.marker}/1/0/0/-1`,
  ],
  "GET /api/v1/ledger": () => ["/api/v1/ledger"],
  "GET /api/v1/topics": () => ["/api/v1/topics?limit=1000"],
  "GET /api/v1/admin/topics": () => ["/api/v1/admin/topics"],
  "GET /api/v1/admin/topics/:topic": () => ["/api/v1/admin/topics/logs.raw"],
  "GET /api/v1/topics/:topic/messages": () => [
    `/api/v1/topics/${topic}/messages`,
    `/api/v1/topics/${topic}/messages?from=earliest`,
  ],
  "GET /api/v1/admin/keys": () => ["/api/v1/admin/keys"],
};

describe("what is answered", () => {
  const keyFor = ({ scope }: RouteDefinition) => (scope === "operator" ? DEV_KEY : key);

  it.each(gets.map((one) => [nameOf(one), one] as const))(
    "at %s has the shape it says",
    async (name, one) => {
      const paths = EXAMPLES[name]?.();
      if (!paths)
        throw new Error(
          `${name} has no example. Add a path at which it answers 200, with as much as it can tell, to EXAMPLES here.`,
        );
      if (name.includes("/messages")) {
        const message = {
          messages: [
            { key: "k", value: "by hand" },
            { value: "/w==", encoding: "base64" },
          ],
        };
        const written = await ask(paths[0] ?? "", DEV_KEY, "POST", JSON.stringify(message));
        expect(written.status).toBe(200);
      }
      for (const path of paths) {
        const response = await ask(path, keyFor(one));
        expect(response.status, path).toBe(200);
        const shape = one.answers[200]?.content;
        // A text (Prometheus) has no shape beyond its content type.
        if (shape === undefined || !("_zod" in shape)) {
          expect(Object.keys(shape ?? {})).toContain(response.headers.get("content-type")?.split(";")[0]);
          continue;
        }
        const body: unknown = await response.json();
        if (Array.isArray(body)) expect(body.length, path).toBeGreaterThan(0);
        // What a shape does not know it leaves out: so nothing is told that is not in the document.
        expect((shape as z.ZodType).parse(body)).toEqual(body);
      }
    },
  );

  it("by a POST of messages and of topics has the shape it says, too", async () => {
    const shapeOf = (name: string, status: number) =>
      [...definitions].find((one) => one.name === name)?.answers[status]?.content as z.ZodType;
    const partly = { messages: [{ value: "good" }, { value: 7 }, { value: "x", partition: 999 }] };
    const path = `/api/v1/topics/${topic}/messages`;
    const written = await ask(path, DEV_KEY, "POST", JSON.stringify(partly));
    expect(written.status).toBe(207);
    const body: unknown = await written.json();
    expect(shapeOf("writeMessages", 207).parse(body)).toEqual(body);
    const made = await ask("/api/v1/admin/topics/init", DEV_KEY, "POST", undefined, {
      // Other files count on topics that are missing from the Kafka they share.
      TOPIC_TEMPLATE: `${crypto.randomUUID()}.{signal}.{stage}`,
    });
    expect([200, 207]).toContain(made.status);
    const report: unknown = await made.json();
    expect(shapeOf("initTopics", made.status).parse(report)).toEqual(report);
  });

  it.each(gets.map((one) => [nameOf(one), one] as const))(
    "at %s as a refusal is a problem that the document lists",
    async (_, one) => {
      const path = one.path.replaceAll(/:\w+/g, "no%20such");
      const refused = [
        await ask(path, ""),
        await ask(path, "weir_nobody_aaaaaaaaaaaaaaaaaaaaaaaa"),
        await ask(`${path}?no_such_parameter=1`, DEV_KEY),
        await ask(path, DEV_KEY),
      ].filter(({ status }) => status >= 400);
      const listed = document.paths[one.path.replaceAll(/:(\w+)/g, "{$1}")]?.["get"]?.responses ?? {};
      for (const response of refused) {
        expect(Object.keys(listed)).toContain(String(response.status));
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        const body: unknown = await response.json();
        expect(problemShape.parse(body)).toEqual(body);
      }
      expect(refused.length).toBeGreaterThanOrEqual(one.scope === "none" ? 0 : 2);
    },
  );
});

describe("what is said of parameters", () => {
  const queried = gets.filter(({ query }) => query !== undefined);
  const OUTSIDE: Record<string, string[]> = {
    limit: ["0", "1001", "x", "-1", "1.5"],
    cursor: ["!", "abc"],
    from: ["yesterday", "15m", "-"],
    to: ["yesterday", "15m", "-"],
    min_duration_ms: ["-1", "1e13", "x"],
    status: ["fine"],
    partition: ["-1", "1000000", "x"],
    minutes: ["0", "1441", "x"],
    window: ["7m"],
    agg: ["median"],
    step: ["7x"],
  };
  const INSIDE: Record<string, string[]> = {
    limit: ["1", "1000"],
    from: ["-15m", "now", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00.5%2B02:00", "1700000000", "-15"],
    to: ["-15m", "now", "2026-11-20T10:00:00Z", "1700000000000"],
    min_duration_ms: ["0", "1.5", "1000000000000"],
    status: ["unset", "ok", "error"],
    partition: ["0"],
    minutes: ["1", "1440"],
    window: ["5m", "300s"],
    agg: ["avg,p95"],
    step: ["6h"],
    by: ["", "host"],
  };
  /** An offset there, not a time. */
  const isOffset = (name: string, path: string) => name === "from" && path.endsWith("/messages");

  it.each(queried.map((one) => [nameOf(one), one] as const))("holds at %s", async (_, one) => {
    const path = one.path.replaceAll(/:\w+/g, "logs.raw");
    const shapes: Record<string, unknown> = one.query?.shape ?? {};
    const base = one.name === "listWindows" ? "name=cpu&" : "";
    for (const name of Object.keys(shapes)) {
      const inside = isOffset(name, path) ? ["earliest", "latest"] : (INSIDE[name] ?? []);
      for (const value of inside)
        expect((await ask(`${path}?${base}${name}=${value}`)).status, `${name}=${value}`).toBe(200);
      const outside = isOffset(name, path) ? ["now", "-15m", "-1"] : (OUTSIDE[name] ?? []);
      if (name === "cursor" && one.name === "listMetricNames") outside.pop();
      for (const value of outside)
        expect((await ask(`${path}?${base}${name}=${value}`)).status, `${name}=${value}`).toBe(400);
    }
    expect((await ask(`${path}?${base}no_such_parameter=1`)).status).toBe(400);
  });

  it("of labels: as often as a metric may have them", async () => {
    const labels = (count: number) => Array.from({ length: count }, (_, i) => `label.l${i}=x`).join("&");
    expect((await ask(`/api/v1/metrics?${labels(30)}`)).status).toBe(200);
    expect((await ask(`/api/v1/metrics?${labels(31)}`)).status).toBe(400);
    const [labelsParameter] = (document.paths["/api/v1/metrics"]?.["get"]?.parameters ?? []).filter(
      ({ name }) => name === "labels",
    );
    expect(labelsParameter).toMatchObject({ style: "form", explode: true, schema: { maxProperties: 30 } });
  });
});
