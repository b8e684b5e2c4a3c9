// Reads a partition from where its group stands and commits batch after batch, until the log's end or the end of the
// budget. Stateless but for the position it was given: whoever runs it beside us is held off by the fence.
import { KafkaError } from "../kafka/errors.ts";
import type { FetchedRecord, KafkaTransport } from "../kafka/transport.ts";
import type { PartitionId, Position, StreamStore } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import { decodeInto, emptyBatch, type DecodeContext, type DecodedBatch } from "./decode.ts";

/** What one read asks for. Brokers count it before decompression, so more may come. */
const FETCH_MAX_BYTES = 1024 * 1024;

/** Messages of at most this many bytes go into one commit (a single larger one stands alone), whatever a read gave. */
const COMMIT_MAX_BYTES = 1024 * 1024;

/** A commit ends with the message that brings its rows to so many characters: one of 50 KB can come to 40 million. */
const COMMIT_MAX_CHARS = 16_000_000;

export interface DrainSource extends PartitionId {
  signal: Signal;
  /** Where a group begins on a partition it has never read. */
  startAt: "earliest" | "latest";
  defaultTenant: string;
  /** Offset of a message that was just written, where one is known. */
  recentOffset: number | undefined;
}

/** The points of the loop at which a crash must do no harm; tests stop there. */
export type DrainStep = "before-fetch" | "after-fetch" | "before-commit" | "after-commit";

export interface DrainDeps {
  transport: KafkaTransport;
  store: StreamStore;
  now(): number;
  reached(step: DrainStep): Promise<void>;
}

export interface DrainResult {
  /**
   * `caught-up`: read to the log's end. `budget`: more is there. `fenced`: someone else moved the position.
   * `stopped`: going on would be a guess, a person must decide. `failed`: a fault of the world, to be tried again.
   */
  state: "caught-up" | "budget" | "fenced" | "stopped" | "failed";
  /** What to start from next time; undefined: ask the store. */
  position: Position | undefined;
  /** Committed in this drain, also when it ended in a failure. */
  commits: number;
  records: number;
  deadLetters: number;
  /** Messages that retention removed before they were read. */
  expired: number;
  /** Why it stopped or failed. */
  reason: string | undefined;
}

/** How much one call may do: Workers bound an invocation's time and its outgoing calls (two a batch here). */
export interface DrainBudget {
  timeMs: number;
  batches: number;
}

/**
 * Never throws: what was committed before a failure is told beside the failure.
 *
 * @param known the position as this owner last committed it; saves asking the store
 */
export async function drainPartition(
  source: DrainSource,
  deps: DrainDeps,
  budget: DrainBudget,
  known: Position | undefined,
): Promise<DrainResult> {
  const result: DrainResult = {
    state: "caught-up",
    position: known,
    commits: 0,
    records: 0,
    deadLetters: 0,
    expired: 0,
    reason: undefined,
  };
  try {
    result.state = await drain(source, deps, budget, result);
  } catch (error) {
    result.state = "failed";
    result.reason = error instanceof Error ? error.message : String(error);
  }
  // A commit that failed may yet have happened; a fence says that someone else's did.
  if (result.state === "failed" || result.state === "fenced") result.position = undefined;
  return result;
}

async function drain(
  source: DrainSource,
  deps: DrainDeps,
  budget: DrainBudget,
  result: DrainResult,
): Promise<DrainResult["state"]> {
  const { transport, store } = deps;
  const endMs = deps.now() + budget.timeMs;
  result.position ??= await store.position(source);
  if (!result.position) {
    // Where a group begins is decided once and kept: "the latest" is another place at every look.
    const first = await firstPosition(source, transport);
    if (!(await commit(source, deps, result, { next: first, decoded: undefined, expired: 0 })))
      return "fenced";
  }
  for (let batches = 0; ; batches++) {
    const position = result.position as Position;
    if (batches >= budget.batches || deps.now() >= endMs) return "budget";
    await deps.reached("before-fetch");
    const read = await fetchOrExplain(source, transport, position);
    if (read.kind === "stopped") {
      result.reason = read.reason;
      return "stopped";
    }
    if (read.kind === "moved") {
      const expired = read.position.nextOffset - position.nextOffset;
      const moved = { next: read.position, decoded: undefined, expired };
      if (expired > 0 && !(await commit(source, deps, result, moved))) return "fenced";
      continue;
    }
    if (read.messages.length === 0) return "caught-up";
    await deps.reached("after-fetch");
    for (const { nextOffset, decoded } of decodeSlices(read.messages, contextOf(source, deps))) {
      const slice = { next: { nextOffset, incarnation: position.incarnation }, decoded, expired: 0 };
      if (!(await commit(source, deps, result, slice))) return "fenced";
    }
  }
}

