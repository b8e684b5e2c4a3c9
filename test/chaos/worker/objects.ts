// The Durable Objects as deployed, each of which can be evicted and lives by the shifted clock; the consumers stand
// still at the steps of their loop.
import type { DurableObject } from "cloudflare:workers";
import { deploymentOf } from "../../../functions/deployment.ts";
import * as deployed from "../../../functions/worker.ts";
import { chaosEnv } from "./env.ts";
import { hooks, mutationOf, pass } from "./hooks.ts";

type ObjectClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env>;

/** So many ticks are one where `alert-tick` is left out. */
const LAZY_TICKS = 4;

/** Ids of the objects that lived in this isolate, by class. */
const seen = new Map<string, Set<string>>();

let isShifted = false;

/** Alarms are set and told by the platform's clock, which is shifted with everything else. */
function shiftAlarms(storage: DurableObjectStorage): void {
  if (isShifted) return;
  isShifted = true;
  const prototype = Object.getPrototypeOf(storage) as DurableObjectStorage;
  // oxlint-disable-next-line unbound-method -- called with their own storage below
  const { setAlarm, getAlarm } = prototype;
  prototype.setAlarm = async function (this: DurableObjectStorage, at, ...rest) {
    await setAlarm.call(this, Number(at) - hooks.skewMs, ...rest);
  };
  prototype.getAlarm = async function (this: DurableObjectStorage, ...rest) {
    const at = await getAlarm.call(this, ...rest);
    return at === null ? null : at + hooks.skewMs;
  };
}

function hooked<C extends ObjectClass>(name: string, Base: C): C {
  class Hooked extends (Base as ObjectClass) {
    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, chaosEnv(env));
      shiftAlarms(ctx.storage);
      seen.set(name, (seen.get(name) ?? new Set()).add(ctx.id.toString()));
    }

    async chaosEvict(): Promise<void> {
      this.ctx.abort("evicted by the chaos suite");
    }
  }
  return Hooked as unknown as C;
}

const BINDINGS = {
  PartitionConsumer: "PARTITION_CONSUMER",
  QuotaBucket: "QUOTA",
  IdempotencyKeys: "IDEMPOTENCY",
  TransportHost: "PRODUCE_HOST",
  Spillway: "SPILLWAY",
  ClusterHealth: "CLUSTER",
  AcceptanceShard: "ACCEPTANCE",
  AlertOwner: "ALERT_OWNER",
} as const;

/** Ends the lives of all objects of these classes; the next call begins new ones from what they stored. @returns how many */
export async function evict(env: Env, classes: readonly string[]): Promise<number> {
  let evicted = 0;
  for (const name of classes) {
    const namespace = env[BINDINGS[name as keyof typeof BINDINGS]] as DurableObjectNamespace;
    for (const id of seen.get(name) ?? []) {
      const stub = namespace.get(namespace.idFromString(id)) as unknown as { chaosEvict(): Promise<void> };
      await stub.chaosEvict().catch(() => undefined);
      evicted++;
    }
  }
  return evicted;
}

class SteppedConsumer extends deployed.PartitionConsumer {
  protected override async reached(
    step: Parameters<deployed.PartitionConsumer["reached"]>[0],
  ): Promise<void> {
    await super.reached(step);
    await pass(step);
  }
}

/** With that mechanism left out it rises, and sits through most of its ticks. */
class LazyAlertOwner extends deployed.AlertOwner {
  #ticks = 0;

  override async alarm(): Promise<void> {
    if (mutationOf(this.env) !== "alert-tick" || this.#ticks++ % LAZY_TICKS === 0) return await super.alarm();
    await this.ctx.storage.setAlarm(Date.now() + deploymentOf(this.env).config.ALERT_TICK_MS);
  }
}

export const PartitionConsumer = hooked("PartitionConsumer", SteppedConsumer);
export const QuotaBucket = hooked("QuotaBucket", deployed.QuotaBucket);
export const IdempotencyKeys = hooked("IdempotencyKeys", deployed.IdempotencyKeys);
export const TransportHost = hooked("TransportHost", deployed.TransportHost);
export const Spillway = hooked("Spillway", deployed.Spillway);
export const ClusterHealth = hooked("ClusterHealth", deployed.ClusterHealth);
export const AcceptanceShard = hooked("AcceptanceShard", deployed.AcceptanceShard);
export const AlertOwner = hooked("AlertOwner", LazyAlertOwner);
