// GET /api/v1/metrics/windows, and names that stand for windows in GET /api/v1/metrics, against D1.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { app } from "../../functions/app.ts";
import { windowsShape } from "../../lib/http/query-shape.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import type { StoredWindow, WindowChanges } from "../../lib/storage/storage.ts";
import { emptyPartial, fold } from "../../lib/windows/partial.ts";
import { encodePartial } from "../../lib/windows/partial-codec.ts";
import { seriesId } from "../../lib/windows/series.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { problemOf } from "../support/worker/client.ts";
import { newTenant, storeKey } from "../support/worker/stored-tenant.ts";

const DAY = Date.parse("2026-11-21T00:00:00.000Z");
const MINUTE = 60_000;

let tenant: string;
let key: string;

beforeEach(async () => {
  ({ tenant } = newTenant());
  key = await storeKey(tenant, ["query"]);
});

async function get(path: string): Promise<Response> {
  const context = createExecutionContext();
  const response = await app.request(path, { headers: { Authorization: `Bearer ${key}` } }, env, context);
  await waitOnExecutionContext(context);
  return response;
}

async function windowsAt(path: string) {
  const response = await get(path);
  expect(response.status).toBe(200);
  return windowsShape.parse(await response.json());
}

/** Stores windows of one partition: values of a host in a window of so many minutes from a start. */
async function store(
  partition: number,
  windows: {
    host: string;
    startMs: number;
    minutes: number;
    values: number[];
    dueMs?: number | null;
    name?: string;
  }[],
): Promise<void> {
  const changes: WindowChanges = { put: [], removed: [], series: [] };
  for (const { host, startMs, minutes, values, dueMs = null, name = "cpu" } of windows) {
    const labels = { host, region: "eu" };
    const series = seriesId(tenant, name, labels);
    const partial = emptyPartial(partition);
    for (const [offset, value] of values.entries())
      fold(partial, {
        time: { ms: startMs + offset, ns: 0 },
        offset,
        index: 0,
        value: { kind: "number", value },
      });
    const window: StoredWindow = {
      tenant,
      name,
      series,
      window: minutes === 60 ? "1h" : `${minutes}m`,
      startMs,
      endMs: startMs + minutes * MINUTE,
      dueMs,
      revision: 1,
      state: encodePartial(partial),
    };
    changes.put.push(window);
    changes.series.push({ tenant, name, series, labels, day: Math.floor(startMs / 86_400_000) });
  }
  const id = { group: "weir-storage", topic: `metrics-${crypto.randomUUID()}`, partition };
  const next = positionAt(1);
  expect(await createD1StreamStore(env.DB).commit(partitionCommit(id, { next, windows: changes }))).toBe(
    "committed",
  );
}

