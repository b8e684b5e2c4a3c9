// The one list of reasons for which Weir refuses something: used alike in answers (`code`, `reason`), logs and
// metric labels. `status` is the HTTP status when the reason concerns the whole request.

export const reasons = {
  // the request
  malformed_path: { status: 400, title: "The path holds a control character" },
  malformed_json: { status: 400, title: "The body is not JSON" },
  malformed_encoding: { status: 400, title: "The body is not what its Content-Encoding says" },
  invalid_utf8: { status: 400, title: "The body is not UTF-8" },
  invalid_header: { status: 400, title: "A header holds a value that cannot be used" },
  invalid_query: { status: 400, title: "A query parameter holds a value that cannot be used" },
  invalid_records: { status: 400, title: "No record of the request could be accepted" },
  unauthorized: { status: 401, title: "The key is missing or wrong" },
  forbidden: { status: 403, title: "The key lacks the scope" },
  not_found: { status: 404, title: "There is nothing at this path" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  body_too_large: { status: 413, title: "The body is too large" },
  too_many_records: { status: 413, title: "The request holds too many records" },
  too_many_values: { status: 413, title: "The body holds too many JSON values" },
  unsupported_media_type: { status: 415, title: "The Content-Type is not taken here" },
  unsupported_encoding: { status: 415, title: "The Content-Encoding is not taken here" },
  // a record
  not_an_object: { status: 400, title: "A record must be a JSON object" },
  missing_field: { status: 400, title: "A required field is missing" },
  wrong_type: { status: 400, title: "A field has the wrong type" },
  unknown_field: { status: 400, title: "A field is not known" },
  forbidden_key: { status: 400, title: "A key is not allowed" },
  invalid_unicode: { status: 400, title: "A text holds a lone surrogate" },
  invalid_name: { status: 400, title: "A name has characters that are not allowed" },
  not_finite: { status: 400, title: "A number is not finite" },
  invalid_timestamp: { status: 400, title: "A time cannot be read" },
  timestamp_out_of_range: { status: 400, title: "A time is too old or too far ahead" },
  too_long: { status: 400, title: "A text is too long" },
  too_many_labels: { status: 400, title: "A record has too many labels" },
  too_deep: { status: 400, title: "A value is nested too deep" },
  record_too_large: { status: 400, title: "A record is too large for one Kafka message" },
  // a topic
  unknown_topic: { status: 404, title: "There is no such topic or partition" },
  offset_out_of_range: { status: 400, title: "The offset lies outside of the log" },
  kafka_rejected: { status: 409, title: "Kafka refuses this" },
  unsupported: { status: 501, title: "This deployment's way to Kafka cannot do that" },
  // the world behind us
  kafka_unavailable: { status: 503, title: "Kafka cannot be reached" },
  storage_unavailable: { status: 503, title: "The storage cannot be reached" },
  misconfigured: { status: 503, title: "A setting of this deployment is wrong" },
  internal: { status: 500, title: "A fault of ours" },
} as const satisfies Record<string, { status: number; title: string }>;

export type Reason = keyof typeof reasons;
