// What a KafkaError is to an operator who asked for something of Kafka: one place maps its code to the wire. Its message
// is told, since it never holds a secret and says what to do; clients of the intake get less (intake-answer.ts).
import { problem } from "../lib/http/problem.ts";
import { KafkaError, type KafkaErrorCode } from "../lib/kafka/errors.ts";
import { logger } from "../lib/observability/logger.ts";
import { reasons, type Reason } from "../lib/telemetry/reasons.ts";
import { answerError, type AppContext } from "./request-context.ts";

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

const RETRY_AFTER_S = 2;

export function reasonOf(error: KafkaError): Reason {
  return REASONS[error.code];
}

export function kafkaProblem(
  error: KafkaError,
  requestId: string,
  extra: Record<string, unknown> = {},
): Response {
  const seconds = Math.max(RETRY_AFTER_S, Math.ceil((error.retryAfterMs ?? 0) / 1000));
  return problem(reasonOf(error), {
    detail: `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`,
    requestId,
    headers: error.retryable ? { "Retry-After": String(seconds) } : {},
    extra: { kafka_code: error.code, ...extra },
  });
}

/** For Hono's onError: KafkaErrors by their code, anything else as everywhere. */
export function answerKafkaError(error: Error, c: AppContext): Response {
  if (!(error instanceof KafkaError)) return answerError(error, c);
  const requestId = c.get("requestId");
  // Asking for a topic that is not there is no fault of the deployment's.
  if (reasons[reasonOf(error)].status >= 500)
    logger.error("kafka_failed", { request_id: requestId, code: error.code, message: error.message });
  return kafkaProblem(error, requestId);
}
