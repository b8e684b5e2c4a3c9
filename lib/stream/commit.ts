// One commit of decoded messages: planned as if all were new, and planned anew by what the store knows where it says
// that some are not. What the data is at fault for comes back as a value; a store that is away throws.
import type { FetchedRecord } from "../kafka/transport.ts";
import {
  StorageError,
  type AlertSample,
  type Claim,
  type CommitStats,
  type PartitionCommit,
  type Position,
  type Rows,
  type StreamStore,
} from "../storage/storage.ts";
import { dayOf } from "../storage/day.ts";
import type { Aggregate } from "./aggregate.ts";
import type { Fault } from "./dead-letter.ts";
import type { DecodeContext, DecodedMessage } from "./decode.ts";
import { emptyCommit } from "./empty-commit.ts";
import { faultOfStore, internalFault, isFault } from "./fault.ts";
import { faultOfSamples, foldWindows } from "./fold-windows.ts";
import { markOf } from "./identity.ts";
import { newestOf, readPast } from "./groups-past.ts";
import { planBatch, type Fate } from "./plan.ts";
import { processPlan, type ProcessedPlan } from "./process-plan.ts";
import { CALL_COST, type Run } from "./run.ts";

/** `exhausted`: others were always quicker; to be tried again. `refused`: the data is at fault, nothing was written. */
export type CommitOutcome =
  | { kind: "committed" }
  | { kind: "fenced" }
  | { kind: "exhausted" }
  | { kind: "refused"; fault: Fault };

/** Each conflict means that someone else has committed records of the same batch. */
const MAX_REPLANS = 4;

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
  await deps.reached("before-commit");
  const past = await readPast(run, messages);
  for (let replans = 0; replans <= MAX_REPLANS; replans++) {
    const nowMs = deps.now();
    memory.rawFloorDay ??= await callStore(run, (store) => store.rawFloorDay());
    const plan = planOr(run, messages, [...past.known, ...known], nowMs, past.fates);
    if (!isPlan(plan)) return { kind: "refused", fault: plan };
    const position = memory.position as Position;
    const newestMs = run.source.building ? newestOf(plan.rows, messages) : (plan.newestMs ?? 0);
    const next = {
      ...position,
      nextOffset: last.offset + 1,
      mark: markOf(last),
      watermarkMs: Math.max(position.watermarkMs, Math.min(newestMs, nowMs)),
    };
    const change: Change = { next, plan, nowMs, expired: 0, stats: statsOf(run, messages, nowMs) };
    const outcome = await commitChange(run, change, messages.length > 1);
    if (typeof outcome === "object") return outcome;
    if (outcome === "committed") return { kind: "committed" };
    if (outcome === "fenced") return { kind: "fenced" };
    run.left--;
    known = await deps.store.claimed(plan.keys);
  }
  return { kind: "exhausted" };
}

/**
 * Sends what is due of windows by a watermark, with no message; it must be higher than that of the position.
 * @returns false when someone else had moved the position: nothing was written then
 */
export async function commitDue(run: Run, watermarkMs: number): Promise<boolean> {
  const { deps, memory } = run;
  for (;;) {
    memory.rawFloorDay ??= await callStore(run, (store) => store.rawFloorDay());
    const next = { ...(memory.position as Position), watermarkMs };
    const change: Change = { next, plan: undefined, nowMs: deps.now(), expired: 0, stats: undefined };
    const outcome = await commitChange(run, change, false);
    if (typeof outcome === "object") throw new StorageError(outcome.fault.error);
    if (outcome !== "conflict") return outcome === "committed";
    run.left--;
  }
}

const noClaims = { first: [], repeated: [], receivedMs: undefined };

/**
 * Moves the position alone.
 * @param readMs all that was received before it is behind the position now; undefined: nothing is known
 * @returns false when someone else had moved it: nothing was written then
 */
export async function movePosition(
  run: Run,
  next: Position,
  expired: number,
  readMs?: number,
): Promise<boolean> {
  const { source, deps, memory } = run;
  for (;;) {
    memory.rawFloorDay ??= await callStore(run, (store) => store.rawFloorDay());
    const from = memory.position;
    const nowMs = deps.now();
    const commit = emptyCommit(source, from, next, { rawFloorDay: memory.rawFloorDay, nowMs });
    const claims = { ...noClaims, receivedMs: readMs };
    const outcome = await deps.store.commit({ ...commit, expired, claims });
    if (outcome === "fenced") return false;
    if (outcome === "committed") {
      memory.windows.moved(from, next);
      settle(run, { next, plan: undefined, nowMs, expired, stats: undefined }, 0);
      memory.readThroughMs = Math.max(memory.readThroughMs, readMs ?? 0);
      return true;
    }
    memory.rawFloorDay = undefined;
    run.left--;
  }
}

/** What a commit does, but for windows. */
interface Change {
  next: Position;
  /** Undefined: there are no messages. */
  plan: ProcessedPlan | undefined;
  nowMs: number;
  expired: number;
  stats: CommitStats | undefined;
}

