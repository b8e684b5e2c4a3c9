import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatMoment,
  isCanonicalMillis,
  momentToNanos,
  nanosToMoment,
  parseTimestamp,
  type Moment,
} from "../../../lib/telemetry/time.ts";

const RUNS = { seed: 20261121, numRuns: 1_000 };
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

const moments: fc.Arbitrary<Moment> = fc.record({
  ms: fc.oneof(fc.integer({ min: FIRST_MS, max: LAST_MS }), fc.integer({ min: -2_000, max: 2_000 })),
  subMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999 })),
});

const read = (value: unknown) => {
  const moment = parseTimestamp(value);
  return moment.ok ? formatMoment(moment.value) : moment.error.reason;
};

describe("texts", () => {
  it.each([
    ["2026-11-21T10:00:00.000Z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21t10:00:00z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00Z", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21", "2026-11-21T00:00:00.000Z"],
    ["2026-11-21 10:00:00", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21 10:00:00 +0100", "2026-11-21T09:00:00.000Z"],
    ["2026-11-21T10:00:00+01", "2026-11-21T09:00:00.000Z"],
    ["2026-11-21T10:00:00-05:30", "2026-11-21T15:30:00.000Z"],
    ["2026-11-21T00:30:00+01:00", "2026-11-20T23:30:00.000Z"],
    ["2026-11-21T10:00:00-00:00", "2026-11-21T10:00:00.000Z"],
    ["2026-11-21T10:00:00,5Z", "2026-11-21T10:00:00.500Z"],
    ["2026-11-21T10:00:00.123456", "2026-11-21T10:00:00.123456000Z"],
    ["2026-11-21T10:00:00.123456789Z", "2026-11-21T10:00:00.123456789Z"],
    ["2026-11-21T10:00:00.1234567891234Z", "2026-11-21T10:00:00.123456789Z"],
    ["2026-11-21T10:00:00.0000001+02:00", "2026-11-21T08:00:00.000000100Z"],
    ["2026-11-21T24:00:00Z", "2026-11-22T00:00:00.000Z"],
    ["2024-02-29T00:00:00.000Z", "2024-02-29T00:00:00.000Z"],
    ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"],
    ["2016-12-31T23:59:60.000Z", "2017-01-01T00:00:00.000Z"],
    ["2026-11-21T23:59:60.000Z", "2026-11-22T00:00:00.000Z"],
    ["2016-12-31T23:59:60.250Z", "2017-01-01T00:00:00.250Z"],
    ["2017-01-01T00:59:60.5+01:00", "2017-01-01T00:00:00.500Z"],
  ])("%s is %s", (text, expected) => expect(read(text)).toBe(expected));

  it.each([
    "",
    " ",
    "now",
    "yesterday",
    "2026-11",
    "2026-11-21T",
    "2026-11-21T10",
    "2026-11-21T25:00:00Z",
    "2026-11-21T24:00:01Z",
    "2026-11-21T10:60:00Z",
    "2026-11-21T10:00:61Z",
    "2026-11-21T10:00:61.000Z",
    "2026-00-01",
    "2026-13-01",
    "2026-13-01T00:00:00.000Z",
    "2026-11-00",
    "2026-11-31",
    "2026-02-29",
    "2026-02-30T10:00:00Z",
    "2026-02-30T10:00:00.000Z",
    "1900-02-29T00:00:00.000Z",
    "2026-11-21T10:00:00+24:00",
    "2026-11-21T10:00:00+01:60",
    "2026-11-21T10:00:00+1",
    "2026-11-21Z",
    "2026-11-21T10:00:00.Z",
    "2026-11-21T10:00:00.000Z\n",
    " 2026-11-21",
    "1e9",
    "0x10",
    "1.5",
    "99999999999999999999",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "+010000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "-99999999999",
  ])("%j is refused", (text) => expect(read(text)).toBe("invalid_timestamp"));
});

describe("numbers", () => {
  it.each<[number | string, string]>([
    [0, "1970-01-01T00:00:00.000Z"],
    [-0, "1970-01-01T00:00:00.000Z"],
    [-1, "1969-12-31T23:59:59.000Z"],
    [1_795_255_200, "2026-11-21T10:00:00.000Z"],
    [1_795_255_200.25, "2026-11-21T10:00:00.250Z"],
    [1_795_255_200.123456, "2026-11-21T10:00:00.123456000Z"],
    [1_795_255_200_000, "2026-11-21T10:00:00.000Z"],
    [1_795_255_200_000.5, "2026-11-21T10:00:00.000500000Z"],
    [1_795_255_200_000_000, "2026-11-21T10:00:00.000Z"],
    ["1795255200", "2026-11-21T10:00:00.000Z"],
    ["1795255200123", "2026-11-21T10:00:00.123Z"],
    ["1795255200123456", "2026-11-21T10:00:00.123456000Z"],
    ["1795255200123456789", "2026-11-21T10:00:00.123456789Z"],
    [99_999_999_999, "5138-11-16T09:46:39.000Z"],
    [100_000_000_000, "1973-03-03T09:46:40.000Z"],
    ["99999999999", "5138-11-16T09:46:39.000Z"],
    ["100000000000", "1973-03-03T09:46:40.000Z"],
  ])("%s is %s", (value, expected) => expect(read(value)).toBe(expected));

  it.each<[unknown, string]>([
    [Number.NaN, "not_finite"],
    [Infinity, "not_finite"],
    [-Infinity, "not_finite"],
    [1e19, "invalid_timestamp"],
    [1e300, "invalid_timestamp"],
    [-99_999_999_999, "invalid_timestamp"],
    [null, "wrong_type"],
    [true, "wrong_type"],
    [{}, "wrong_type"],
    [undefined, "wrong_type"],
  ])("%s is refused: %s", (value, reason) => expect(read(value)).toBe(reason));

  it("mean the same as a number and as its digits", () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_000_000_000, max: 2 ** 53 }), (value) => {
        expect(parseTimestamp(String(value))).toEqual(parseTimestamp(value));
      }),
      RUNS,
    );
  });
});

