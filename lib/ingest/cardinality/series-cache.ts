// Which series an isolate knows to pass, each until its time: plain data, bounded, the one put in first leaves first.

export class SeriesCache {
  readonly #maxEntries: number;
  readonly #untilMs = new Map<string, number>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  has(key: string, nowMs: number): boolean {
    const untilMs = this.#untilMs.get(key);
    return untilMs !== undefined && untilMs > nowMs;
  }

  put(key: string, untilMs: number): void {
    // An entry that is renewed becomes the youngest.
    this.#untilMs.delete(key);
    if (this.#untilMs.size >= this.#maxEntries) {
      for (const oldest of this.#untilMs.keys()) {
        this.#untilMs.delete(oldest);
        break;
      }
    }
    this.#untilMs.set(key, untilMs);
  }
}
