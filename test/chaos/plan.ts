// What a seed makes of a run: which fault is on while which share of the records is sent. Made before the run and of the
// seed alone; act number i is the same however many there are, so that a failing run can be cut down to some of them.
import { Random } from "../fuzz/bodies/random.ts";
import { FAULT_NAMES, type FaultName } from "./fault-names.ts";

export interface Act {
  /** Its number among all that the seed has. */
  number: number;
  fault: FaultName;
  /** For what the fault itself leaves to chance. */
  seed: number;
}

export interface PlanOptions {
  seed: number;
  records: number;
  faults: readonly FaultName[];
  /** Numbers of the acts to keep; undefined: as many as the records are good for. */
  only: readonly number[] | undefined;
}

/** Enough for some dozen requests under each fault. */
const RECORDS_AN_ACT = 4_000;
const MIN_ACTS = 4;
const MAX_ACTS = 80;

export function planActs({ seed, records, faults, only }: PlanOptions): Act[] {
  const count = Math.min(MAX_ACTS, Math.max(MIN_ACTS, Math.round(records / RECORDS_AN_ACT)));
  const numbers = only ?? Array.from({ length: count }, (_, number) => number);
  return numbers.map((number) => actOf(seed, number, faults));
}

/** Round after round, each with every fault once, in an order of its own. */
function actOf(seed: number, number: number, faults: readonly FaultName[]): Act {
  const round = Math.floor(number / faults.length);
  const order = shuffled(faults, Random.of(seed, round));
  const fault = order[number % faults.length] as FaultName;
  return { number, fault, seed: Random.of(seed ^ 0x5bd1e995, number).below(2 ** 31) };
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}

export function isFault(name: string): name is FaultName {
  return FAULT_NAMES.some((known) => known === name);
}
