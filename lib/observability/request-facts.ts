// What is known of one request when it has been answered, and what the log and the counters make of it. Names and figures
// only: no body, no header, no query value, no secret ever gets in here.
import type { LogFields, LogLevel } from "./logger.ts";
import { methodLabel, type ProtocolLabel, type SignalLabel } from "./metric-names.ts";
import type { Registry } from "./registry.ts";

/** What the handlers of a request tell of it. */
export interface RequestFacts {
  tenant?: string | undefined;
  keyId?: string | undefined;
  signal?: SignalLabel | undefined;
  protocol?: ProtocolLabel | undefined;
  accepted?: number | undefined;
  /** Of the accepted ones: kept until Kafka is back. */
  spilled?: number | undefined;
  rejected?: number | undefined;
  /** Good records that were not made durable. */
  retry?: number | undefined;
  /** The rejected records by reason. */
  rejections?: ReadonlyMap<string, number> | undefined;
  /** Of the body, as sent. */
  bytesIn?: number | undefined;
  bytesDecoded?: number | undefined;
  /** Why the request as a whole was refused: a reason of docs/errors.md, and its title. */
  reason?: string | undefined;
}

export interface AnsweredRequest extends RequestFacts {
  requestId: string | undefined;
  traceId: string;
  method: string;
  /** The route's pattern, or UNMATCHED. */
  route: string;
  /** Without the query. */
  path: string;
  status: number;
  startMs: number;
  durationMs: number;
}

export const UNMATCHED = "unmatched";

/** Polled by whoever watches; of no interest unless one looks for it. */
const QUIET_ROUTES: ReadonlySet<string> = new Set(["/healthz"]);

const MAX_PATH_CHARS = 256;

export type LogRequests = "all" | "errors" | "off";

/** At which level the request is logged; undefined: not at all. */
export function requestLogLevel(
  { status, route }: AnsweredRequest,
  which: LogRequests,
): LogLevel | undefined {
  if (which === "off" || (which === "errors" && status < 400)) return undefined;
  if (status >= 500) return "error";
  return isQuiet(route) ? "debug" : "info";
}

export function requestLogFields(request: AnsweredRequest): LogFields {
  return {
    request_id: request.requestId,
    trace_id: request.traceId,
    method: request.method.slice(0, 20),
    route: request.route,
    path: shortPath(request.path),
    status: request.status,
    duration_ms: request.durationMs,
    tenant: request.tenant,
    key_id: request.keyId,
    signal: request.signal,
    protocol: request.protocol,
    accepted: request.accepted,
    spilled: request.spilled,
    rejected: request.rejected,
    retry: request.retry,
    bytes_in: request.bytesIn,
    bytes_decoded: request.bytesDecoded,
    reason: request.reason,
  };
}

export function countRequest(registry: Registry, request: AnsweredRequest): void {
  const { route, status, signal, protocol, reason, accepted = 0, retry = 0 } = request;
  registry.count("weir_requests_total", {
    method: methodLabel(request.method),
    route,
    status: String(status),
  });
  registry.observe("weir_request_duration_seconds", { route }, Math.max(0, request.durationMs) / 1000);
  if (reason !== undefined) registry.count("weir_requests_refused_total", { reason });
  for (const [reason, count] of request.rejections ?? []) {
    registry.count("weir_records_rejected_total", { reason }, count);
  }
  if (protocol === undefined) return;
  registry.count("weir_request_bytes_total", { protocol, form: "sent" }, request.bytesIn ?? 0);
  registry.count("weir_request_bytes_total", { protocol, form: "decoded" }, request.bytesDecoded ?? 0);
  if (signal === undefined) return;
  registry.count("weir_records_accepted_total", { signal, protocol }, accepted);
  registry.count("weir_records_retry_total", { signal, protocol }, retry);
}

export const isQuiet = (route: string): boolean => QUIET_ROUTES.has(route);

export const shortPath = (path: string): string => path.slice(0, MAX_PATH_CHARS);
