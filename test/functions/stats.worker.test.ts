// What the consumers have done, as /api/v1/stats, the line of each minute and /metrics tell it: from storage, so that it
// is there for whoever asks next, and a tenant's share for a key of his.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { tellConsumerStats } from "../../functions/consumer-stats.ts";
import { deploymentOf } from "../../functions/deployment.ts";
import { readConsumers } from "../../functions/consumer-reading.ts";
import { createMetricsPage } from "../../functions/metrics-page.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import { stats } from "../../functions/stats.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { statsShape } from "../../lib/http/stats-shape.ts";
import { logger } from "../../lib/observability/logger.ts";
import { createD1StatsStore } from "../../lib/storage/d1-consumer-stats.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import { Hono } from "hono";
import { ledgerEntry, partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { problemOf } from "../support/worker/client.ts";
import { newTenant, storeKey } from "../support/worker/stored-tenant.ts";

const TOPIC = "metrics.raw";
const MINUTE = 60_000;

const app = new Hono<AppEnv>();
app.use(prepare);
app.route("/", stats);
app.route(
  "/",
  createMetricsPage(() => 1_000),
);

async function get(path: string, key: string = DEV_KEY, settings: object = {}): Promise<Response> {
  const context = createExecutionContext();
  const init = { headers: { Authorization: `Bearer ${key}` } };
  const response = await app.request(path, init, { ...env, ...settings }, context);
  await waitOnExecutionContext(context);
  return response;
}

async function statsAt(path: string, key?: string) {
  const response = await get(path, key);
  expect(response.status).toBe(200);
  return statsShape.parse(await response.json());
}

/** Commits what a batch of some tenant comes to. */
async function commit(
  tenant: string,
  partition: number,
  committedAtMs: number,
  group = "weir-storage",
): Promise<void> {
  const store = createD1StreamStore(env.DB);
  const id = { group, topic: TOPIC, partition };
  const from = await store.position(id);
  const offset = from?.nextOffset ?? 0;
  const outcome = await store.commit(
    partitionCommit(id, {
      from,
      next: positionAt(offset + 4, { watermarkMs: committedAtMs - 5_000 }),
      ledger: [ledgerEntry(tenant, { signal: "metrics", stored: 7, deduplicated: 2, dead: 1 })],
      deadLetters: [
        {
          tenant,
          offset,
          index: 3,
          originalKey: null,
          originalValue: null,
          error: "e",
          errorType: "e",
          attempts: 1,
        },
      ],
      stats: { messages: 4, busyMs: 8, lagMs: 120 },
      committedAtMs,
    }),
  );
  expect(outcome).toBe("committed");
}

beforeEach(async () => {
  await env.DB.batch(
    ["consumer_stats", "offsets", "ledger", "dead_letters"].map((table) =>
      env.DB.prepare(`DELETE FROM ${table}`),
    ),
  );
});

afterEach(() => vi.restoreAllMocks());

describe("GET /api/v1/stats", () => {
  it("tells an operator of everybody's, in all and by topic, over restarts", async () => {
    const nowMs = Date.now();
    await commit("a", 0, nowMs - 90 * MINUTE);
    await commit("b", 1, nowMs - 500);
    await commit("b", 0, nowMs - 400, "weir-alerting");
    const told = await statsAt("/api/v1/stats");
    expect(told).toMatchObject({ tenant: null, processed: 20, failed: 2, dlq: 2, avg_processing_ms: 2 });
    expect(told.p95).toBeGreaterThan(1);
    expect(told.p95).toBeLessThanOrEqual(2.5);
    expect(told.uptime_sec).toBeGreaterThanOrEqual(90 * 60);
    expect(told.rate_per_sec).toBeCloseTo(10 / 300, 1);
    expect(told.topics.map(({ topic }) => topic)).toEqual(["events.raw", "logs.raw", TOPIC, "traces.raw"]);
    expect(told.topics[2]).toMatchObject({ signal: "metrics", processed: 20, dlq: 2 });
    expect(told.topics[0]).toMatchObject({ processed: 0, avg_processing_ms: null, p95: null });
    const day = await statsAt("/api/v1/stats?minutes=1440");
    expect(day.rate_per_sec).toBeCloseTo(20 / (90 * 60), 3);
  });

  it("tells a tenant of his records alone, and nothing of speed", async () => {
    const [mine, other] = [newTenant(), newTenant()];
    const nowMs = Date.now();
    await commit(mine.tenant, 0, nowMs);
    await commit(mine.tenant, 1, nowMs);
    await commit(other.tenant, 2, nowMs);
    const share = {
      processed: 20,
      dlq: 2,
      failed: null,
      rate_per_sec: null,
      avg_processing_ms: null,
      p95: null,
      waited_p95_ms: null,
    };
    const told = await statsAt("/api/v1/stats", await storeKey(mine.tenant, ["query"]));
    expect(told).toMatchObject({ tenant: mine.tenant, ...share, uptime_sec: null });
    expect(told.topics.find(({ topic }) => topic === TOPIC)).toMatchObject(share);
    expect(await statsAt(`/api/v1/stats?tenant=${mine.tenant}`)).toEqual(told);
    expect(await statsAt("/api/v1/stats", await storeKey(other.tenant, ["query"]))).toMatchObject({
      processed: 10,
    });
  });

  it("refuses what is another tenant's, keys without the scope, and what it does not know", async () => {
    const { tenant } = newTenant();
    const query = await storeKey(tenant, ["query"]);
    expect(await problemOf(await get("/api/v1/stats?tenant=other", query))).toMatchObject({ status: 403 });
    expect(await problemOf(await get("/api/v1/stats", await storeKey(tenant, ["ingest"])))).toMatchObject({
      status: 403,
    });
    for (const wrong of ["minutes=0", "minutes=1441", "minutes=x", "minute=5"])
      expect(await problemOf(await get(`/api/v1/stats?${wrong}`))).toMatchObject({
        status: 400,
        code: "invalid_query",
      });
  });
});

describe("the line of each minute", () => {
  it("tells of the last whole minute, and drops minutes of the day before", async () => {
    const minuteMs = Math.floor(Date.now() / MINUTE) * MINUTE;
    await commit("a", 0, minuteMs - 1_500 * MINUTE);
    await commit("a", 0, minuteMs - 30_000);
    await commit("a", 1, minuteMs + 1_000);
    const info = vi.spyOn(logger, "info").mockImplementation(() => {});
    await tellConsumerStats(env, deploymentOf(env), () => minuteMs + 2_000);
    expect(info.mock.calls).toEqual([
      [
        "consumer_stats",
        {
          processed: 30,
          failed: 3,
          dlq: 3,
          rate_per_sec: 0.167,
          avg_processing_ms: 2,
          p95: 2.425,
          waited_p95_ms: 242.5,
          uptime_sec: 1_500 * 60 + 2,
          lag_ms: 120,
        },
      ],
    ]);
    const rows = await createD1StatsStore(env.DB).consumerStats("weir-", { from: 0, to: minuteMs });
    expect(rows.map(({ recent, total }) => [recent.commits, total.commits])).toEqual([
      [1, 2],
      [1, 1],
    ]);
  });

  it("is told as missing where storage is away, and throws nothing", async () => {
    const error = vi.spyOn(logger, "error").mockImplementation(() => {});
    const away = { prepare: () => ({ bind: () => ({ all: () => Promise.reject(new Error("away")) }) }) };
    await tellConsumerStats({ ...env, DB: away as unknown as D1Database }, deploymentOf(env));
    expect(error.mock.calls).toMatchObject([
      ["consumer_stats_failed", { message: expect.stringMatching(/away/) }],
    ]);
  });
});

describe("GET /metrics", () => {
  it("has the consumers' part, from storage and the logs' ends", async () => {
    const nowMs = Date.now();
    await commit("a", 0, nowMs);
    const page = await (await get("/metrics")).text();
    const received = `kafka_messages_received_total{topic="${TOPIC}",event_type="metrics"`;
    expect(page).toContain(`\n${received},status="success"} 3\n${received},status="failure"} 1\n`);
    expect(page).toContain("\n# TYPE kafka_message_process_time_seconds histogram\n");
    expect(page).toContain(`\nkafka_consumer_lag_ms{topic="${TOPIC}"} `);
    const watermark = `weir_windows_watermark_seconds{group="weir-storage",topic="${TOPIC}",partition="0"}`;
    expect(page).toContain(`\n${watermark} ${(nowMs - 5_000) / 1_000}\n`);
    // Each family once, those of the edge before it.
    const names = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("weir_scrape_errors");
  });

  it("leaves out what does not come, counts it, and answers", async () => {
    await commit("a", 0, Date.now());
    vi.spyOn(logger, "warn").mockImplementation(() => {});
    const context = createExecutionContext();
    const away = {
      prepare: () => ({ bind: () => ({ all: () => Promise.reject(new Error("away")) }) }),
    } as unknown as D1Database;
    const { reading, errors } = await readConsumers({ ...env, DB: away }, context, deploymentOf(env));
    await waitOnExecutionContext(context);
    expect(reading.partitions).toEqual([]);
    expect(errors).toBeGreaterThanOrEqual(2);
  });

  it("is for operators", async () => {
    const { tenant } = newTenant();
    expect(await problemOf(await get("/metrics", await storeKey(tenant, ["query"])))).toMatchObject({
      status: 403,
    });
  });
});
