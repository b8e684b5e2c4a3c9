// A StreamStore whose rows lie in a store without transactions over several tables (ClickHouse, R2), the rest in a
// control store: intent → block → finish (docs/decisions/0018-intent.md). Whoever asks for a position first brings to an
// end what was begun from it. Needs a sink whose write is idempotent by token for some time, and tells what it holds.
import { createHash } from "node:crypto";
import { SIGNALS } from "../telemetry/signal.ts";
import type { BlockRef, Intent, IntentControl, PlaceRange } from "./intent-control.ts";
import { StorageError, type PartitionCommit, type Rows, type StreamStore } from "./storage.ts";

/** A stretch of a partition. */
export type Messages = Omit<BlockRef, "token" | "counts">;

export interface Block extends BlockRef {
  rows: Rows;
}

/** Both calls that write end within the sink's own deadline, and nothing of them happens after it. */
export interface BlockSink {
  /**
   * Writes a block, once, however often it is called with one token within some number of blocks or some time.
   * @throws StorageError `storage_rejected`: nothing was written, and never will be
   */
  write(block: Block): Promise<void>;
  /** What of a block can be read now; `whole` for ever after a write that came back. */
  holds(block: BlockRef): Promise<"whole" | "part" | "none">;
  /** @throws StorageError `storage_rejected` where `write` would */
  rehearse(block: Block): Promise<void>;
}

export interface IntentStoreDeps {
  control: IntentControl;
  sink: BlockSink;
  /**
   * Reads messages again: every record that can be stored, whether it was stored or not, decoded as of `atMs`.
   * @returns undefined where some of the messages are there no more
   */
  readAgain: (messages: Messages, atMs: number) => Promise<Rows | undefined>;
  now: () => number;
  /**
   * No write is still under way so long after somebody set out to it: the deadlines of the control and of the sink, and
   * room for clocks.
   */
  settleMs: number;
}

export function createIntentStore({ control, sink, readAgain, now, settleMs }: IntentStoreDeps): StreamStore {
  /** Writes the block of an open intent, and finishes it. */
  async function complete(intent: Intent, rows: Rows): Promise<"committed" | "fenced"> {
    try {
      await sink.write({ ...intent.block, rows });
    } catch (error) {
      // It never can be written: the batch is to be planned without the records at fault.
      if (error instanceof StorageError && error.code === "storage_rejected") await control.abandon(intent);
      throw error;
    }
    return await control.finish(intent.block);
  }

  /** Brings an intent that somebody left open to its end. */
  async function recover(intent: Intent): Promise<void> {
    const { block, planHash, places, commit } = intent;
    // Before the look: what is not there now, and was to be there by then, never will be.
    const isSettled = now() - intent.triedAtMs >= settleMs;
    // The look comes first, since a sink remembers tokens for some time only.
    const held = await sink.holds(block);
    if (held === "whole") {
      await control.finish(block);
      return;
    }
    const read = await readAgain(messagesOf(block), commit.committedAtMs);
    const rows = read && rowsAt(places, read);
    if (rows && hashOf(rows) === planHash) {
      const triedAtMs = now();
      if (await control.retry(intent, triedAtMs)) await complete({ ...intent, triedAtMs }, rows);
      return;
    }
    const why = rows ? "its messages give other rows than they did" : "its messages are there no more";
    const where = `the block ${block.fromOffset} to ${block.toOffset} of ${block.topic}/${block.partition}`;
    if (held === "part") {
      throw new StorageError(`${where} was written in part, and cannot be written again: ${why}`);
    }
    if (!isSettled)
      throw new StorageError(`${where} may still be under way, and cannot be written again: ${why}`);
    await control.abandon(intent);
  }

  return {
    ...control,
    async position(id) {
      const intent = await control.openIntent(id);
      if (intent) await recover(intent);
      return await control.position(id);
    },
    async commit(commit) {
      const intent = intentOf(commit, now());
      if (!intent) return await control.commit(commit);
      const begun = await control.begin(intent);
      return begun === "begun" ? await complete(intent, commit.rows) : begun;
    },
    async rehearse(commit) {
      await control.rehearse(withoutRows(commit));
      const intent = intentOf(commit, now());
      if (intent) await sink.rehearse({ ...intent.block, rows: commit.rows });
    },
  };
}

/** @returns undefined where there are no rows to write */
function intentOf(commit: PartitionCommit, triedAtMs: number): Intent | undefined {
  const { group, topic, partition, from, next, rows } = commit;
  if (SIGNALS.every((signal) => rows[signal].length === 0)) return undefined;
  const planHash = hashOf(rows);
  const messages: Messages = {
    group,
    topic,
    partition,
    incarnation: next.incarnation,
    epoch: next.epoch,
    fromOffset: from?.nextOffset ?? 0,
    toOffset: next.nextOffset,
  };
  const token = createHash("sha256")
    .update(JSON.stringify([messages, planHash]))
    .digest("hex");
  const counts = {
    metrics: rows.metrics.length,
    logs: rows.logs.length,
    events: rows.events.length,
    traces: rows.traces.length,
  };
  return {
    block: { ...messages, token, counts },
    planHash,
    places: placesOf(rows),
    commit: withoutRows(commit),
    triedAtMs,
  };
}

const withoutRows = (commit: PartitionCommit): PartitionCommit => ({
  ...commit,
  rows: { metrics: [], logs: [], events: [], traces: [] },
});

function messagesOf(block: BlockRef): Messages {
  const { token: _, counts: __, ...messages } = block;
  return messages;
}

function hashOf(rows: Rows): string {
  const hash = createHash("sha256");
  for (const signal of SIGNALS) {
    hash.update(signal);
    for (const { tenant, offset, index, record } of rows[signal]) {
      hash.update(JSON.stringify([tenant, offset, index, record]));
    }
  }
  return hash.digest("hex");
}

function placesOf(rows: Rows): PlaceRange[] {
  const places = SIGNALS.flatMap((signal) => rows[signal].map(({ offset, index }) => ({ offset, index })));
  const ranges: PlaceRange[] = [];
  for (const { offset, index } of places.toSorted((a, b) => a.offset - b.offset || a.index - b.index)) {
    const range = ranges.at(-1);
    if (range && range[0] === offset && range[2] === index - 1) range[2] = index;
    else ranges.push([offset, index, index]);
  }
  return ranges;
}

function rowsAt(places: readonly PlaceRange[], rows: Rows): Rows {
  const byOffset = new Map<number, PlaceRange[]>();
  for (const range of places) byOffset.set(range[0], [...(byOffset.get(range[0]) ?? []), range]);
  const isPlaced = ({ offset, index }: { offset: number; index: number }) =>
    (byOffset.get(offset) ?? []).some(([, first, last]) => first <= index && index <= last);
  return {
    metrics: rows.metrics.filter(isPlaced),
    logs: rows.logs.filter(isPlaced),
    events: rows.events.filter(isPlaced),
    traces: rows.traces.filter(isPlaced),
  };
}
