/**
 * A strict JSON pull parser over bytes. JSON.parse will not do here: a json.v2 key or value is stored as the very text
 * that was sent (9007199254740993 stays itself, `{"b":1,"a":2}` keeps its order), and a fault has a byte offset.
 * Nesting costs no stack.
 */

export class JsonFault extends Error {
  override readonly name = "JsonFault";
  readonly code = "invalid_json";
  readonly retryable = false;

  constructor(offset: number) {
    super(`parse error at offset ${offset}`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Longest number looked at. */
const NUMBER_BYTES = 1024;

export class JsonReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Reads an object; `onKey` must read the value. Returns how many keys there were. */
  object(onKey: (key: string) => void): number {
    this.#expect(OPEN_OBJECT);
    if (this.#take(CLOSE_OBJECT)) return 0;
    for (let count = 1; ; count += 1) {
      const key = this.string();
      this.#expect(COLON);
      onKey(key);
      if (this.#take(CLOSE_OBJECT)) return count;
      this.#expect(COMMA);
    }
  }

  /** Reads an array; `onItem` must read the item. */
  array(onItem: () => void): void {
    this.#expect(OPEN_ARRAY);
    if (this.#take(CLOSE_ARRAY)) return;
    for (;;) {
      onItem();
      if (this.#take(CLOSE_ARRAY)) return;
      this.#expect(COMMA);
    }
  }

  string(): string {
    this.#skipSpace();
    const start = this.#at;
    const plain = this.#skipString();
    if (plain) return this.#bytes.toString("utf8", start + 1, this.#at - 1);
    return JSON.parse(this.#bytes.toString("utf8", start, this.#at)) as string;
  }

  integer(): number {
    const start = this.#next();
    this.#skipNumber();
    const value = Number(this.#bytes.toString("latin1", start, this.#at));
    return Number.isSafeInteger(value) ? value : this.fail(start);
  }

  /** Reads any value and returns its bytes as they are. */
  value(): Buffer {
    const start = this.#next();
    const open: number[] = [];
    for (;;) {
      const c = this.#bytes[this.#next()];
      if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
        this.#at += 1;
        if (!this.#take(c + 2)) {
          open.push(c);
          if (c === OPEN_OBJECT) this.#key();
          continue;
        }
      } else {
        this.#skipScalar(c);
      }
      // After a value: close what it ends, or go on to the next value.
      for (;;) {
        const container = open.at(-1);
        if (container === undefined) return this.#bytes.subarray(start, this.#at);
        if (this.#take(COMMA)) {
          if (container === OPEN_OBJECT) this.#key();
          break;
        }
        this.#expect(container + 2);
        open.pop();
      }
    }
  }

  /** Nothing but white space may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#bytes.byteLength) this.fail();
  }

  /** Refuses the document at the reader's place. */
  fail(at = this.#at): never {
    throw new JsonFault(at);
  }

  #key(): void {
    this.#skipSpace();
    this.#skipString();
    this.#expect(COLON);
  }

  #skipScalar(c: number | undefined): void {
    if (c === QUOTE) this.#skipString();
    else if (c === 0x74) this.#literal("true");
    else if (c === 0x66) this.#literal("false");
    else if (c === 0x6e) this.#literal("null");
    else this.#skipNumber();
  }

  #literal(text: string): void {
    if (this.#bytes.toString("latin1", this.#at, this.#at + text.length) !== text) this.fail();
    this.#at += text.length;
  }

  #skipNumber(): void {
    NUMBER.lastIndex = 0;
    const match = NUMBER.exec(this.#bytes.toString("latin1", this.#at, this.#at + NUMBER_BYTES));
    if (match === null || match[0].length === NUMBER_BYTES) this.fail();
    this.#at += match[0].length;
  }

  /** Returns whether the string holds no escape. */
  #skipString(): boolean {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== QUOTE) this.fail();
    let plain = true;
    for (let at = this.#at + 1; ; at += 1) {
      const c = bytes[at];
      if (c === QUOTE) {
        this.#at = at + 1;
        return plain;
      }
      if (c === undefined || c < 0x20) this.fail(at);
      if (c !== BACKSLASH) continue;
      plain = false;
      at += 1;
      const escape = String.fromCodePoint(bytes[at] ?? 0);
      if (escape === "u") {
        if (!/^[0-9a-fA-F]{4}$/.test(bytes.toString("latin1", at + 1, at + 5))) this.fail(at);
        at += 4;
      } else if (!'"\\/bfnrt'.includes(escape)) {
        this.fail(at);
      }
    }
  }

  #expect(c: number): void {
    if (!this.#take(c)) this.fail();
  }

  #take(c: number): boolean {
    if (this.#bytes[this.#next()] !== c) return false;
    this.#at += 1;
    return true;
  }

  /** Skips white space; returns the position. */
  #next(): number {
    this.#skipSpace();
    return this.#at;
  }

  #skipSpace(): void {
    for (;;) {
      const c = this.#bytes[this.#at];
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.#at += 1;
    }
  }
}
