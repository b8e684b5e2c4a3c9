// Reads a partition from where its group stands and commits batch after batch, until the log's end or the end of the
// budget. Stateless but for the memory it was given: whoever runs it beside us is held off by the fence.
import type { FetchedRecord } from "../kafka/transport.ts";
import type { Position } from "../storage/storage.ts";
import { commitMessages, contextOf, movePosition, type CommitOutcome } from "./commit.ts";
import { sendDue } from "./due.ts";
import {
  cutAfter,
  cutInHalf,
  isolateMessage,
  isolateUnreadable,
  isUnderIsolation,
  noIsolation,
} from "./isolate.ts";
import { readFrom } from "./read.ts";
import {
  CALL_COST,
  type DrainDeps,
  type DrainMemory,
  type DrainResult,
  type DrainSource,
  type Run,
} from "./run.ts";
import { nextSlice } from "./slices.ts";
import { MAX_RESULTS_PER_COMMIT } from "./aggregate.ts";
import { TenantTrips } from "./tenant-trips.ts";
import { CACHE_BYTES, WindowCache } from "./window-cache.ts";

/**
 * The store is told this often that all is read where no receipt tells it: while nothing comes, or what comes bears none.
 * Rules on metrics go by it, so those are told at each look of the cron, which may be a little early: a small write a
 * minute for each of their partitions and groups. For all else it only lets old claims go.
 */
const READ_THROUGH_MS = 15 * 60_000;
const METRICS_READ_THROUGH_MS = 45_000;

/** How much one call may do: Workers bound an invocation's time and its outgoing calls (two a batch here). */
export interface DrainBudget {
  timeMs: number;
  batches: number;
}

/** @param limits of windows held, and of results that one commit sends */
export const newDrainMemory = ({
  cacheBytes = CACHE_BYTES,
  maxResults = MAX_RESULTS_PER_COMMIT,
}: { cacheBytes?: number; maxResults?: number } = {}): DrainMemory => ({
  position: undefined,
  isolation: noIsolation(),
  trips: new TenantTrips(),
  readThroughMs: 0,
  windows: new WindowCache(cacheBytes),
  rawFloorDay: undefined,
  maxResults,
});

/** Never throws: what was committed before a failure is told beside the failure. */
export async function drainPartition(
  source: DrainSource,
  deps: DrainDeps,
  budget: DrainBudget,
  memory: DrainMemory,
): Promise<DrainResult> {
  const result: DrainResult = {
    state: "caught-up",
    commits: 0,
    records: 0,
    deadLetters: 0,
    outgoing: 0,
    expired: 0,
    reason: undefined,
    wakeAtMs: null,
  };
  const run: Run = { source, deps, memory, result, left: budget.batches, readAtMs: deps.now() };
  try {
    result.state = await drain(run, deps.now() + budget.timeMs);
  } catch (error) {
    result.state = "failed";
    result.reason = error instanceof Error ? error.message : String(error);
  }
  // A commit that failed may yet have happened; a fence says that someone else's did; what made it stop may be mended.
  if (["failed", "fenced", "stopped"].includes(result.state)) memory.position = undefined;
  return result;
}

async function drain(run: Run, endMs: number): Promise<DrainResult["state"]> {
  const { source, deps, memory, result } = run;
  const { transport, store } = deps;
  let isFresh = memory.position === undefined;
  memory.position ??= await store.position(source);
  if (!memory.position) {
    // Where a group begins is decided once and kept: "the latest" is another place at every look.
    if (!(await movePosition(run, await firstPosition(run), 0))) return "fenced";
  }
  /** Since when nothing is known to be under way to the log; undefined: nobody asked. */
  let spillEmptyAtMs: number | undefined;
  /** Where the log ended, of a log that grows so fast that no read comes to its end. */
  let end: LogEnd | undefined;
  for (;;) {
    const position = memory.position as Position;
    if (run.left <= 0 || deps.now() >= endMs || deps.isEnding?.() === true) {
      // The next drain has to look whether it is still this log.
      if (isFresh) memory.position = undefined;
      return "budget";
    }
    run.left--;
    await deps.reached("before-fetch");
    const readAtMs = deps.now();
    run.readAtMs = readAtMs;
    const untilOffset = (await source.building?.untilOffset()) ?? Infinity;
    if (position.nextOffset >= untilOffset) {
      if (isFresh) memory.position = undefined;
      return "caught-up";
    }
    if (deps.observe?.isIdle === true) {
      const end = await transport.latestOffset(source.topic, source.partition, position.nextOffset);
      const next = { ...position, nextOffset: end, mark: null };
      if (end > position.nextOffset && !(await movePosition(run, next, 0, readAtMs))) return "fenced";
      if (end === position.nextOffset) await noteReadThrough(run, position, readAtMs);
      // A log that ends before is looked into as ever.
      if (end >= position.nextOffset) return "caught-up";
    }
    const read = await readFrom(source, transport, position, isFresh);
    if (read.kind === "stopped") {
      result.reason = read.reason;
      return "stopped";
    }
    if (read.kind === "moved") {
      const nextOffset = Math.min(read.position.nextOffset, untilOffset);
      const expired = nextOffset - position.nextOffset;
      if (expired > 0 && !(await movePosition(run, { ...read.position, nextOffset }, expired)))
        return "fenced";
      continue;
    }
    isFresh = false;
    const messages = read.messages.filter(({ offset }) => offset < untilOffset);
    if (messages.length === 0 && read.messages.length > 0) {
      // Offsets without messages (markers of transactions) lie before the end that was set.
      const next = { ...position, nextOffset: untilOffset, mark: null };
      if (!(await movePosition(run, next, 0))) return "fenced";
      continue;
    }
    if (messages.length === 0) {
      await noteReadThrough(run, position, readAtMs);
      const due = await sendDue(run, spillEmptyAtMs ?? (deps.isSpillEmpty ? undefined : readAtMs), endMs);
      if (due.kind === "look") {
        // What left the spillway before it was asked is in the log by now, and is read first.
        spillEmptyAtMs = due.spillEmptyAtMs;
        continue;
      }
      result.wakeAtMs = due.wakeAtMs;
      return due.state;
    }
    spillEmptyAtMs = undefined;
    await deps.reached("after-fetch");
    const ended = await commitAll(run, messages, endMs);
    if (ended) return ended;
    if (isReadThroughDue(run, deps.now())) end = await lookForEnd(run, end);
  }
}

