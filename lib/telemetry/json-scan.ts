// Bounds what JSON.parse may allocate, by one pass over the bytes before it: `{},` is three bytes and some sixty
// bytes of heap. Grammar is JSON.parse's business; this only counts, and never accepts more than it.

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

/**
 * True when the text holds more than `maxValues` JSON values. Every value is the first one, or stands behind an
 * opening bracket, a comma or a colon, so counting those outside strings counts at least the values.
 * O(bytes); stops at the limit. Bytes that cannot hold that many are not looked at.
 */
export function hasMoreValuesThan(bytes: Uint8Array, maxValues: number): boolean {
  // The densest JSON is `[0,0,0…`: one value in two bytes.
  if (bytes.length <= maxValues * 2) return false;
  let values = 1;
  const length = bytes.length;
  for (let i = 0; i < length; i++) {
    switch (bytes[i]) {
      case QUOTE:
        i = endOfString(bytes, i + 1);
        break;
      case COMMA:
      case COLON:
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++values > maxValues) return true;
        break;
      default:
    }
  }
  return false;
}

/** Index of the closing quote of a string that begins at `from`, or the end of the bytes. */
function endOfString(bytes: Uint8Array, from: number): number {
  for (let quote = bytes.indexOf(QUOTE, from); quote !== -1; quote = bytes.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0;
    while (bytes[quote - 1 - backslashes] === BACKSLASH && quote - 1 - backslashes >= from) backslashes++;
    if (backslashes % 2 === 0) return quote;
  }
  return bytes.length;
}

/**
 * Where JSON.parse stopped, as line and column, for an error that a person can act on. V8 tells a position in
 * most messages; where it tells none (an unexpected end), the end of the text is meant.
 */
export function locateSyntaxError(text: string, error: unknown): string {
  const match = /position (\d+)/.exec(String(error));
  const position = match ? Number(match[1]) : text.length;
  const before = text.slice(0, position);
  const line = before.split("\n").length;
  const column = position - before.lastIndexOf("\n");
  return `line ${line}, column ${column}`;
}
