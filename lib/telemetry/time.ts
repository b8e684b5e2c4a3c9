// Times of records: what clients write, in, and ISO 8601 UTC with at least milliseconds and every finer digit that
// was given, out. Nanoseconds since the epoch are bigints or decimal strings, since they do not fit a float.
import { ok, reject, type Rejection, type Result } from "./result.ts";
import { MAX_AGE_MS, MAX_AHEAD_MS } from "./limits.ts";

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,18}))?)?\s?(Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * The form we write ourselves, on any day but 29 February, without leap seconds and the hour 24: reading it back needs
 * no calendar, and takes a fifth of the time.
 */
const CANONICAL =
  /^\d{4}-(?:\d{2}-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)T(?:[01]\d|2[0-3]):\d{2}:[0-5]\d\.\d{3}(?:\d{1,6})?Z$/;

/** The length of the canonical form without a fraction of a millisecond. */
const MILLIS_LENGTH = 24;

/** True for `2026-11-21T10:00:00.000Z` and its like: the text that {@link formatMoment} would write again. */
export function isCanonicalMillis(text: string): boolean {
  return text.length === MILLIS_LENGTH && (text === last.text || CANONICAL.test(text));
}

/** The years that ISO 8601 writes with four digits, 0000 to 9999. */
const FIRST_MS = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** What 64-bit nanoseconds hold, as the stores keep times: 1677-09-21 to 2262-04-11. */
const STORABLE_MS = 9_223_372_036_854;

/** A moment: milliseconds since the epoch and the nanoseconds (0…999,999) beyond them. */
export interface Moment {
  readonly ms: number;
  readonly subMs: number;
}

/** Of the texts that we write ourselves the one read last: a record's time is read again, and neighbours share theirs. */
let last = { text: "1970-01-01T00:00:00.000Z", moment: { ms: 0, subMs: 0 } };

/**
 * Reads a timestamp as clients write it.
 * - ISO 8601 text; without a zone it is taken as UTC (Python's `datetime.isoformat()`); a date alone is midnight.
 * - a number, or a text of digits, is time since the epoch; its unit follows from its size: below 1e11 seconds
 *   (until the year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds.
 */
export function parseTimestamp(value: unknown, path = "timestamp"): Result<Moment> {
  if (typeof value === "number") return fromEpoch(value, path);
  if (typeof value !== "string") {
    return reject(
      "wrong_type",
      path,
      "must be an ISO 8601 text or a number of seconds, ms, µs or ns since 1970",
    );
  }
  if (value === last.text) return ok(last.moment);
  if (CANONICAL.test(value)) {
    const ms = Date.parse(value.length === MILLIS_LENGTH ? value : `${value.slice(0, 23)}Z`);
    if (Number.isNaN(ms)) return invalid(path);
    const subMs = value.length === MILLIS_LENGTH ? 0 : Number(value.slice(23, -1).padEnd(6, "0"));
    last = { text: value, moment: { ms, subMs } };
    return ok(last.moment);
  }
  if (/^-?\d{1,19}$/.test(value)) return fromDigits(value, path);
  const match = ISO.exec(value);
  if (!match) return invalid(path);
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = match;
  const digits = fraction.slice(0, 9).padEnd(9, "0");
  // A leap second is the last millisecond-counted second of its minute: POSIX time has no 60th.
  const leap = second === "60";
  const utc = `${year}-${month}-${day}T${hour}:${minute}:${leap ? "59" : second}.${digits.slice(0, 3)}${zoneOf(zone)}`;
  const ms = Date.parse(utc);
  // Date.parse rolls 30 February over to March; a calendar that does not come back the same was not one.
  if (Number.isNaN(ms) || !isCalendarDay(Number(year), Number(month), Number(day))) return invalid(path);
  return withinYears({ ms: leap ? ms + 1000 : ms, subMs: Number(digits.slice(3)) }, path);
}

/** Refuses moments that a store could only keep as another time. */
export function checkStorable(moment: Moment, path = "timestamp"): Result<Moment> {
  if (moment.ms >= -STORABLE_MS && moment.ms < STORABLE_MS) return ok(moment);
  return reject("timestamp_out_of_range", path, "is outside the years 1678 to 2261");
}

/** Refuses moments before −7 days or after +10 minutes of `nowMs`, the bounds of the contract. */
export function checkTimeRange(moment: Moment, nowMs: number, path = "timestamp"): Result<Moment> {
  if (moment.ms < nowMs - MAX_AGE_MS) {
    return reject("timestamp_out_of_range", path, "is more than 7 days old");
  }
  if (moment.ms > nowMs + MAX_AHEAD_MS) {
    return reject("timestamp_out_of_range", path, "is more than 10 minutes ahead of the time of receipt");
  }
  return ok(moment);
}

/** `2026-11-21T10:00:00.000Z`, with six more digits only where they say something. */
export function formatMoment({ ms, subMs }: Moment): string {
  const iso = new Date(ms).toISOString();
  return subMs === 0 ? iso : `${iso.slice(0, -1)}${String(subMs).padStart(6, "0")}Z`;
}

/** Nanoseconds since the epoch as a decimal text, exact. */
export function momentToNanos({ ms, subMs }: Moment): string {
  if (ms > 0) return `${ms}${subMs === 0 ? "000000" : String(subMs).padStart(6, "0")}`;
  return (BigInt(ms) * 1_000_000n + BigInt(subMs)).toString();
}

/** The inverse of {@link momentToNanos}. */
export function nanosToMoment(nanos: string): Moment {
  const total = BigInt(nanos);
  const subMs = ((total % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return { ms: Number((total - subMs) / 1_000_000n), subMs: Number(subMs) };
}

function zoneOf(zone: string): string {
  if (zone === "Z" || zone === "z") return "Z";
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  return `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
}

function isCalendarDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
}

function daysOf(year: number, month: number): number {
  // Date.UTC takes the years 0 to 99 for 1900 to 1999; the calendar repeats every 400 years.
  return new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}

/** A moment that {@link formatMoment} writes so that it can be read again. */
function withinYears(moment: Moment, path: string): Result<Moment> {
  return moment.ms >= FIRST_MS && moment.ms <= LAST_MS ? ok(moment) : invalid(path);
}

function fromEpoch(value: number, path: string): Result<Moment> {
  if (!Number.isFinite(value)) return reject("not_finite", path, "must be a finite number");
  const size = Math.abs(value);
  if (size >= 1e19) return invalid(path);
  if (Number.isInteger(value) && size >= 1e11) return fromDigits(BigInt(value).toString(), path);
  const msExact = size < 1e11 ? value * 1000 : size < 1e14 ? value : size < 1e17 ? value / 1e3 : value / 1e6;
  // A float of seconds is good for about microseconds; what is finer is noise of the binary fraction.
  const micros = Math.round(msExact * 1000);
  const ms = Math.floor(micros / 1000);
  return withinYears({ ms, subMs: (micros - ms * 1000) * 1000 }, path);
}

function fromDigits(digits: string, path: string): Result<Moment> {
  const size = digits.startsWith("-") ? digits.length - 1 : digits.length;
  const nanosPerUnit = size <= 11 ? 1_000_000_000n : size <= 14 ? 1_000_000n : size <= 17 ? 1_000n : 1n;
  return withinYears(nanosToMoment((BigInt(digits) * nanosPerUnit).toString()), path);
}

function invalid(path: string): { ok: false; error: Rejection } {
  return reject(
    "invalid_timestamp",
    path,
    "is not a time: use ISO 8601 such as 2026-11-21T10:00:00.000Z, or a number of seconds, ms, µs or ns since 1970",
  );
}
