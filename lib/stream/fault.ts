// What went wrong with data, as values: faults of a record's own, told from those of a store that is away.
import { StorageError } from "../storage/storage.ts";
import type { Fault } from "./dead-letter.ts";

/** Of a store's message in a dead letter. */
const MAX_FAULT_CHARS = 300;

/** A fault of our own code on the way from a message to its rows. */
export function internalFault(error: unknown): Fault {
  return { errorType: "internal_error", error: textOf(error), attempts: 1 };
}

/** @throws what is not the data's fault */
export function faultOfStore(error: unknown): Fault {
  if (!(error instanceof StorageError) || error.code !== "storage_rejected") throw error;
  return { errorType: error.code, error: textOf(error), attempts: 1 };
}

/** As text that every store takes. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll("\0", "").slice(0, MAX_FAULT_CHARS).toWellFormed();
}

export const isFault = (value: object): value is Fault => "errorType" in value;
