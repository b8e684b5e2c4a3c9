/**
 * One partition: segments in a directory, appended to by rounds. A round takes every append that is waiting, writes
 * them with one write and one fsync, and only then answers them; while it runs, the next round fills. Readers see
 * synced records only. A round that fails answers none of its appends, and its bytes are cut off before the next.
 * A partition found damaged refuses everything until someone has looked at it.
 */
import { mkdir, readdir } from "node:fs/promises";
import type { DurableFiles } from "./durable-files.ts";
import { frameRecordCount, sealFrame } from "./frame.ts";
import { KafkaError } from "./kafka-error.ts";
import type { FetchOptions, RecordBatch } from "./log.ts";
import { Segment, corruption, segmentBaseOffset } from "./segment.ts";
import { readTrimmedTo, withoutRecordsBelow, writeTrimmedTo } from "./trimmed-to.ts";
import { WaitingReaders } from "./waiting-readers.ts";

/** A round is one buffer list for writev; more would only delay the first of its answers. */
const MAX_ROUND_BYTES = 8 * 1024 * 1024;
const MAX_ROUND_FRAMES = 1000;
const MAX_SEALED_INDEXES = 4;

export interface PartitionOptions {
  directory: string;
  seed: number;
  segmentBytes: number;
  files: DurableFiles;
  now: () => number;
  /** Asked each time: a topic's retention can change. */
  retention: () => { retentionMs: number; retentionBytes: number };
}

interface PendingAppend {
  frame: Buffer;
  resolve: (baseOffset: number) => void;
  reject: (error: KafkaError) => void;
}

export class PartitionLog {
  readonly #options: PartitionOptions;
  /** In order of offset; the last is active. Never empty. */
  readonly #segments: Segment[];
  #active: Segment;
  #pending: PendingAppend[] = [];
  /** The run of rounds under way. */
  #flushing: Promise<void> | undefined;
  #needsRepair = false;
  #closing: KafkaError | undefined;
  /** Rounds, retention and close take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #stopped: KafkaError | undefined;
  readonly #waiting = new WaitingReaders();
  /** Records below it are deleted, though their segment may still hold them. */
  #trimmedTo: number;
  readonly #recentlyRead: Segment[] = [];

  private constructor(options: PartitionOptions, segments: Segment[], active: Segment, trimmedTo: number) {
    this.#trimmedTo = trimmedTo;
    this.#options = options;
    this.#segments = segments;
    this.#active = active;
  }

  /** Opens the directory, making it when it is new. Rejects, naming file and byte, when the log is damaged. */
  static async open(options: PartitionOptions): Promise<PartitionLog> {
    const { directory, seed, files } = options;
    await mkdir(directory, { recursive: true });
    const bases = (await readdir(directory))
      .flatMap((name) => segmentBaseOffset(name) ?? [])
      .toSorted((a, b) => a - b);
    const segments: Segment[] = [];
    for (const base of bases.slice(0, -1))
      segments.push(await Segment.openSealed(directory, base, seed, files));
    const active = await Segment.openActive(directory, bases.at(-1) ?? 0, seed, files);
    segments.push(active);
    for (const [i, segment] of segments.slice(1).entries()) {
      const before = segments[i];
      if (before !== undefined && before.endOffset !== segment.baseOffset) {
        await active.close();
        throw corruption(
          before.path,
          before.bytes,
          `records ${before.endOffset} to ${segment.baseOffset - 1} are missing`,
        );
      }
    }
    return new PartitionLog(options, segments, active, await readTrimmedTo(directory));
  }

  get startOffset(): number {
    return Math.max(this.#segments[0]?.baseOffset ?? 0, this.#trimmedTo);
  }

  get endOffset(): number {
    return this.#active.endOffset;
  }

  /** Appends an encoded frame; resolves with its base offset after the fsync. */
  append(frame: Buffer): Promise<number> {
    const refusal = this.#stopped ?? this.#closing;
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#pending.push({ frame, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** See Log.fetch. */
  async fetch(offset: number, options: FetchOptions): Promise<RecordBatch[]> {
    if (this.#oldestExpired()) await this.enforceRetention();
    this.#checkOffset(offset);
    if (offset === this.endOffset) {
      await this.#waiting.wait(() => this.endOffset === offset && this.#stopped === undefined, options);
      this.#checkOffset(offset);
      if (offset === this.endOffset) return [];
    }
    const segment = this.#segments.findLast((each) => each.baseOffset <= offset);
    if (segment === undefined) throw new KafkaError("offset_out_of_range");
    try {
      const batches = await segment.read(offset, options.maxBytes);
      return batches.map((batch) => withoutRecordsBelow(batch, this.#trimmedTo));
    } catch (error) {
      // Retention or deletion may have taken the segment between the look-up and the read.
      this.#checkOffset(offset);
      const fault = storageError(error);
      if (error instanceof KafkaError) this.#stop(fault);
      throw fault;
    } finally {
      this.#keepIndex(segment);
    }
  }

  /** Deletes whole segments that are too old or too many; the log's start moves with them. */
  enforceRetention(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#stopped !== undefined) return;
      const { retentionBytes } = this.#options.retention();
      const oldest = (): Segment | undefined => this.#segments[0];
      while (this.#oldestExpired()) {
        if (oldest() === this.#active) await this.#roll();
        await this.#segments.shift()?.remove();
      }
      if (retentionBytes < 0) return;
      let total = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
      for (let first = oldest(); first !== undefined && first !== this.#active; first = oldest()) {
        if (total - first.bytes < retentionBytes) break;
        total -= first.bytes;
        this.#segments.shift();
        await first.remove();
      }
    });
  }

  /** The log starts at exactly `before`, durably; the segments that hold nothing else go. */
  trim(before: number): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#stopped !== undefined) throw this.#stopped;
      if (before > this.endOffset) throw new KafkaError("offset_out_of_range");
      if (before <= this.startOffset) return;
      try {
        await writeTrimmedTo(this.#options, before);
        this.#trimmedTo = before;
        for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
          if (first === this.#active || first.endOffset > before) break;
          this.#segments.shift();
          await first.remove();
        }
      } catch (error) {
        throw storageError(error);
      }
    });
  }

  /** Answers what is under way, then refuses everything with `reason`. */
  async close(reason: KafkaError): Promise<void> {
    this.#closing ??= reason;
    await this.#flushing;
    await this.#inTurn(async () => {
      this.#stop(reason);
      await this.#active.close();
    });
  }

