// What is known of Kafka's health: the breaker's phase, and which shards of the spillway hold messages. It travels from
// one object to every isolate as plain data; what cannot be read (another version wrote it) is as if nothing were known.
import { BREAKER_PHASES, type BreakerPhase } from "./breaker.ts";

export interface KafkaClusterState {
  breaker: BreakerPhase;
  /** When an open breaker lets the next call through, epoch ms; of no meaning otherwise. */
  retryAtMs: number;
  /** The shards of the spillway that hold messages, ascending. */
  spilled: readonly number[];
  /** It was not to be had for over a second: each shard is to be asked whether it holds messages. */
  isOld?: boolean;
}

/** As long as nothing is known: Kafka is tried. */
export const HEALTHY: KafkaClusterState = { breaker: "closed", retryAtMs: 0, spilled: [] };

/** In the form in which a lease carries it. */
export function toClusterState({ breaker, retryAtMs, spilled }: KafkaClusterState): {
  breaker: string;
  retryAtMs: number;
  spilled: number[];
} {
  return { breaker, retryAtMs, spilled: [...spilled] };
}

/** @returns undefined where nothing is told of it */
export function fromClusterState(state: Readonly<Record<string, unknown>>): KafkaClusterState | undefined {
  const { retryAtMs, spilled } = state;
  const breaker = BREAKER_PHASES.find((phase) => phase === state["breaker"]);
  if (breaker === undefined || typeof retryAtMs !== "number" || !Array.isArray(spilled)) return undefined;
  const shards = spilled.filter((shard) => typeof shard === "number");
  return { breaker, retryAtMs, spilled: shards, ...(state["isOld"] === true && { isOld: true }) };
}
