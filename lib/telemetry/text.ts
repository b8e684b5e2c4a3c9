// Checks on text that come before it is kept: what UTF-8 cannot carry is refused, sizes are in bytes.
import { reject, type Rejection } from "./result.ts";

/**
 * True when the text takes more than `maxBytes` as UTF-8. Cheap for short texts: a UTF-16 unit takes at most
 * three bytes, so only texts near the limit are measured.
 */
export function exceedsBytes(text: string, maxBytes: number): boolean {
  if (text.length * 3 <= maxBytes) return false;
  if (text.length > maxBytes) return true;
  return utf8Bytes(text) > maxBytes;
}

/** Length of a well-formed text as UTF-8, in bytes. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00) {
      bytes += 2; // a pair is two units and four bytes
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/** Refuses lone surrogates (they would silently turn into U+FFFD) and texts over `maxBytes`. */
export function checkText(text: string, path: string, maxBytes: number): Rejection | undefined {
  if (exceedsBytes(text, maxBytes)) {
    return reject("too_long", path, `must be at most ${maxBytes} bytes of UTF-8`).error;
  }
  if (!text.isWellFormed()) {
    return reject("invalid_unicode", path, "holds a lone surrogate, which UTF-8 cannot carry").error;
  }
  return undefined;
}
