// The queries of traces and of metrics' names over HTTP: pages, filters, refusals, and who sees what.
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import type { StoredMetricName, StoredTrace } from "../../lib/storage/storage.ts";
import type { Metric } from "../../lib/telemetry/metric.ts";
import type { Span } from "../../lib/telemetry/span.ts";
import { partitionCommit } from "../contract/partition-commit.ts";
import { problemOf, send } from "../support/worker/client.ts";
import { newTenant, storeKey, storeRecords } from "../support/worker/stored-tenant.ts";

const START_MS = Date.parse("2026-11-20T10:00:00.000Z");

let tenant: string;
let authorization: { Authorization: string };
beforeEach(async () => {
  tenant = `t-${crypto.randomUUID()}`;
  authorization = { Authorization: `Bearer ${await storeKey(tenant, ["query"])}` };
});

const get = async (path: string, headers: Record<string, string> = authorization) =>
  await send(path, { headers });

async function list<T>(path: string): Promise<T[]> {
  const response = await get(path);
  expect(response.status).toBe(200);
  return await response.json();
}

/** All pages, by the Link of each. */
async function pages<T>(path: string): Promise<T[][]> {
  const found: T[][] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const response = await get(next);
    expect(response.status).toBe(200);
    found.push(await response.json());
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return found;
}

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, "0");

function span(trace: number, fields: Partial<Span> = {}): Span {
  return {
    timestamp: new Date(START_MS + trace * 1_000).toISOString(),
    duration_ns: "1500000",
    trace_id: hex(0xabc0 + trace, 32),
    span_id: hex(trace + 1, 16),
    name: `root ${trace}`,
    kind: "server",
    status: "unset",
    attributes: {},
    detail: {},
    ...fields,
  };
}

async function store(rows: { traces?: Span[]; metrics?: Metric[] }, of = tenant): Promise<void> {
  const row = <T>(record: T, index: number) => ({ tenant: of, offset: 0, index, record });
  const id = { group: crypto.randomUUID(), topic: crypto.randomUUID(), partition: 0 };
  const commit = partitionCommit(id, {
    rows: {
      metrics: (rows.metrics ?? []).map(row),
      traces: (rows.traces ?? []).map((record, i) => row(record, 10_000 + i)),
    },
  });
  await createD1StreamStore(env.DB).commit(commit);
}

