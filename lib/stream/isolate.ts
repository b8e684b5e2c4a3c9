// Finds what the store will not have, so that all beside it is stored. Messages are halved by committing; within one
// message, since the position moves by whole messages, its records are halved by rehearsals. A record that fails alone
// three times is dead. Bounded in each drain: what is known so far is kept for the next.
import type { FetchedRecord } from "../kafka/transport.ts";
import type { Claim, Position } from "../storage/storage.ts";
import { claimsOn, commitMessages, contextOf, rehearse, type CommitOutcome } from "./commit.ts";
import type { Fault } from "./dead-letter.ts";
import { allDead, decode, unreadable, type DecodedMessage } from "./decode.ts";
import { internalFault } from "./fault.ts";
import type { Isolation, MessageIsolation, Run } from "./run.ts";

/** Before the second and the third try. */
const BACKOFF_MS = [100, 200];
const ATTEMPTS = BACKOFF_MS.length + 1;

/** Then what is not yet found good in the message is given up. */
const MAX_REHEARSALS = 1_000;

export const noIsolation = (): Isolation => ({ cuts: [], message: undefined });

/** The offset before which a commit that begins with `first` has to end. */
export function cutAfter({ cuts }: Isolation, first: FetchedRecord): number {
  while ((cuts.at(-1) ?? Infinity) <= first.offset) cuts.pop();
  return cuts.at(-1) ?? Infinity;
}

/** Halves what was refused. */
export function cutInHalf({ cuts }: Isolation, refused: readonly FetchedRecord[]): void {
  const offsetAt = (place: number) => (refused[place] as FetchedRecord).offset;
  const end = offsetAt(refused.length - 1) + 1;
  if (cuts.at(-1) !== end) cuts.push(end);
  cuts.push(offsetAt(refused.length >> 1));
}

/** Whether a drain before this one was at this message's records. */
export function isUnderIsolation(
  { message: state }: Isolation,
  position: Position,
  message: FetchedRecord,
): boolean {
  return (
    state?.offset === message.offset &&
    state.incarnation === position.incarnation &&
    state.epoch === position.epoch
  );
}

/**
 * A message that was refused alone.
 * @param fault undefined: a drain before this one was at it
 */
export async function isolateMessage(
  run: Run,
  decoded: DecodedMessage,
  fault: Fault | undefined,
): Promise<CommitOutcome> {
  const { memory, deps } = run;
  const { isolation } = memory;
  // What was received before is not stored again, so that it is neither refused nor dead.
  const known = await claimsOn(run, [decoded]);
  if (fault) {
    if (decoded.rows.length > 0 && !memory.trips.mayLookInto(decoded.tenant, deps.now()))
      return await bury(run, decoded, fault, known);
    const { incarnation, epoch } = memory.position as Position;
    isolation.message = {
      offset: decoded.message.offset,
      incarnation,
      epoch,
      pending: [[0, decoded.rows.length]],
      suspects: new Map(),
      round: 1,
      left: [],
      rehearsals: 0,
      fault,
    };
  }
  const state = isolation.message as MessageIsolation;
  if (!(await findRefused(run, state, decoded, known))) return { kind: "exhausted" };
  const outcome = await commitWithout(run, decoded, state, known);
  if (outcome.kind === "committed") isolation.message = undefined;
  return outcome;
}

/** A message on which our own code throws. */
export async function isolateUnreadable(run: Run, message: FetchedRecord): Promise<CommitOutcome> {
  let decoded: DecodedMessage | undefined;
  for (let attempt = 1; !decoded; attempt++) {
    try {
      decoded = decode(message, contextOf(run));
    } catch (error) {
      const fault = { ...internalFault(error), attempts: attempt };
      if (attempt === ATTEMPTS) decoded = unreadable(message, contextOf(run), fault);
      else await backOff(run, attempt);
    }
  }
  const outcome = await commitMessages(run, [decoded], message);
  return outcome.kind === "refused" ? await bury(run, decoded, outcome.fault, []) : outcome;
}

