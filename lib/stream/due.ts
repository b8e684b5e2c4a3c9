// What a partition's windows have to tell though nothing comes: at the log's end its watermark goes on with the clock,
// once nothing can be under way to it any more, and what is due by then is sent. A commit only where something is due.
import type { Position } from "../storage/storage.ts";
import { commitDue } from "./commit.ts";
import { CALL_COST, type Run } from "./run.ts";

/** By how much the watermark of an idle partition stays behind the clock: how long a request may take to the log. */
const IDLE_SLACK_MS = 10_000;

/** The spillway, while something is due, is asked again after this. */
const SPILL_RETRY_MS = 10_000;

export type Due =
  | { kind: "ended"; state: "caught-up" | "budget" | "fenced"; wakeAtMs: number | null }
  /** The log is to be read once more. */
  | { kind: "look"; spillEmptyAtMs: number };

/**
 * The log was just read to its end.
 * @param emptyAtMs before that read, from when on nothing of earlier was under way to the log; undefined: nobody asked
 */
export async function sendDue(run: Run, emptyAtMs: number | undefined, endMs: number): Promise<Due> {
  const { source, deps, memory } = run;
  if (deps.observe || source.processedTopic === null) return ended("caught-up");
  for (;;) {
    const dueMs = await nextDueMs(run);
    if (dueMs === null) return ended("caught-up");
    const { watermarkMs } = memory.position as Position;
    let raisedMs: number;
    if (dueMs <= watermarkMs) {
      // Left by a commit that had enough to send. A watermark that stands still would not be told from nobody's commit.
      raisedMs = watermarkMs + 1;
    } else {
      if (source.building) return ended("caught-up");
      const idleMs = (emptyAtMs ?? deps.now()) - IDLE_SLACK_MS;
      if (dueMs > idleMs) return ended("caught-up", dueMs + IDLE_SLACK_MS);
      if (emptyAtMs === undefined) {
        const askedMs = deps.now();
        run.left -= CALL_COST;
        if (await deps.isSpillEmpty?.()) return { kind: "look", spillEmptyAtMs: askedMs };
        return ended("caught-up", askedMs + SPILL_RETRY_MS);
      }
      raisedMs = idleMs;
    }
    if (run.left <= 0 || deps.now() >= endMs || deps.isEnding?.() === true) return ended("budget");
    run.left--;
    if (!(await commitDue(run, raisedMs))) return ended("fenced");
  }
}

function ended(state: "caught-up" | "budget" | "fenced", wakeAtMs: number | null = null): Due {
  return { kind: "ended", state, wakeAtMs };
}

async function nextDueMs(run: Run): Promise<number | null> {
  const { source, deps, memory } = run;
  const position = memory.position as Position;
  const { group, topic, partition, windows } = source;
  const { incarnation, epoch } = position;
  const where = { group, topic, partition, incarnation, epoch };
  run.left -= CALL_COST * (await memory.windows.begin(deps.store, where, position, windows));
  return memory.windows.nextDueMs;
}
