// What becomes of an answered request: a log line, counters, events.
import { describe, expect, it } from "vitest";
import { familyOf } from "../../../lib/observability/counts.ts";
import { SIGNALS } from "../../../lib/observability/metric-names.ts";
import { Registry } from "../../../lib/observability/registry.ts";
import { requestEvents } from "../../../lib/observability/request-events.ts";
import {
  countRequest,
  requestLogFields,
  requestLogLevel,
  type AnsweredRequest,
} from "../../../lib/observability/request-facts.ts";
import * as telemetry from "../../../lib/telemetry/signal.ts";

const request: AnsweredRequest = {
  requestId: "r-1",
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  method: "POST",
  route: "/api/v1/logs",
  path: "/api/v1/logs",
  status: 207,
  startMs: Date.UTC(2026, 10, 21, 10),
  durationMs: 12,
  tenant: "acme",
  keyId: "k1",
  signal: "logs",
  protocol: "json",
  accepted: 5,
  rejected: 3,
  retry: 1,
  rejections: new Map([
    ["too_long", 2],
    ["wrong_type", 1],
  ]),
  bytesIn: 100,
  bytesDecoded: 300,
};

describe("the log line", () => {
  it("holds names and figures", () => {
    expect(JSON.parse(JSON.stringify(requestLogFields(request)))).toEqual({
      request_id: "r-1",
      trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      method: "POST",
      route: "/api/v1/logs",
      path: "/api/v1/logs",
      status: 207,
      duration_ms: 12,
      tenant: "acme",
      key_id: "k1",
      signal: "logs",
      protocol: "json",
      accepted: 5,
      rejected: 3,
      retry: 1,
      bytes_in: 100,
      bytes_decoded: 300,
    });
    expect(requestLogFields({ ...request, path: `/${"x".repeat(1_000)}` })["path"]).toHaveLength(256);
  });

  it.each([
    [200, "/api/v1/logs", "all", "info"],
    [200, "/api/v1/logs", "errors", undefined],
    [207, "/api/v1/logs", "errors", undefined],
    [400, "/api/v1/logs", "errors", "info"],
    [503, "/api/v1/logs", "errors", "error"],
    [503, "/api/v1/logs", "off", undefined],
    [200, "/healthz", "all", "debug"],
    [500, "/healthz", "all", "error"],
  ] as const)("of %i at %s with %s has the level %s", (status, route, which, level) => {
    expect(requestLogLevel({ ...request, status, route }, which)).toBe(level);
  });
});

describe("the counters", () => {
  const counted = (one: AnsweredRequest) => {
    const registry = new Registry();
    countRequest(registry, one);
    return registry.take();
  };

  it("tell requests, records and bytes", () => {
    const counts = counted(request);
    const series = (name: Parameters<typeof familyOf>[0]) =>
      Object.fromEntries(counts.get(familyOf(name)) ?? []);
    expect(series("weir_requests_total")).toEqual({ "POST\t/api/v1/logs\t207": [1] });
    expect(series("weir_records_accepted_total")).toEqual({ "logs\tjson": [5] });
    expect(series("weir_records_retry_total")).toEqual({ "logs\tjson": [1] });
    expect(series("weir_records_rejected_total")).toEqual({ too_long: [2], wrong_type: [1] });
    expect(series("weir_request_bytes_total")).toEqual({ "json\tsent": [100], "json\tdecoded": [300] });
    expect(series("weir_request_duration_seconds")["/api/v1/logs"]?.at(-1)).toBe(0.012);
    expect(counts.has(familyOf("weir_requests_refused_total"))).toBe(false);
  });

  it("tell why a request was refused, and bear a method that nobody knows", () => {
    const counts = counted({ ...request, method: "BREW", reason: "unauthorized", protocol: undefined });
    expect(counts.get(familyOf("weir_requests_refused_total"))).toEqual(new Map([["unauthorized", [1]]]));
    expect([...(counts.get(familyOf("weir_requests_total")) ?? [])]).toEqual([
      ["other\t/api/v1/logs\t207", [1]],
    ]);
    expect(counts.has(familyOf("weir_request_bytes_total"))).toBe(false);
  });

  it("know every signal there is", () => {
    expect(SIGNALS).toEqual(telemetry.SIGNALS);
  });
});

describe("the events", () => {
  const origin = { hostname: "weir.test", userIp: "203.0.113.7", errorMessage: "The body is not JSON" };

  it("are a request and a response for each, in the form of the events topic", () => {
    expect(requestEvents(request, { hostname: "weir.test" }, "all")).toEqual([
      {
        timestamp: "2026-11-21T10:00:00.000Z",
        event_type: "http_request",
        data: { service: "weir", method: "POST", endpoint: "/api/v1/logs", hostname: "weir.test" },
      },
      {
        timestamp: "2026-11-21T10:00:00.012Z",
        event_type: "http_response",
        data: {
          service: "weir",
          method: "POST",
          endpoint: "/api/v1/logs",
          hostname: "weir.test",
          status_code: 207,
          response_time_ms: 12,
        },
      },
    ]);
  });

  it("are an error for a refused one", () => {
    const refused = { ...request, status: 400, reason: "malformed_json" };
    expect(requestEvents(refused, origin, "errors")).toEqual([
      {
        timestamp: "2026-11-21T10:00:00.012Z",
        event_type: "error",
        data: {
          service: "weir",
          method: "POST",
          endpoint: "/api/v1/logs",
          hostname: "weir.test",
          user_ip: "203.0.113.7",
          status_code: 400,
          response_time_ms: 12,
          error_type: "malformed_json",
          error_message: "The body is not JSON",
        },
      },
    ]);
    expect(requestEvents(refused, origin, "all").map(({ event_type }) => event_type)).toEqual([
      "http_request",
      "http_response",
      "error",
    ]);
  });

  it("are none where they are off, nothing is wrong, or somebody only asks for the health", () => {
    expect(requestEvents({ ...request, status: 500 }, origin, "off")).toEqual([]);
    expect(requestEvents(request, origin, "errors")).toEqual([]);
    expect(requestEvents({ ...request, route: "/healthz" }, origin, "all")).toEqual([]);
  });
});
