// The densest requests of remote write, without their compression.
import { MB, VALUES } from "./heavy-body.ts";
import { many, message, text, varint } from "./protobuf-fields.ts";
import { newField, type Field } from "./protobuf-tree.ts";

const writeLabel = (number: number, name: string, value: string): Field =>
  message(number, text(1, name), text(2, value));
const sample = message(2, varint(2, 1_544_712_660_300n));
export const asWrite: readonly [name: string, version: "v1" | "v2", make: () => Field[]][] = [
  [
    "series",
    "v1",
    () =>
      many(10_000, (i) => message(1, writeLabel(1, "__name__", "m"), writeLabel(1, "i", String(i)), sample)),
  ],
  [
    "one series of many samples",
    "v1",
    () => [
      message(
        1,
        writeLabel(1, "__name__", "m"),
        many(10_000, () => sample),
      ),
    ],
  ],
  ["empty series", "v1", () => many(20_000, () => message(1))],
  ["empty metadata", "v1", () => many(190_000, () => message(3))],
  [
    "labels",
    "v1",
    () => [
      message(
        1,
        many(95_000, (i) => writeLabel(1, `l${i}`, "x")),
      ),
    ],
  ],
  [
    "exemplars",
    "v1",
    () => [
      message(
        1,
        writeLabel(1, "__name__", "m"),
        sample,
        many(90_000, () => message(3, writeLabel(1, "a", "b"))),
      ),
    ],
  ],
  [
    "exemplars of no sample",
    "v1",
    () =>
      many(9_000, (i) =>
        message(
          1,
          writeLabel(1, "__name__", `m${i}`),
          message(3, writeLabel(1, "a", "b"), varint(3, 1_544_712_660_300n)),
        ),
      ),
  ],
  ["symbols", "v2", () => many(380_000, () => text(4, ""))],
  [
    "references",
    "v2",
    () => [text(4, ""), ...many(100, () => message(5, newField(1, { bytes: new Uint8Array(30_000) })))],
  ],
  [
    "long symbols in all series",
    "v2",
    () => [
      text(4, ""),
      text(4, "__name__"),
      text(4, "m"),
      text(4, "x".repeat(MB)),
      ...many(10_000, () =>
        message(
          5,
          newField(1, { bytes: Uint8Array.of(1, 2) }),
          sample,
          message(5, varint(1, 2n), varint(3, 3n)),
        ),
      ),
    ],
  ],
  [
    "buckets",
    "v1",
    () => [
      message(1, writeLabel(1, "__name__", "h"), message(4, newField(12, { bytes: new Uint8Array(VALUES) }))),
    ],
  ],
  [
    "spans of buckets",
    "v1",
    () => [
      message(
        1,
        writeLabel(1, "__name__", "h"),
        message(
          4,
          many(190_000, () => message(11, varint(2, 2n ** 32n - 1n))),
        ),
      ),
    ],
  ],
];
