// Generators for the property tests of the record kinds: a valid record with up to three things changed about it, so
// that about as many are accepted as are refused, and the refused ones fail by one rule at a time.
import * as fc from "fast-check";
import {
  MAX_DEPTH,
  MAX_LABEL_VALUE_BYTES,
  MAX_LABELS,
  MAX_NAME_BYTES,
} from "../../../lib/telemetry/limits.ts";

export type Fields = Record<string, unknown>;

/** Text of exactly `bytes` bytes of UTF-8, of characters that take one to four each. */
export function textOfBytes(bytes: number, character: string): string {
  const width = Buffer.byteLength(character);
  return character.repeat(Math.floor(bytes / width)) + "a".repeat(bytes % width);
}

/** Texts around a byte limit, and texts that break another rule. */
export const textNear = (maxBytes: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.string({ maxLength: 12 }) },
    { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "",
        "\ud800",
        "a\udc00b",
        "\udc00\ud800",
        "a\u0000b",
        "\u007f",
        "ŉ".repeat(100),
      ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.integer({ min: -2, max: 2 }), fc.constantFrom("a", "é", "€", "😀"))
        .map(([off, character]) => textOfBytes(maxBytes + off, character)),
    },
  );

const nested = (levels: number, isObject: boolean): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = isObject ? { k: value } : [value];
  return value;
};

/** Values of JSON, those at the depth limit and those that JSON.stringify would change among them. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: MAX_DEPTH - 4, max: MAX_DEPTH + 2 }), fc.boolean())
      .map(([levels, isObject]) => nested(levels, isObject)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      "\ud800",
      ["a", { b: "\udfff" }],
      { "\ud800": 1 },
      Number.NaN,
      [Infinity],
      {},
      [],
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, true, 0, 1.5, "text") },
);

export const anyTimestamp: fc.Arbitrary<unknown> = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc
    .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
    .map((date) => date.toISOString().replace("Z", "123Z")),
  fc
    .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
    .map((date) => date.getTime()),
  fc
    .tuple(fc.constantFrom(1, 1e3, 1e6, 1e9), fc.double({ min: -2e9, max: 2e9, noNaN: true }))
    .map(([unit, at]) => at * unit),
  fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map(String),
  fc.constantFrom<unknown>(
    "2026-11-21",
    "2026-11-21T10:00",
    "2026-11-21 10:00:00+0130",
    "2026-02-30T10:00:00.000Z",
    "2026-13-01",
    "2016-12-31T23:59:60Z",
    "0000-01-01T00:00:00.000Z",
    "1677-09-21T00:12:43.145Z",
    "9999-12-31T23:59:59.999Z",
    "",
    "now",
    "2026",
    "1e9",
    " 2026-11-21",
    Number.NaN,
    Infinity,
    -Infinity,
    1e300,
    -0,
    0,
    null,
    true,
    [],
    {},
  ),
);

export const anyLabels: fc.Arbitrary<unknown> = fc.oneof(
  fc.dictionary(
    textNear(MAX_NAME_BYTES),
    fc.oneof(textNear(MAX_LABEL_VALUE_BYTES), fc.double(), fc.boolean()),
    { maxKeys: 2 },
  ),
  fc
    .integer({ min: MAX_LABELS - 2, max: MAX_LABELS + 1 })
    .map((count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "x"]))),
  fc.constantFrom<unknown>(
    null,
    {},
    [],
    "a=b",
    { a: null },
    { a: {} },
    { a: [1] },
    { "": "x" },
    { database_type: "x" },
    { instance_id: 1 },
    { constructor: "x" },
    { toString: true },
  ),
);

const notText = fc.constantFrom<unknown>(null, 1, true, [], {}, ["x"]);
export const nameLike = fc.oneof(
  { weight: 4, arbitrary: textNear(MAX_NAME_BYTES) },
  { weight: 1, arbitrary: notText },
);
export const shortTextLike = fc.oneof(
  { weight: 4, arbitrary: textNear(MAX_LABEL_VALUE_BYTES) },
  { weight: 1, arbitrary: notText },
);
export const numberLike = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom<unknown>(null, "1", true, Number.NaN, -0, 5e-324, 1.7976931348623157e308),
);

/**
 * A valid record with up to three fields set to something near-valid, removed, or added.
 * `__proto__` is left out as a key: zod drops it silently, the hand-written checks refuse it (tested apart).
 */
export function nearValid(
  base: fc.Arbitrary<Fields>,
  fields: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<Fields> {
  type Change = (record: Fields) => Fields;
  const set = fc.oneof(
    ...Object.entries(fields).map(([field, value]) =>
      value.map((to): Change => (record) => ({ ...record, [field]: to })),
    ),
  );
  const remove = fc.constantFrom(...Object.keys(fields)).map((field): Change => (record) => {
    const { [field]: _, ...rest } = record;
    return rest;
  });
  const unknownName = fc.oneof(
    fc.string({ maxLength: 5 }),
    fc.constantFrom("k", "\ud800", "", "a b", "constructor"),
  );
  const add = fc.tuple(unknownName, anyJson).map(([field, value]): Change => (record) => ({
    ...record,
    [field]: value,
  }));
  const change = fc.oneof(
    { weight: 5, arbitrary: set },
    { weight: 1, arbitrary: remove },
    { weight: 2, arbitrary: add },
  );
  return fc
    .tuple(base, fc.array(change, { maxLength: 3 }))
    .map(([record, changes]) => changes.reduce((changed, apply) => apply(changed), record))
    .filter((record) => !hasProtoKey(record));
}

function hasProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, child]) => key === "__proto__" || hasProtoKey(child));
}
