// Counters on their way from an isolate to the page of the whole deployment: nothing is added twice, nothing that was
// confirmed is lost, and a shard that is away takes nothing else with it.
import { createExecutionContext, env, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { countProduced, edgeMetrics, flushNow, flushSoon, readTotals } from "../../functions/edge-metrics.ts";
import { createMetricsPage } from "../../functions/metrics-page.ts";
import type { EdgeCounters } from "../../functions/objects/edge-counters.ts";
import { prepare, type AppEnv } from "../../functions/request-context.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { KafkaError } from "../../lib/kafka/errors.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { familyOf } from "../../lib/observability/counts.ts";
import type { Flush } from "../../lib/observability/flusher.ts";
import { Registry } from "../../lib/observability/registry.ts";
import { StoredTotals } from "../../lib/observability/stored-totals.ts";

const family = familyOf("weir_quota_refused_total");
const HOUR_MS = 3_600_000;

const flush = (isolate: string, sequence: number, by: number): Flush => ({
  isolate,
  sequence,
  counts: new Map([[family, new Map([["", [by]]])]]),
});

const shard = (name: string): DurableObjectStub<EdgeCounters> => env.EDGE_COUNTERS.getByName(name);

async function totalOf(stub: DurableObjectStub<EdgeCounters>): Promise<number | undefined> {
  const answer = await stub.read();
  return answer.ok ? answer.value.counts.get(family)?.get("")?.[0] : undefined;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("a shard", () => {
  it("adds a delivery once, however often and late it comes", async () => {
    const stub = shard("once");
    expect(await stub.merge(flush("a", 1, 5))).toEqual({ ok: true, value: { isNew: true } });
    expect(await stub.merge(flush("a", 1, 5))).toEqual({ ok: true, value: { isNew: false } });
    await stub.merge(flush("b", 1, 100));
    await stub.merge(flush("a", 2, 10));
    await stub.merge(flush("a", 1, 5));
    expect(await totalOf(stub)).toBe(115);
    expect(await stub.read()).toMatchObject({ ok: true, value: { isolates: 2 } });
  });

  it("keeps totals and numbers over its lives", async () => {
    const stub = shard("lives");
    await stub.merge(flush("a", 1, 5));
    await runInDurableObject(stub, async (_, state) => {
      const again = new StoredTotals(state.storage);
      expect(again.totals().get(family)?.get("")).toEqual([5]);
      expect(again.merge(flush("a", 1, 5), Date.now())).toBe(false);
      expect(again.merge(flush("a", 2, 5), Date.now())).toBe(true);
      expect(new StoredTotals(state.storage).totals().get(family)?.get("")).toEqual([10]);
    });
  });

  it("forgets an isolate an hour after its last word, and no total with it", async () => {
    await runInDurableObject(shard("hour"), async (_, state) => {
      const totals = new StoredTotals(state.storage);
      const startMs = Date.now();
      totals.merge(flush("a", 1, 5), startMs);
      totals.merge(flush("b", 1, 5), startMs + HOUR_MS);
      expect(totals.isolates(startMs + HOUR_MS)).toBe(2);
      totals.merge(flush("b", 2, 5), startMs + HOUR_MS + 60_000);
      expect(totals.isolates(startMs)).toBe(1);
      expect(totals.totals().get(family)?.get("")).toEqual([15]);
    });
  });

  it("has neither total nor number of a delivery that could not be stored", async () => {
    await runInDurableObject(shard("full"), async (_, state) => {
      const totals = new StoredTotals(state.storage);
      totals.merge(flush("a", 1, 5), 1);
      state.storage.sql.exec(
        "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END",
      );
      expect(() => totals.merge(flush("a", 2, 10), 2)).toThrow(/full/);
      state.storage.sql.exec("DROP TRIGGER full");
      expect(totals.totals().get(family)?.get("")).toEqual([5]);
      expect(totals.merge(flush("a", 2, 10), 3)).toBe(true);
      expect(totals.totals().get(family)?.get("")).toEqual([15]);
    });
  });

  it("answers with the fault when it cannot", async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const answer = await runInDurableObject(shard("fault"), async (object: EdgeCounters, state) => {
      state.storage.sql.exec("DROP TABLE deliveries");
      return await object.merge(flush("a", 1, 5));
    });
    expect(answer).toMatchObject({ ok: false, message: expect.stringContaining("deliveries") });
  });
});

describe("an isolate", () => {
  const quotaTotal = async () => (await readTotals(env)).counts.get(family)?.get("")?.[0] ?? 0;

  it("gives away what it counted, behind the answer", async () => {
    const before = await quotaTotal();
    edgeMetrics.count("weir_quota_refused_total", {}, 3);
    const context = createExecutionContext();
    flushSoon(env, context, 0);
    await waitOnExecutionContext(context);
    expect(edgeMetrics.isEmpty()).toBe(true);
    expect(await quotaTotal()).toBe(before + 3);
  });

  it("repeats a delivery whose answer was lost, and the totals hold it once", async () => {
    const before = await quotaTotal();
    const warned = vi.spyOn(console, "warn").mockReturnValue();
    loseAnswers(1);
    edgeMetrics.count("weir_quota_refused_total", {}, 7);
    await flushNow(env);
    expect(warned).toHaveBeenCalledOnce();
    edgeMetrics.count("weir_quota_refused_total", {}, 10);
    expect(await quotaTotal()).toBe(before + 17);
  });

  it("does so for many requests at once", async () => {
    const before = await quotaTotal();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        edgeMetrics.count("weir_quota_refused_total", {});
        await flushNow(env);
      }),
    );
    expect(await quotaTotal()).toBe(before + 20);
  });
});

