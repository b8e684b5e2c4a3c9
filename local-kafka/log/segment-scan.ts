/**
 * Reading a segment file from front to back, and telling a torn tail from damage: a torn tail is followed by nothing
 * that is a frame, damage by at least one whole frame.
 */
import type { SegmentFile } from "./durable-files.ts";
import { FRAME_HEADER_BYTES, FRAME_MAGIC_PREFIX, type FrameHeader, readFrame } from "./frame.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface ScanResult {
  /** Bytes up to the end of the last whole frame. */
  validBytes: number;
  endOffset: number;
  lastAppendedMs: number | undefined;
  /** Set when something that is not a frame follows `validBytes`. */
  fault?: string;
}

/** Calls `onFrame` for each frame from the file's start, checked and in sequence, until the end or the first fault. */
export async function scanSegment(
  file: SegmentFile,
  bytes: number,
  seed: number,
  baseOffset: number,
  onFrame: (header: FrameHeader, position: number) => void,
): Promise<ScanResult> {
  let position = 0;
  let endOffset = baseOffset;
  let lastAppendedMs: number | undefined;
  let chunkBytes = CHUNK_BYTES;
  while (position < bytes) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, bytes - position));
    const filled = chunk.subarray(0, await file.read(chunk, chunk.byteLength, position));
    chunkBytes = CHUNK_BYTES;
    let at = 0;
    while (at < filled.byteLength) {
      const frame = readFrame(filled, at, seed);
      if ("fault" in frame) {
        if (frame.fault === "short" && position + at + frame.needBytes <= bytes) {
          chunkBytes = Math.max(CHUNK_BYTES, frame.needBytes);
          break;
        }
        const fault = frame.fault === "short" ? "the file ends inside a frame" : frame.reason;
        return { validBytes: position + at, endOffset, lastAppendedMs, fault };
      }
      if (frame.baseOffset !== endOffset) {
        const fault = `frame has offset ${frame.baseOffset} where ${endOffset} is due`;
        return { validBytes: position + at, endOffset, lastAppendedMs, fault };
      }
      onFrame(frame, position + at);
      endOffset += frame.count;
      lastAppendedMs = frame.appendedMs;
      at += frame.length;
    }
    // Nothing read although bytes are due: the file shrank under us. End here rather than spin.
    if (filled.byteLength === 0) break;
    position += at;
  }
  return { validBytes: position, endOffset, lastAppendedMs };
}

/** Position of the first whole frame after `from` whose offset is at least `minOffset`; undefined when there is none. */
export async function findFrameAfter(
  file: SegmentFile,
  bytes: number,
  seed: number,
  from: number,
  minOffset: number,
): Promise<number | undefined> {
  for (let start = from + 1; start + FRAME_HEADER_BYTES <= bytes; start += CHUNK_BYTES) {
    // Chunks overlap by the length of what is searched, so that none is missed on a border.
    const chunk = Buffer.allocUnsafe(
      Math.min(CHUNK_BYTES + FRAME_MAGIC_PREFIX.byteLength - 1, bytes - start),
    );
    const filled = chunk.subarray(0, await file.read(chunk, chunk.byteLength, start));
    for (
      let at = filled.indexOf(FRAME_MAGIC_PREFIX);
      at !== -1;
      at = filled.indexOf(FRAME_MAGIC_PREFIX, at + 1)
    ) {
      if (await isFrame(file, bytes, seed, start + at, minOffset)) return start + at;
    }
  }
  return undefined;
}

async function isFrame(
  file: SegmentFile,
  bytes: number,
  seed: number,
  position: number,
  minOffset: number,
): Promise<boolean> {
  let want = FRAME_HEADER_BYTES;
  while (position + want <= bytes) {
    const candidate = Buffer.allocUnsafe(want);
    const filled = candidate.subarray(0, await file.read(candidate, want, position));
    const frame = readFrame(filled, 0, seed);
    if (!("fault" in frame)) return frame.baseOffset >= minOffset;
    if (frame.fault === "bad" || frame.needBytes <= want) return false;
    want = frame.needBytes;
  }
  return false;
}
