// The driver's way in: POST /__chaos with {op, …} and the run's token. Only this bundle has it.
import { clusterOf } from "../../../functions/cluster.ts";
import { deploymentOf } from "../../../functions/deployment.ts";
import { ownedPartitions, ownerOf } from "../../../functions/consume.ts";
import { wakeAll } from "../../../functions/schedule.ts";
import { dueTransitions, raceAlerts } from "./alerts.ts";
import type { ControlCall } from "./control-call.ts";
import { hooks } from "./hooks.ts";
import { evict } from "./objects.ts";
import { spillStatus } from "./spill.ts";
import { streamStoreOf } from "./storage.ts";

export const CONTROL_PATH = "/__chaos";

export async function control(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
  const { CHAOS_TOKEN: token } = env as unknown as { CHAOS_TOKEN?: string };
  if (token === undefined || request.headers.get("x-chaos-token") !== token)
    return new Response("no", { status: 404 });
  return Response.json((await act(await request.json(), env, context)) ?? null);
}

async function act(call: ControlCall, env: Env, context: ExecutionContext): Promise<unknown> {
  switch (call.op) {
    case "hold":
      hooks.heldAt = undefined;
      return void (hooks.holdAt = call.step);
    case "held":
      return { at: hooks.heldAt ?? null };
    case "release":
      hooks.holdAt = undefined;
      return void (hooks.heldAt = undefined);
    case "store":
      hooks.failBefore = call.failBefore ?? 0;
      hooks.failAfter = call.failAfter ?? 0;
      return void (hooks.isStoreAway = call.isAway ?? false);
    case "clock":
      return void (hooks.skewMs = call.skewMs);
    case "evict":
      return await evict(env, call.classes);
    case "ticks":
      return void (await Promise.allSettled(Array.from({ length: call.times }, () => wakeAll(env))));
    case "race":
      return await race(env, call.topic, call.times);
    case "race-alerts":
      return await raceAlerts(env, call.tenant);
    case "due-alerts":
      return await dueTransitions(env, call.tenant, context);
    case "pending":
      return await pending(env);
  }
}

/** So many owners more of each partition, each with a position and alarms of its own. */
async function race(env: Env, topic: string, times: number): Promise<void> {
  const owned = (await ownedPartitions(env, deploymentOf(env))).filter((one) => one.topic === topic);
  const rivals = owned.flatMap((one) =>
    Array.from({ length: times }, (_, rival) => {
      const name = `${one.group}/${one.topic}/${one.partition}/rival-${rival}`;
      return env.PARTITION_CONSUMER.getByName(name).wake(one);
    }),
  );
  await Promise.allSettled([...rivals, ...owned.map((one) => ownerOf(env, one).wake(one))]);
}

/** What is still on its way. */
async function pending(env: Env): Promise<object> {
  const deployment = deploymentOf(env);
  const [spill, owned] = await Promise.all([spillStatus(env, deployment), ownedPartitions(env, deployment)]);
  const store = streamStoreOf(env);
  const waiting = await Promise.all(owned.map(async (one) => (await store.outbox(one, 1)).length));
  store.close();
  return {
    spilled: spill.messages,
    isSpillKnown: spill.isComplete,
    outboxes: waiting.reduce((sum, length) => sum + length, 0),
    // Why it does not drain.
    shards: spill.shards
      .filter(({ messages }) => messages > 0)
      .map(({ shard, messages, error }) => ({ shard, messages, error })),
    cluster: await clusterOf(env).state(),
    nowMs: Date.now(),
  };
}
