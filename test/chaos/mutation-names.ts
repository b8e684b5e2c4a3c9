// The mechanisms that can be left out of the chaos bundle (worker/hooks.ts), one at a time, and the faults under which
// each is needed: with one of them left out a run under those must fail.
import type { FaultName } from "./fault-names.ts";

export const MUTATION_NAMES = [
  "fence",
  "claims",
  "spill",
  "order",
  "outbox",
  "edge-counter",
  "drop-envelope",
  "alert-fence",
  "alert-outbox",
  "alert-tick",
] as const;
export type MutationName = (typeof MUTATION_NAMES)[number];

export const FAULTS_FOR: Record<MutationName, readonly FaultName[]> = {
  fence: ["race"],
  claims: ["lost-answer"],
  spill: ["kafka-kill"],
  order: ["kafka-kill"],
  outbox: ["foreign"],
  "edge-counter": ["ticks"],
  "drop-envelope": ["ticks"],
  "alert-fence": ["race"],
  "alert-outbox": ["ticks"],
  "alert-tick": ["ticks"],
};
