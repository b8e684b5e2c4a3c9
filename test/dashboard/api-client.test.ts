import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createApi, nextPage } from "../../dashboard/data/api-client.ts";
import { parseDeadLetters } from "../../dashboard/data/dead-letters.ts";
import { MetricFeed } from "../../dashboard/data/metric-feed.ts";
import { parseLag, parseLogs, parseMetrics, parseStatus } from "../../dashboard/data/shapes.ts";
import { type FixtureServer, startFixtureServer } from "./fixture-server.ts";

let server: FixtureServer;
beforeEach(async () => {
  server = await startFixtureServer();
});
afterEach(() => server.close());

const apiTo = (origin: string, now: () => number = Date.now) =>
  createApi({ origin, key: () => "weir_a_b", fetch, now });

describe("the API client", () => {
  it("reads the answers of the contract", async () => {
    const api = apiTo(server.origin);
    const logs = await api.get("/api/v1/logs?limit=3", parseLogs);
    expect(logs.ok && logs.value.map(({ level }) => level)).toHaveLength(3);
    const lag = await api.get("/api/v1/lag", parseLag);
    expect(lag.ok && lag.value).toHaveLength(12);
    const status = await api.get("/kafka/status", parseStatus);
    expect(status).toMatchObject({
      value: { producer: "connected", consumer: "running", transport: "rest-v2", acks: "all" },
    });
  });

  it.each([
    ["unauthorized", "unauthorized", 401],
    ["query-only", "forbidden", 403],
    ["failing", "failed", 503],
  ] as const)("turns a %s answer into a problem of its kind", async (scenario, kind, status) => {
    server.scenario = scenario;
    const answer = await apiTo(server.origin).get("/api/v1/lag", parseLag);
    expect(answer).toMatchObject({ ok: false, problem: { kind, status } });
  });

  it("keeps the code, the detail and Retry-After of a problem", async () => {
    server.scenario = "failing";
    const answer = await apiTo(server.origin).get("/api/v1/lag", parseLag);
    expect(answer).toMatchObject({
      problem: { code: "storage_unavailable", detail: "D1 does not answer", retryAfterMs: 2_000 },
    });
  });

  it("says unreachable when nobody answers, without the key in it", async () => {
    const { origin } = server;
    await server.close();
    const answer = await apiTo(origin).get("/api/v1/lag", parseLag);
    expect(answer).toMatchObject({ ok: false, problem: { kind: "unreachable" } });
    expect(JSON.stringify(answer)).not.toContain("weir_a_b");
    server = await startFixtureServer();
  });

  it("tells an answer that takes too long from a server that is away", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const api = apiTo(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    const answer = await api.get("/kafka/status", parseStatus, { timeoutMs: 50 });
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
    expect(answer).toMatchObject({ ok: false, problem: { kind: "slow", status: 0 } });
  });

  it("says more where a list goes on", async () => {
    server.scenario = "dead-letters";
    const some = await apiTo(server.origin).get("/api/v1/dlq?limit=50", parseDeadLetters);
    expect(some.ok && [some.value.length, some.next]).toEqual([50, "/api/v1/dlq?limit=50&cursor=x"]);
    const all = await apiTo(server.origin).get("/api/v1/dlq?limit=100", parseDeadLetters);
    expect(all.ok && [all.value.length, all.next]).toEqual([64, undefined]);
  });

  it("does not take another program's page for an answer", async () => {
    const answer = await apiTo(server.origin).get("/kafka/status", parseLogs);
    expect(answer).toMatchObject({ ok: false, problem: { kind: "failed", code: "unknown_shape" } });
  });

  it("goes by the server's clock when the viewer's is wrong", async () => {
    const hourMs = 3_600_000;
    const api = apiTo(server.origin, () => Date.now() - hourMs);
    await api.get("/api/v1/lag", parseLag);
    expect(Math.abs(api.nowMs() - Date.now())).toBeLessThan(2_500);
    const right = apiTo(server.origin);
    await right.get("/api/v1/lag", parseLag);
    expect(Math.abs(right.nowMs() - Date.now())).toBeLessThan(50);
  });

  it("follows a next page on its own origin only", () => {
    const origin = "https://weir.example";
    expect(nextPage('</api/v1/logs?cursor=x>; rel="next"', origin)).toBe("/api/v1/logs?cursor=x");
    expect(
      nextPage('<https://weir.example/a>; rel="prev", <https://weir.example/b?c>; rel="next"', origin),
    ).toBe("/b?c");
    for (const link of [null, "", '<https://evil.example/x>; rel="next"', '</x>; rel="prev"']) {
      expect(nextPage(link, origin)).toBeUndefined();
    }
  });
});

describe("the feed of a metric", () => {
  it("loads the span with its pages at first, and then only what is new", async () => {
    server.scenario = "fleet";
    const feed = new MetricFeed("network_receive_bytes_per_second", { sum: true });
    const api = apiTo(server.origin);
    const first = await feed.refresh(api);
    // Four hosts with two interfaces each, every 5 s for 15 min: more than one page, one line a host.
    expect(server.asked.length).toBe(2);
    expect(first.ok && first.value.map(({ label }) => label)).toEqual([
      "db-primary.internal",
      "web-1",
      "web-2",
      "worker-7",
    ]);
    const points = first.ok ? (first.value[0]?.values.length ?? 0) : 0;
    expect(points).toBeGreaterThan(175);
    const second = await feed.refresh(api);
    expect(server.asked).toHaveLength(3);
    expect(server.asked[2]).toMatch(/from=\d{4}-/);
    // The server writes a sample every 5 s of its own clock, and the span moves on with it.
    expect(Math.abs((second.ok ? (second.value[0]?.values.length ?? 0) : 0) - points)).toBeLessThanOrEqual(1);
  });
});

describe("odd answers", () => {
  it("lose only the odd entry", () => {
    const good = {
      name: "n",
      value: 1,
      labels: { host: "h", odd: 5 },
      timestamp: "2026-11-21T10:00:00.000Z",
    };
    const odd = [
      null,
      5,
      "x",
      { ...good, value: "1" },
      { ...good, timestamp: "soon" },
      { ...good, value: null },
    ];
    expect(parseMetrics([...odd, good])).toEqual([
      { value: 1, atMs: Date.parse(good.timestamp), labels: { host: "h", odd: "5" } },
    ]);
    expect(parseLogs([{ timestamp: good.timestamp, message: { a: 1 }, level: null }])).toEqual([
      {
        atMs: Date.parse(good.timestamp),
        level: "",
        message: '{"a":1}',
        service: "",
        host: "",
        attributes: {},
      },
    ]);
    expect(parseMetrics({ metrics: [] })).toBeUndefined();
  });

  it("of a server that answers HTML are a problem, not an exception", async () => {
    const other = createServer((_, response) => response.end("<html>"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const answer = await apiTo(`http://127.0.0.1:${(other.address() as AddressInfo).port}`).get(
      "/api/v1/lag",
      parseLag,
    );
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
    expect(answer).toMatchObject({ ok: false, problem: { code: "unknown_shape" } });
  });
});
