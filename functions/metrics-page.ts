// GET /metrics: the counters of the whole deployment for Prometheus. They concern all tenants: `operator` only.
import { Hono } from "hono";
import { PROMETHEUS_TEXT, renderPrometheus } from "../lib/observability/prometheus-text.ts";
import { defineRoute } from "./define-route.ts";
import { readTotals } from "./edge-metrics.ts";
import type { AppContext, AppEnv } from "./request-context.ts";

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
      const { counts, isolates, errors } = await readTotals(c.env);
      const text = renderPrometheus(counts, {
        weir_edge_flush_interval_seconds: flushIntervalMs(c) / 1000,
        weir_edge_isolates: isolates,
        weir_scrape_errors: errors,
      });
      return c.body(text, 200, { "Content-Type": PROMETHEUS_TEXT });
    },
  );
  return page;
}
