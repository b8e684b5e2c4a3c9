// Reads a partition from where its group stands and commits batch after batch, until the log's end or the end of the
// budget. Stateless but for the position it was given: whoever runs it beside us is held off by the fence.
import { KafkaError } from "../kafka/errors.ts";
import type { KafkaTransport } from "../kafka/transport.ts";
import type { PartitionId, Position, StreamStore } from "../storage/storage.ts";
import type { NativeSignal } from "../telemetry/signal.ts";
import { decodeMessages } from "./decode.ts";

/** About one commit's worth of messages; D1 takes it as a handful of statements of at most 1 MB. */
const FETCH_MAX_BYTES = 2 * 1024 * 1024;

export interface DrainSource extends PartitionId {
  signal: NativeSignal;
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
   * `stopped`: going on would be a guess, a person must decide.
   */
  state: "caught-up" | "budget" | "fenced" | "stopped";
  /** What to start from next time; undefined: ask the store. */
  position: Position | undefined;
  records: number;
  deadLetters: number;
  /** Messages that retention removed before they were read. */
  expired: number;
  reason?: string;
}

/** How much one call may do: Workers bound an invocation's time and its outgoing calls (two a batch here). */
export interface DrainBudget {
  timeMs: number;
  batches: number;
}

/**
 * @param known the position as this owner last committed it; saves asking the store
 * @throws KafkaError or StorageError: a fault of the world, to be tried again; nothing is lost by it
 */
export async function drainPartition(
  source: DrainSource,
  deps: DrainDeps,
  budget: DrainBudget,
  known: Position | undefined,
): Promise<DrainResult> {
  const { transport, store } = deps;
  const endMs = deps.now() + budget.timeMs;
  const result: DrainResult = { state: "caught-up", position: known, records: 0, deadLetters: 0, expired: 0 };
  let stored = known ?? (await store.position(source));
  let position = stored ?? (await firstPosition(source, transport));
  result.position = stored;
  for (let batches = 0; ; batches++) {
    if (batches >= budget.batches || deps.now() >= endMs) return { ...result, state: "budget" };
    await deps.reached("before-fetch");
    const read = await fetchOrExplain(source, transport, position);
    if (read.kind === "stopped") return { ...result, state: "stopped", reason: read.reason };
    if (read.kind === "moved") {
      result.expired += read.position.nextOffset - position.nextOffset;
      position = read.position;
      continue;
    }
    const last = read.messages.at(-1);
    if (!last) return result;
    await deps.reached("after-fetch");
    const nowMs = deps.now();
    const { signal, defaultTenant } = source;
    const { rows, deadLetters } = decodeMessages(read.messages, { signal, defaultTenant, nowMs });
    const next: Position = { nextOffset: last.offset + 1, incarnation: position.incarnation };
    await deps.reached("before-commit");
    const { group, topic, partition } = source;
    const outcome = await store.commit({
      group,
      topic,
      partition,
      from: stored,
      next,
      rows,
      deadLetters,
      committedAtMs: nowMs,
    });
    if (outcome === "fenced") return { ...result, state: "fenced", position: undefined };
    await deps.reached("after-commit");
    stored = next;
    position = next;
    result.position = next;
    result.records += rows.metrics.length + rows.logs.length + rows.events.length;
    result.deadLetters += deadLetters.length;
  }
}

async function firstPosition(source: DrainSource, transport: KafkaTransport): Promise<Position> {
  const { topic, partition, startAt, recentOffset } = source;
  const nextOffset =
    startAt === "earliest"
      ? await transport.earliestOffset(topic, partition, recentOffset)
      : await transport.latestOffset(topic, partition, recentOffset);
  return { nextOffset, incarnation: 0 };
}

type Read =
  | { kind: "messages"; messages: Awaited<ReturnType<KafkaTransport["fetch"]>> }
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
