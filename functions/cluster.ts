// The way to the one object that knows Kafka's health. Nothing here throws, and nothing waits for long: while the object
// is away Kafka is taken for healthy, and what could not be told is told again by whoever meets it next.
import type { ClusterState } from "../lib/ingest/quota/lease.ts";
import type { CallReport, Permission } from "../lib/kafka/breaker.ts";
import { fromClusterState, HEALTHY, type KafkaClusterState } from "../lib/kafka/cluster-state.ts";
import { within } from "../lib/kafka/timer.ts";
import { logger } from "../lib/observability/logger.ts";

const DEADLINE_MS = 1_000;

export interface Cluster {
  /** A shard of the spillway begins to hold messages, or holds none any more. @returns whether the object has it */
  noteSpill(shard: number, isHolding: boolean): Promise<boolean>;
  /** Whether Kafka may be called now. One that was let through reports how it went. */
  mayTry(): Promise<Permission>;
  report(calls: CallReport): Promise<void>;
  state(): Promise<KafkaClusterState>;
}

export const clusterHealth = (env: Env) => env.CLUSTER.getByName("kafka");

/** What this isolate was told last, by whichever lease. */
let lastTold = HEALTHY;

/** What a request goes by. @param told by its lease; undefined: no object answered, or there was no lease */
export function knownState(told: ClusterState | undefined): KafkaClusterState {
  const read = told && fromClusterState(told);
  if (!read) return { ...lastTold, isOld: true };
  lastTold = read;
  return read;
}

export function clusterOf(env: Env): Cluster {
  const health = () => clusterHealth(env);
  return {
    noteSpill: (shard, isHolding) => answered(async () => await health().noteSpill(shard, isHolding), false),
    mayTry: () => answered<Permission>(async () => await health().mayTry(), { ok: true }),
    report: (calls) => answered(async () => await health().report(calls), undefined),
    state: () => answered(async () => await health().state(), HEALTHY),
  };
}

/** An object that is away, or late, is an answer too. */
async function answered<T>(call: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await within(DEADLINE_MS, call(), () => new Error(`no answer within ${DEADLINE_MS} ms`));
  } catch (error) {
    logger.warn("cluster_health_away", { message: error instanceof Error ? error.message : String(error) });
    return otherwise;
  }
}
