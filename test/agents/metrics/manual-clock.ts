// A clock that stands still until a test moves it, and tells what is being waited for.
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../../agents/metrics/clock.ts";

interface Sleeper {
  ms: number;
  dueMs: number;
  wake: () => void;
}

export class ManualClock implements Clock {
  #nowMs = Date.parse("2026-11-21T10:00:00.000Z");
  #sleepers: Sleeper[] = [];

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number, wakeUp?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (wakeUp?.aborted) return resolve();
      const sleeper: Sleeper = {
        ms,
        dueMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      wakeUp?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }

  /** Moves time and wakes what is due. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers) if (sleeper.dueMs <= this.#nowMs) sleeper.wake();
  }

  /** Resolves once something sleeps for exactly `ms`; the test's own time-out ends a wait in vain. */
  async untilSleeping(ms: number): Promise<void> {
    while (!this.#sleepers.some((sleeper) => sleeper.ms === ms)) await turn();
  }
}
