// Writes one partition: one batch at a time, in the order given, each under its sequence number until the broker has
// said what became of it, so that a lost answer neither doubles a record nor lets a later one overtake it. Pieces of
// several calls that wait together go as one batch. What is not settled inside its deadline fails, and says so.
import type { Buffer } from "node:buffer";
import { fromProtocolCode, KafkaError } from "../errors.ts";
import type { ProduceRecord } from "../transport.ts";
import { backoffMs } from "./backoff.ts";
import type { Cluster } from "./cluster.ts";
import type { Compressor } from "./compression.ts";
import type { Deadline } from "./deadline.ts";
import type { ProduceRequests } from "./produce-requests.ts";
import type { ProducerId, ProducerIdentity } from "./producer-identity.ts";
import { encodeBatch } from "./record-batch.ts";

/** Under the brokers' default limit of 1,048,588 for a batch (message.max.bytes), even where nothing compresses. */
export const MAX_BATCH_BYTES = 900_000;
const SEQUENCES = 2 ** 31;

/** REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND: appended, perhaps; sending again under the same number tells. */
const DOUBTFUL = new Set([7, 20]);
/** The leader has changed or is about to; nothing was appended. What is gone for good shows in the metadata. */
const PASSING = new Set([2, 3, 5, 6, 8, 9, 13, 19, 56, 74, 75]);
/** OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID, PRODUCER_FENCED. */
const IDENTITY_LOST = new Set([45, 47, 49, 59, 90]);
const DUPLICATE_SEQUENCE_NUMBER = 46;

/** The records of one call for one partition. */
export interface Piece {
  records: readonly ProduceRecord[];
  bytes: number;
  deadline: Deadline;
  resolve: (baseOffset: number) => void;
  reject: (error: unknown) => void;
}

export interface WriterParts {
  cluster: Cluster;
  requests: ProduceRequests;
  identity: ProducerIdentity;
  compressor: Compressor;
  random: () => number;
}

export class PartitionWriter {
  readonly #topic: string;
  readonly #partition: number;
  readonly #parts: WriterParts;
  readonly #queue: Piece[] = [];
  #isWriting = false;
  /** Of the next batch, under `#producerId`. */
  #sequence = 0;
  #producerId: bigint | undefined;

  constructor(topic: string, partition: number, parts: WriterParts) {
    this.#topic = topic;
    this.#partition = partition;
    this.#parts = parts;
  }

  write(piece: Piece): void {
    this.#queue.push(piece);
    if (!this.#isWriting) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    // What else is written in this turn can go along.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#settle(this.#takeBatch());
    this.#isWriting = false;
  }

  #takeBatch(): Piece[] {
    let bytes = 0;
    const end = this.#queue.findIndex((piece, i) => (bytes += piece.bytes) > MAX_BATCH_BYTES && i > 0);
    return this.#queue.splice(0, end === -1 ? this.#queue.length : end);
  }

  async #settle(pieces: Piece[]): Promise<void> {
    const alive = pieces.filter((piece) => !piece.deadline.isOver());
    for (const piece of pieces) if (!alive.includes(piece)) piece.reject(piece.deadline.error());
    if (alive.length === 0) return;
    try {
      let offset = await this.#send(alive);
      for (const { records, resolve } of alive) {
        resolve(offset);
        offset += records.length;
      }
    } catch (error) {
      const isRefused = error instanceof KafkaError && !error.retryable;
      // Refused together: which of the calls is to blame shows when each goes alone.
      if (isRefused && alive.length > 1) for (const piece of alive) await this.#settle([piece]);
      else for (const { reject } of alive) reject(error);
    }
  }

  /** @returns offset of the first record */
  async #send(pieces: readonly Piece[]): Promise<number> {
    const { cluster, identity, random } = this.#parts;
    const deadlines = pieces.map(({ deadline }) => deadline);
    const deadline = deadlines.reduce((a, b) => (a.remainingMs() > b.remainingMs() ? a : b));
    const job: Job = { records: pieces.flatMap(({ records }) => records), deadline, isInDoubt: false };
    for (let failures = 0; ; failures++) {
      try {
        return await this.#attempt(job);
      } catch (error) {
        const mayPass = cluster.mayPass(error, deadline);
        if (mayPass) await deadline.pause(backoffMs(failures, random));
        if (mayPass && !deadline.isOver()) continue;
        // The number may be taken or free: no batch can follow it under this id.
        if (job.isInDoubt && job.id) await identity.giveUp(job.id);
        throw error;
      }
    }
  }

  async #attempt(job: Job): Promise<number> {
    const { cluster, requests, identity } = this.#parts;
    const what = `producing to partition ${this.#partition} of ${this.#topic}`;
    const leader = await cluster.leader(this.#topic, this.#partition, job.deadline);
    job.id ??= await identity.current(job.deadline);
    job.batch ??= this.#encode(job.records, job.id);
    const wasInDoubt = job.isInDoubt;
    const batch = { topic: this.#topic, partition: this.#partition, batch: job.batch };
    const answer = await requests.send(leader, batch, job.deadline, () => (job.isInDoubt = true));
    if (!answer) throw new KafkaError("bad_answer", `${what}: the answer does not speak of it`);
    const { errorCode, baseOffset } = answer;
    if (errorCode === 0 || (errorCode === DUPLICATE_SEQUENCE_NUMBER && baseOffset >= 0)) {
      this.#sequence = (this.#sequence + job.records.length) % SEQUENCES;
      return baseOffset;
    }
    const fault = fromProtocolCode(errorCode, what);
    const isPassing = PASSING.has(errorCode);
    if (isPassing) cluster.forgetTopic(this.#topic);
    if (isPassing || DOUBTFUL.has(errorCode)) {
      if (isPassing) job.isInDoubt = wasInDoubt;
      throw new KafkaError("unavailable", fault.message, { cause: fault });
    }
    job.isInDoubt = wasInDoubt;
    if (!IDENTITY_LOST.has(errorCode)) throw fault;
    if (wasInDoubt) {
      throw new KafkaError(
        "timeout",
        `${what}: whether it was written cannot be told (Kafka error ${errorCode})`,
      );
    }
    await identity.giveUp(job.id);
    job.id = undefined;
    job.batch = undefined;
    throw new KafkaError("unavailable", fault.message, { cause: fault });
  }

  #encode(records: readonly ProduceRecord[], id: ProducerId): Buffer {
    if (id.producerId !== this.#producerId) {
      this.#producerId = id.producerId;
      this.#sequence = 0;
    }
    return encodeBatch(records, { ...id, sequence: this.#sequence }, this.#parts.compressor, Date.now());
  }
}

interface Job {
  records: readonly ProduceRecord[];
  deadline: Deadline;
  id?: ProducerId | undefined;
  batch?: Buffer | undefined;
  /** Sent at least once without a word on what became of it. */
  isInDoubt: boolean;
}
