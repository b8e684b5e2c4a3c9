// The time that one call of the transport may take, everything in it included.
import { KafkaError } from "../errors.ts";
import { within } from "../timer.ts";

export class Deadline {
  readonly #what: string;
  readonly #timeoutMs: number;
  readonly #startMs: number;

  constructor(what: string, timeoutMs: number) {
    this.#what = what;
    this.#timeoutMs = timeoutMs;
    this.#startMs = Date.now();
  }

  elapsedMs(): number {
    return Date.now() - this.#startMs;
  }

  remainingMs(): number {
    return Math.max(0, this.#timeoutMs - this.elapsedMs());
  }

  isOver(): boolean {
    return this.remainingMs() === 0;
  }

  error(): KafkaError {
    return new KafkaError("timeout", `${this.#what}: not done within ${this.#timeoutMs} ms`);
  }

  /** @throws KafkaError `timeout` when the deadline comes first; what was waited for goes on, unheard */
  async race<T>(promise: Promise<T>): Promise<T> {
    return await within(this.remainingMs(), promise, () => this.error());
  }

  /** Waits, but not past the end. */
  async pause(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms, this.remainingMs())));
  }
}
