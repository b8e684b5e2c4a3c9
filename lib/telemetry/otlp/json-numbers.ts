// Numbers of OTLP/JSON, both ways. Integers of 64 bits and what JSON has no number for are texts; both forms are taken.
// A NaN keeps its payload as `NaN:7ff8…`, which is Weir's own; other readers write and read "NaN".
import { doubleFromBits, doubleToBits } from "../double.ts";

/** Digits that a float of JSON.parse still holds exactly. */
const SAFE_DIGITS = 15;

/** @returns undefined for what is no integer */
export function readInteger(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

/** @returns undefined for what is no double, numbers beyond its range among them */
export function readDouble(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (value === "NaN") return NaN;
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  if (typeof value !== "string" || !/^-?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,4})?$/.test(value))
    return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** A double as its bits. */
export function readDoubleBits(value: unknown): bigint | undefined {
  if (typeof value === "string" && value.startsWith("NaN")) return doubleToBits(value);
  const number = readDouble(value);
  return number === undefined ? undefined : doubleToBits(textOfInfinity(number) ?? number);
}

const textOfInfinity = (number: number): string | undefined =>
  number === Infinity ? "+Inf" : number === -Infinity ? "-Inf" : undefined;

/** −0 is a text, because JSON.stringify drops its sign. */
export function writeDouble(value: number): number | string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : value;
  return String(value);
}

export function writeDoubleBits(bits: bigint): number | string {
  const value = doubleFromBits(bits);
  if (typeof value === "number") return writeDouble(value);
  if (value === "+Inf") return "Infinity";
  if (value === "-Inf") return "-Infinity";
  return value === "stale" ? `NaN:${bits.toString(16)}` : value;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const isDigit = (unit: number): boolean => unit >= 0x30 && unit <= 0x39;

/**
 * Puts integers of more digits than a float holds into quotes, so that JSON.parse leaves them exact: clients write
 * nanoseconds and 64-bit values as bare numbers too. The text need not be JSON; O(length).
 */
export function quoteLongIntegers(text: string): string {
  if (!/[:[,\s]-?\d{16}/.test(text)) return text;
  const parts: string[] = [];
  let copied = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) i = closingQuote(text, i + 1);
    else if (unit === MINUS || isDigit(unit)) {
      const start = i;
      while (isDigit(text.charCodeAt(i + 1))) i++;
      const next = text[i + 1];
      // A fraction or an exponent is a double's.
      if (next === "." || next === "e" || next === "E") i = endOfNumber(text, i + 1);
      else if (i - start >= SAFE_DIGITS && isValue(text, start, i + 1)) {
        parts.push(text.slice(copied, start), '"', text.slice(start, i + 1), '"');
        copied = i + 1;
      }
    }
  }
  parts.push(text.slice(copied));
  return parts.join("");
}

/** False where quotes would make JSON of what is none: a key, a number that begins with a zero. */
function isValue(text: string, start: number, end: number): boolean {
  if (text[text[start] === "-" ? start + 1 : start] === "0") return false;
  let next = end;
  while (next < text.length && text.charCodeAt(next) <= 0x20) next++;
  return text[next] !== ":";
}

function closingQuote(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) return i;
    if (unit === BACKSLASH) i++;
  }
  return text.length;
}

/** Index of the last character of a number whose fraction or exponent begins at `from`. */
function endOfNumber(text: string, from: number): number {
  let i = from;
  while (/[\d.eE+-]/.test(text[i + 1] ?? "")) i++;
  return i;
}
