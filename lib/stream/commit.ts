// One commit of decoded messages: planned as if all were new, and planned anew by what the store knows where it says
// that some are not. What the data is at fault for comes back as a value; a store that is away throws.
import type { FetchedRecord } from "../kafka/transport.ts";
import {
  StorageError,
  type Claim,
  type PartitionCommit,
  type Position,
  type Rows,
  type StreamStore,
} from "../storage/storage.ts";
import type { Fault } from "./dead-letter.ts";
import type { DecodeContext, DecodedMessage } from "./decode.ts";
import { markOf } from "./identity.ts";
import { planBatch, type Plan } from "./plan.ts";
import type { Run } from "./run.ts";

/** `exhausted`: others were always quicker; to be tried again. `refused`: the data is at fault, nothing was written. */
export type CommitOutcome =
  | { kind: "committed" }
  | { kind: "fenced" }
  | { kind: "exhausted" }
  | { kind: "refused"; fault: Fault };

/** Each conflict means that someone else has committed records of the same batch. */
const MAX_REPLANS = 4;

/** Of a store's message in a dead letter. */
const MAX_FAULT_CHARS = 300;

export const contextOf = ({ source, deps }: Run): DecodeContext => ({
  signal: source.signal,
  defaultTenant: source.defaultTenant,
  nowMs: deps.now(),
});

/**
 * @param last the message that the position moves behind
 * @param known claims to plan by; the store is asked where they do not do
 */
export async function commitMessages(
  run: Run,
  messages: readonly DecodedMessage[],
  last: FetchedRecord,
  known: readonly Claim[] = [],
): Promise<CommitOutcome> {
  const { deps, memory } = run;
  const { incarnation, epoch } = memory.position as Position;
  const next = { nextOffset: last.offset + 1, incarnation, epoch, mark: markOf(last) };
  await deps.reached("before-commit");
  for (let replans = 0; replans <= MAX_REPLANS; replans++) {
    const plan = planOr(run, messages, known);
    if (!isPlan(plan)) return { kind: "refused", fault: plan };
    let outcome: Awaited<ReturnType<StreamStore["commit"]>>;
    try {
      outcome = await deps.store.commit(commitOf(run, next, plan, 0));
    } catch (error) {
      return { kind: "refused", fault: faultOfStore(error) };
    }
    if (outcome === "committed") {
      await deps.reached("after-commit");
      settle(run, next, plan, 0);
      return { kind: "committed" };
    }
    if (outcome === "fenced") return { kind: "fenced" };
    run.left--;
    known = await deps.store.claimed(plan.keys);
  }
  return { kind: "exhausted" };
}

/** Moves the position alone. @returns false when someone else had moved it: nothing was written then */
export async function movePosition(run: Run, next: Position, expired: number): Promise<boolean> {
  const outcome = await run.deps.store.commit(commitOf(run, next, undefined, expired));
  if (outcome !== "committed") return false;
  settle(run, next, undefined, expired);
  return true;
}

/**
 * Whether the store would take the messages, whatever is claimed.
 * @returns what is wrong with them
 * @throws StorageError where it is the store that is at fault
 */
export async function rehearse(
  run: Run,
  messages: readonly DecodedMessage[],
  known: readonly Claim[],
): Promise<Fault | undefined> {
  const plan = planOr(run, messages, known);
  if (!isPlan(plan)) return plan;
  const { position } = run.memory;
  run.left--;
  const commit = commitOf(run, position as Position, plan, 0);
  try {
    await run.deps.store.rehearse({ ...commit, claims: { first: [], repeated: [], receivedMs: undefined } });
    return undefined;
  } catch (error) {
    return faultOfStore(error);
  }
}

/** The claims that there are on a message's records. */
export async function claimsOn(run: Run, messages: readonly DecodedMessage[]): Promise<Claim[]> {
  const plan = planOr(run, messages, []);
  return isPlan(plan) && plan.keys.length > 0 ? await run.deps.store.claimed(plan.keys) : [];
}

/** A fault of our own code on the way from a message to its rows. */
export function internalFault(error: unknown): Fault {
  return { errorType: "internal_error", error: textOf(error), attempts: 1 };
}

function planOr(
  { source, deps, memory }: Run,
  messages: readonly DecodedMessage[],
  known: readonly Claim[],
): Plan | Fault {
  const position = memory.position as Position;
  try {
    return planBatch(messages, { ...source, position, nowMs: deps.now(), known });
  } catch (error) {
    return internalFault(error);
  }
}

const isPlan = (plan: Plan | Fault): plan is Plan => "rows" in plan;

/** @throws what is not the data's fault */
function faultOfStore(error: unknown): Fault {
  if (!(error instanceof StorageError) || error.code !== "storage_rejected") throw error;
  return { errorType: error.code, error: textOf(error), attempts: 1 };
}

/** As text that every store takes. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll("\0", "").slice(0, MAX_FAULT_CHARS).toWellFormed();
}

const nothing = (): Omit<Plan, "keys"> => ({
  rows: { metrics: [], logs: [], events: [], traces: [] },
  deadLetters: [],
  claims: { first: [], repeated: [], receivedMs: undefined },
  ledger: [],
  outbox: [],
});

function commitOf(
  { source, deps, memory }: Run,
  next: Position,
  plan: Plan | undefined,
  expired: number,
): PartitionCommit {
  const { group, topic, partition } = source;
  const { rows, deadLetters, claims, ledger, outbox } = plan ?? nothing();
  return {
    group,
    topic,
    partition,
    from: memory.position,
    next,
    rows,
    deadLetters,
    claims,
    ledger,
    outbox,
    expired,
    committedAtMs: deps.now(),
  };
}

function settle({ memory, result }: Run, next: Position, plan: Plan | undefined, expired: number): void {
  memory.position = next;
  result.commits++;
  result.expired += expired;
  if (!plan) return;
  result.records += countRows(plan.rows);
  result.deadLetters += plan.deadLetters.length;
  result.outgoing += plan.outbox.length;
  memory.readThroughMs = Math.max(memory.readThroughMs, plan.claims.receivedMs ?? 0);
}

const countRows = ({ metrics, logs, events, traces }: Rows): number =>
  metrics.length + logs.length + events.length + traces.length;