interface LogEnd {
  offset: number;
  /** Before it was asked for. */
  atMs: number;
}

/** @returns what is still to be reached; undefined: it is */
async function lookForEnd(run: Run, known: LogEnd | undefined): Promise<LogEnd | undefined> {
  const { source, deps, memory } = run;
  const position = memory.position as Position;
  if (known && position.nextOffset < known.offset) return known;
  if (known) {
    await noteReadThrough(run, position, known.atMs);
    return undefined;
  }
  const atMs = deps.now();
  run.left -= CALL_COST;
  const offset = await deps.transport.latestOffset(source.topic, source.partition, position.nextOffset);
  return { offset, atMs };
}

function isReadThroughDue({ source, memory }: Run, readAtMs: number): boolean {
  const everyMs = source.signal === "metrics" ? METRICS_READ_THROUGH_MS : READ_THROUGH_MS;
  return readAtMs - memory.readThroughMs >= everyMs;
}

async function noteReadThrough(run: Run, position: Position, readAtMs: number): Promise<void> {
  const { source, deps, memory } = run;
  if (!isReadThroughDue(run, readAtMs)) return;
  await deps.store.readThrough(source, position, readAtMs);
  memory.readThroughMs = readAtMs;
}

/** @returns undefined when all of it is committed */
async function commitAll(
  run: Run,
  messages: readonly FetchedRecord[],
  endMs: number,
): Promise<DrainResult["state"] | undefined> {
  const { deps, memory, result } = run;
  for (let at = 0; at < messages.length;) {
    if (at > 0 && (deps.now() >= endMs || deps.isEnding?.() === true)) return "budget";
    const next = await commitNext(run, messages, at);
    switch (next.outcome.kind) {
      case "committed":
        at += next.messages;
        break;
      case "fenced":
        return "fenced";
      case "exhausted":
        return "budget";
      case "refused":
        if (next.messages === 1) {
          const { offset } = messages[at] as FetchedRecord;
          result.reason = `the store refuses even the dead letter of message ${offset}: ${next.outcome.fault.error}`;
          return "stopped";
        }
        cutInHalf(memory.isolation, messages.slice(at, at + next.messages));
        if (--run.left <= 0) return "budget";
    }
  }
  return undefined;
}

/** Commits what comes next, and says how many messages that are. A single one that is refused is looked into. */
async function commitNext(
  run: Run,
  messages: readonly FetchedRecord[],
  at: number,
): Promise<{ messages: number; outcome: CommitOutcome }> {
  const { isolation, position } = run.memory;
  const first = messages[at] as FetchedRecord;
  const isKnown = isUnderIsolation(isolation, position as Position, first);
  const cut = isKnown ? first.offset + 1 : cutAfter(isolation, first);
  const slice = nextSlice(messages, at, contextOf(run), cut);
  const [decoded, ...others] = slice;
  if (!decoded) return { messages: 1, outcome: await isolateUnreadable(run, first) };
  if (isKnown) return { messages: 1, outcome: await isolateMessage(run, decoded, undefined) };
  const outcome = await commitMessages(run, slice, others.at(-1)?.message ?? first);
  if (outcome.kind !== "refused" || others.length > 0) return { messages: slice.length, outcome };
  return { messages: 1, outcome: await isolateMessage(run, decoded, outcome.fault) };
}

async function firstPosition({ source, deps }: Run): Promise<Position> {
  const { group, topic, partition, startAt, recentOffset } = source;
  const { transport, store } = deps;
  const nextOffset =
    startAt === "earliest"
      ? await transport.earliestOffset(topic, partition, recentOffset)
      : // What woke this owner for the first time was written after it began to listen.
        (recentOffset ?? (await transport.latestOffset(topic, partition)));
  // A partition that was added later is read in the epoch in which its group is by now.
  const others = (await store.progress(group)).filter((one) => one.group === group);
  const epoch = Math.max(0, ...others.map((one) => one.epoch));
  return { nextOffset, incarnation: 0, epoch, mark: null, watermarkMs: 0 };
}