describe("what is written to Kafka", () => {
  it("is counted by outcome and size, and otherwise passes untouched", async () => {
    const registry = new Registry();
    let fails = false;
    const inner = {
      name: "inner",
      topics: async () => ["t"],
      produce: async () => {
        if (fails) throw new KafkaError("unreachable", "away");
        return [
          { ok: true, partition: 0, offset: 1 },
          { ok: false, error: new KafkaError("too_large", "too large") },
        ];
      },
    } as unknown as KafkaTransport;
    const counted = countProduced(inner, registry);
    const bytes = (length: number) => new Uint8Array(length);
    const records = [
      { partition: 0, key: bytes(6), value: bytes(250) },
      { partition: 0, key: null, value: bytes(257) },
    ];
    expect(counted.name).toBe("inner");
    expect(await counted.topics()).toEqual(["t"]);
    expect(await counted.produce("t", records)).toHaveLength(2);
    fails = true;
    await expect(counted.produce("t", records.slice(0, 1))).rejects.toThrow("away");
    const counts = registry.take();
    expect(counts.get(familyOf("kafka_messages_sent_total"))).toEqual(
      new Map([
        ["t\tsuccess", [1]],
        ["t\tfailure", [2]],
      ]),
    );
    const [sizes] = [...(counts.get(familyOf("kafka_message_size_bytes"))?.values() ?? [])];
    expect([sizes?.[0], sizes?.[1], sizes?.at(-1)]).toEqual([2, 1, 256 + 257 + 256]);
  });
});

describe("GET /metrics", () => {
  const app = new Hono<AppEnv>().use(prepare).route(
    "/",
    createMetricsPage(() => 1_000),
  );
  const get = async (key = DEV_KEY) => {
    const context = createExecutionContext();
    const headers = { Authorization: `Bearer ${key}` };
    return await app.fetch(new Request("http://weir.test/metrics", { headers }), env, context);
  };

  it("shows the deployment's figures in Prometheus' text format", async () => {
    await shard("shard-0").merge(flush("elsewhere-0", 1, 1_000));
    await shard("shard-3").merge(flush("elsewhere-3", 1, 2_000));
    edgeMetrics.count("weir_requests_total", { method: "GET", route: "/of/this/isolate", status: "200" });
    const response = await get();
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const page = await response.text();
    for (const line of page.trimEnd().split("\n")) {
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+)$/);
    }
    expect(Number(/^weir_quota_refused_total (\d+)$/m.exec(page)?.[1])).toBeGreaterThanOrEqual(3_000);
    expect(page).toContain('weir_requests_total{method="GET",route="/of/this/isolate",status="200"} 1\n');
    expect(page).toContain("weir_edge_flush_interval_seconds 1\n");
    expect(page).toContain("weir_scrape_errors 0\n");
  });

  it("shows the others where a shard is away, with what it last said in its place", async () => {
    await get();
    vi.spyOn(console, "warn").mockReturnValue();
    const before = /^weir_quota_refused_total (\d+)$/m.exec(await (await get()).text())?.[1];
    breakShard("shard-3");
    const page = await (await get()).text();
    expect(page).toContain("weir_scrape_errors 1\n");
    expect(/^weir_quota_refused_total (\d+)$/m.exec(page)?.[1]).toBe(before);
  });

  it("is for operators only", async () => {
    expect((await get("weir_dev_wrong000000000000000000000")).status).toBe(401);
  });
});

/** The next deliveries arrive, but what is answered to them does not. */
function loseAnswers(times: number): void {
  let left = times;
  replaceShards((name, real) => {
    const stub = real(name);
    if (left-- <= 0) return stub;
    return {
      merge: async (flush: Flush) => {
        await stub.merge(flush);
        throw new Error("lost");
      },
    };
  });
}

function breakShard(broken: string): void {
  replaceShards((name, real) => {
    if (name === broken) throw new Error("away");
    return real(name);
  });
}

type GetShard = (name: string) => DurableObjectStub<EdgeCounters>;

/** All namespaces share the method: those of other objects go on as they are. */
function replaceShards(shardOf: (name: string, real: GetShard) => unknown): void {
  const counters = env.EDGE_COUNTERS;
  const prototype = Object.getPrototypeOf(counters) as { getByName: GetShard };
  const { getByName } = prototype;
  vi.spyOn(prototype, "getByName").mockImplementation(function (this: unknown, name) {
    const real: GetShard = (wanted) => getByName.call(this, wanted);
    return (this === counters ? shardOf(name, real) : real(name)) as ReturnType<GetShard>;
  });
}
