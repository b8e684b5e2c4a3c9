// Numbers of a stored partial, as bytes: whole numbers as varints (seven bits a byte, the lowest first), others as
// float64, little-endian. What cannot be read is a PartialStateError.
import { Buffer } from "node:buffer";

/** A stored partial that cannot be read: it was cut or changed, or a newer version wrote it. */
export class PartialStateError extends Error {
  override readonly name = "PartialStateError";
  readonly code = "window_state_unreadable";
  readonly retryable = false;

  constructor(what: string) {
    super(`a stored window cannot be read: ${what}`);
  }
}

/** Whole numbers up to this fit a varint with two more bits. */
const MAX_WHOLE = 2 ** 50;
/** Stands for a number that is no small whole one: float64 follows. No whole number's varint begins with it. */
const FLOAT = 1;

let scratch = new Uint8Array(4_096);
let view = new DataView(scratch.buffer);

/** Writes into scratch memory: one writer at a time, from its making to {@link StateWriter.text}. */
export class StateWriter {
  #length = 0;

  byte(value: number): void {
    this.#room();
    scratch[this.#length++] = value;
  }

  /** @param value a whole number, 0 to 2^53 − 1 */
  whole(value: number): void {
    this.#room();
    let rest = value;
    while (rest >= 0x8000_0000) {
      scratch[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      scratch[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    scratch[this.#length++] = rest;
  }

  /** @param value a whole number, -2^52 to 2^52 − 1 */
  signed(value: number): void {
    this.whole(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Any double but NaN; −0 is 0. */
  number(value: number): void {
    if (Number.isInteger(value) && value < MAX_WHOLE && value >= -MAX_WHOLE) {
      this.whole(2 * (value < 0 ? -2 * value - 1 : 2 * value));
      return;
    }
    this.float(value);
  }

  /** The same as a float64, also where it is whole. */
  float(value: number): void {
    this.byte(FLOAT);
    view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** What was written, in base64. */
  text(): string {
    return Buffer.from(scratch.buffer, 0, this.#length).toString("base64");
  }

  /** For one number more, whatever its form. */
  #room(): void {
    if (this.#length + 16 <= scratch.length) return;
    const larger = new Uint8Array(scratch.length * 2);
    larger.set(scratch);
    scratch = larger;
    view = new DataView(scratch.buffer);
  }
}

export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  /** @throws PartialStateError of a text that is no base64 */
  constructor(text: string) {
    const bytes = Buffer.from(text, "base64");
    // Buffer passes over what is no base64.
    if (text.length % 4 !== 0 || bytes.length !== (text.length / 4) * 3 - padding(text))
      throw new PartialStateError("it is no base64");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw new PartialStateError("it ends too early");
    return value;
  }

  whole(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new PartialStateError("a number in it is too large");
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  signed(): number {
    const value = this.whole();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Whether the number that comes was written as a float64. */
  isFloat(): boolean {
    return this.#bytes[this.#at] === FLOAT;
  }

  number(): number {
    if (!this.isFloat()) {
      const value = this.whole();
      if (value % 2 !== 0) throw new PartialStateError("a number in it is of no kind");
      return value % 4 === 0 ? value / 4 : -(value / 2 + 1) / 2;
    }
    if (this.#at + 9 > this.#bytes.length) throw new PartialStateError("it ends too early");
    const value = this.#view.getFloat64(this.#at + 1, true);
    this.#at += 9;
    if (Number.isNaN(value)) throw new PartialStateError("a number in it is none");
    return value;
  }

  /** A count of things of which each takes a byte at least: so that nothing makes us allocate more than there is. */
  length(max: number): number {
    const length = this.whole();
    if (length > max || length > this.#bytes.length - this.#at)
      throw new PartialStateError("a list in it is longer than it can be");
    return length;
  }

  end(): void {
    if (this.#at !== this.#bytes.length)
      throw new PartialStateError("there is more in it than belongs to it");
  }
}

function padding(text: string): number {
  return text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
}
