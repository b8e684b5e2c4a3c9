// One line that tells how far the run is, on a terminal only: a log file gets nothing.
const WIDTH = 24;
const CLEAR_LINE = "\r\u001b[2K";

export class Progress {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(done: number, of: number, what: string): void {
    if (!this.#stream.isTTY) return;
    const filled = Math.round((done / of) * WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    this.#stream.write(`${CLEAR_LINE}${bar} ${what}`);
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write(CLEAR_LINE);
  }
}
