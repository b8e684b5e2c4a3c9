// The densest messages that a consumer may find on a topic, whoever wrote them, and that may be written over HTTP.
import { filled, list, MB, VALUES, type Heavy } from "./heavy-body.ts";
import { inMetric, inResource } from "./heavy-otlp.ts";
import { encodeText } from "./mutate-bytes.ts";
import { many, message, text, varint } from "./protobuf-fields.ts";
import { writeFields, type Field } from "./protobuf-tree.ts";

const packedOtlp = (...records: Field[]): Field[] => [
  ...records,
  message(20_001, varint(1, 1n), text(2, "acme"), text(3, "b"), varint(4, 1_544_712_660_300n)),
];
export const asMessage: readonly Heavy[] = [
  ["bare numbers", "message/logs", () => encodeText(list(VALUES, () => "0"))],
  [
    "an envelope of broken entries",
    "message/logs",
    () =>
      encodeText(
        `{"v":1,"tenant":"a","signal":"logs","batch":"b","received":"2018-12-13T14:51:00.300Z","indices":${list(100_000, String)},"entries":${list(100_000, () => "0")}}`,
      ),
  ],
  [
    "an envelope of deep entries",
    "message/events",
    () =>
      encodeText(
        `{"v":1,"tenant":"a","signal":"events","batch":"b","received":"2018-12-13T14:51:00.300Z","indices":[0],"entries":[{"event_type":"e","data":${"[".repeat(90_000)}${"]".repeat(90_000)}}]}`,
      ),
  ],
  ["OTLP, empty resources", "message/logs", () => filled("\n\u0000", 700_000)],
  [
    "OTLP, a large resource of small logs",
    "message/logs",
    () =>
      writeFields([
        message(
          1,
          message(
            1,
            many(30, (i) => message(1, text(1, `k${i}`), message(2, text(1, "x".repeat(10_000))))),
          ),
          message(
            2,
            many(20_000, () => message(2)),
          ),
        ),
      ]),
  ],
  ["OTLP, indices without records", "message/logs", () => writeFields(packedOtlp(message(1)))],
  [
    "OTLP, many small logs",
    "message/logs",
    () => inResource(many(50_000, () => message(2, message(5, text(1, "m"))))),
  ],
  [
    "OTLP, empty points",
    "message/metrics",
    () =>
      inMetric(
        5,
        many(150_000, () => message(1)),
      ),
  ],
  ["base64", "message/logs", () => encodeText(`otlp:${"A".repeat(700_000)}`)],
  ["base64 of produce", "produce", () => encodeText(`{"value":"${"A".repeat(4 * MB)}","encoding":"base64"}`)],
  [
    "base64 that is none",
    "produce",
    () => encodeText(`{"value":"${"A".repeat(4 * MB - 4)}?AAA","encoding":"base64"}`),
  ],
  [
    "headers",
    "produce",
    () => encodeText(`{"value":"v","headers":${list(90_000, () => '{"name":"a","value":"b"}')}}`),
  ],
  [
    "other fields",
    "produce",
    () => encodeText(`{"value":"v",${list(190_000, (i) => `"k${i}":0`).slice(1, -1)}}`),
  ],
];
