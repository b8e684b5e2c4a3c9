// What Weir takes at most. Each limit is a named constant with where it comes from: "contract" is the public
// contract (README, "Limits"), and a change there is a change for users.

/** Body as sent (contract). */
export const MAX_BODY_BYTES = 5 * 1024 * 1024;
/** Body after decompression (contract); counted while decompressing. */
export const MAX_DECODED_BYTES = 10 * 1024 * 1024;
/** Records in one request (contract). */
export const MAX_RECORDS = 10_000;
/**
 * JSON values in one body: 10,000 metrics with every field and 30 labels are 360,000. At this limit the costliest form
 * found, 200,000 objects of one key each, every key another, takes 37 MB of heap (20 MiB of `{},` would take 468 MB).
 */
export const MAX_JSON_VALUES = 400_000;
/** A log's message text, in bytes of UTF-8 (contract). */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** Labels of a metric (contract). */
export const MAX_LABELS = 30;
/** Metric, label, event and level names, in bytes (contract). */
export const MAX_NAME_BYTES = 200;
/** Label values, service and host names, record ids and keys, in bytes (contract). */
export const MAX_LABEL_VALUE_BYTES = 1_024;
/** Nesting of JSON inside a record, the record itself being depth 1 (contract). */
export const MAX_DEPTH = 32;
/** How old a record's time may be at receipt (contract). */
export const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
/** How far ahead a record's time may be at receipt (contract). */
export const MAX_AHEAD_MS = 10 * 60 * 1000;
/** An Idempotency-Key header, in characters. */
export const MAX_IDEMPOTENCY_KEY_CHARS = 255;

/** One Kafka message's value, in bytes (contract): under the broker's 1 MiB with headroom for key and framing. */
export const MAX_MESSAGE_VALUE_BYTES = 700_000;
/** One produce request's body as sent, in bytes (contract; Karapace refuses 1,048,576). */
export const MAX_PRODUCE_REQUEST_BYTES = 1_000_000;