describe("the list of traces", () => {
  it("comes in pages, newest first, each trace once", async () => {
    await store({ traces: Array.from({ length: 7 }, (_, i) => span(i)) });
    const found = await pages<StoredTrace & { timestamp: string }>("/api/v1/traces?limit=3");
    expect(found.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(found.flat().map(({ name }) => name)).toEqual([6, 5, 4, 3, 2, 1, 0].map((i) => `root ${i}`));
    expect(found[2]?.[0]).toEqual({
      timestamp: "2026-11-20T10:00:00.000Z",
      trace_id: hex(0xabc0, 32),
      name: "root 0",
      service: null,
      status: "unset",
      duration_ms: 1.5,
      span_count: 1,
      error_count: 0,
      services: [],
    });
  });

  it("is filtered by what its roots are, and the filter holds on the next page", async () => {
    const traces = Array.from({ length: 8 }, (_, i) =>
      span(i, { service: i % 2 ? "web" : "api", status: i < 4 ? "error" : "ok", duration_ns: `${i}000000` }),
    );
    await store({ traces });
    const names = async (query: string) =>
      (await list<StoredTrace>(`/api/v1/traces?${query}`)).map(({ name }) => Number(name.slice(5)));
    expect(await names("service=api")).toEqual([6, 4, 2, 0]);
    expect(await names("status=error&service=web")).toEqual([3, 1]);
    expect(await names("min_duration_ms=5.5")).toEqual([7, 6]);
    expect(await names("name=root%202")).toEqual([2]);
    expect(await names("from=2026-11-20T10:00:06Z")).toEqual([7, 6]);
    expect(await names("to=2026-11-20T10:00:01Z")).toEqual([0]);
    const paged = await pages<StoredTrace>("/api/v1/traces?service=api&limit=2&min_duration_ms=1");
    expect(paged.map((page) => page.map(({ name }) => name))).toEqual([["root 6", "root 4"], ["root 2"]]);
  });

  it.each([
    ["status=bad", "status"],
    ["status=", "status"],
    ["min_duration_ms=x", "min_duration_ms"],
    ["min_duration_ms=", "min_duration_ms"],
    ["min_duration_ms=-1", "min_duration_ms"],
    ["min_duration_ms=Infinity", "min_duration_ms"],
    ["limit=0", "limit"],
    ["cursor=x", "cursor"],
    ["servise=api", "servise"],
  ])("refuses %s", async (query, path) => {
    const problem = await problemOf(await get(`/api/v1/traces?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_query", errors: [{ path }] });
  });
});

describe("one trace", () => {
  it("has its spans in order, found by its id in either case", async () => {
    const root = span(1, { timestamp: "2026-11-20T10:00:00.000000002Z", service: "api", host: "web-1" });
    const child = span(1, {
      timestamp: "2026-11-20T10:00:00.000000003Z",
      span_id: hex(99, 16),
      parent_span_id: root.span_id,
      kind: "client",
      detail: { otlp: { span: { name: "x" } } },
    });
    await store({ traces: [child, root] });
    const wanted = {
      trace_id: root.trace_id,
      spans: [
        { timestamp: root.timestamp, span_id: root.span_id, parent_span_id: null, service: "api" },
        { timestamp: child.timestamp, parent_span_id: root.span_id, detail: child.detail },
      ],
    };
    for (const id of [root.trace_id, root.trace_id.toUpperCase()]) {
      const response = await get(`/api/v1/traces/${id}`);
      const trace: { truncated?: boolean } = await response.json();
      expect(trace).toMatchObject(wanted);
      expect(trace).not.toHaveProperty("truncated");
    }
  });

  it("of more spans than are told says so", async () => {
    await store({
      traces: Array.from({ length: 10_001 }, (_, i) => span(1, { span_id: hex(i + 1, 16) })),
    });
    const response = await get(`/api/v1/traces/${span(1).trace_id}`);
    const trace: { truncated?: boolean; spans: unknown[] } = await response.json();
    expect(trace.spans).toHaveLength(10_000);
    expect(trace.truncated).toBe(true);
  });

  it.each(["abc", "g".repeat(32), `${hex(1, 32)}0`, `${hex(1, 31)} `])("refuses the id %s", async (id) => {
    const problem = await problemOf(await get(`/api/v1/traces/${encodeURIComponent(id)}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_query" });
  });

  it("that is not there, or another tenant's, is 404", async () => {
    const other = newTenant();
    await storeRecords(other);
    for (const id of [hex(5, 32), other.traceId]) {
      expect(await problemOf(await get(`/api/v1/traces/${id}`))).toMatchObject({
        status: 404,
        code: "not_found",
      });
    }
    // One id at two tenants: each sees its own spans.
    await store({ traces: [span(1, { trace_id: other.traceId, name: "mine" })] });
    const text = await (await get(`/api/v1/traces/${other.traceId}`)).text();
    expect(JSON.parse(text)).toMatchObject({ spans: [{ name: "mine" }] });
    expect(text).not.toContain(other.marker);
    expect(await (await get("/api/v1/traces")).text()).not.toContain(other.marker);
  });
});

describe("the names of metrics", () => {
  const point = (name: string, fields: Partial<Metric> = {}): Metric => ({
    timestamp: "2026-11-20T10:00:00.000Z",
    name,
    value: 1,
    labels: {},
    ...fields,
  });

  it("come in pages, in their order, whatever signs they are of", async () => {
    const names = ["a b", "a&b=c", "a+b", "disk", "größe", "日本", "🚀"];
    await store({ metrics: names.flatMap((name) => [point(name), point(name)]) });
    const found = await pages<StoredMetricName>("/api/v1/metrics/names?limit=2");
    expect(found.flat().map(({ name }) => name)).toEqual(names);
    const prefixed = await pages<StoredMetricName>(
      `/api/v1/metrics/names?limit=1&prefix=${encodeURIComponent("a")}`,
    );
    expect(prefixed.flat().map(({ name }) => name)).toEqual(["a b", "a&b=c", "a+b"]);
  });

  it("tell the newest point's kind and time, of the tenant's own points only", async () => {
    await store({
      metrics: [
        point("cpu", { kind: "gauge" }),
        point("cpu", { timestamp: "2026-11-20T11:00:00.000000001Z", kind: "counter" }),
        point("untold", { value: null }),
      ],
    });
    const other = newTenant();
    await storeRecords(other);
    expect(await list("/api/v1/metrics/names")).toEqual([
      { name: "cpu", kind: "counter", last_timestamp: "2026-11-20T11:00:00.000000001Z" },
      { name: "untold", kind: null, last_timestamp: "2026-11-20T10:00:00.000Z" },
    ]);
    expect(await list(`/api/v1/metrics/names?prefix=${other.marker}`)).toEqual([]);
  });

  it.each([
    ["limit=1001", "limit"],
    ["cursor=*", "cursor"],
    ["cursor=_w", "cursor"],
    ["name=cpu", "name"],
  ])("refuse %s", async (query, path) => {
    const problem = await problemOf(await get(`/api/v1/metrics/names?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_query", errors: [{ path }] });
  });
});
