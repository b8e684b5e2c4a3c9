/**
 * Appends to one partition, in the order they came: one produce request is under way at a time, and what arrives
 * meanwhile shares the next one. An append that was not stored says so in time; one whose answer was lost may be stored.
 */
import { KafkaError } from "../kafka-error.ts";
import type { LogRecord } from "../log.ts";
import type { ClusterClient } from "./cluster-client.ts";
import { check } from "./cluster-errors.ts";
import { CALL_TIMEOUT_MS } from "./deadline.ts";
import { encodeBatch, recordBytes } from "./record-batch.ts";
import { produceApi } from "./wire-apis.ts";

/** Half of Kafka's default message.max.bytes: what is appended together must not be too large because of that. */
const MAX_SHARED_BYTES = 512 * 1024;
/** What a topic may answer within its replicas; below what the gateway waits. */
const REPLICATION_TIMEOUT_MS = 3_500;

interface PendingAppend {
  records: readonly LogRecord[];
  bytes: number;
  resolve: (baseOffset: number) => void;
  reject: (error: unknown) => void;
}

export class PartitionWriter {
  readonly #client: ClusterClient;
  readonly #topic: string;
  readonly #partition: number;
  readonly #now: () => number;
  #pending: PendingAppend[] = [];
  #isWriting = false;

  constructor(client: ClusterClient, topic: string, partition: number, now: () => number) {
    this.#client = client;
    this.#topic = topic;
    this.#partition = partition;
    this.#now = now;
  }

  get isIdle(): boolean {
    return !this.#isWriting && this.#pending.length === 0;
  }

  append(records: readonly LogRecord[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
      const append: PendingAppend = {
        records,
        bytes,
        resolve(offset) {
          clearTimeout(timer);
          resolve(offset);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      // One that still waits its turn by then is not sent at all.
      const timer = setTimeout(() => {
        this.#pending = this.#pending.filter((each) => each !== append);
        reject(new KafkaError("request_timed_out", `${this.#topic}/${this.#partition} is not answered`));
      }, CALL_TIMEOUT_MS);
      this.#pending.push(append);
      if (!this.#isWriting) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    // After the current batch of socket reads, so that requests that arrived together share the first round.
    await new Promise(setImmediate);
    while (this.#pending.length > 0) {
      const round = this.#takeRound();
      try {
        await this.#writeRound(round);
      } catch (error) {
        const refused = error instanceof KafkaError && !error.isOutage && round.length > 1;
        // Kafka refuses a batch as a whole: each append answers for itself.
        for (const append of round) {
          if (refused) await this.#writeRound([append]).catch(append.reject);
          else append.reject(error);
        }
      }
    }
    this.#isWriting = false;
  }

  async #writeRound(round: readonly PendingAppend[]): Promise<void> {
    const batch = encodeBatch(
      round.flatMap(({ records }) => records),
      this.#now(),
    );
    const args: [string, number, Buffer, number] = [
      this.#topic,
      this.#partition,
      batch,
      REPLICATION_TIMEOUT_MS,
    ];
    let offset = await this.#client.leader(this.#topic, this.#partition, async (call) => {
      const { errorCode, baseOffset } = await call(produceApi, args);
      check(errorCode);
      return baseOffset;
    });
    for (const { records, resolve } of round) {
      resolve(offset);
      offset += records.length;
    }
  }

  #takeRound(): PendingAppend[] {
    let bytes = 0;
    let count = 0;
    for (const append of this.#pending) {
      bytes += append.bytes;
      if (count > 0 && bytes > MAX_SHARED_BYTES) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }
}
