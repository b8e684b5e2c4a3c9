/**
 * The failures a log can answer with, under Kafka's own names and numbers, so that every dialect maps the same list.
 * Callers branch on `code`, never on the message.
 */

/** Kafka protocol error numbers (https://kafka.apache.org/protocol#protocol_error_codes), the few a log here can meet. */
const KAFKA_ERROR_NUMBERS = {
  unknown_server_error: -1,
  offset_out_of_range: 1,
  unknown_topic_or_partition: 3,
  message_too_large: 10,
  invalid_topic_exception: 17,
  unknown_member_id: 25,
  topic_already_exists: 36,
  invalid_partitions: 37,
  invalid_config: 40,
  operation_not_attempted: 55,
  kafka_storage_error: 56,
} as const;

export type KafkaErrorCode = keyof typeof KAFKA_ERROR_NUMBERS;

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
    this.retryable = options.retryable ?? false;
  }

  /** Kafka's number for the code. */
  get number(): number {
    return KAFKA_ERROR_NUMBERS[this.code];
  }
}
