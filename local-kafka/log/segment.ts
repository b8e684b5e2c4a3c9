/**
 * One segment file of a partition. Only whole, synced frames count: `bytes` and `endOffset` move after the fsync, so
 * that nobody reads what a power cut could take back. The last segment of a partition is active (open, appended to);
 * the others are sealed, with a `.index` file beside them that saves scanning them at start. That file is a cache: when
 * it is missing or does not match the segment's size and time of change, the segment is scanned and checked instead.
 */
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DurableFiles, SegmentFile } from "./durable-files.ts";
import { decodeFrame, frameRecordCount, readFrame } from "./frame.ts";
import { KafkaError } from "./kafka-error.ts";
import type { RecordBatch } from "./log.ts";
import { findFrameAfter, scanSegment } from "./segment-scan.ts";
import { SparseIndex } from "./sparse-index.ts";

const READ_CHUNK_BYTES = 64 * 1024;
const INDEX_VERSION = 1;

interface SealedSummary {
  version: number;
  bytes: number;
  changedMs: number;
  endOffset: number;
  lastAppendedMs: number;
  entries: [number, number][];
}

function segmentFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, "0")}.log`;
}

/** The base offset in a segment's file name; undefined for any other file. */
export function segmentBaseOffset(fileName: string): number | undefined {
  return /^\d{20}\.log$/.test(fileName) ? Number(fileName.slice(0, 20)) : undefined;
}

/** Damage that cutting a torn tail cannot explain: it is named and left alone, never skipped. */
export function corruption(path: string, byte: number, reason: string): KafkaError {
  return new KafkaError("kafka_storage_error", `${path} is damaged at byte ${byte}: ${reason}`);
}

export class Segment {
  readonly baseOffset: number;
  readonly path: string;
  bytes = 0;
  endOffset: number;
  /** Clock of the newest frame, undefined while there is none. */
  lastAppendedMs: number | undefined;
  readonly #files: DurableFiles;
  readonly #seed: number;
  /** Set while active. */
  #active: SegmentFile | undefined;
  #readers = 0;
  #closing = false;
  /** Always set while active; loaded for the first read of a sealed segment, and dropped again by `forget`. */
  #index: SparseIndex | undefined;

  private constructor(directory: string, baseOffset: number, seed: number, files: DurableFiles) {
    this.baseOffset = baseOffset;
    this.endOffset = baseOffset;
    this.path = join(directory, segmentFileName(baseOffset));
    this.#seed = seed;
    this.#files = files;
  }

  /** Opens, or makes, the segment to append to, and cuts a torn tail off it. Rejects when it is damaged elsewhere. */
  static async openActive(
    directory: string,
    baseOffset: number,
    seed: number,
    files: DurableFiles,
  ): Promise<Segment> {
    const segment = new Segment(directory, baseOffset, seed, files);
    const file = await files.openSegment(segment.path);
    try {
      const size = await file.size();
      const fault = await segment.#scan(file, size);
      if (fault !== undefined) {
        const next = await findFrameAfter(file, size, seed, segment.bytes, segment.endOffset);
        if (next !== undefined) {
          throw corruption(
            segment.path,
            segment.bytes,
            `${fault}, and a whole record batch follows at byte ${next}`,
          );
        }
        await file.truncate(segment.bytes);
      }
      // Always: what was written but not yet synced when the last process died becomes readable now.
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    segment.#active = file;
    return segment;
  }

  /** Opens a segment that is not the last. Rejects when any byte of it is damaged, as far as that is known unread. */
  static async openSealed(
    directory: string,
    baseOffset: number,
    seed: number,
    files: DurableFiles,
  ): Promise<Segment> {
    const segment = new Segment(directory, baseOffset, seed, files);
    const summary = await segment.#readSummary();
    if (summary !== undefined) {
      segment.bytes = summary.bytes;
      segment.endOffset = summary.endOffset;
      segment.lastAppendedMs = summary.lastAppendedMs;
      return segment;
    }
    await segment.#rescan();
    await segment.#writeSummary();
    segment.forget();
    return segment;
  }

  /** Writes sealed frames at the end and syncs them. On rejection nothing has been appended; call `repair` next. */
  async append(frames: Buffer[], appendedMs: number): Promise<void> {
    const file = this.#active;
    if (file === undefined) throw new Error(`append to sealed segment ${this.path}`);
    await file.write(frames, this.bytes);
    await file.sync();
    for (const frame of frames) {
      this.#index?.add(this.endOffset, this.bytes);
      this.bytes += frame.byteLength;
      this.endOffset += frameRecordCount(frame);
    }
    this.lastAppendedMs = appendedMs;
  }

  /** Removes what a failed append may have left behind the last synced frame. */
  async repair(): Promise<void> {
    await this.#active?.truncate(this.bytes);
    await this.#active?.sync();
  }

  /** No more appends. */
  async seal(): Promise<void> {
    try {
      await this.#writeSummary();
    } catch {
      // Only a cache: without it the next start scans this segment.
    }
    await this.close();
    this.forget();
  }

  /** Batches from the one that holds `offset`, as many as fit `maxBytes` but at least one. */
  read(offset: number, maxBytes: number): Promise<RecordBatch[]> {
    return this.#withFile(async (file) => {
      const { bytes } = this;
      const batches: RecordBatch[] = [];
      let taken = 0;
      let position = (await this.#loadIndex()).positionBefore(offset);
      let want = Math.max(READ_CHUNK_BYTES, Math.min(maxBytes, bytes));
      while (position < bytes) {
        const chunk = Buffer.allocUnsafe(Math.min(want, bytes - position));
        if ((await file.read(chunk, chunk.byteLength, position)) < chunk.byteLength) {
          throw corruption(this.path, position, "the file is shorter than what was written to it");
        }
        let at = 0;
        while (at < chunk.byteLength) {
          const frame = readFrame(chunk, at, this.#seed);
          if ("fault" in frame) {
            if (frame.fault === "bad") throw corruption(this.path, position + at, frame.reason);
            if (position + at + frame.needBytes > bytes) {
              throw corruption(this.path, position + at, "frame is longer than the rest of the segment");
            }
            want = Math.max(want, frame.needBytes);
            break;
          }
          if (frame.baseOffset + frame.count > offset) {
            if (batches.length > 0 && taken + frame.length > maxBytes) return batches;
            batches.push(decodeFrame(chunk, at, frame));
            taken += frame.length;
          }
          at += frame.length;
        }
        position += at;
        if (batches.length > 0 && taken >= maxBytes) break;
      }
      return batches;
    });
  }

  /** Drops what can be read again from disk. */
  forget(): void {
    if (this.#active === undefined || this.#closing) this.#index = undefined;
  }

  async close(): Promise<void> {
    const file = this.#active;
    if (file === undefined || this.#closing) return;
    this.#closing = true;
    if (this.#readers === 0) await this.#closeActive(file);
  }

  /** Deletes the files; reads under way still finish. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.#indexPath(), { force: true });
    await rm(this.path, { force: true });
  }

  async #closeActive(file: SegmentFile): Promise<void> {
    this.#active = undefined;
    this.#closing = false;
    await file.close();
  }

  async #withFile<T>(use: (file: SegmentFile) => Promise<T>): Promise<T> {
    const active = this.#active;
    if (active === undefined || this.#closing) {
      const file = await this.#files.openForRead(this.path);
      try {
        return await use(file);
      } finally {
        await file.close();
      }
    }
    this.#readers += 1;
    try {
      return await use(active);
    } finally {
      this.#readers -= 1;
      if (this.#readers === 0 && this.#closing) await this.#closeActive(active);
    }
  }

  /** Reads the whole file anew; returns the fault behind the last whole frame, if any. */
  async #scan(file: SegmentFile, size: number): Promise<string | undefined> {
    const index = new SparseIndex();
    const found = await scanSegment(file, size, this.#seed, this.baseOffset, (header, position) =>
      index.add(header.baseOffset, position),
    );
    this.bytes = found.validBytes;
    this.endOffset = found.endOffset;
    this.lastAppendedMs = found.lastAppendedMs;
    this.#index = index;
    return found.fault;
  }

  /** Scans a sealed segment, in which nothing may be wrong. */
  async #rescan(): Promise<void> {
    const file = await this.#files.openForRead(this.path);
    try {
      const fault = await this.#scan(file, await file.size());
      if (fault !== undefined) throw corruption(this.path, this.bytes, fault);
    } finally {
      await file.close();
    }
  }

  async #loadIndex(): Promise<SparseIndex> {
    if (this.#index !== undefined) return this.#index;
    const summary = await this.#readSummary();
    if (summary === undefined) await this.#rescan();
    else this.#index = SparseIndex.from(summary.entries);
    return this.#index ?? new SparseIndex();
  }

  #indexPath(): string {
    return this.path.replace(/\.log$/, ".index");
  }

  async #readSummary(): Promise<SealedSummary | undefined> {
    try {
      const summary = JSON.parse(await readFile(this.#indexPath(), "utf8")) as SealedSummary;
      const { size, mtimeMs } = await stat(this.path);
      const matches =
        summary.version === INDEX_VERSION && summary.bytes === size && summary.changedMs === mtimeMs;
      return matches ? summary : undefined;
    } catch {
      // Missing, torn or of another version: the segment itself says it all.
      return undefined;
    }
  }

  async #writeSummary(): Promise<void> {
    const summary: SealedSummary = {
      version: INDEX_VERSION,
      bytes: this.bytes,
      changedMs: (await stat(this.path)).mtimeMs,
      endOffset: this.endOffset,
      lastAppendedMs: this.lastAppendedMs ?? 0,
      entries: this.#index?.toJSON() ?? [],
    };
    await this.#files.writeWhole(this.#indexPath(), JSON.stringify(summary));
  }
}
