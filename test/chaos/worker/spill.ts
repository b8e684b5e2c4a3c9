// Stands in the place of functions/spill.ts in the chaos bundle: the same way to the spillway, which keeps nothing, or
// never lets anything queue, where that is asked for.
import { spillPort as deployedPort } from "../../../functions/spill.ts";
import type { Deployment } from "../../../functions/deployment.ts";
import type { SpillPort } from "../../../lib/ingest/spill/spill-port.ts";
import { mutationOf } from "./hooks.ts";

export * from "../../../functions/spill.ts";

export function spillPort(env: Env, deployment: Deployment): SpillPort {
  const port = deployedPort(env, deployment);
  const mutation = mutationOf(env);
  return {
    shardOf: (key) => port.shardOf(key),
    async append(shard, messages, why) {
      if (mutation === "spill") return { outcome: "kept" };
      if (mutation === "order" && why === "behind") return { outcome: "direct" };
      return await port.append(shard, messages, why);
    },
  };
}
