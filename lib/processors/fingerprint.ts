// One number for messages that differ only in what varies: numbers, hexadecimal ids, UUIDs, addresses, times, texts in
// quotes. Those are masked in the first 1,024 units, and what is left is hashed.

const MAX_UNITS = 1_024;

/** Stand for what was masked: no characters (Unicode, 23.7), and so hardly in a text. */
const VARIED = 0xffff;
const QUOTED = 0xfffe;

const SPACE = 0x20;
const MINUS = 0x2d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;

// Kinds of units.
const DIGIT = 1;
const HEX_LETTER = 2;
const LETTER = 3;
/** Between the parts of one word: `10.0.0.1`, `10:42`, `a-b`, `a_b`. */
const JOINER = 4;
const QUOTE = 5;
const BLANK = 6;

const KINDS = new Uint8Array(0x1_0000);
for (let unit = 0; unit < 128; unit++) {
  const char = String.fromCharCode(unit);
  if (/[0-9]/.test(char)) KINDS[unit] = DIGIT;
  else if (/[a-fA-F]/.test(char)) KINDS[unit] = HEX_LETTER;
  else if (/[a-zA-Z]/.test(char)) KINDS[unit] = LETTER;
  else if (/[-_:.]/.test(char)) KINDS[unit] = JOINER;
  else if (/["'`]/.test(char)) KINDS[unit] = QUOTE;
  else if (/\s/.test(char)) KINDS[unit] = BLANK;
}

/** The text and its masked form. Scratch of one call: nothing waits in it. */
const units = new Uint16Array(MAX_UNITS);
const masked = new Uint16Array(MAX_UNITS);

/** A hexadecimal text of this length with a digit in it is an id. */
const MIN_HEX_ID = 8;
/** Of a UUID: where its parts end. */
const UUID_HYPHENS = [8, 13, 18, 23];
const UUID_CHARS = 36;

/** @returns 16 hexadecimal digits; the same in every version of Weir, or stored ones would not be found again */
export function fingerprint(message: string): string {
  const length = Math.min(message.length, MAX_UNITS);
  for (let i = 0; i < length; i++) units[i] = message.charCodeAt(i);
  return hashOf(mask(length));
}

/** No step writes more than it reads. @returns how many units are left */
function mask(length: number): number {
  let to = 0;
  /** Kinds of quotes that are not closed any more. */
  let open = 0;
  for (let at = 0; at < length;) {
    const unit = units[at] as number;
    switch (KINDS[unit]) {
      case DIGIT:
      case HEX_LETTER:
      case LETTER: {
        const word = readWord(at, length);
        to = maskWord(at, word, to);
        at = word;
        break;
      }
      case QUOTE: {
        const bit = 1 << (unit & 31);
        // Behind a letter it is an apostrophe.
        const close = isWordUnit(at - 1) || (open & bit) !== 0 ? -1 : closing(at + 1, length, unit);
        if (close === -1 && !isWordUnit(at - 1)) open |= bit;
        masked[to++] = close === -1 ? unit : QUOTED;
        at = close === -1 ? at + 1 : close + 1;
        break;
      }
      case BLANK:
        while (at < length && KINDS[units[at] as number] === BLANK) at++;
        if (at < length) masked[to++] = SPACE;
        break;
      default:
        // A sign is a part of its number.
        if (unit !== MINUS || at + 1 >= length || KINDS[units[at + 1] as number] !== DIGIT)
          masked[to++] = unit;
        at++;
    }
  }
  return to;
}

function isWordUnit(at: number): boolean {
  if (at < 0) return false;
  const kind = KINDS[units[at] as number] as number;
  return kind === DIGIT || kind === HEX_LETTER || kind === LETTER;
}

function closing(from: number, length: number, quote: number): number {
  for (let at = from; at < length; at++) {
    if (units[at] === BACKSLASH) at++;
    else if (units[at] === quote) return at;
  }
  return -1;
}

/** What {@link readWord} has seen. */
let hasDigit = false;
let isHex = true;
let colons = 0;

/** @returns where the word ends; a joiner at its end is the sentence's */
function readWord(start: number, length: number): number {
  let end = start;
  let digits = 0;
  let others = 0;
  let between = 0;
  for (let at = start; at < length; at++) {
    const unit = units[at] as number;
    const kind = KINDS[unit] as number;
    if (kind === DIGIT) digits++;
    else if (kind === LETTER) others++;
    else if (kind === JOINER) {
      if (unit === COLON) between++;
      else if (unit === UNDERSCORE) others++;
      continue;
    } else if (kind !== HEX_LETTER) break;
    end = at + 1;
  }
  hasDigit = digits > 0;
  isHex = others === 0;
  colons = between;
  return end;
}

/** @returns how many units are masked then, as all that follow */
function maskWord(start: number, end: number, to: number): number {
  if (!hasDigit) {
    for (let at = start; at < end; at++) masked[to++] = units[at] as number;
    return to;
  }
  if (isHex && (KINDS[units[start] as number] === DIGIT || colons >= 2)) return addVaried(to);
  // The parts of a word in which something varies.
  for (let at = start; at < end;) {
    if (KINDS[units[at] as number] === JOINER) {
      masked[to++] = units[at++] as number;
    } else if (isUuid(at, end)) {
      to = addVaried(to);
      at += UUID_CHARS;
    } else {
      const part = at;
      let digits = 0;
      let others = 0;
      for (; at < end && KINDS[units[at] as number] !== JOINER; at++) {
        const kind = KINDS[units[at] as number];
        if (kind === DIGIT) digits++;
        // The `x` of `0x1f` is none of them.
        else if (kind === LETTER && !(at === part + 1 && units[at] === 0x78 && units[part] === 0x30))
          others++;
      }
      const isId = KINDS[units[part] as number] === DIGIT || at - part >= MIN_HEX_ID;
      to = digits > 0 && others === 0 && isId ? addVaried(to) : maskDigits(part, at, to);
    }
  }
  return to;
}

function maskDigits(start: number, end: number, to: number): number {
  for (let at = start; at < end; at++) {
    if (KINDS[units[at] as number] !== DIGIT) {
      masked[to++] = units[at] as number;
      continue;
    }
    while (at + 1 < end && KINDS[units[at + 1] as number] === DIGIT) at++;
    to = addVaried(to);
  }
  return to;
}

/** `1`, `1.5` and `1-2-3` vary alike: between two that vary, a joiner says nothing. */
function addVaried(to: number): number {
  if (to >= 2 && masked[to - 2] === VARIED && KINDS[masked[to - 1] as number] === JOINER) return to - 1;
  masked[to] = VARIED;
  return to + 1;
}

function isUuid(at: number, end: number): boolean {
  if (at + UUID_CHARS > end) return false;
  for (const hyphen of UUID_HYPHENS) if (units[at + hyphen] !== MINUS) return false;
  let hyphens = 0;
  for (let i = at; i < at + UUID_CHARS; i++) {
    const kind = KINDS[units[i] as number];
    if (kind === JOINER) hyphens++;
    else if (kind === LETTER) return false;
  }
  return hyphens === UUID_HYPHENS.length;
}

/** Two lanes of 32 bits, each a multiplication for each unit, mixed at the end. Not for what must not collide. */
function hashOf(length: number): string {
  let a = 0x243f_6a88;
  let b = 0x85a3_08d3;
  for (let i = 0; i < length; i++) {
    const unit = masked[i] as number;
    a = Math.imul(a ^ unit, 0x9e37_79b1);
    b = Math.imul((b ^ unit) + (a >>> 17), 0x5f35_6495);
  }
  let c = a ^ (b >>> 13);
  let d = b ^ (a >>> 16);
  c = Math.imul(c ^ (c >>> 16), 0x85eb_ca6b);
  d = Math.imul(d ^ (d >>> 13), 0xc2b2_ae35);
  c ^= d >>> 15;
  d = Math.imul(d ^ (c >>> 16), 0x27d4_eb2f);
  c = Math.imul(c ^ (c >>> 13), 0x1656_67b1);
  return hex(c ^ (c >>> 16)) + hex(d ^ (d >>> 15));
}

const hex = (bits: number): string => (bits >>> 0).toString(16).padStart(8, "0");
