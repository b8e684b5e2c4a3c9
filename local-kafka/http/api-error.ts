/**
 * The answer to a request that fails: `{error_code, message}` as application/json, whose HTTP status is the code, or
 * the code / 100 for the five-digit ones. Codes and texts are Redpanda's (facts: src/v/pandaproxy/error.h and .cc).
 */
import type { Context } from "hono";
import { KafkaError, type KafkaErrorCode } from "../log/kafka-error.ts";

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly retryable: boolean;

  constructor(code: number, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
    this.retryable = this.status >= 500;
  }

  get status(): number {
    return this.code < 600 ? this.code : Math.floor(this.code / 100);
  }
}

/** Where Redpanda's proxy puts Kafka's own errors. */
const KAFKA_TO_API: Record<KafkaErrorCode, number> = {
  unknown_server_error: 50002,
  offset_out_of_range: 40002,
  unknown_topic_or_partition: 40402,
  leader_not_available: 50302,
  // In Redpanda 40002: there its own client has tried again before it says so.
  not_leader_for_partition: 50302,
  request_timed_out: 50003,
  broker_not_available: 50302,
  message_too_large: 40002,
  network_exception: 50003,
  coordinator_load_in_progress: 50003,
  coordinator_not_available: 50002,
  not_coordinator: 50002,
  invalid_topic_exception: 40002,
  record_list_too_large: 40002,
  not_enough_replicas: 50002,
  not_enough_replicas_after_append: 50002,
  illegal_generation: 40002,
  unknown_member_id: 40403,
  topic_authorization_failed: 40301,
  group_authorization_failed: 40301,
  cluster_authorization_failed: 40301,
  invalid_timestamp: 40002,
  topic_already_exists: 40002,
  invalid_partitions: 40002,
  invalid_replication_factor: 40002,
  invalid_config: 40002,
  not_controller: 50302,
  invalid_request: 40002,
  policy_violation: 40002,
  operation_not_attempted: 50302,
  kafka_storage_error: 50002,
  // The gateway's own credentials are at fault, not the client's, which a 401 would accuse.
  sasl_authentication_failed: 50302,
  invalid_record: 40002,
};

/** Turns whatever a handler threw into the answer. Faults of our own are 500 and told to `onFault`. */
export function answerError(c: Context, error: unknown, onFault: (error: unknown) => void): Response {
  const failure = toApiError(error, onFault);
  const body = JSON.stringify({ error_code: failure.code, message: failure.message });
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (failure.status === 503) headers["retry-after"] = "0";
  return c.body(body, failure.status as 400, headers);
}

/** What becomes of anything thrown; faults of our own are 500 and told to `onFault`. */
export function toApiError(error: unknown, onFault: (error: unknown) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof KafkaError)
    return new ApiError(KAFKA_TO_API[error.code], error.message, { cause: error });
  onFault(error);
  return new ApiError(500, "HTTP 500 Internal Server Error", { cause: error });
}