  async #flush(): Promise<void> {
    // After the current batch of socket reads, so that requests that arrived together share the first round.
    await new Promise(setImmediate);
    const segmentsBefore = this.#segments.length;
    while (this.#pending.length > 0) await this.#inTurn(() => this.#flushRound());
    this.#flushing = undefined;
    if (this.#segments.length > segmentsBefore) void this.enforceRetention().catch(() => undefined);
  }

  async #flushRound(): Promise<void> {
    let round: PendingAppend[] = [];
    try {
      if (this.#stopped !== undefined) throw this.#stopped;
      if (this.#needsRepair) {
        await this.#active.repair();
        this.#needsRepair = false;
      }
      const first = this.#pending[0];
      if (first === undefined) return;
      if (
        this.#active.bytes > 0 &&
        this.#active.bytes + first.frame.byteLength > this.#options.segmentBytes
      ) {
        await this.#roll();
      }
      round = this.#takeRound();
      const now = Math.max(this.#options.now(), this.#active.lastAppendedMs ?? 0);
      const offsets: number[] = [];
      let offset = this.#active.endOffset;
      for (const { frame } of round) {
        offsets.push(offset);
        sealFrame(frame, offset, now, this.#options.seed);
        offset += frameRecordCount(frame);
      }
      this.#needsRepair = true;
      await this.#active.append(
        round.map(({ frame }) => frame),
        now,
      );
      this.#needsRepair = false;
      for (const [i, { resolve }] of round.entries()) resolve(offsets[i] ?? 0);
      this.#waiting.wake();
    } catch (error) {
      const fault = storageError(error);
      // A failure before the round was taken concerns everything that waits: without this they would wait for ever.
      for (const { reject } of round.length > 0 ? round : this.#pending.splice(0)) reject(fault);
    }
  }

  /** As many waiting appends as one write may carry and the active segment has room for; at least one. */
  #takeRound(): PendingAppend[] {
    const room = Math.min(MAX_ROUND_BYTES, this.#options.segmentBytes - this.#active.bytes);
    let bytes = 0;
    let count = 0;
    for (const { frame } of this.#pending) {
      bytes += frame.byteLength;
      if (count > 0 && (bytes > room || count >= MAX_ROUND_FRAMES)) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  /** Starts a new active segment at the log's end. */
  async #roll(): Promise<void> {
    const { directory, seed, files } = this.#options;
    const sealed = this.#active;
    const next = await Segment.openActive(directory, sealed.endOffset, seed, files);
    this.#segments.push(next);
    this.#active = next;
    await sealed.seal();
  }

  /** Keeps the indexes of the segments read last, so that memory does not grow with the log. */
  #keepIndex(segment: Segment): void {
    const at = this.#recentlyRead.indexOf(segment);
    if (at !== -1) this.#recentlyRead.splice(at, 1);
    this.#recentlyRead.push(segment);
    if (this.#recentlyRead.length > MAX_SEALED_INDEXES) this.#recentlyRead.shift()?.forget();
  }

  #oldestExpired(): boolean {
    const { retentionMs } = this.#options.retention();
    const last = this.#segments[0]?.lastAppendedMs;
    return retentionMs >= 0 && last !== undefined && last < this.#options.now() - retentionMs;
  }

  #checkOffset(offset: number): void {
    if (this.#stopped !== undefined) throw this.#stopped;
    if (offset < this.startOffset || offset > this.endOffset) throw new KafkaError("offset_out_of_range");
  }

  #stop(reason: KafkaError): void {
    this.#stopped ??= reason;
    for (const { reject } of this.#pending.splice(0)) reject(this.#stopped);
    this.#waiting.wake();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function storageError(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new KafkaError("kafka_storage_error", message, { retryable: true, cause: error });
}