describe("round trips", () => {
  it("moment → text → moment", () => {
    fc.assert(
      fc.property(moments, (moment) => {
        expect(parseTimestamp(formatMoment(moment))).toEqual({ ok: true, value: moment });
      }),
      RUNS,
    );
  });

  it("moment → nanoseconds → moment", () => {
    fc.assert(
      fc.property(moments, (moment) => {
        const nanos = momentToNanos(moment);
        expect(nanos).toMatch(/^(0|-?[1-9]\d*)$/);
        expect(BigInt(nanos)).toBe(BigInt(moment.ms) * 1_000_000n + BigInt(moment.subMs));
        expect(nanosToMoment(nanos)).toEqual(moment);
      }),
      RUNS,
    );
  });

  it("a moment in any zone, with any number of digits, is that moment", () => {
    const inner = fc.integer({ min: FIRST_MS + 86_400_000, max: LAST_MS - 86_400_000 });
    fc.assert(
      fc.property(
        inner,
        fc.integer({ min: -1_439, max: 1_439 }),
        fc.integer({ min: 0, max: 999_999 }),
        (ms, minutes, subMs) => {
          const local = new Date(ms + minutes * 60_000).toISOString().slice(0, -1);
          const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((part) =>
            String(part).padStart(2, "0"),
          );
          const text = `${local}${String(subMs).padStart(6, "0")}${minutes < 0 ? "-" : "+"}${hours}:${rest}`;
          expect(parseTimestamp(text)).toEqual({ ok: true, value: { ms, subMs } });
        },
      ),
      RUNS,
    );
  });

  it("whatever is accepted is written so that it is read again as the same", () => {
    const values = fc.oneof(
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }).map(String),
    );
    fc.assert(
      fc.property(values, (value) => {
        const moment = parseTimestamp(value);
        if (!moment.ok) return;
        const text = formatMoment(moment.value);
        expect(read(text)).toBe(text);
      }),
      RUNS,
    );
  });
});

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const days = (year: number, month: number) =>
  [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;

it("takes a text for canonical only where writing its moment gives that text again", () => {
  const near = fc.oneof(
    moments.map(formatMoment),
    fc.constantFrom(
      "2026-11-21T24:00:00.000Z",
      "2026-11-21T23:59:60.000Z",
      "2026-02-29T10:00:00.000Z",
      "2026-04-31T10:00:00.000Z",
      "2026-11-21T10:00:00.000z",
    ),
  );
  let canonical = 0;
  fc.assert(
    fc.property(near, (text) => {
      if (isCanonicalMillis(text)) canonical++;
      expect(!isCanonicalMillis(text) || read(text) === text).toBe(true);
    }),
    RUNS,
  );
  expect(canonical).toBeGreaterThan(100);
});

it("takes exactly the days that the calendar has, in every form", () => {
  const years = fc.oneof(
    fc.integer({ min: 0, max: 9_999 }),
    fc.constantFrom(0, 4, 100, 1900, 2000, 2024, 2026),
  );
  fc.assert(
    fc.property(
      years,
      fc.integer({ min: 0, max: 13 }),
      fc.integer({ min: 0, max: 32 }),
      (year, month, day) => {
        const date = `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
        const isDay = day >= 1 && day <= days(year, month);
        for (const text of [date, `${date}T12:00Z`, `${date}T12:00:00.000Z`, `${date}T12:00:00.000001Z`]) {
          expect([text, parseTimestamp(text).ok]).toEqual([text, isDay]);
        }
      },
    ),
    { ...RUNS, numRuns: 3_000 },
  );
});
