// Requests as the log, the counters and the events topic see them, behind the middlewares that are deployed.
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { edgeMetrics } from "../../functions/edge-metrics.ts";
import { answerError, prepare, requireScope, type AppEnv } from "../../functions/request-context.ts";
import {
  addFacts,
  DEFAULT_REQUEST_LOG,
  outgoingTraceHeaders,
  REASON_HEADER,
  requestLog,
  type RequestLogSettings,
} from "../../functions/request-log.ts";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import type { RequestEvent } from "../../lib/observability/request-events.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

let settings: RequestLogSettings | undefined;
let produced: RequestEvent[];
let produceEvents: () => Promise<void>;
let lines: Record<string, unknown>[];

const app = new Hono<AppEnv>();
app.use(
  requestLog({
    settings: () => settings,
    produceEvents: async (_, events) => {
      produced.push(...events);
      await produceEvents();
    },
  }),
);
app.use(prepare);
app.get("/items/:id", (c) => {
  addFacts(c, { signal: "logs", protocol: "otlp_json", accepted: 1, bytesIn: 5 });
  addFacts(c, { accepted: 2, reason: "body_too_large" });
  return c.json(outgoingTraceHeaders(c));
});
app.get(
  "/refused",
  () => new Response("no", { status: 413, headers: { [REASON_HEADER]: "body_too_large" } }),
);
app.get("/broken", () => {
  throw new Error("broken");
});
app.get("/healthz", (c) => c.text("well"));
app.post("/taken", requireScope("ingest"), async (c) => c.body(await c.req.text(), 202));
app.onError(answerError);

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const context = createExecutionContext();
  const headers = new Headers(init.headers);
  if (!headers.has("Authorization")) headers.set("Authorization", `Bearer ${DEV_KEY}`);
  const request = new Request(`http://weir.test${path}`, { ...init, headers });
  const response = await app.fetch(request, env, context);
  if (settings) await waitOnExecutionContext(context);
  return response;
}

const requests = () => lines.filter(({ event }) => event === "request");

beforeEach(() => {
  settings = { ...DEFAULT_REQUEST_LOG, EDGE_FLUSH_MS: 0 };
  produced = [];
  produceEvents = async () => {};
  lines = [];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(JSON.parse(line)));
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("the log", () => {
  it("has one line for a request, with the route's pattern and what the handlers told", async () => {
    const response = await send("/items/7?token=secret", { headers: { "X-Request-Id": "mine" } });
    expect(response.status).toBe(200);
    expect(requests()).toEqual([
      {
        level: "info",
        event: "request",
        time: expect.any(String),
        request_id: "mine",
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
        method: "GET",
        route: "/items/:id",
        path: "/items/7",
        status: 200,
        duration_ms: expect.any(Number),
        signal: "logs",
        protocol: "otlp_json",
        accepted: 2,
        bytes_in: 5,
        reason: "body_too_large",
      },
    ]);
  });

  it("tells tenant and key, and neither secret, body nor query", async () => {
    const body = JSON.stringify({ message: "a body that is private" });
    const headers = { "Content-Length": String(body.length), "X-Private": "header-secret" };
    const response = await send("/taken?results=query-secret", { method: "POST", body, headers });
    expect(response.status).toBe(202);
    expect(requests()).toMatchObject([
      { route: "/taken", tenant: "dev", key_id: "dev", status: 202, bytes_in: body.length },
    ]);
    const text = JSON.stringify(lines);
    for (const secret of [DEV_KEY, "private", "header-secret", "query-secret"])
      expect(text).not.toContain(secret);
  });

  it("tells why a request was refused, and of failures", async () => {
    await send("/refused");
    await send("/nowhere/else");
    await send("/taken", { method: "POST", headers: { Authorization: "Bearer wrong" } });
    await send("/broken");
    expect(requests()).toMatchObject([
      { route: "/refused", status: 413, reason: "body_too_large", level: "info" },
      { route: "unmatched", path: "/nowhere/else", status: 404 },
      { route: "/taken", status: 401 },
      { route: "/broken", status: 500, level: "error" },
    ]);
    expect(requests()[2]).not.toHaveProperty("tenant");
  });

  it("leaves /healthz to those who ask for it", async () => {
    await send("/healthz");
    expect(requests()).toMatchObject([{ level: "debug", route: "/healthz" }]);
  });

  it("can be had for errors only, or not at all; where the settings cannot be read, in full", async () => {
    settings = { ...DEFAULT_REQUEST_LOG, EDGE_FLUSH_MS: 0, LOG_REQUESTS: "errors" };
    await send("/items/7");
    await send("/refused");
    expect(requests()).toMatchObject([{ route: "/refused" }]);
    settings = { ...settings, LOG_REQUESTS: "off" };
    await send("/refused");
    expect(requests()).toHaveLength(1);
    settings = undefined;
    await send("/items/7");
    expect(requests()).toHaveLength(2);
  });

  it("never fails a request that was answered", async () => {
    vi.spyOn(edgeMetrics, "count").mockImplementation(() => {
      throw new TypeError("wrong label");
    });
    expect((await send("/items/7")).status).toBe(200);
    expect(lines).toMatchObject([{ event: "request_not_logged", message: "wrong label" }]);
  });
});

describe("the trace", () => {
  it("is the caller's in the log, in the answer and in outgoing calls", async () => {
    const headers = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: "a=1" };
    const response = await send("/items/7", { headers });
    const traceparent = response.headers.get("traceparent");
    expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
    expect(await response.json()).toEqual({ traceparent, tracestate: "a=1" });
    expect(requests()).toMatchObject([{ trace_id: TRACE }]);
  });

  it("is new where the header cannot be used, also for a refused request", async () => {
    const response = await send("/broken", {
      headers: { traceparent: `00-${"0".repeat(32)}-00f067aa0ba902b7-01` },
    });
    expect(response.headers.get("traceparent")).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

describe("the events", () => {
  it("are off unless asked for", async () => {
    await send("/refused");
    expect(produced).toEqual([]);
  });

  it("tell of requests, without the client's address unless that is asked for, too", async () => {
    settings = { ...DEFAULT_REQUEST_LOG, EDGE_FLUSH_MS: 0, REQUEST_EVENTS: "all" };
    const headers = { "CF-Connecting-IP": "203.0.113.7" };
    await send("/items/7?a=1", { headers });
    expect(produced).toMatchObject([{ event_type: "http_request" }, { event_type: "http_response" }]);
    expect(JSON.stringify(produced)).not.toContain("203.0.113.7");
    expect(produced[1]?.data).toMatchObject({
      endpoint: "/items/7",
      hostname: "weir.test",
      status_code: 200,
    });
    settings = { ...settings, REQUEST_EVENTS: "errors", REQUEST_EVENTS_IP: "on" };
    produced = [];
    await send("/items/7", { headers });
    await send("/refused", { headers });
    expect(produced).toMatchObject([
      {
        event_type: "error",
        data: {
          user_ip: "203.0.113.7",
          error_type: "body_too_large",
          error_message: "The body is too large",
          status_code: 413,
        },
      },
    ]);
  });

  it("that cannot be written harm nothing", async () => {
    settings = { ...DEFAULT_REQUEST_LOG, EDGE_FLUSH_MS: 0, REQUEST_EVENTS: "all" };
    produceEvents = async () => {
      throw new Error("Kafka is away");
    };
    expect((await send("/items/7")).status).toBe(200);
    expect(lines).toContainEqual(expect.objectContaining({ event: "request_events_failed" }));
  });
});
