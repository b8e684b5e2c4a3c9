// What a KafkaError is on the wire: one place maps its code. Operators are told its message, since it never holds a
// secret and says what to do; everybody else the code, since addresses of the cluster are not for clients.
import { problem } from "../lib/http/problem.ts";
import type { KafkaError, KafkaErrorCode } from "../lib/kafka/errors.ts";
import type { Reason } from "../lib/telemetry/reasons.ts";

const REASONS: Record<KafkaErrorCode, Reason> = {
  unreachable: "kafka_unavailable",
  timeout: "kafka_unavailable",
  throttled: "kafka_unavailable",
  unavailable: "kafka_unavailable",
  bad_answer: "kafka_unavailable",
  unauthorized: "misconfigured",
  misconfigured: "misconfigured",
  unknown_topic: "unknown_topic",
  offset_out_of_range: "offset_out_of_range",
  too_large: "record_too_large",
  rejected: "kafka_rejected",
  topic_exists: "kafka_rejected",
  unsupported: "unsupported",
};

/** What a client is asked to wait at least when Kafka is away. */
const RETRY_AFTER_S = 2;

/** @param askedMs what the other side asked to be waited, where it did */
export function retryAfterSeconds(askedMs: number | undefined): number {
  return Math.max(RETRY_AFTER_S, Math.ceil((askedMs ?? 0) / 1000));
}

export function reasonOf(error: KafkaError): Reason {
  return REASONS[error.code];
}

export interface KafkaProblemOptions {
  isOperator: boolean;
  extra?: Record<string, unknown>;
}

export function kafkaProblem(
  error: KafkaError,
  requestId: string,
  { isOperator, extra = {} }: KafkaProblemOptions,
): Response {
  const told = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
  return problem(reasonOf(error), {
    detail: isOperator ? told : `Kafka did not do what this takes (${error.code}).`,
    requestId,
    headers: error.retryable ? { "Retry-After": String(retryAfterSeconds(error.retryAfterMs)) } : {},
    extra: { kafka_code: error.code, ...extra },
  });
}