/** One try. Whatever comes of it, what is held of windows is as the store has it. */
async function commitChange(
  run: Run,
  change: Change,
  mayBeCut: boolean,
): Promise<"committed" | "fenced" | "conflict" | { kind: "refused"; fault: Fault }> {
  const { deps, memory } = run;
  const { windows: cache } = memory;
  const from = memory.position as Position;
  try {
    const watched = watch(run, change);
    if (isFault(watched)) return { kind: "refused", fault: watched };
    const folded = deps.observe ? undefined : await foldWindows(run, change, mayBeCut);
    if (folded && isFault(folded)) return { kind: "refused", fault: folded };
    const commit = { ...commitOf(run, change, folded), alertSamples: watched };
    let outcome: Awaited<ReturnType<StreamStore["commit"]>>;
    try {
      outcome = await deps.store.commit(commit);
    } catch (error) {
      return { kind: "refused", fault: faultOfStore(error) };
    }
    if (outcome === "committed") {
      const { series } = commit.windows;
      if (folded) cache.accept(from, change.next, { day: dayOf(change.nowMs), series }, folded.nextDueMs);
      await deps.reached("after-commit");
      settle(run, change, commit.outbox.length);
    }
    // It may be the floor that has moved.
    if (outcome === "conflict") memory.rawFloorDay = undefined;
    return outcome;
  } finally {
    cache.rollBack();
  }
}

/** What a group that watches makes of the rows. */
function watch({ deps }: Run, { plan }: Change): AlertSample[] | Fault {
  if (!plan || !deps.observe) return [];
  try {
    return deps.observe.samplesOf(plan.rows);
  } catch (error) {
    return internalFault(error);
  }
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
  const nowMs = run.deps.now();
  run.memory.rawFloorDay ??= await callStore(run, (store) => store.rawFloorDay());
  const plan = planOr(run, messages, known, nowMs);
  if (!isPlan(plan)) return plan;
  run.left--;
  const change: Change = { next: run.memory.position as Position, plan, nowMs, expired: 0, stats: undefined };
  const alertSamples = watch(run, change);
  if (isFault(alertSamples)) return alertSamples;
  const fault = run.deps.observe ? undefined : faultOfSamples(plan);
  if (fault) return fault;
  const commit = commitOf(run, change, undefined);
  try {
    await run.deps.store.rehearse({ ...commit, claims: noClaims, alertSamples });
    return undefined;
  } catch (error) {
    return faultOfStore(error);
  }
}

/** The claims that there are on a message's records. */
export async function claimsOn(run: Run, messages: readonly DecodedMessage[]): Promise<Claim[]> {
  run.memory.rawFloorDay ??= await callStore(run, (store) => store.rawFloorDay());
  const plan = planOr(run, messages, [], run.deps.now());
  return isPlan(plan) && plan.keys.length > 0 ? await run.deps.store.claimed(plan.keys) : [];
}

function planOr(
  { source, deps, memory }: Run,
  messages: readonly DecodedMessage[],
  known: readonly Claim[],
  nowMs: number,
  fates?: ReadonlyMap<string, Fate>,
): ProcessedPlan | Fault {
  const position = memory.position as Position;
  const rawFloorDay = memory.rawFloorDay as number;
  try {
    const planOf = (some: readonly DecodedMessage[]) =>
      planBatch(some, { ...source, position, nowMs, known, rawFloorDay, fates });
    const process = deps.observe ? undefined : deps.process;
    return processPlan(messages, planOf, process, { ...source, position, nowMs });
  } catch (error) {
    return internalFault(error);
  }
}

const isPlan = (plan: ProcessedPlan | Fault): plan is ProcessedPlan => "rows" in plan;

/** @param folded undefined: nothing of windows */
function commitOf(
  { source, deps, memory }: Run,
  { next, plan, nowMs, expired, stats }: Change,
  folded: Aggregate | undefined,
): PartitionCommit {
  const rawFloorDay = memory.rawFloorDay as number;
  const commit = { ...emptyCommit(source, memory.position, next, { rawFloorDay, nowMs }), expired, stats };
  if (folded) commit.windows = folded.windows;
  // What is built beside the old one tells nothing of its own.
  const isSilent = source.building !== undefined || deps.observe !== undefined;
  if (folded && !isSilent) commit.outbox = folded.outbox;
  if (!plan) return commit;
  const { rows, deadLetters, claims, ledger, outbox } = plan;
  if (!isSilent) commit.outbox = [...outbox, ...commit.outbox];
  if (deps.observe) return { ...commit, claims: { ...noClaims, receivedMs: claims.receivedMs } };
  if (!source.building) commit.ledger = ledger;
  // Those of the old one stay where they are.
  return { ...commit, rows, deadLetters: source.building ? [] : deadLetters, claims };
}

/** @param outgoing rows of the outbox */
function settle({ memory, result }: Run, { next, plan, expired }: Change, outgoing: number): void {
  memory.position = next;
  result.commits++;
  result.expired += expired;
  result.outgoing += outgoing;
  if (!plan) return;
  result.records += countRows(plan.rows);
  result.deadLetters += plan.deadLetters.length;
  memory.readThroughMs = Math.max(memory.readThroughMs, plan.claims.receivedMs ?? 0);
}

function statsOf({ readAtMs }: Run, messages: readonly DecodedMessage[], nowMs: number): CommitStats {
  let oldestMs = nowMs;
  for (const { message, origin } of messages)
    oldestMs = Math.min(oldestMs, origin?.receivedMs ?? message.timestampMs ?? nowMs);
  return { messages: messages.length, busyMs: Math.max(0, nowMs - readAtMs), lagMs: nowMs - oldestMs };
}

/** A call beside the two that a batch takes. */
async function callStore<T>(run: Run, call: (store: StreamStore) => Promise<T>): Promise<T> {
  run.left -= CALL_COST;
  return await call(run.deps.store);
}

const countRows = ({ metrics, logs, events, traces }: Rows): number =>
  metrics.length + logs.length + events.length + traces.length;