/** @returns false when this drain may try no more */
async function findRefused(
  run: Run,
  state: MessageIsolation,
  decoded: DecodedMessage,
  known: readonly Claim[],
): Promise<boolean> {
  const tries = async (from: number, to: number): Promise<Fault | undefined> => {
    state.rehearsals++;
    const part = { ...decoded, rows: decoded.rows.slice(from, to), dead: [], whole: undefined };
    return await rehearse(run, [part], known);
  };
  while (state.pending.length > 0) {
    const [from, to] = state.pending.at(-1) as [number, number];
    const fault = await tries(from, to);
    state.pending.pop();
    if (fault && to - from > 1) {
      const half = (from + to) >> 1;
      state.pending.push([half, to], [from, half]);
    } else if (fault) state.suspects.set(from, fault);
    if (state.rehearsals >= MAX_REHEARSALS) giveUp(state);
    else if (run.left <= 0) return false;
  }
  while (state.left.length > 0 || (state.suspects.size > 0 && state.round < ATTEMPTS)) {
    if (state.left.length === 0) {
      await backOff(run, state.round);
      state.round++;
      state.left = [...state.suspects.keys()];
    }
    const place = state.left.at(-1) as number;
    const fault = await tries(place, place + 1);
    state.left.pop();
    if (fault) state.suspects.set(place, { ...fault, attempts: state.round });
    else state.suspects.delete(place);
    if (run.left <= 0) return false;
  }
  return true;
}

/** What was not found good by now is taken for bad. */
function giveUp(state: MessageIsolation): void {
  for (const [from, to] of state.pending)
    for (let place = from; place < to; place++) state.suspects.set(place, GIVEN_UP);
  state.pending = [];
  state.round = ATTEMPTS;
}

const GIVEN_UP: Fault = {
  errorType: "storage_rejected",
  error: "stood beside too many records that the store refuses to be tried alone",
  attempts: 1,
};

/** The message without the records that were found; where none was, it is tried again as it is. */
async function commitWithout(
  run: Run,
  decoded: DecodedMessage,
  { suspects, fault }: MessageIsolation,
  known: readonly Claim[],
): Promise<CommitOutcome> {
  const { message, rows, tenant } = decoded;
  const { memory, deps } = run;
  if (suspects.size > 0) {
    const refused = new Map([...suspects].map(([place, one]) => [rows[place]?.index as number, one]));
    const outcome = await commitMessages(run, [decode(message, contextOf(run), refused)], message, known);
    const isSettled = outcome.kind === "committed" || outcome.kind === "refused";
    if (isSettled) memory.trips.note(tenant, rows.length, suspects.size, deps.now());
    if (outcome.kind !== "refused") return outcome;
    return await bury(run, decoded, { ...outcome.fault, attempts: ATTEMPTS }, known);
  }
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    await backOff(run, attempt);
    const outcome = await commitMessages(run, [decoded], message, known);
    if (outcome.kind !== "refused") return outcome;
  }
  return await bury(run, decoded, { ...fault, attempts: ATTEMPTS }, known);
}

/** The message is dead as a whole: as its tenant's; where that is refused, too, as nobody's, and at last without bytes. */
async function bury(
  run: Run,
  decoded: DecodedMessage,
  fault: Fault,
  known: readonly Claim[],
): Promise<CommitOutcome> {
  const { message } = decoded;
  const whole = allDead(decoded, fault);
  const { defaultTenant: tenant, signal } = contextOf(run);
  const nobodys = allDead({ ...decoded, tenant, signal, origin: undefined }, fault);
  const bare = allDead({ ...nobodys, message: { ...message, key: null, value: null } }, fault);
  let outcome: CommitOutcome = { kind: "refused", fault };
  for (const one of [whole, nobodys, bare]) {
    outcome = await commitMessages(run, [one], message, known);
    if (outcome.kind !== "refused") return outcome;
  }
  return outcome;
}

/** @param attempt the one that has failed */
async function backOff({ deps }: Run, attempt: number): Promise<void> {
  const delayMs = BACKOFF_MS[attempt - 1];
  if (delayMs !== undefined) await deps.sleep(delayMs);
}
