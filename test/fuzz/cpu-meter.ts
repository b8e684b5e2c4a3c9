// CPU time of the parts of a body's way, all threads of the process. A machine that does other things, a collection of
// garbage or code that is compiled just then can make a body look slow: what is over is run again before it counts.
import { MAX_JSON_VALUES } from "../../lib/telemetry/limits.ts";

export type Part = "read" | "decode" | "prepare" | "consume";

export interface Cost {
  ms: number;
  /** What the part worked on: the body, decompressed, or its messages. */
  bytes: number;
}

export class CpuMeter {
  readonly parts: Partial<Record<Part, Cost>> = {};

  async measure<T>(part: Part, bytes: number, run: () => T | Promise<T>): Promise<T> {
    const before = process.cpuUsage();
    try {
      return await run();
    } finally {
      const { user, system } = process.cpuUsage(before);
      this.parts[part] = { ms: (user + system) / 1_000, bytes };
    }
  }
}

const MAX_MS_PER_MB = 50;

/** About a collection of the young garbage on a busy machine. */
const FLOOR_MS = 10;

/** The bound for bytes alone. */
export const bytesBoundMs = (bytes: number): number => FLOOR_MS + (bytes / 2 ** 20) * MAX_MS_PER_MB;

/**
 * Where bodies are made of little but values, these cost, not their bytes: JSON.parse alone takes 1 to 2 µs for a member
 * of a key that it has not seen, protobuf about 0.5 µs for a message of two bytes. The limits bound their number, and
 * with it the time of any body; a hang is what goes beyond.
 */
const VALUE_MS = 0.002;
const MIN_VALUE_BYTES = 2;

/** Judging, keying and writing a record, or the error that JSON.parse throws for a line: 5 to 15 µs each. */
const RECORD_MS = 0.04;

export function cpuBoundMs(bytes: number, records: number): number {
  const values = Math.min(bytes / MIN_VALUE_BYTES, MAX_JSON_VALUES);
  return bytesBoundMs(bytes) + values * VALUE_MS + records * RECORD_MS;
}