describe("windows", () => {
  it("merges what partitions hold, newest first, with the figures that are asked for", async () => {
    await store(0, [
      { host: "a", startMs: DAY, minutes: 5, values: [1, 2, 3] },
      { host: "a", startMs: DAY + 5 * MINUTE, minutes: 5, values: [7], dueMs: DAY + 15 * MINUTE },
      { host: "b", startMs: DAY, minutes: 5, values: [100] },
    ]);
    await store(1, [{ host: "a", startMs: DAY, minutes: 5, values: [10] }]);
    expect(
      await windowsAt("/api/v1/metrics/windows?name=cpu&window=5m&agg=count,avg,max&label.host=a"),
    ).toEqual([
      {
        window_start: "2026-11-21T00:05:00.000Z",
        window_end: "2026-11-21T00:10:00.000Z",
        labels: { host: "a", region: "eu" },
        count: 1,
        avg: 7,
        max: 7,
        revision: 1,
        final: false,
      },
      {
        window_start: "2026-11-21T00:00:00.000Z",
        window_end: "2026-11-21T00:05:00.000Z",
        labels: { host: "a", region: "eu" },
        count: 4,
        avg: 4,
        max: 10,
        revision: 2,
        final: true,
      },
    ]);
    const merged = await windowsAt(
      "/api/v1/metrics/windows?name=cpu&window=5m&agg=sum&by=region&to=2026-11-21T00:05:00Z",
    );
    expect(merged).toMatchObject([{ labels: { region: "eu" }, sum: 116, revision: 3 }]);
    const longer = await windowsAt("/api/v1/metrics/windows?name=cpu&window=5m&agg=count,p50&by=&step=6h");
    expect(longer).toMatchObject([{ window_end: "2026-11-21T06:00:00.000Z", labels: {}, count: 6 }]);
  });

  it("is told page by page, by whole starts", async () => {
    const windows = Array.from({ length: 12 }, (_, i) => ({
      host: i % 2 === 0 ? "a" : "b",
      startMs: DAY + Math.floor(i / 2) * MINUTE,
      minutes: 1,
      values: [i],
    }));
    await store(0, windows);
    const all = [];
    let path: string | undefined = "/api/v1/metrics/windows?name=cpu&window=1m&agg=sum&limit=3&from=-400d";
    while (path !== undefined) {
      const response: Response = await get(path);
      const page = windowsShape.parse(await response.json());
      expect(page.length).toBeLessThanOrEqual(3);
      all.push(...page);
      path = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
    }
    expect(all.map(({ sum }) => sum).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      windows.map((_, i) => i),
    );
  });

  it("marks what is open", async () => {
    const startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000;
    await store(0, [{ host: "a", startMs, minutes: 60, values: [1], dueMs: startMs + 3_600_000 }]);
    const [window] = await windowsAt("/api/v1/metrics/windows?name=cpu&window=1h&agg=count");
    expect(window).toMatchObject({ partial: true, final: false });
  });

  it("keeps tenants apart", async () => {
    await store(0, [{ host: "a", startMs: DAY, minutes: 5, values: [1] }]);
    const other = newTenant();
    key = await storeKey(other.tenant, ["query"]);
    expect(await windowsAt("/api/v1/metrics/windows?name=cpu&window=5m")).toEqual([]);
    expect(await windowsAt("/api/v1/metrics/windows?name=cpu&window=5m&by=")).toEqual([]);
  });

  it("says which windows are kept where others are asked for", async () => {
    const problem = await problemOf(await get("/api/v1/metrics/windows?name=cpu&window=2m"));
    expect(problem).toMatchObject({ status: 400, code: "invalid_query" });
    expect(problem.detail).toMatch(/1m, 5m, 1h/);
    expect(await problemOf(await get("/api/v1/metrics/windows"))).toMatchObject({ status: 400 });
    expect(await problemOf(await get("/api/v1/metrics/windows?name=a&windw=5m"))).toMatchObject({
      status: 400,
    });
    expect((await get("/api/v1/metrics/windows?name=a&label.toString=1&by=constructor")).status).toBe(200);
  });
});

describe("names that stand for windows", () => {
  beforeEach(() =>
    store(0, [
      { host: "a", startMs: DAY, minutes: 5, values: [1, 2, 3] },
      { host: "a", startMs: DAY + 5 * MINUTE, minutes: 5, values: [8] },
      { host: "a", startMs: DAY, minutes: 60, values: [5] },
    ]),
  );

  it("work among the windows", async () => {
    const windows = await windowsAt("/api/v1/metrics/windows?name=cpu_avg_5min");
    expect(windows.map(({ avg }) => avg)).toEqual([8, 2]);
    expect(windows[0]).not.toHaveProperty("max");
    const hours = await windowsAt("/api/v1/metrics/windows?name=cpu_p95_1hour");
    expect(hours).toHaveLength(1);
  });

  it("work among the metrics, with pages", async () => {
    const response = await get("/api/v1/metrics?name=cpu_avg_5min&limit=1");
    expect(await response.json()).toEqual([
      {
        timestamp: "2026-11-21T00:05:00.000Z",
        name: "cpu_avg_5min",
        value: 8,
        labels: { host: "a", region: "eu" },
        detail: {
          window: "5m",
          window_start: "2026-11-21T00:05:00.000Z",
          window_end: "2026-11-21T00:10:00.000Z",
          revision: 1,
          final: true,
        },
      },
    ]);
    const [, next = ""] = /<([^>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "") ?? [];
    expect(await (await get(next)).json()).toMatchObject([
      { value: 2, timestamp: "2026-11-21T00:00:00.000Z" },
    ]);
    expect(await (await get("/api/v1/metrics?name=cpu_avg_5min&label.host=b")).json()).toEqual([]);
    expect(await (await get("/api/v1/metrics?name=cpu_avg_7min")).json()).toEqual([]);
  });

  it("give way to a metric of that name", async () => {
    const id = { group: "weir-storage", topic: `metrics-${crypto.randomUUID()}`, partition: 0 };
    const record = { timestamp: "2026-11-21T00:01:00.000Z", name: "cpu_avg_5min", value: 77, labels: {} };
    const rows = { metrics: [{ tenant, offset: 0, index: 0, record }] };
    await createD1StreamStore(env.DB).commit(partitionCommit(id, { next: positionAt(1), rows }));
    expect(await (await get("/api/v1/metrics?name=cpu_avg_5min")).json()).toMatchObject([{ value: 77 }]);
    // Where it has no points just now, it is still that metric.
    expect(await (await get("/api/v1/metrics?name=cpu_avg_5min&from=2026-11-21T00:02:00Z")).json()).toEqual(
      [],
    );
  });
});
