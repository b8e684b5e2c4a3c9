// A body near the limits, and what such bodies are filled with.
import type { Decoder } from "./fuzz-case.ts";
import { encodeText, type Bytes } from "./mutate-bytes.ts";

export interface HeavyBody {
  name: string;
  decoder: Decoder;
  headers: Record<string, string>;
  make(): Bytes;
}

/** Name, where it is sent, and how it is made. */
export type Heavy = [name: string, decoder: Decoder, make: () => Bytes];

export const MB = 1024 * 1024;
/** Just below what is counted (MAX_JSON_VALUES). */
export const VALUES = 390_000;

/** As many times as `bytes` hold. */
export const filled = (unit: string, bytes: number, before = "", after = ""): Bytes =>
  encodeText(before + unit.repeat(Math.floor((bytes - before.length - after.length) / unit.length)) + after);
export const list = (count: number, element: (i: number) => string): string =>
  `[${Array.from({ length: count }, (_, i) => element(i)).join()}]`;
