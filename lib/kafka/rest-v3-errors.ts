// Error codes of Kafka REST v3 to ours, whether they stand in a record's report or in the answer to a whole request.
// Sources: io.confluent.rest.exceptions.KafkaExceptionMapper (rest-utils), Errors and StreamingResponse (kafka-rest),
// the examples of api/v3/openapi.yaml. Codes are an HTTP status, or begin with one: 404, 40403, 429005.
import { z } from "zod";
import { KafkaError, type KafkaErrorCode } from "./errors.ts";
import type { RestAnswer } from "./rest-http.ts";

/** A message of the other side is quoted up to this length. */
const MAX_QUOTED_CHARS = 200;

/** By text, where one code stands for several things (40002 and 400 are "bad request" of any kind). */
const BY_TEXT: readonly (readonly [RegExp, KafkaErrorCode])[] = [
  // RecordTooLargeException is 413; ProduceRequestTooLargeException is 400 and ends the stream.
  [/too.?large|larger than (the|allowed)/i, "too_large"],
  [/topic '[^']*' already exists/i, "topic_exists"],
];

/** 50002 is any KafkaException. These are about the record itself, and sending it again cannot help. */
const RECORD_AT_FAULT = /out of (acceptable )?range|failed (the )?validation|cannot accept message/i;

/** @param code as in `error_code`; where there is none, the HTTP status */
export function fromV3Code(
  code: number,
  said: string,
  what: string,
  options: { retryAfterMs?: number } = {},
): KafkaError {
  const quoted = said.slice(0, MAX_QUOTED_CHARS);
  const message = `${what}: error ${code}${quoted === "" ? "" : ` (${quoted})`}`;
  const kind = kindOf(code, quoted);
  if (kind === "unauthorized") {
    const mend =
      "check KAFKA_REST_USERNAME and KAFKA_REST_PASSWORD, or KAFKA_REST_TOKEN, and what they may do";
    return new KafkaError(kind, `${message}; ${mend}`);
  }
  if (kind === "misconfigured") {
    return new KafkaError(
      kind,
      `${message}; check KAFKA_CLUSTER_ID, or unset it to have the cluster asked for`,
    );
  }
  return new KafkaError(kind, message, options);
}

function kindOf(code: number, said: string): KafkaErrorCode {
  // 429005 and the like (RateLimitExceededException.ErrorCodes) have six digits, most have five.
  const status = Number(String(code).slice(0, 3));
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404) {
    if (/^cluster .* cannot be found/i.test(said)) return "misconfigured";
    // 40404 is "Leader not available".
    return code === 40404 ? "unavailable" : "unknown_topic";
  }
  // 408: "Streaming connection open for longer than allowed", the record was not taken.
  if (status === 408 || status === 504) return "timeout";
  if (status === 413) return "too_large";
  if (status === 429) return "throttled";
  if (code === 50002 && RECORD_AT_FAULT.test(said)) return "rejected";
  if (status >= 500) return "unavailable";
  return BY_TEXT.find(([pattern]) => pattern.test(said))?.[1] ?? "rejected";
}

/**
 * How long the proxy asks us to wait: Retry-After in either form (RFC 9110, 10.2.3), else X-RateLimit-Reset, which
 * Confluent gives in seconds from now (docs.confluent.io/cloud/current/api.html, "Rate Limiting").
 */
function retryAfterOf(headers: Headers, nowMs: number): { retryAfterMs?: number } {
  const asked = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(asked)) return { retryAfterMs: Number(asked) * 1_000 };
  const until = Date.parse(asked);
  if (!Number.isNaN(until)) return { retryAfterMs: Math.max(0, until - nowMs) };
  const reset = headers.get("x-ratelimit-reset")?.trim() ?? "";
  return /^\d{1,9}$/.test(reset) ? { retryAfterMs: Number(reset) * 1_000 } : {};
}

const errorBody = z.object({ error_code: z.int().optional(), message: z.string().nullish() });

/** The KafkaError for an answer that is no success. */
export function fromV3Answer({ status, headers, json }: RestAnswer, what: string): KafkaError {
  const { data } = errorBody.safeParse(json);
  const wait = retryAfterOf(headers, Date.now());
  // A page in the place of JSON: where it does not refuse, it is not the proxy's.
  if (data === undefined && (status < 400 || status === 404)) {
    const mend = "is KAFKA_REST_URL the address of a Kafka REST proxy, without its /v3?";
    return new KafkaError("bad_answer", `${what}: HTTP ${status} without JSON; ${mend}`, wait);
  }
  return fromV3Code(data?.error_code ?? status, data?.message ?? "", what, wait);
}
