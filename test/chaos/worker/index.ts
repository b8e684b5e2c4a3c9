// The deployed worker under the driver's hand: the same routes, schedule and objects, over stores, transports and a
// clock that fail on demand. cli/build.mjs puts storage.ts, transport.ts, spill.ts and acceptance.ts of this folder in
// the place of those in functions/.
// First: it shifts the clock, which others may take hold of while they load.
import "./hooks.ts";
import deployed from "../../../functions/worker.ts";
import { control, CONTROL_PATH } from "./control.ts";
import { chaosEnv } from "./env.ts";

export * from "../../../functions/worker.ts";
export {
  AcceptanceShard,
  AlertOwner,
  ClusterHealth,
  IdempotencyKeys,
  PartitionConsumer,
  QuotaBucket,
  Spillway,
  TransportHost,
} from "./objects.ts";

export default {
  async fetch(request, env, context) {
    const own = chaosEnv(env);
    if (new URL(request.url).pathname === CONTROL_PATH) return await control(request, own, context);
    return await deployed.fetch(request, own, context);
  },
  async scheduled(controller, env) {
    await deployed.scheduled(controller, chaosEnv(env));
  },
} satisfies ExportedHandler<Env>;
