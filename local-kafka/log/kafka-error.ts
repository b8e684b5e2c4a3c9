/**
 * The failures a log can answer with, under Kafka's own names and numbers, so that every dialect maps the same list.
 * Callers branch on `code`, never on the message.
 */

/** Kafka protocol error numbers (https://kafka.apache.org/protocol#protocol_error_codes), those a log here can meet. */
const KAFKA_ERROR_NUMBERS = {
  unknown_server_error: -1,
  offset_out_of_range: 1,
  unknown_topic_or_partition: 3,
  leader_not_available: 5,
  not_leader_for_partition: 6,
  request_timed_out: 7,
  broker_not_available: 8,
  message_too_large: 10,
  network_exception: 13,
  coordinator_load_in_progress: 14,
  coordinator_not_available: 15,
  not_coordinator: 16,
  invalid_topic_exception: 17,
  record_list_too_large: 18,
  not_enough_replicas: 19,
  not_enough_replicas_after_append: 20,
  illegal_generation: 22,
  unknown_member_id: 25,
  topic_authorization_failed: 29,
  group_authorization_failed: 30,
  cluster_authorization_failed: 31,
  invalid_timestamp: 32,
  topic_already_exists: 36,
  invalid_partitions: 37,
  invalid_replication_factor: 38,
  invalid_config: 40,
  not_controller: 41,
  invalid_request: 42,
  policy_violation: 44,
  operation_not_attempted: 55,
  kafka_storage_error: 56,
  sasl_authentication_failed: 58,
  invalid_record: 87,
} as const;

export type KafkaErrorCode = keyof typeof KAFKA_ERROR_NUMBERS;

/** Nothing answers for the log at present: what a request wanted fails as a whole, and may be asked for again. */
const OUTAGES: ReadonlySet<KafkaErrorCode> = new Set([
  "leader_not_available",
  "not_leader_for_partition",
  "request_timed_out",
  "broker_not_available",
  "network_exception",
  "coordinator_load_in_progress",
  "coordinator_not_available",
  "not_coordinator",
  "not_controller",
  "operation_not_attempted",
]);

/** The code for one of Kafka's numbers; undefined for a number not in the list. */
export function codeOfNumber(number: number): KafkaErrorCode | undefined {
  const found = Object.entries(KAFKA_ERROR_NUMBERS).find(([, each]) => each === number);
  return found?.[0] as KafkaErrorCode | undefined;
}

/** A request the log refused or could not carry out. `message` starts with the code, as Redpanda's answers do. */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: KafkaErrorCode;
  readonly retryable: boolean;
  readonly detail: string;

  constructor(code: KafkaErrorCode, detail = "", options: { retryable?: boolean; cause?: unknown } = {}) {
    super(detail === "" ? code : `${code}: ${detail}`, { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.retryable = options.retryable ?? OUTAGES.has(code);
  }

  /** Kafka's number for the code. */
  get number(): number {
    return KAFKA_ERROR_NUMBERS[this.code];
  }

  /** Whether there is nobody to serve the request, whatever it asks for. */
  get isOutage(): boolean {
    return OUTAGES.has(this.code);
  }
}
