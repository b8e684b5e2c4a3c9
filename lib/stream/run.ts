// What a drain is given, what it keeps from one to the next, and what it tells.
import type { KafkaTransport } from "../kafka/transport.ts";
import type { AlertSample, PartitionId, Position, Rows, StreamStore } from "../storage/storage.ts";
import type { Signal } from "../telemetry/signal.ts";
import type { WindowDefinition } from "../windows/definition.ts";
import type { Fault } from "./dead-letter.ts";
import type { ProcessPlace, ProcessRows } from "./process-plan.ts";
import type { TenantTrips } from "./tenant-trips.ts";
import type { WindowCache } from "./window-cache.ts";

export interface DrainSource extends PartitionId {
  signal: Signal;
  /** Where a group begins on a partition it has never read. */
  startAt: "earliest" | "latest";
  defaultTenant: string;
  /** Where dead letters of this topic go. */
  deadLetterTopic: string;
  /** Where records go whose raw rows are kept no more. */
  lateTopic: string;
  /** Where results of windows go; null: they are not sent. */
  processedTopic: string | null;
  /** Where processed logs go, and events that handlers make; null: nowhere. */
  processedTopics: ProcessPlace["processedTopics"];
  windows: readonly WindowDefinition[];
  /** How long after its end a window's result is final. */
  latenessMs: number;
  /**
   * For how many days anything is kept. Of what is older, though retention has not come to it, a commit takes few days: a
   * message of thousands would make as many tables in one transaction. Undefined: no day is too old.
   */
  keptDays?: number | undefined;
  /** Offset of a message that was just written, where one is known. */
  recentOffset: number | undefined;
  /** Undefined: what is read counts, and is told. */
  building?: Building | undefined;
}

/** A group that is begun anew beside the old one: it counts nothing and tells nothing until it has caught up. */
export interface Building {
  /** It reads what lies before this offset. */
  untilOffset(): Promise<number>;
  /** Records of an earlier time are left out, and claimed unless they died before, but for those from offset `takesAllFrom` on (null: nowhere). */
  fromTimeMs: number;
  takesAllFrom: number | null;
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
  /**
   * Whether all that was accepted for the partition so far is in the log: nothing of it is in the spillway, and the
   * breaker is closed. Absent: it always is.
   */
  isSpillEmpty?(): Promise<boolean>;
  /** For a group that watches: what it makes of the rows is all that is kept. */
  observe?: Observer;
  /** What becomes of rows between plan and store; absent: they are stored as they came. */
  process?: ProcessRows;
}

/** What is kept comes to the same however often a record is looked at, so no record is claimed or counted for it. */
export interface Observer {
  /** Nothing is looked for: what is in the log is passed over unread. */
  isIdle: boolean;
  samplesOf(rows: Rows): AlertSample[];
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
  windows: WindowCache;
  /** As the store said last; undefined: it was not asked. */
  rawFloorDay: number | undefined;
  /** Results that one commit sends at most. */
  maxResults: number;
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
  /** When windows are due though nothing comes: the partition wants to be drained then. Null: it need not be. */
  wakeAtMs: number | null;
}

/** One drain under way. */
export interface Run {
  source: DrainSource;
  deps: DrainDeps;
  memory: DrainMemory;
  result: DrainResult;
  /** How much more it may try: reads, refused commits, rehearsals. Some two outgoing calls each. */
  left: number;
  /** When the batch in hand was asked for. */
  readAtMs: number;
}

/** One call beside those two. */
export const CALL_COST = 0.5;
