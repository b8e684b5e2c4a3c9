/**
 * Where a partition's log starts when records were deleted by request: one small file beside the segments, written
 * before any of them goes, so that a crash between the two leaves nothing readable that was deleted.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DurableFiles } from "./durable-files.ts";
import { KafkaError } from "./kafka-error.ts";
import type { RecordBatch } from "./log.ts";

const FILE = "trimmed-to.json";

/** 0 when nothing was deleted by request. */
export async function readTrimmedTo(directory: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(join(directory, FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
  const offset: unknown = JSON.parse(text);
  if (typeof offset === "number" && Number.isSafeInteger(offset)) return offset;
  throw new KafkaError("kafka_storage_error", `${join(directory, FILE)} is damaged`);
}

export async function writeTrimmedTo(
  { directory, files }: { directory: string; files: DurableFiles },
  offset: number,
): Promise<void> {
  await files.writeWhole(join(directory, FILE), JSON.stringify(offset));
}

/** A batch is stored whole; the part of it that was deleted is left out of what is read. */
export function withoutRecordsBelow(batch: RecordBatch, offset: number): RecordBatch {
  const gone = offset - batch.baseOffset;
  if (gone <= 0) return batch;
  return { ...batch, baseOffset: offset, records: batch.records.slice(gone) };
}
