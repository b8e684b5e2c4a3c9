// The spillway as the rest of functions/ sees it: shards by name, each call with a deadline. A shard that fails or hangs
// is told as that, and leaves the others alone; nothing here throws.
import {
  shardOf,
  type Drained,
  type ShardSpill,
  type SpillPort,
  type SpillStatus,
  type TenantSpill,
} from "../lib/ingest/spill/spill-port.ts";
import type { ShardReport } from "../lib/ingest/spill/spill-shard.ts";
import { ownBytes } from "../lib/kafka/hosted.ts";
import { within } from "../lib/kafka/timer.ts";
import { logger } from "../lib/observability/logger.ts";
import { clusterOf } from "./cluster.ts";
import type { Deployment } from "./deployment.ts";
import type { Spillway, Told } from "./objects/spillway.ts";

const APPEND_DEADLINE_MS = 5_000;
const STATUS_DEADLINE_MS = 5_000;

/** A flush ends by its own deadline; this is for its answer. */
const FLUSH_ANSWER_MS = 1_000;

export function spillPort(env: Env, deployment: Deployment): SpillPort {
  const shards = deployment.config.SPILL_SHARDS;
  return {
    shardOf: (key) => shardOf(key, shards),
    async append(shard, messages, why) {
      const own = messages.map((one) => ({ ...one, key: ownBytes(one.key), value: ownBytes(one.value) }));
      const told = await ask(env, shard, APPEND_DEADLINE_MS, (stub) => stub.append(shard, own, why));
      return told.ok ? told.value : { outcome: "failed", message: told.message };
    },
  };
}

/** What all shards hold now. */
export async function spillStatus(env: Env, deployment: Deployment): Promise<SpillStatus> {
  return await gather(await shardsOf(env, deployment), (shard) =>
    ask(env, shard, STATUS_DEADLINE_MS, (stub) => stub.status(shard)),
  );
}

/** Drains all shards now, whatever they wait for. @returns what is held once `deadlineMs` are over, or sooner */
export async function flushSpill(env: Env, deployment: Deployment, deadlineMs: number): Promise<SpillStatus> {
  return await gather(await shardsOf(env, deployment), (shard) =>
    ask(env, shard, deadlineMs + FLUSH_ANSWER_MS, (stub) => stub.flush(shard, deadlineMs)),
  );
}

/** The cron's call: what is held is drained, whatever alarms were lost. */
export async function wakeSpill(env: Env, deployment: Deployment): Promise<void> {
  const shards = await shardsOf(env, deployment);
  await Promise.all(
    shards.map(async (shard) => {
      const told = await ask(env, shard, STATUS_DEADLINE_MS, (stub) => stub.wake(shard));
      if (!told.ok) logger.warn("wake_failed", { spill_shard: shard, message: told.message });
    }),
  );
}

/** Those of the settings, and those that hold messages from a time when the settings had more. */
async function shardsOf(env: Env, { config }: Deployment): Promise<number[]> {
  const { spilled } = await clusterOf(env).state();
  const configured = Array.from({ length: config.SPILL_SHARDS }, (_, shard) => shard);
  return [...new Set([...configured, ...spilled])];
}

async function ask<T>(
  env: Env,
  shard: number,
  timeoutMs: number,
  call: (stub: DurableObjectStub<Spillway>) => Promise<Told<T>>,
): Promise<Told<T>> {
  try {
    const answer = call(env.SPILLWAY.getByName(`shard-${shard}`));
    return await within(timeoutMs, answer, () => new Error(`no answer within ${timeoutMs} ms`));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `shard ${shard} of the spillway: ${message}` };
  }
}

async function gather(
  asked: readonly number[],
  reportOf: (shard: number) => Promise<Told<ShardReport>>,
): Promise<SpillStatus> {
  const told = await Promise.all(asked.map(async (shard) => ({ shard, report: await reportOf(shard) })));
  const sums = { messages: 0, records: 0, bytes: 0, refused: 0 };
  const tenants = new Map<string, TenantSpill>();
  const hours = new Map<number, Drained>();
  let oldestMs: number | null = null;
  const shards = told.map(({ shard, report }): ShardSpill => {
    if (!report.ok)
      return {
        shard,
        messages: 0,
        records: 0,
        bytes: 0,
        oldestMs: null,
        refused: 0,
        refusals: [],
        error: report.message,
      };
    const { byTenant, drained, ...row } = report.value;
    sums.messages += row.messages;
    sums.records += row.records;
    sums.bytes += row.bytes;
    sums.refused += row.refused;
    if (row.oldestMs !== null) oldestMs = Math.min(oldestMs ?? row.oldestMs, row.oldestMs);
    for (const { tenant, signal, records } of byTenant) {
      const name = `${tenant} ${signal}`;
      tenants.set(name, { tenant, signal, records: (tenants.get(name)?.records ?? 0) + records });
    }
    for (const { untilMs, oldestMs: ownMs } of drained)
      hours.set(untilMs, { untilMs, oldestMs: Math.min(ownMs, hours.get(untilMs)?.oldestMs ?? ownMs) });
    return row;
  });
  return {
    ...sums,
    oldestMs,
    isComplete: told.every(({ report }) => report.ok),
    shards,
    byTenant: [...tenants.values()],
    drained: [...hours.values()],
  };
}
