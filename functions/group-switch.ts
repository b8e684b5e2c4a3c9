// Brings groups that are built anew on, step by step; what a crash left half done is taken up by the next who comes: the
// cron, or an owner that has caught up.
import { logger } from "../lib/observability/logger.ts";
import { advanceSwitch } from "../lib/stream/groups-switch.ts";
import { deploymentOf } from "./deployment.ts";
import { groupStoreOf, streamStoreOf } from "./storage.ts";
import { storedGroups, subscriptionsOf } from "./subscriptions.ts";

/**
 * Never throws: it is done again in a minute.
 * @param wakeGroup wakes all readers of a group
 * @param only a group; absent: all
 */
export async function advanceSwitches(
  env: Env,
  wakeGroup: (env: Env, name: string) => Promise<void>,
  only?: string,
): Promise<void> {
  try {
    const deployment = deploymentOf(env);
    const hasResults = deployment.config.METRICS_PROCESSED === "on";
    const deps = { groups: groupStoreOf(env), store: streamStoreOf(env), hasResults };
    for (const group of await storedGroups(env, deployment)) {
      if (!group.building || (only !== undefined && group.name !== only)) continue;
      const step = await advanceSwitch(group, deps);
      if (step !== "handed_over" && step !== "switched") continue;
      logger.info("group_switch", { group: group.name, step });
      // The readers have other work now.
      await subscriptionsOf(env, 0);
      await wakeGroup(env, group.name);
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.error("group_switch_failed", { message });
  }
}
