/** Reads that stand at a log's end: they wait for an append, for their time to be up, or for their caller to give up. */
import type { FetchOptions } from "./log.ts";

export class WaitingReaders {
  readonly #waiting = new Set<() => void>();

  /** Resolves when `isIdle` is no longer true after a `wake`, or the options end the wait. */
  wait(isIdle: () => boolean, { timeoutMs, signal }: Omit<FetchOptions, "maxBytes">): Promise<void> {
    if (timeoutMs <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(woken);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const woken = (): void => {
        if (!isIdle()) end();
      };
      const timer = setTimeout(end, timeoutMs);
      this.#waiting.add(woken);
      signal?.addEventListener("abort", end);
    });
  }

  wake(): void {
    for (const woken of this.#waiting) woken();
  }
}
