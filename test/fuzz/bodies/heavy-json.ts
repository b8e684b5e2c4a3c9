// The densest JSON: many values, many keys, deep, long, and such as parsers stumble over.
import { MAX_BODY_BYTES } from "../../../lib/telemetry/limits.ts";
import { filled, list, VALUES, type Heavy } from "./heavy-body.ts";
import { encodeText } from "./mutate-bytes.ts";

export const asJson: readonly Heavy[] = [
  ["numbers", "/api/v1/logs", () => encodeText(list(VALUES, () => "0"))],
  ["empty objects", "/api/v1/logs", () => encodeText(list(VALUES / 2, () => "{}"))],
  [
    "objects of other keys",
    "/api/v1/events",
    () => encodeText(`{"event_type":"e","data":${list(VALUES / 2, (i) => `{"k${i}":0}`)}}`),
  ],
  [
    "one object of many keys",
    "/api/v1/events",
    () => encodeText(`{"event_type":"e","data":{${list(VALUES - 9, (i) => `"k${i}":0`).slice(1, -1)}}}`),
  ],
  [
    "unknown fields",
    "/api/v1/logs",
    () => encodeText(`{"message":"m",${list(VALUES - 9, (i) => `"k${i}":0`).slice(1, -1)}}`),
  ],
  [
    "index keys",
    "/api/v1/logs",
    () =>
      encodeText(
        `{"message":"m","attributes":{${list(VALUES - 9, (i) => `"${4e9 - i * 9}":0`).slice(1, -1)}}}`,
      ),
  ],
  ["open brackets", "/api/v1/events", () => filled("[", VALUES)],
  [
    "nested",
    "/api/v1/events",
    () => encodeText(`{"event_type":"e","data":${"[".repeat(190_000)}${"]".repeat(190_000)}}`),
  ],
  ["a text of escapes", "/api/v1/logs", () => filled("\\u00e9", MAX_BODY_BYTES, '{"message":"', '"}')],
  ["a text of line ends", "/api/v1/logs", () => filled("\\n", MAX_BODY_BYTES, '{"message":"', '"}')],
  ["backslashes", "/api/v1/logs", () => filled("\\\\", MAX_BODY_BYTES, '{"message":"')],
  ["quotes", "/api/v1/logs", () => filled('"\n', MAX_BODY_BYTES)],
  ["white space", "/api/v1/logs", () => filled(" ", MAX_BODY_BYTES, "{", "}")],
  ["line ends", "/api/v1/logs", () => filled("\n", MAX_BODY_BYTES, "{", "x")],
  ["one long number", "/api/v1/metrics", () => filled("7", MAX_BODY_BYTES, '{"name":"n","value":', "}")],
  [
    "full metrics",
    "/api/v1/metrics",
    () =>
      encodeText(
        list(
          10_000,
          (i) =>
            `{"name":"m${i % 7}","value":${i},"labels":{${list(30, (l) => `"l${l}":"v"`).slice(1, -1)}}}`,
        ),
      ),
  ],
  [
    "refused records",
    "/api/v1/metrics",
    () => encodeText(list(10_000, (i) => `{"name":"m","value":${i},"labels":{"${"\\u0001".repeat(20)}":1}}`)),
  ],
  [
    "a key each",
    "/api/v1/events",
    () => encodeText(list(10_000, (i) => `{"event_type":"e","data":0,"key":"${i}"}`)),
  ],
  [
    "long ids",
    "/api/v1/logs",
    () =>
      encodeText(
        list(2_000, (i) => `{"message":"m","id":"${i}${"é".repeat(500)}","host":"${"é".repeat(500)}${i}"}`),
      ),
  ],
  ["cloud events", "/kafka/publish", () => filled("0,", 700_000, '{"event_type":"e","data":[', "0]}")],
  [
    "OTLP: fraction digits",
    "/v1/logs",
    () => filled("1.1,", MAX_BODY_BYTES, '{"x":"1234567890123456","y":[1234567890123456,', "1]}"),
  ],
  [
    "OTLP: one long fraction",
    "/v1/logs",
    () => filled("1", MAX_BODY_BYTES, '{"x":1234567890123456,"y":0.', "}"),
  ],
  ["OTLP: long integers", "/v1/metrics", () => filled("1234567890123456,", MAX_BODY_BYTES, '{"x":[', "1]}")],
  [
    "OTLP: empty logs",
    "/v1/logs",
    () => encodeText(`{"resourceLogs":[{"scopeLogs":[{"logRecords":${list(10_000, () => "{}")}}]}]}`),
  ],
  [
    "OTLP: empty resources",
    "/v1/metrics",
    () => encodeText(`{"resourceMetrics":${list(190_000, () => "{}")}}`),
  ],
  [
    "OTLP: attributes",
    "/v1/logs",
    () =>
      encodeText(
        `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":${list(90_000, (i) => `{"key":"k${i}","value":{"intValue":${i}}}`)}}]}]}]}`,
      ),
  ],
  [
    "OTLP: attributes that do not nest",
    "/v1/traces",
    () => encodeText(`{"resourceSpans":[{"resource":{"attributes":${list(190_000, () => "{}")}}}]}`),
  ],
  [
    "OTLP: bucket counts",
    "/v1/metrics",
    () =>
      encodeText(
        `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"dataPoints":[{"bucketCounts":${list(VALUES - 20, () => "1")}}]}}]}]}]}`,
      ),
  ],
];

export const asLines: readonly Heavy[] = [
  ["blank lines", "/api/v1/logs", () => filled("\n", MAX_BODY_BYTES, "{}")],
  ["broken lines", "/api/v1/logs", () => filled('"\n', 20_000)],
  ["open texts", "/api/v1/logs", () => filled('{"a":"b\n', 79_000)],
  ["one long line", "/api/v1/logs", () => filled("x", MAX_BODY_BYTES, '{"message":"')],
  ["lines of white space", "/api/v1/events", () => filled("  \t \r\n", MAX_BODY_BYTES, "1\n")],
  ["full lines", "/api/v1/logs", () => filled('{"message":"m","attributes":{"a":1,"b":[2]}}\n', 449_000)],
];
