// The agent's only source of time. Tests hand in a clock they drive; sleep never rejects, so that a stop is
// an ordinary return and not an error to catch in every loop.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or at once when `wakeUp` aborts. */
  sleep(ms: number, wakeUp?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: Date.now,
  sleep: (ms, wakeUp) =>
    new Promise((resolve) => {
      if (wakeUp?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        wakeUp?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      wakeUp?.addEventListener("abort", done, { once: true });
    }),
};

/** Runs `action` after `ms`, unless `cancelled` aborts before: a deadline. */
export async function after(
  clock: Clock,
  ms: number,
  cancelled: AbortSignal,
  action: () => void,
): Promise<void> {
  await clock.sleep(ms, cancelled);
  if (!cancelled.aborted) action();
}
