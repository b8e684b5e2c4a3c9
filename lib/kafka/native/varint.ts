// Kafka's variable-length integers (zigzag, seven bits a byte, the least first) and the byte strings they measure,
// whose length is -1 for null. Numbers are exact up to 2^53; reading past the end throws RangeError.
import type { Buffer } from "node:buffer";

/** Zigzag without 32-bit arithmetic: differences of times do not fit it. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = zigzag(value); rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

export function bytesSize(bytes: Uint8Array | null): number {
  return bytes ? varintSize(bytes.length) + bytes.length : 1;
}

/** A place in a buffer to write to, or to read from. */
export class Cursor {
  at = 0;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  written(): Buffer {
    return this.#buffer.subarray(0, this.at);
  }

  writeByte(byte: number): void {
    this.#buffer[this.at++] = byte;
  }

  writeVarint(value: number): void {
    let rest = zigzag(value);
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#buffer[this.at++] = (rest % 128) + 128;
    this.#buffer[this.at++] = rest;
  }

  writeBytes(bytes: Uint8Array | null): void {
    if (!bytes) {
      this.writeVarint(-1);
      return;
    }
    this.writeVarint(bytes.length);
    this.#buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  readByte(): number {
    const byte = this.#buffer[this.at++];
    if (byte === undefined) throw new RangeError("read past the end");
    return byte;
  }

  readVarint(): number {
    let value = 0;
    let scale = 1;
    for (let byte = 128; byte >= 128; scale *= 128) {
      if (scale > 2 ** 63) throw new RangeError("a number of too many bytes");
      byte = this.readByte();
      value += (byte % 128) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  readBytes(): Buffer | null {
    const length = this.readVarint();
    if (length === -1) return null;
    if (length < 0 || this.at + length > this.#buffer.length) throw new RangeError("a length past the end");
    const bytes = this.#buffer.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }
}
