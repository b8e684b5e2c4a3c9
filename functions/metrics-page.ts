// GET /metrics: the counters of the whole deployment for Prometheus, and what is kept while Kafka is away. They concern all tenants: `operator` only.
import { Hono } from "hono";
import { PROMETHEUS_TEXT, renderPrometheus } from "../lib/observability/prometheus-text.ts";
import { clusterOf } from "./cluster.ts";
import { defineRoute } from "./define-route.ts";
import { readTotals } from "./edge-metrics.ts";
import type { AppContext, AppEnv } from "./request-context.ts";
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
      const [{ counts, isolates, errors }, { breaker }, spill] = await Promise.all([
        readTotals(c.env),
        clusterOf(c.env).state(),
        spillStatus(c.env, c.get("deployment")),
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
        weir_scrape_errors: errors + spillErrors,
      });
      return c.body(text, 200, { "Content-Type": PROMETHEUS_TEXT });
    },
  );
  return page;
}
