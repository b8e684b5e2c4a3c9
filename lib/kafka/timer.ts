// A clock and a timer that can be given up. A parameter wherever time decides, so that a test drives it.
import { KafkaError } from "./errors.ts";

export interface Timer {
  now(): number;
  /** Runs `act` once, in `ms`. @returns what gives it up */
  after(ms: number, act: () => void): () => void;
}

export const systemTimer: Timer = {
  now: () => Date.now(),
  after(ms, act) {
    const id = setTimeout(act, ms);
    return () => clearTimeout(id);
  },
};

/** @throws `late()` when `timeoutMs` come first; what was waited for goes on, unheard */
export async function within<T>(
  timeoutMs: number,
  promise: Promise<T>,
  late: () => Error,
  timer: Timer = systemTimer,
): Promise<T> {
  let giveUp: (() => void) | undefined;
  const deadline = new Promise<never>((_, reject) => {
    giveUp = timer.after(timeoutMs, () => reject(late()));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    giveUp?.();
  }
}

/** For `within`, where a call of one answer is waited for. */
export function noAnswer(what: string, timeoutMs: number): KafkaError {
  return new KafkaError("timeout", `${what}: no answer within ${timeoutMs} ms`);
}

/** Whether no more than the span has passed. A time that lies ahead was told by a clock that was set back since. */
export function isWithin(sinceMs: number, spanMs: number, nowMs: number): boolean {
  return nowMs >= sinceMs && nowMs < sinceMs + spanMs;
}
