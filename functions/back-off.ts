// How long an owner waits after failures in a row, before it tries again.
const MIN_MS = 500;
const MAX_MS = 60_000;

/** Twice as long each time, half of it by chance: owners that failed together do not come back together. */
export function backOffMs(failures: number): number {
  const ceilingMs = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(failures, 16));
  return ceilingMs / 2 + (Math.random() * ceilingMs) / 2;
}