const contextOf = ({ signal, defaultTenant }: DrainSource, deps: DrainDeps): DecodeContext => ({
  signal,
  defaultTenant,
  nowMs: deps.now(),
});

interface Slice {
  next: Position;
  /** Undefined: only the position moves. */
  decoded: DecodedBatch | undefined;
  expired: number;
}

/** @returns false when someone else had moved the position: nothing was written then */
async function commit(
  source: DrainSource,
  deps: DrainDeps,
  result: DrainResult,
  { next, decoded, expired }: Slice,
): Promise<boolean> {
  const { group, topic, partition } = source;
  const { rows, deadLetters } = decoded ?? emptyBatch();
  if (decoded) await deps.reached("before-commit");
  const outcome = await deps.store.commit({
    group,
    topic,
    partition,
    from: result.position,
    next,
    rows,
    deadLetters,
    expired,
    committedAtMs: deps.now(),
  });
  if (outcome === "fenced") return false;
  if (decoded) await deps.reached("after-commit");
  result.position = next;
  result.commits++;
  result.records += Object.values(rows).reduce((sum, { length }) => sum + length, 0);
  result.deadLetters += deadLetters.length;
  result.expired += expired;
  return true;
}

/** Decodes as it goes, so that no more than a commit's rows are there at a time. */
function* decodeSlices(
  messages: readonly FetchedRecord[],
  context: DecodeContext,
): Generator<{ nextOffset: number; decoded: DecodedBatch }> {
  let decoded = emptyBatch();
  let bytes = 0;
  for (const [i, message] of messages.entries()) {
    decodeInto(decoded, message, context);
    bytes += message.value?.length ?? 0;
    const following = messages[i + 1]?.value?.length ?? 0;
    const isLast = i === messages.length - 1;
    if (!isLast && bytes + following <= COMMIT_MAX_BYTES && decoded.chars <= COMMIT_MAX_CHARS) continue;
    yield { nextOffset: message.offset + 1, decoded };
    decoded = emptyBatch();
    bytes = 0;
  }
}

async function firstPosition(source: DrainSource, transport: KafkaTransport): Promise<Position> {
  const { topic, partition, startAt, recentOffset } = source;
  const nextOffset =
    startAt === "earliest"
      ? await transport.earliestOffset(topic, partition, recentOffset)
      : // What woke this owner for the first time was written after it began to listen.
        (recentOffset ?? (await transport.latestOffset(topic, partition)));
  return { nextOffset, incarnation: 0 };
}

type Read =
  | { kind: "messages"; messages: FetchedRecord[] }
  | { kind: "moved"; position: Position }
  | { kind: "stopped"; reason: string };

/** A position out of the log has two meanings: what it points at has expired, or the topic is another one now. */
async function fetchOrExplain(
  source: DrainSource,
  transport: KafkaTransport,
  position: Position,
): Promise<Read> {
  const { topic, partition, recentOffset } = source;
  const { nextOffset: offset, incarnation } = position;
  try {
    return {
      kind: "messages",
      messages: await transport.fetch({ topic, partition, offset, maxBytes: FETCH_MAX_BYTES, waitMs: 0 }),
    };
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== "offset_out_of_range") throw error;
  }
  const earliest = await transport.earliestOffset(topic, partition, recentOffset);
  if (earliest > offset) return { kind: "moved", position: { nextOffset: earliest, incarnation } };
  const latest = await transport.latestOffset(topic, partition, offset);
  // Between the two looks the log may have grown past the position: then it is simply read.
  if (latest >= offset) return { kind: "moved", position };
  return {
    kind: "stopped",
    reason: `the log of ${topic}/${partition} ends at ${latest}, before the stored offset ${offset}: it was made anew or lost its end`,
  };
}
