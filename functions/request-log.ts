// One line for every request, its counters, its trace, and where wanted the events that tell of it. First of all
// middlewares, so that refusals and failures are seen too. Nothing in here may fail a request that was answered.
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { declaredBytes } from "../lib/http/body.ts";
import { logger } from "../lib/observability/logger.ts";
import { requestEvents, type RequestEvent, type RequestEvents } from "../lib/observability/request-events.ts";
import {
  countRequest,
  requestLogFields,
  requestLogLevel,
  UNMATCHED,
  type AnsweredRequest,
  type LogRequests,
  type RequestFacts,
} from "../lib/observability/request-facts.ts";
import {
  traceHeaders,
  traceOf,
  type TraceContext,
  type TraceHeaders,
} from "../lib/observability/trace-context.ts";
import { reasons, type Reason } from "../lib/telemetry/reasons.ts";
import { edgeMetrics, flushSoon } from "./edge-metrics.ts";

declare module "hono" {
  interface ContextVariableMap {
    /** What the handlers tell of the request; see addFacts. */
    facts: RequestFacts;
    trace: TraceContext;
  }
}

/** Which answer header says why a request was refused, for those whose bodies cannot (HEAD, OTLP's Status). */
export const REASON_HEADER = "X-Weir-Reason";

export interface RequestLogSettings {
  LOG_REQUESTS: LogRequests;
  REQUEST_EVENTS: RequestEvents;
  REQUEST_EVENTS_IP: "on" | "off";
  EDGE_FLUSH_MS: number;
}

export interface RequestLogOptions {
  /** Asked after the answer. @returns undefined where the settings cannot be read; the defaults count then */
  settings(c: Context): RequestLogSettings | undefined;
  /** Writes events to their topic, for the tenant that the settings name; it must not go through HTTP. */
  produceEvents(c: Context, events: RequestEvent[]): Promise<void>;
}

export const DEFAULT_REQUEST_LOG: RequestLogSettings = {
  LOG_REQUESTS: "all",
  REQUEST_EVENTS: "off",
  REQUEST_EVENTS_IP: "off",
  EDGE_FLUSH_MS: 1_000,
};

export function requestLog(options: RequestLogOptions): MiddlewareHandler {
  return async (c, next) => {
    const startMs = Date.now();
    const trace = traceOf(c.req.raw.headers, (bytes) => crypto.getRandomValues(bytes));
    c.set("trace", trace);
    c.set("facts", {});
    await next();
    c.res.headers.set("traceparent", traceHeaders(trace).traceparent);
    try {
      record(c, options, startMs);
    } catch (error) {
      logger.error("request_not_logged", { message: error instanceof Error ? error.message : String(error) });
    }
  };
}

/** Tells more of the request; what is told twice is as told last. */
export function addFacts(c: Context, facts: RequestFacts): void {
  const known: RequestFacts | undefined = c.get("facts");
  c.set("facts", { ...known, ...facts });
}

/** The headers of calls that this request makes: whoever is called joins its trace. */
export function outgoingTraceHeaders(c: Context): TraceHeaders {
  const trace: TraceContext = c.get("trace");
  return traceHeaders(trace);
}

function record(c: Context, options: RequestLogOptions, startMs: number): void {
  const settings = options.settings(c) ?? DEFAULT_REQUEST_LOG;
  const request = answered(c, startMs);
  countRequest(edgeMetrics, request);
  const level = requestLogLevel(request, settings.LOG_REQUESTS);
  if (level) logger[level]("request", requestLogFields(request));
  flushSoon(c.env, c.executionCtx, settings.EDGE_FLUSH_MS);
  if (settings.REQUEST_EVENTS === "off") return;
  const origin = {
    hostname: new URL(c.req.url).hostname,
    userIp: settings.REQUEST_EVENTS_IP === "on" ? c.req.header("cf-connecting-ip") : undefined,
    errorMessage: titleOf(request.reason),
  };
  const events = requestEvents(request, origin, settings.REQUEST_EVENTS);
  // Whoever has no key could otherwise have any number of messages written.
  if (request.tenant === undefined && !isWithinAnonymousBudget(startMs)) return;
  if (events.length > 0) c.executionCtx.waitUntil(produced(c, options, events));
}

/** Requests without a key, of one isolate and second, that events are written of. */
const MAX_ANONYMOUS_PER_SECOND = 10;
let anonymousSecond = 0;
let anonymousCount = 0;

function isWithinAnonymousBudget(nowMs: number): boolean {
  const second = Math.floor(nowMs / 1000);
  if (second !== anonymousSecond) {
    anonymousSecond = second;
    anonymousCount = 0;
  }
  return ++anonymousCount <= MAX_ANONYMOUS_PER_SECOND;
}

async function produced(c: Context, options: RequestLogOptions, events: RequestEvent[]): Promise<void> {
  try {
    await options.produceEvents(c, events);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.warn("request_events_failed", { events: events.length, message });
  }
}

function answered(c: Context, startMs: number): AnsweredRequest {
  const facts: RequestFacts = c.get("facts");
  const trace: TraceContext = c.get("trace");
  const principal: { tenant: string; keyId: string } | undefined = c.get("principal");
  const requestId: string | undefined = c.get("requestId");
  const { status, headers } = c.res;
  return {
    ...facts,
    tenant: facts.tenant ?? principal?.tenant,
    keyId: facts.keyId ?? principal?.keyId,
    bytesIn: facts.bytesIn ?? declaredBytes(c.req.raw.headers),
    reason: facts.reason ?? headers.get(REASON_HEADER) ?? undefined,
    requestId,
    traceId: trace.traceId,
    method: c.req.method.slice(0, 20),
    route: routeOf(c),
    path: c.req.path,
    status,
    startMs,
    durationMs: Date.now() - startMs,
  };
}

/** The pattern of the handler, not of the middleware around it. */
function routeOf(c: Context): string {
  return matchedRoutes(c).findLast(({ method }) => method !== "ALL")?.path ?? UNMATCHED;
}

function titleOf(reason: string | undefined): string | undefined {
  return reason !== undefined && Object.hasOwn(reasons, reason) ? reasons[reason as Reason].title : undefined;
}
