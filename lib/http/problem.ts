// Every error's body: RFC 9457 problem details, with Weir's `code` (one of reasons.ts), `request_id` and, where
// records are concerned, `errors` that name each by index, path and reason.
import { reasons, type Reason } from "../telemetry/reasons.ts";
import type { Rejection } from "../telemetry/result.ts";

export interface ProblemError {
  /** Place of the record in the request; absent when the request as a whole is meant. */
  index?: number;
  path: string;
  reason: Reason;
  message: string;
}

export interface ProblemOptions {
  detail: string;
  requestId: string;
  errors?: ProblemError[];
  headers?: Record<string, string>;
  /** Further members, as `accepted` beside a partly failed request. */
  extra?: Record<string, unknown>;
}

/** Errors listed in one problem; `errors_total` tells how many there are. */
const MAX_LISTED_ERRORS = 100;

export function problem(reason: Reason, options: ProblemOptions): Response {
  const { status, title } = reasons[reason];
  const { detail, requestId, errors = [], extra } = options;
  const body = {
    type: `urn:weir:problem:${reason}`,
    title,
    status,
    detail,
    code: reason,
    request_id: requestId,
    errors: errors.slice(0, MAX_LISTED_ERRORS),
    ...(errors.length > MAX_LISTED_ERRORS ? { errors_total: errors.length } : {}),
    ...extra,
  };
  const headers = new Headers(options.headers);
  headers.set("Content-Type", "application/problem+json");
  headers.set("X-Request-Id", requestId);
  // For whoever reads no body: the request log, and HEAD.
  headers.set("X-Weir-Reason", reason);
  return new Response(JSON.stringify(body), { status, headers });
}

/**
 * A refusal of the request as a whole.
 * @param subject what the rejection's message speaks of where it has no path
 */
export function rejectionProblem(
  { reason, path, message }: Rejection,
  requestId: string,
  headers: Record<string, string> = {},
  subject = "The body",
): Response {
  return problem(reason, {
    detail: `${path === "" ? subject : `\`${path}\``} ${message}.`,
    requestId,
    errors: [{ path, reason, message }],
    headers,
  });
}
