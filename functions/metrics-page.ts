// GET /metrics: the counters of the whole deployment for Prometheus, what is kept while Kafka is away, and what the
// consumers have done. They concern all tenants: `operator` only.
import { Hono } from "hono";
import { consumerFamilies } from "../lib/observability/consumer-metrics.ts";
import { PROMETHEUS_TEXT, renderFamilies, renderPrometheus } from "../lib/observability/prometheus-text.ts";
import { clusterOf } from "./cluster.ts";
import { readConsumers } from "./consumer-reading.ts";
import { StorageError } from "../lib/storage/storage.ts";
import { defineRoute } from "./define-route.ts";
import { readTotals } from "./edge-metrics.ts";
import type { AppContext, AppEnv } from "./request-context.ts";
import { storageSize } from "./retention.ts";
import { spillStatus } from "./spill.ts";

/** @param flushIntervalMs how long an isolate keeps its counts; the page tells it */
export function createMetricsPage(flushIntervalMs: (c: AppContext) => number): Hono<AppEnv> {
  const page = new Hono<AppEnv>();
  defineRoute(
    page,
    {
      name: "getMetrics",
      method: "get",
      path: "/metrics",
      scope: "operator",
      tag: "Operations",
      summary: "Counters of the whole deployment, for Prometheus",
      answers: {
        200: {
          description: "Prometheus' text format, version 0.0.4",
          content: { "text/plain": "text" },
        },
      },
    },
    async (c) => {
      const [{ counts, isolates, errors }, { breaker }, spill, consumers, size] = await Promise.all([
        readTotals(c.env),
        clusterOf(c.env).state(),
        spillStatus(c.env, c.get("deployment")),
        readConsumers(c.env, c.executionCtx, c.get("deployment")),
        sizeOrError(c.env),
      ]);
      const oldestMs = spill.oldestMs === null ? 0 : Math.max(0, Date.now() - spill.oldestMs);
      const spillErrors = spill.shards.filter(({ error }) => error !== null).length;
      const text = renderPrometheus(counts, {
        weir_edge_flush_interval_seconds: flushIntervalMs(c) / 1000,
        weir_edge_isolates: isolates,
        weir_breaker_open: breaker === "closed" ? 0 : 1,
        weir_spill_messages: spill.messages,
        weir_spill_bytes: spill.bytes,
        weir_spill_oldest_seconds: oldestMs / 1000,
        weir_storage_bytes: size.bytes,
        weir_storage_limit_bytes: size.maxBytes,
        weir_scrape_errors: errors + spillErrors + consumers.errors + size.errors,
      });
      const consumerText = renderFamilies(consumerFamilies(consumers.reading));
      return c.body(text + consumerText, 200, { "Content-Type": PROMETHEUS_TEXT });
    },
  );
  return page;
}

async function sizeOrError(env: Env): Promise<{ bytes: number; maxBytes: number; errors: number }> {
  try {
    return { bytes: 0, maxBytes: 0, ...(await storageSize(env)), errors: 0 };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { bytes: 0, maxBytes: 0, errors: 1 };
  }
}
