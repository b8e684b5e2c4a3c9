// What all three native record kinds share: how fields are checked and named in a refusal. The kinds themselves
// are in metric.ts, log.ts and event.ts: each has the zod shape that defines it and the hand-written check that
// the hot path runs (zod takes 16 times as long); a property test holds the two equal.
import { z } from "zod";
import { MAX_LABEL_VALUE_BYTES, MAX_NAME_BYTES } from "./limits.ts";
import { ok, reject, type Rejection, type Result } from "./result.ts";
import { checkText, exceedsBytes } from "./text.ts";
import {
  checkStorable,
  checkTimeRange,
  formatMoment,
  isCanonicalMillis,
  parseTimestamp,
  type Moment,
} from "./time.ts";

export interface ValidationContext {
  /** Time of receipt, epoch milliseconds: what a record without a timestamp gets. */
  receivedMs: number;
  /** At the edge times are bounded (−7 days … +10 minutes); a consumer may read a record much later. */
  enforceTimeRange: boolean;
  /** The record comes from a decoder of ours, or from an envelope: the kept form is taken, which may say more. */
  isKept?: boolean;
  /** Of records that are checked one after the other: those that have the same labels share one object of them. */
  labels?: LastLabels;
}

/** The labels of the record before, as they came and as they are kept. */
export interface LastLabels {
  input: Record<string, unknown>;
  kept: Record<string, string>;
  /** How many there are. */
  count: number;
}

export const noLastLabels = (): LastLabels => ({ input: {}, kept: {}, count: 0 });

/** C0 controls and DEL: never part of a name. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A metric, label or event name: text, not empty, no control characters, at most 200 bytes. */
export function checkName(value: unknown, path: string): Rejection | undefined {
  if (value === undefined) return reject("missing_field", path, "is required").error;
  if (typeof value !== "string") return reject("wrong_type", path, "must be a text").error;
  if (value === "") return reject("invalid_name", path, "must not be empty").error;
  // Its length first: one name may be referred to by each of many thousand records.
  const fault = checkText(value, path, MAX_NAME_BYTES);
  if (fault?.reason === "too_long") return fault;
  if (CONTROL.test(value)) return reject("invalid_name", path, "must not hold control characters").error;
  return fault;
}

/** An optional short text such as `service`, `host`, `id`, `key`. `null` counts as absent, an empty id or key too. */
export function checkOptionalText(value: unknown, path: string): Rejection | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") return reject("wrong_type", path, "must be a text").error;
  return checkText(value, path, MAX_LABEL_VALUE_BYTES);
}

/** A canonical time that was in order; neighbours share theirs. */
let lastTime = ok("1970-01-01T00:00:00.000Z");

/** The record's time in canonical form; time of receipt where it has none. */
export function readTime(value: unknown, context: ValidationContext): Result<string> {
  if (value === lastTime.value && !context.enforceTimeRange) return lastTime;
  if (value === undefined || value === null) return ok(new Date(context.receivedMs).toISOString());
  const moment = parseRecordTime(value);
  if (!moment.ok) return moment;
  if (context.enforceTimeRange) {
    const inRange = checkTimeRange(moment.value, context.receivedMs);
    if (!inRange.ok) return inRange;
  }
  // Writing what was just read costs a sixth of the whole check of a record.
  if (typeof value === "string" && isCanonicalMillis(value)) return (lastTime = ok(value));
  return ok(formatMoment(moment.value));
}

function parseRecordTime(value: unknown): Result<Moment> {
  const moment = parseTimestamp(value);
  return moment.ok ? checkStorable(moment.value) : moment;
}

// The same rules as zod leaves.

export const nameShape = z
  .string()
  .min(1)
  .refine((text) => !CONTROL.test(text), "must not hold control characters")
  .refine(
    (text) => checkText(text, "", MAX_NAME_BYTES) === undefined,
    `at most ${MAX_NAME_BYTES} bytes of UTF-8`,
  );

export const shortTextShape = z
  .string()
  .refine(
    (text) => !exceedsBytes(text, MAX_LABEL_VALUE_BYTES) && text.isWellFormed(),
    `at most ${MAX_LABEL_VALUE_BYTES} bytes of UTF-8`,
  );

export const timestampShape = z
  .union([z.string(), z.number()])
  .refine((value) => parseRecordTime(value).ok, "ISO 8601, or seconds, ms, µs or ns since 1970");
