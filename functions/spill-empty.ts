// Whether all that was accepted is in the log, as far as the one object knows that is told of every outage.
import { within } from "../lib/kafka/timer.ts";
import { clusterHealth } from "./cluster.ts";

const DEADLINE_MS = 1_000;

/** Never throws: while it cannot be asked, there may be something in the spillway. */
export async function isSpillEmpty(env: Env): Promise<boolean> {
  try {
    const asked = clusterHealth(env).state();
    const { breaker, spilled } = await within(DEADLINE_MS, asked, () => new Error("no answer"));
    return breaker === "closed" && spilled.length === 0;
  } catch {
    return false;
  }
}
