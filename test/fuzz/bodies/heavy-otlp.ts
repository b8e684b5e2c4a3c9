// The densest OTLP: objects of two bytes, resources that many records share, long lists of numbers.
import { filled, MB, VALUES, type Heavy } from "./heavy-body.ts";
import type { Bytes } from "./mutate-bytes.ts";
import { attribute, many, message, text, varint } from "./protobuf-fields.ts";
import { newField, writeFields, type Field } from "./protobuf-tree.ts";

export const inResource = (...records: (Field | Field[])[]): Bytes =>
  writeFields([message(1, message(2, ...records))]);
export const inMetric = (data: number, ...points: (Field | Field[])[]): Bytes =>
  inResource(message(2, text(1, "m"), message(data, ...points)));
/** The attributes are field 6 of a log record. */
const logAttributes = (count: number): Field[] => many(count, (i) => ({ ...attribute(i), number: 6 }));

export const asProtobuf: readonly Heavy[] = [
  ["empty resources", "/v1/logs", () => filled("\n\u0000", VALUES)],
  ["empty logs", "/v1/logs", () => inResource(many(10_000, () => message(2)))],
  [
    "empty points",
    "/v1/metrics",
    () =>
      inMetric(
        5,
        many(10_000, () => message(1)),
      ),
  ],
  ["empty metrics", "/v1/metrics", () => inResource(many(190_000, () => message(2)))],
  [
    "empty events of one span",
    "/v1/traces",
    () =>
      inResource(
        message(
          2,
          many(190_000, () => message(11)),
        ),
      ),
  ],
  ["attributes", "/v1/logs", () => inResource(message(2, logAttributes(95_000)))],
  [
    "logs of ten attributes",
    "/v1/logs",
    () => inResource(many(9_000, () => message(2, message(5, text(1, "m")), logAttributes(10)))),
  ],
  ["unknown fields", "/v1/logs", () => writeFields(many(195_000, () => varint(999, 1n)))],
  [
    "packed counts",
    "/v1/metrics",
    () => inMetric(9, message(1, newField(6, { bytes: new Uint8Array(380_000 * 8) }))),
  ],
  [
    "packed varints",
    "/v1/metrics",
    () => inMetric(10, message(1, message(8, newField(2, { bytes: new Uint8Array(380_000) })))),
  ],
  ["one long text", "/v1/logs", () => inResource(message(2, message(5, text(1, "é".repeat(2.4 * MB)))))],
  [
    "a large resource",
    "/v1/logs",
    () =>
      writeFields([
        message(
          1,
          message(1, many(9_000, attribute)),
          message(
            2,
            many(10_000, () => message(2)),
          ),
        ),
      ]),
  ],
  [
    "a large scope",
    "/v1/logs",
    () =>
      writeFields([
        message(
          1,
          message(
            2,
            message(
              1,
              many(9_000, (i) => ({ ...attribute(i), number: 3 })),
            ),
            many(10_000, () => message(2)),
          ),
        ),
      ]),
  ],
  [
    "many resources",
    "/v1/logs",
    () => writeFields(many(10_000, (i) => message(1, message(1, attribute(i)), message(2, message(2))))),
  ],
  [
    "a resource of long texts",
    "/v1/logs",
    () =>
      writeFields([
        message(
          1,
          message(
            1,
            many(60, (i) => message(1, text(1, `k${i}`), message(2, text(1, "x".repeat(10_000))))),
          ),
          message(
            2,
            many(9_000, () => message(2)),
          ),
        ),
      ]),
  ],
  [
    "10 MiB of texts",
    "/v1/logs",
    () => inResource(many(2_000, () => message(2, message(5, text(1, "x".repeat(5_000)))))),
  ],
];
