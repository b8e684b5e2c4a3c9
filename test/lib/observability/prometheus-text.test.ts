// The page of metrics, read by a strict parser that was written apart from the renderer.
import { describe, expect, it } from "vitest";
import {
  addCounts,
  decodeCounts,
  encodeCounts,
  familyOf,
  type Counts,
} from "../../../lib/observability/counts.ts";
import { METRICS } from "../../../lib/observability/metric-names.ts";
import { renderPrometheus } from "../../../lib/observability/prometheus-text.ts";
import { Registry } from "../../../lib/observability/registry.ts";
import { parseExposition, valueOf } from "./parse-exposition.ts";

const GAUGES = {
  weir_edge_flush_interval_seconds: 1,
  weir_edge_isolates: 2,
  weir_breaker_open: 0,
  weir_spill_messages: 0,
  weir_spill_bytes: 0,
  weir_spill_oldest_seconds: 0,
  weir_storage_bytes: 0,
  weir_storage_limit_bytes: 0,
  weir_scrape_errors: 0,
};
const pageOf = (counts: Counts) => parseExposition(renderPrometheus(counts, GAUGES));

describe("the page", () => {
  it("holds every kind of sample in the form that the documentation asks for", () => {
    const registry = new Registry();
    registry.count("weir_requests_total", { method: "GET", route: "/a/:id{[a-z]+}", status: "200" }, 3);
    registry.count("weir_requests_total", { method: "POST", route: 'a"b\\c', status: "500" });
    for (const value of [0.005, 0.0051, 0.3, 99]) {
      registry.observe("weir_request_duration_seconds", { route: "/x" }, value);
    }
    registry.observe("kafka_message_size_bytes", { topic: "logs.raw" }, 700_000);
    const page = pageOf(registry.take());
    expect(
      valueOf(page, "weir_requests_total", { method: "GET", route: "/a/:id{[a-z]+}", status: "200" }),
    ).toBe(3);
    expect(valueOf(page, "weir_requests_total", { method: "POST", route: 'a"b\\c', status: "500" })).toBe(1);
    const bucket = (le: string) => valueOf(page, "weir_request_duration_seconds_bucket", { route: "/x", le });
    expect([bucket("0.005"), bucket("0.01"), bucket("0.5"), bucket("10"), bucket("+Inf")]).toEqual([
      1, 2, 3, 3, 4,
    ]);
    expect(valueOf(page, "weir_request_duration_seconds_sum", { route: "/x" })).toBeCloseTo(99.3101);
    expect(valueOf(page, "weir_request_duration_seconds_count", { route: "/x" })).toBe(4);
    const size = { topic: "logs.raw", le: "700000" };
    expect(valueOf(page, "kafka_message_size_bytes_bucket", size)).toBe(1);
    expect(valueOf(page, "weir_edge_flush_interval_seconds")).toBe(1);
    expect(valueOf(page, "weir_quota_refused_total")).toBe(0);
    expect(page.get("weir_quota_refused_total")?.type).toBe("counter");
  });

  it("survives large and small figures, and being stored", () => {
    const registry = new Registry();
    registry.count("weir_quota_refused_total", {}, 1e21);
    registry.observe("weir_request_duration_seconds", { route: "/x" }, 1e-7);
    const page = pageOf(decodeCounts(encodeCounts(registry.take())));
    expect(valueOf(page, "weir_quota_refused_total")).toBe(1e21);
    expect(valueOf(page, "weir_request_duration_seconds_sum", { route: "/x" })).toBe(1e-7);
  });

  it("is the sum of all isolates", () => {
    const total: Counts = new Map();
    for (const by of [1, 20]) {
      const registry = new Registry();
      registry.count("weir_records_rejected_total", { reason: "too_long" }, by);
      registry.observe("kafka_message_size_bytes", { topic: "t" }, by);
      addCounts(total, registry.take());
    }
    const page = pageOf(total);
    expect(valueOf(page, "weir_records_rejected_total", { reason: "too_long" })).toBe(21);
    expect(valueOf(page, "kafka_message_size_bytes_sum", { topic: "t" })).toBe(21);
    expect(valueOf(page, "kafka_message_size_bytes_count", { topic: "t" })).toBe(2);
  });

  it("leaves out what was counted under other buckets, as an older version does", () => {
    const family = familyOf("kafka_message_size_bytes");
    const counts: Counts = new Map([[family.replace(" 256,", " 128,256,"), new Map([["t", [1, 1, 1]]])]]);
    expect(pageOf(counts).has("kafka_message_size_bytes")).toBe(false);
  });
});

describe("the names", () => {
  it.each(Object.entries(METRICS))("%s follows Prometheus' rules", (name, spec) => {
    expect(name).toMatch(/^(kafka|weir)_[a-z0-9_]+$/);
    expect(name.endsWith("_total")).toBe(spec.type === "counter");
    expect(spec.help).toMatch(/^[^\n]{10,}\.$/);
    for (const label of Object.keys(spec.labels)) {
      expect(label).toMatch(/^[a-z_]+$/);
      expect(["le", "tenant"]).not.toContain(label);
    }
    expect("buckets" in spec).toBe(spec.type === "histogram");
    if ("buckets" in spec) expect([...spec.buckets].toSorted((a, b) => a - b)).toEqual(spec.buckets);
  });
});

describe("the parser of these tests", () => {
  const head = "# HELP a b\n# TYPE a counter\n";
  it.each([
    ["no line feed at the end", /line feed/, `${head}a 1`],
    ["a sample without type", /without HELP/, "a 1\n"],
    ["a value that is none", /not a value/, `${head}a 1_000\n`],
    ["an open quote", /labels/, `${head}a{b="c} 1\n`],
    ["a bare quote in a value", /labels/, `${head}a{b="c"d"} 1\n`],
    ["the same sample twice", /twice/, `${head}a 1\na 1\n`],
    ["a counter below 0", /a counter of/, `${head}a -1\n`],
    ["a family in two blocks", /two blocks/, `${head}a 1\n${head}a{b="c"} 1\n`],
    [
      "buckets that fall",
      /cumulative/,
      '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ],
    ["no +Inf", /must be \+Inf/, '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'],
    [
      "a count unlike +Inf",
      /count or sum/,
      '# HELP h x\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n',
    ],
  ])("refuses %s", (_, fault, page) => {
    expect(() => parseExposition(page)).toThrow(fault);
  });
});
