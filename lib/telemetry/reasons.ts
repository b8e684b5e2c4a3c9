// The one list of reasons for which Weir refuses something: used alike in answers (`code`, `reason`), logs and
// metric labels. `status` is the HTTP status when the reason concerns the whole request; `mend` tells what to do, in docs/errors.md.

export const reasons = {
  // the request
  malformed_path: {
    status: 400,
    title: "The path holds a control character",
    mend: "Percent-encode the path anew; it must not hold control characters.",
  },
  malformed_json: {
    status: 400,
    title: "The body is not JSON",
    mend: "Send valid JSON, or NDJSON with one value a line; the answer says where reading failed.",
  },
  malformed_encoding: {
    status: 400,
    title: "The body is not what its Content-Encoding says",
    mend: "Compress the body as its Content-Encoding says and send all of it, or leave the header out.",
  },
  invalid_utf8: {
    status: 400,
    title: "The body is not UTF-8",
    mend: "Encode the body as UTF-8.",
  },
  invalid_header: {
    status: 400,
    title: "A header holds a value that cannot be used",
    mend: "Correct the header that `errors` names.",
  },
  invalid_query: {
    status: 400,
    title: "A query parameter holds a value that cannot be used",
    mend: "Correct the query parameter that `errors` names.",
  },
  invalid_records: {
    status: 400,
    title: "No record of the request could be accepted",
    mend: "Correct each record as `errors` says, by its index; sending the same again will be refused again.",
  },
  partial_write: {
    status: 400,
    title: "Some records were refused, the others are written",
    mend: "Nothing is to be sent again; correct what `errors` names at its source.",
  },
  unauthorized: {
    status: 401,
    title: "The key is missing or wrong",
    mend: "Send a key that is valid now: `Authorization: Bearer KEY`, `X-API-Key: KEY`, or the password of Basic.",
  },
  topic_not_allowed: {
    status: 403,
    title: "The topic may not be published to",
    mend: "Name one of PUBLISH_TOPICS, or have the operator add it.",
  },
  forbidden: {
    status: 403,
    title: "The key may not do this",
    mend: "Use a key that has the scope, the signal and the origin which the answer names, or have one made.",
  },
  not_found: {
    status: 404,
    title: "There is nothing at this path",
    mend: "Check path and id; `/openapi.json` lists what there is.",
  },
  method_not_allowed: {
    status: 405,
    title: "The method is not allowed here",
    mend: "Use one of the methods in the answer's `Allow` header.",
  },
  body_too_large: {
    status: 413,
    title: "The body is too large",
    mend: "Split the records over several requests.",
  },
  too_many_records: {
    status: 413,
    title: "The request holds too many records",
    mend: "Split the records over several requests.",
  },
  too_many_values: {
    status: 413,
    title: "The body holds too many JSON values",
    mend: "Split the records over several requests, or send fewer fields.",
  },
  malformed_protobuf: {
    status: 400,
    title: "The body is not the protobuf message expected",
    mend: "Send the message that belongs to the path, uncut, with the right Content-Type; the answer says where reading failed.",
  },
  key_ended: {
    status: 409,
    title: "The key is revoked or expired",
    mend: "Make a new key.",
  },
  group_busy: {
    status: 409,
    title: "The group is at something else",
    mend: "GET /api/v1/admin/groups tells at what: wait until it is done, or cancel it.",
  },
  rule_changed: {
    status: 409,
    title: "The alert rule was changed meanwhile",
    mend: "GET the rule again, and send your change with the `revision` that it has now.",
  },
  idempotency_conflict: {
    status: 422,
    title: "The Idempotency-Key was used for another body",
    mend: "Use a new Idempotency-Key for every new body, and the old one only for the same body; a request of which no record was accepted (400) leaves its key free.",
  },
  quota_exceeded: {
    status: 429,
    title: "The quota is used up",
    mend: "Wait for `Retry-After`, then send the same again; `RateLimit` tells what is left. For more ask the operator.",
  },
  unsupported_media_type: {
    status: 415,
    title: "The Content-Type is not taken here",
    mend: "Send the Content-Type that the answer names.",
  },
  unsupported_encoding: {
    status: 415,
    title: "The Content-Encoding is not taken here",
    mend: "Use an encoding of the answer's `Accept-Encoding` header, or none.",
  },
  // a record
  not_an_object: {
    status: 400,
    title: "A record must be a JSON object",
    mend: "Send each record as a JSON object.",
  },
  missing_field: {
    status: 400,
    title: "A required field is missing",
    mend: "Add the field at `path`.",
  },
  wrong_type: {
    status: 400,
    title: "A field has the wrong type",
    mend: "Give the field at `path` the type that the message names.",
  },
  unknown_field: {
    status: 400,
    title: "A field is not known",
    mend: "Remove or rename the field at `path`; what is your own goes into `attributes` or `labels`.",
  },
  forbidden_key: {
    status: 400,
    title: "A key is not allowed",
    mend: "Rename the key at `path`.",
  },
  invalid_unicode: {
    status: 400,
    title: "A text holds a lone surrogate",
    mend: "Send whole characters: both halves of a surrogate pair, or neither.",
  },
  invalid_name: {
    status: 400,
    title: "A name has characters that are not allowed",
    mend: "Use the characters that the message names.",
  },
  not_finite: {
    status: 400,
    title: "A number is not finite",
    mend: "Leave the record out, or send a finite number; JSON has no NaN and no infinity.",
  },
  invalid_timestamp: {
    status: 400,
    title: "A time cannot be read",
    mend: "Send ISO 8601 with a zone, or a number in the unit that the message names; without a time the receipt's counts.",
  },
  timestamp_out_of_range: {
    status: 400,
    title: "A time is too old or too far ahead",
    mend: "Check the sender's clock; what is older than the limit can no longer be taken.",
  },
  too_long: {
    status: 400,
    title: "A text is too long",
    mend: "Shorten the text at `path` to what the message allows.",
  },
  too_many_labels: {
    status: 400,
    title: "A record has too many labels",
    mend: "Send fewer labels; what tells single requests or users apart belongs in a log.",
  },
  too_deep: {
    status: 400,
    title: "A value is nested too deep",
    mend: "Flatten the value at `path`.",
  },
  record_too_large: {
    status: 400,
    title: "A record is too large for one Kafka message",
    mend: "Send a smaller record; as an operator see that the broker's `message.max.bytes` is 1 MiB or more.",
  },
  // a topic
  unknown_topic: {
    status: 404,
    title: "There is no such topic or partition",
    mend: "Check the topic's name and partition; as an operator make missing topics with `weir topics init`.",
  },
  offset_out_of_range: {
    status: 400,
    title: "The offset lies outside of the log",
    mend: "Ask for an offset between the log's start and end, or for `earliest` or `latest`.",
  },
  kafka_rejected: {
    status: 409,
    title: "Kafka refuses this",
    mend: "Read the message: Kafka says what it refuses; trying again will not help.",
  },
  unsupported: {
    status: 501,
    title: "This deployment's way to Kafka cannot do that",
    mend: "Use another `KAFKA_TRANSPORT`, or do it with the cluster's own tools.",
  },
  // the world behind us
  overloaded: {
    status: 503,
    title: "Too much is in progress at this moment",
    mend: "Send the same request again after `Retry-After`; in smaller batches it gets in sooner.",
  },
  kafka_unavailable: {
    status: 503,
    title: "Kafka cannot be reached",
    mend: "Send the same request again after `Retry-After`, with the same Idempotency-Key where there is one.",
  },
  spill_full: {
    status: 503,
    title: "Kafka cannot be reached, and what is kept for it meanwhile is full",
    mend: "Send the same request again after `Retry-After`, with the same Idempotency-Key where there is one. As an operator bring Kafka back, or raise SPILL_MAX_BYTES.",
  },
  storage_unavailable: {
    status: 503,
    title: "The storage cannot be reached",
    mend: "Try again after `Retry-After`.",
  },
  misconfigured: {
    status: 503,
    title: "A setting of this deployment is wrong",
    mend: "As an operator read the log: it names the setting. Others try again after `Retry-After`.",
  },
  internal: {
    status: 500,
    title: "A fault of ours",
    mend: "Report it with the `request_id`, by which the log holds what happened; trying again may help.",
  },
} as const satisfies Record<string, { status: number; title: string; mend: string }>;

export type Reason = keyof typeof reasons;
