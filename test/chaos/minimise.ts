// Cuts a failing run down while it still fails in one of the same checks: first the acts, by halves, then the records.
// Runs have chance of their own (processes, sockets), so one that passes proves little; the time is bounded.
import type { RunOptions, RunResult } from "./run.ts";

export interface MinimiseLimits {
  maxRuns: number;
  maxMs: number;
}

const MIN_RECORDS = 500;

export async function minimise(
  failed: RunResult,
  run: (options: RunOptions) => Promise<RunResult>,
  { maxRuns, maxMs }: MinimiseLimits,
): Promise<RunResult> {
  const untilMs = performance.now() + maxMs;
  const checks = new Set(failed.violations.map(({ check }) => check));
  let shortest: RunResult = failed;
  let runs = 0;
  const isTimeUp = () => runs >= maxRuns || performance.now() > untilMs;
  const failsToo = async (options: RunOptions): Promise<boolean> => {
    if (isTimeUp()) return false;
    runs++;
    const result = await run(options);
    if (!result.violations.some(({ check }) => checks.has(check))) return false;
    shortest = result;
    return true;
  };

  for (let parts = 2; shortest.acts.length > 1 && !isTimeUp();) {
    const numbers = shortest.acts.map(({ number }) => number);
    const length = Math.ceil(numbers.length / parts);
    let isShorter = false;
    for (let at = 0; at < numbers.length && !isShorter && !isTimeUp(); at += length) {
      const only = [...numbers.slice(0, at), ...numbers.slice(at + length)];
      if (only.length === 0) continue;
      const records = Math.max(
        MIN_RECORDS,
        Math.round((shortest.options.records * only.length) / numbers.length),
      );
      isShorter = await failsToo({ ...shortest.options, only, records });
    }
    if (isShorter) parts = 2;
    else if (length === 1) break;
    else parts *= 2;
  }
  for (let records = shortest.options.records / 2; records >= MIN_RECORDS && !isTimeUp(); records /= 2) {
    const only = shortest.acts.map(({ number }) => number);
    if (!(await failsToo({ ...shortest.options, only, records: Math.round(records) }))) break;
  }
  return shortest;
}
