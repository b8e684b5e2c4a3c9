// Bounds what JSON.parse may allocate, by one pass over the bytes before it: `{},` is three bytes and some sixty
// bytes of heap. Grammar is JSON.parse's business; this only counts, and never accepts more than it.

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

/**
 * True when the text holds more than `maxValues` JSON values. Every value is the first one, or the first behind an
 * opening bracket or a comma, so counting those outside strings counts the values (and each empty array or object
 * once more).
 * JSON has no raw newline inside a string, so a string ends with its line: where documents stand on lines of their
 * own (NDJSON), an open quote in one of them must not hide the values of the next.
 * O(bytes); stops at the limit. Bytes that cannot hold that many are not looked at.
 */
export function hasMoreValuesThan(bytes: Uint8Array, maxValues: number): boolean {
  // The densest JSON is `[0,0,0…`: one value in two bytes.
  if (bytes.length <= maxValues * 2) return false;
  let values = 1;
  let lineEnd = -1;
  const length = bytes.length;
  for (let i = 0; i < length; i++) {
    switch (bytes[i]) {
      case QUOTE:
        if (lineEnd < i) lineEnd = indexOrEnd(bytes, NEWLINE, i);
        i = endOfString(bytes, i + 1, lineEnd);
        break;
      case COMMA:
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++values > maxValues) return true;
        break;
      default:
    }
  }
  return false;
}

function indexOrEnd(bytes: Uint8Array, byte: number, from: number): number {
  const index = bytes.indexOf(byte, from);
  return index === -1 ? bytes.length : index;
}

/** Index of the closing quote of a string that begins at `from`, or `lineEnd` where it has none before. */
function endOfString(bytes: Uint8Array, from: number, lineEnd: number): number {
  for (let quote = from - 1; ;) {
    quote = indexOrEnd(bytes, QUOTE, quote + 1);
    if (quote >= lineEnd) return lineEnd;
    let backslashes = 0;
    while (bytes[quote - 1 - backslashes] === BACKSLASH && quote - 1 - backslashes >= from) backslashes++;
    if (backslashes % 2 === 0) return quote;
  }
}

/**
 * Where JSON.parse stopped, for an error that a person can act on: `at line 3, column 7`. V8 tells a position in most
 * messages; of an unexpected token it tells the ten characters on either side instead, and of an unexpected end
 * nothing. Anchored, because what it quotes is the client's own text.
 */
export function locateSyntaxError(text: string, error: unknown): string {
  const message = String(error);
  const near = /^SyntaxError: Unexpected token .{1,4}, ((?:\.{3})?".*"(?:\.{3})?) is not valid JSON$/su.exec(
    message,
  );
  if (near?.[1] !== undefined) return `near ${near[1].toWellFormed()}`;
  const match = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(message);
  const position = match ? Number(match[1]) : text.length;
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < position; at = text.indexOf("\n", lineStart)) {
    line++;
    lineStart = at + 1;
  }
  return `at line ${line}, column ${position - lineStart + 1}`;
}
