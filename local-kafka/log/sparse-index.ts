/**
 * Where in a segment to start looking for an offset: one entry per stretch of bytes, so that memory grows by a few
 * bytes per 16 KiB of log and a read scans at most that much to find its place.
 */

const STRETCH_BYTES = 16 * 1024;

export class SparseIndex {
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];

  /** Notes that the frame of `offset` starts at `position`. Frames come in order; most are not kept. */
  add(offset: number, position: number): void {
    const last = this.#positions.at(-1);
    if (last !== undefined && position - last < STRETCH_BYTES) return;
    this.#offsets.push(offset);
    this.#positions.push(position);
  }

  /** Start of a frame at or before the one that holds `offset`. */
  positionBefore(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] ?? Infinity) <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#positions[low - 1] ?? 0;
  }

  toJSON(): [number, number][] {
    return this.#offsets.map((offset, i) => [offset, this.#positions[i] ?? 0]);
  }

  static from(entries: readonly (readonly [number, number])[]): SparseIndex {
    const index = new SparseIndex();
    for (const [offset, position] of entries) {
      index.#offsets.push(offset);
      index.#positions.push(position);
    }
    return index;
  }
}
