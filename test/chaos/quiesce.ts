// Waits until all that was accepted has come to rest: no lag, nothing in the spillway, nothing to be sent.
import { waitFor } from "./load.ts";
import type { World } from "./world.ts";

export interface Pending {
  spilled: number;
  isSpillKnown: boolean;
  outboxes: number;
}

interface LagRow {
  topic: string;
  partition: number;
  lag: number | null;
}

/** @throws with what is still on its way when the time is up */
export async function quiesce(world: World, remade: ReadonlySet<string>, withinMs: number): Promise<void> {
  let left = "";
  let looks = 0;
  const isQuiet = async () => {
    try {
      // Now and then, as the schedule would; a lost alarm may not need more than that.
      if (looks++ % 20 === 0) await world.control({ op: "ticks", times: 1 });
      await resumeStopped(world, remade);
      const pending = await world.control<Pending>({ op: "pending" });
      const lag = await world.json<LagRow[]>("/api/v1/lag");
      const behind = lag.filter((row) => row.lag !== 0);
      left = JSON.stringify({ ...pending, behind });
      return (
        behind.length === 0 &&
        lag.length > 0 &&
        pending.spilled === 0 &&
        pending.isSpillKnown &&
        pending.outboxes === 0
      );
    } catch (error) {
      left = String(error);
      return false;
    }
  };
  const slowly = async () => {
    if (await isQuiet()) return true;
    await new Promise((resolve) => setTimeout(resolve, 250));
    return false;
  };
  if (!(await waitFor(slowly, withinMs)))
    throw new Error(`not at rest within ${withinMs / 1_000} s: ${left}`);
}

/** Nothing is held by the spillway. */
export async function isDrained(world: World): Promise<boolean> {
  const { spilled, isSpillKnown } = await world.control<Pending>({ op: "pending" });
  return isSpillKnown && spilled === 0;
}

interface Owner {
  group: string;
  topic: string;
  partition: number;
  state: string;
}

/** Has the owners of topics that were made anew go on, as an operator would. @returns how many did */
export async function resumeStopped(world: World, topics: ReadonlySet<string>): Promise<number> {
  if (topics.size === 0) return 0;
  const { consumers } = await world.json<{ consumers: Owner[] }>("/kafka/status");
  const stopped = consumers.filter(({ state, topic }) => state === "stopped" && topics.has(topic));
  for (const { group, topic, partition } of stopped) {
    const body = JSON.stringify({ topic, partition });
    const answer = await world.api(`/api/v1/admin/groups/${group}/resume`, { method: "POST", body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`resuming ${topic}/${partition}: ${answer.status} ${text}`);
  }
  return stopped.length;
}
