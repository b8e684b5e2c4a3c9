// How long to wait after the nth failure in a row: doubling, bounded so that a broker that is back is found within half
// a second, and jittered so that many clients do not come at once.
const BASE_MS = 20;
const LONGEST_MS = 500;

export function backoffMs(failures: number, random: () => number): number {
  return Math.min(LONGEST_MS, BASE_MS * 2 ** failures) * (0.5 + random() / 2);
}
