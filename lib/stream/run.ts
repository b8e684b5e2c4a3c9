// What a drain is given, what it keeps from one to the next, and what it tells.
import type { KafkaTransport } from "../kafka/transport.ts";
import type { PartitionId, Position, StreamStore } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import type { Fault } from "./dead-letter.ts";
import type { TenantTrips } from "./tenant-trips.ts";

export interface DrainSource extends PartitionId {
  signal: Signal;
  /** Where a group begins on a partition it has never read. */
  startAt: "earliest" | "latest";
  defaultTenant: string;
  /** Where dead letters of this topic go. */
  deadLetterTopic: string;
  /** Offset of a message that was just written, where one is known. */
  recentOffset: number | undefined;
}

/** The points of the loop at which a crash must do no harm; tests stop there. */
export type DrainStep = "before-fetch" | "after-fetch" | "before-commit" | "after-commit";

export interface DrainDeps {
  transport: KafkaTransport;
  store: StreamStore;
  now(): number;
  sleep(ms: number): Promise<void>;
  reached(step: DrainStep): Promise<void>;
  /** No further batch is to be begun: what runs us is about to end. */
  isEnding?(): boolean;
}

/** How far the search for what the store refuses has come (isolate.ts). */
export interface Isolation {
  /** Offsets before which a commit ends: the halves of what was refused, the nearest last. */
  cuts: number[];
  message: MessageIsolation | undefined;
}

export interface MessageIsolation {
  offset: number;
  incarnation: number;
  epoch: number;
  /** Ranges of its rows that are still to be tried, the next last. */
  pending: [from: number, to: number][];
  /** Rows that failed alone, with how often. */
  suspects: Map<number, Fault>;
  /** Those still to be tried in this round, which is the `round`th try of each. */
  round: number;
  left: number[];
  rehearsals: number;
  /** Of the message as a whole. */
  fault: Fault;
}

/** What an owner keeps between two drains. Lost, it is found again from the store and the log, by some work twice. */
export interface DrainMemory {
  /** As last committed; undefined: ask the store. */
  position: Position | undefined;
  isolation: Isolation;
  trips: TenantTrips;
  /** Until when the store knows the partition as read; epoch ms. */
  readThroughMs: number;
}

export interface DrainResult {
  /**
   * `caught-up`: read to the log's end. `budget`: more is there. `fenced`: someone else moved the position.
   * `stopped`: going on would be a guess, a person must decide. `failed`: a fault of the world, to be tried again.
   */
  state: "caught-up" | "budget" | "fenced" | "stopped" | "failed";
  /** Committed in this drain, also when it ended in a failure. */
  commits: number;
  records: number;
  deadLetters: number;
  /** Rows of the outbox that the commits have left. */
  outgoing: number;
  /** Messages that retention removed before they were read. */
  expired: number;
  /** Why it stopped or failed. */
  reason: string | undefined;
}

/** One drain under way. */
export interface Run {
  source: DrainSource;
  deps: DrainDeps;
  memory: DrainMemory;
  result: DrainResult;
  /** How much more it may try: reads, refused commits, rehearsals. Some two outgoing calls each. */
  left: number;
}
