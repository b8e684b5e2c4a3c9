// Moves a reader's position without reading: to where its epoch begins, or over what is to be skipped. Fenced as every
// commit is.
import type { KafkaTransport } from "../kafka/transport.ts";
import type { GroupStart } from "../storage/groups.ts";
import type { PartitionId, Position, StreamStore } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import { emptyCommit } from "./empty-commit.ts";
import { offsetAt } from "./offset-at.ts";

export interface MoveDeps {
  transport: Pick<KafkaTransport, "fetch" | "earliestOffset" | "latestOffset">;
  store: Pick<StreamStore, "position" | "commit" | "rawFloorDay">;
  now(): number;
}

export interface Beginning extends PartitionId {
  signal: Signal;
  epoch: number;
  incarnation: number;
  startAt: GroupStart;
  /** Offset of a message that was just written, where one is known. */
  recentOffset: number | undefined;
  /** It must not begin behind this: what lies between would be left out. */
  atMost: number | undefined;
}

/**
 * Where a group begins is decided once and kept: "the latest" is another place at every look.
 * @returns false where someone else was first
 * @throws KafkaError, StorageError
 */
export async function beginPartition(beginning: Beginning, deps: MoveDeps): Promise<boolean> {
  const { epoch, incarnation, atMost } = beginning;
  const offset = await startOf(beginning, deps);
  const nextOffset = Math.min(offset, atMost ?? offset);
  return await movePosition(
    beginning,
    undefined,
    { nextOffset, incarnation, epoch, mark: null, watermarkMs: 0 },
    0,
    deps,
  );
}

/**
 * Passes over all that is not read yet; the ledger is told that those messages were not read.
 * @returns where it goes on; undefined where someone else moved the position meanwhile
 * @throws KafkaError, StorageError
 */
export async function skipToEnd(
  id: PartitionId & { epoch: number; recentOffset: number | undefined },
  deps: MoveDeps,
): Promise<{ nextOffset: number; skipped: number } | undefined> {
  const { topic, partition, epoch, recentOffset } = id;
  const from = await deps.store.position(id);
  const end = await deps.transport.latestOffset(topic, partition, from?.nextOffset ?? recentOffset);
  // Behind the end: the topic was made anew, and a person must say so first.
  if (from && from.nextOffset >= end) return { nextOffset: from.nextOffset, skipped: 0 };
  const before = from ?? { nextOffset: end, incarnation: 0, epoch, mark: null, watermarkMs: 0 };
  const skipped = end - before.nextOffset;
  const next = { ...before, nextOffset: end, mark: null };
  return (await movePosition(id, from, next, skipped, deps)) ? { nextOffset: end, skipped } : undefined;
}

async function startOf(
  { topic, partition, signal, startAt, recentOffset }: Beginning,
  { transport }: MoveDeps,
): Promise<number> {
  // What woke this owner for the first time was written after it began to listen.
  if (startAt === "latest") return recentOffset ?? (await transport.latestOffset(topic, partition));
  const earliest = await transport.earliestOffset(topic, partition, recentOffset);
  if (startAt === "earliest") return earliest;
  const latest = await transport.latestOffset(topic, partition, recentOffset);
  return await offsetAt(transport, { topic, partition, signal, earliest, latest }, startAt.timeMs);
}

async function movePosition(
  id: PartitionId,
  from: Position | undefined,
  next: Position,
  expired: number,
  deps: MoveDeps,
): Promise<boolean> {
  const rawFloorDay = await deps.store.rawFloorDay();
  const commit = emptyCommit(id, from, next, { rawFloorDay, nowMs: deps.now() });
  return (await deps.store.commit({ ...commit, expired })) === "committed";
}
