// A clock and a timer that can be given up. A parameter wherever time decides, so that a test drives it.

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
