// What a control store (D1, Postgres, memory) offers beside StreamStore, so that rows may lie in a store that has no
// transactions over several tables (docs/decisions/0018-intent.md): at most one open intent for each partition.
import type { PartitionCommit, PartitionId, StreamStore } from "./storage.ts";
import type { Signal } from "../telemetry/signal.ts";

/** What is known of a block without its rows: enough to find it again, and to know it whole. */
export interface BlockRef extends PartitionId {
  /** The same for the same rows of the same messages; no other block has it. */
  token: string;
  incarnation: number;
  epoch: number;
  /** Its messages: from ≤ offset < to. */
  fromOffset: number;
  toOffset: number;
  /** How many rows it has. */
  counts: Record<Signal, number>;
}

/** Records of one message that stand in a block: its offset, the first and the last index. */
export type PlaceRange = [offset: number, first: number, last: number];

/** A block that somebody set out to write. It ends finished, or abandoned where the block is surely not there. */
export interface Intent {
  block: BlockRef;
  /** Of the rows, whole and in order. */
  planHash: string;
  /** Which of the messages' records are the block's: the plan was made once, and is not made again. */
  places: PlaceRange[];
  /** All that the finish commits; its `rows` are empty. */
  commit: PartitionCommit;
  /** When somebody last set out to write the block, epoch ms. */
  triedAtMs: number;
}

export interface IntentControl extends StreamStore {
  /**
   * As StreamStore says, and further `fenced` while an intent is open on the partition, `conflict` while one of another
   * partition holds what is claimed.
   */
  commit(commit: PartitionCommit): Promise<"committed" | "fenced" | "conflict">;
  /** Claims that an open intent holds are not among them: what they will be is not decided. */
  claimed: StreamStore["claimed"];
  openIntent(id: PartitionId): Promise<Intent | undefined>;
  /**
   * One transaction: the position is `intent.commit.from`, no intent is open on the partition, and its claims are neither
   * forbidden nor held; then the intent is open and holds them.
   */
  begin(intent: Intent): Promise<"begun" | "fenced" | "conflict">;
  /** Somebody sets out to write the open block. @returns false where it is open no more: then it must not be written */
  retry(intent: Intent, atMs: number): Promise<boolean>;
  /**
   * One transaction: the intent with this token is closed, and its commit made, the block's rows counted as stored.
   * @returns `fenced` where it is open no more
   */
  finish(block: BlockRef): Promise<"committed" | "fenced">;
  /** Closes the intent and lets go of its claims, unless somebody has set out to write it after `intent.triedAtMs`. */
  abandon(intent: Intent): Promise<void>;
}
