// Events that tell of the requests themselves, for the events topic: `http_request` and `http_response` for each, `error` for a
// refused one. Off by default. A client's address is personal data and comes in only where it was asked for.
import { isQuiet, shortPath, type AnsweredRequest } from "./request-facts.ts";

export type RequestEvents = "off" | "errors" | "all";

export interface RequestEvent {
  /** ISO 8601. */
  timestamp: string;
  event_type: "http_request" | "http_response" | "error";
  data: Record<string, string | number>;
}

export interface RequestOrigin {
  hostname: string;
  /** Absent: not asked for, or not known. */
  userIp?: string | undefined;
  /** What a person reads about the refusal; never of the client's making. */
  errorMessage?: string | undefined;
}

const SERVICE = "weir";

/** `errors`: only requests with a status of 400 and above, each one event. */
export function requestEvents(
  request: AnsweredRequest,
  origin: RequestOrigin,
  which: RequestEvents,
): RequestEvent[] {
  const { status, startMs, durationMs, reason } = request;
  if (which === "off" || isQuiet(request.route)) return [];
  const base = {
    service: SERVICE,
    method: request.method,
    endpoint: shortPath(request.path),
    hostname: origin.hostname,
    ...(origin.userIp === undefined ? {} : { user_ip: origin.userIp }),
  };
  const answered = { ...base, status_code: status, response_time_ms: durationMs };
  const events: RequestEvent[] = [];
  if (which === "all") {
    events.push(
      { timestamp: at(startMs), event_type: "http_request", data: base },
      { timestamp: at(startMs + durationMs), event_type: "http_response", data: answered },
    );
  }
  if (status >= 400) {
    const error_type = reason ?? `http_${status}`;
    const data = { ...answered, error_type, error_message: origin.errorMessage ?? error_type };
    events.push({ timestamp: at(startMs + durationMs), event_type: "error", data });
  }
  return events;
}

const at = (ms: number) => new Date(ms).toISOString();
