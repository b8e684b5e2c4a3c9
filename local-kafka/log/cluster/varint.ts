/** Kafka's zigzag varints (VARINT, VARLONG), for whole numbers that JavaScript holds exactly. */

export const MAX_VARINT_BYTES = 8;

/** Writes `value` at `at`; returns the place after it. */
export function writeVarint(buffer: Buffer, value: number, at: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest >= 128) {
    buffer[at++] = (rest % 128) + 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = rest;
  return at;
}

/** Reads forward through a buffer; throws RangeError beyond its end. */
export class VarintReader {
  readonly #buffer: Buffer;
  position: number;

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer;
    this.position = position;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#buffer.readUInt8(this.position++);
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Bytes behind their length; null for -1. */
  nullableBytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const end = this.position + length;
    if (end > this.#buffer.length) throw new RangeError("record is longer than its batch");
    const bytes = this.#buffer.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  skip(bytes: number): void {
    this.position += bytes;
  }
}
