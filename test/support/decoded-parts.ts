// What messages hold, without regard to what was received before: rows by signal, and every dead letter.
import type { DecodedMessage, AnyRow } from "../../lib/stream/decode.ts";
import type { DeadLetter, Rows } from "../../lib/storage/storage.ts";

export interface DecodedParts {
  rows: Rows;
  deadLetters: DeadLetter[];
  chars: number;
}

export function decodedParts(messages: readonly DecodedMessage[]): DecodedParts {
  const parts: DecodedParts = {
    rows: { metrics: [], logs: [], events: [], traces: [] },
    deadLetters: [],
    chars: 0,
  };
  for (const { signal, rows, dead, whole, chars } of messages) {
    (parts.rows[signal] as AnyRow[]).push(...rows);
    for (const { letter } of dead) if (letter) parts.deadLetters.push(letter);
    if (whole) parts.deadLetters.push(whole);
    parts.chars += chars;
  }
  return parts;
}
