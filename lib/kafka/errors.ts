// What can go wrong with Kafka, whatever the transport: a stable code, whether trying again can help, and what a
// person should do. Retry reads the fields, never the message; messages never hold a secret.

export type KafkaErrorCode =
  | "unreachable" // no connection, or it broke
  | "timeout" // no answer inside the deadline: what was sent may or may not have been written
  | "throttled" // 429
  | "unavailable" // 5xx, or a broker's own passing fault (no leader, not enough replicas)
  | "unauthorized" // 401, 403, or the broker's authorization errors
  | "unknown_topic" // the topic or the partition does not exist
  | "offset_out_of_range"
  | "too_large" // one message or request over the broker's or the proxy's limit
  | "rejected" // any other refusal of what was sent
  | "bad_answer" // an answer that is not the protocol's (an HTML page, half a JSON)
  | "topic_exists"
  | "misconfigured" // a setting forbids or fails to allow it; the message names it
  | "unsupported"; // this transport cannot do what was asked

const RETRYABLE: ReadonlySet<KafkaErrorCode> = new Set<KafkaErrorCode>([
  "unreachable",
  "timeout",
  "throttled",
  "unavailable",
  "bad_answer",
]);

export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: KafkaErrorCode;
  /** True when the same call may succeed later. */
  readonly retryable: boolean;
  /** What the other side asked us to wait, where it did. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: KafkaErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Kafka protocol error codes (kafka.apache.org/protocol, "Error Codes") that a proxy passes on, to ours. */
export function fromProtocolCode(protocolCode: number, what: string): KafkaError {
  const code = PROTOCOL_CODES[protocolCode] ?? "rejected";
  const mend = code === "unknown_topic" ? `; ${MAKE_TOPIC}` : "";
  return new KafkaError(code, `${what}: Kafka error ${protocolCode} (${code})${mend}`);
}

/** What to do about a topic that is not there. */
export const MAKE_TOPIC =
  "`weir topics init` makes Weir's own, the cluster's tool any other; `weir topics list --all` tells which there are";

const PROTOCOL_CODES: Record<number, KafkaErrorCode> = {
  [-1]: "unavailable", // UNKNOWN_SERVER_ERROR
  1: "offset_out_of_range",
  3: "unknown_topic", // UNKNOWN_TOPIC_OR_PARTITION
  5: "unavailable", // LEADER_NOT_AVAILABLE
  6: "unavailable", // NOT_LEADER_OR_FOLLOWER
  7: "timeout", // REQUEST_TIMED_OUT: the write may have happened
  8: "unavailable", // BROKER_NOT_AVAILABLE
  9: "unavailable", // REPLICA_NOT_AVAILABLE
  10: "too_large", // MESSAGE_TOO_LARGE
  13: "unavailable", // NETWORK_EXCEPTION
  14: "unavailable", // COORDINATOR_LOAD_IN_PROGRESS
  15: "unavailable", // COORDINATOR_NOT_AVAILABLE
  16: "unavailable", // NOT_COORDINATOR
  18: "too_large", // RECORD_LIST_TOO_LARGE
  19: "unavailable", // NOT_ENOUGH_REPLICAS
  20: "timeout", // NOT_ENOUGH_REPLICAS_AFTER_APPEND: written, not replicated
  36: "topic_exists", // TOPIC_ALREADY_EXISTS
  29: "unauthorized", // TOPIC_AUTHORIZATION_FAILED
  30: "unauthorized", // GROUP_AUTHORIZATION_FAILED
  31: "unauthorized", // CLUSTER_AUTHORIZATION_FAILED
  41: "unavailable", // NOT_CONTROLLER
  56: "unavailable", // KAFKA_STORAGE_ERROR
  72: "unavailable", // LISTENER_NOT_FOUND
  74: "unavailable", // FENCED_LEADER_EPOCH
  89: "throttled", // THROTTLING_QUOTA_EXCEEDED
};
