/**
 * Cuts a stream of JSON objects, one after the other with or without white space between them, into its objects as
 * they become whole. It minds strings and nesting only; whether a piece is JSON is for its parser to say.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = [0x7b, 0x5b];
const CLOSE = [0x7d, 0x5d];
const SPACE = [0x20, 0x0a, 0x0d, 0x09];

export class JsonSplitter {
  #rest: Buffer = Buffer.alloc(0);
  /** How far `#rest` has been looked at. */
  #at = 0;
  #depth = 0;
  #inString = false;

  /** Bytes of the object that is not whole yet. */
  get pendingBytes(): number {
    return this.#rest.byteLength;
  }

  /** Whether what has been pushed ends inside an object, or in something that is none. */
  get isCut(): boolean {
    return this.#rest.some((byte) => !SPACE.includes(byte));
  }

  /** Returns the objects that `chunk` completes. */
  push(chunk: Uint8Array): Buffer[] {
    const bytes = this.#rest.byteLength === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const whole: Buffer[] = [];
    let start = 0;
    let at = this.#at;
    for (; at < bytes.byteLength; at += 1) {
      const byte = bytes[at] ?? 0;
      if (this.#inString) {
        if (byte === BACKSLASH) at += 1;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (OPEN.includes(byte)) {
        this.#depth += 1;
      } else if (CLOSE.includes(byte)) {
        this.#depth -= 1;
        if (this.#depth > 0) continue;
        this.#depth = 0;
        whole.push(bytes.subarray(start, at + 1));
        start = at + 1;
      }
    }
    this.#rest = bytes.subarray(start);
    // An escape at the chunk's end has already skipped the first byte of the next.
    this.#at = at - start;
    return whole;
  }
}
