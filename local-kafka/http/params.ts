/**
 * Path and query parameters as Redpanda checks them: percent-decoded, mandatory ones not empty, no control characters
 * (shown in the message as Unicode's pictures of them, so that an answer cannot carry one), whole numbers in range.
 */
import { ApiError } from "./api-error.ts";

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/g;
const MAX_INT32 = 2 ** 31 - 1;

/** A text parameter. `raw` is still percent-encoded. */
export function textParam(name: string, raw: string | undefined): string {
  const value = decode(name, raw ?? "");
  if (value === "") throw new ApiError(40002, `Missing mandatory parameter '${name}'`);
  if (value.search(CONTROL) !== -1) throw invalid(name, value);
  return value;
}

/** A whole number from -2^31 to 2^31 - 1. */
export function int32Param(name: string, raw: string | undefined): number {
  const value = integerParam(name, raw);
  if (value > MAX_INT32 || value < -MAX_INT32 - 1) throw invalid(name, raw ?? "");
  return value;
}

/** A whole number that JavaScript holds exactly. */
export function integerParam(name: string, raw: string | undefined): number {
  const value = textParam(name, raw);
  if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(Number(value))) throw invalid(name, value);
  return Number(value);
}

/** Refuses control characters in a name that came in a body. */
export function checkName(value: string): string {
  if (value.search(CONTROL) === -1) return value;
  throw new ApiError(40002, `Parameter contained invalid control characters: ${picture(value)}`);
}

function decode(name: string, raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw invalid(name, raw);
  }
}

function invalid(name: string, value: string): ApiError {
  return new ApiError(40002, `Invalid parameter '${name}' got '${picture(value)}'`);
}

function picture(value: string): string {
  return value.replace(CONTROL, (c) =>
    c === "\u007f" ? "\u2421" : String.fromCodePoint(0x2400 + c.charCodeAt(0)),
  );
}
