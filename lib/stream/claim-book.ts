// What a commit claims, while it is planned: what is known to be there, what the commit itself has taken so far, and the
// verdict on each record copy. A word holds the bits of 32 records.
import type { Claim, NewClaims } from "../storage/storage.ts";

/**
 * `first`: never received before, so it counts. `redelivered`: the same acceptance once more. `deduplicated`: another
 * acceptance of what was received.
 */
export type Verdict = "first" | "redelivered" | "deduplicated";

/** Of one acceptance. */
interface AttemptBits {
  attempt: number;
  /** There before, or taken by this commit. */
  bits: number;
  first: number;
  repeated: number;
}

export interface Word {
  /** By whichever acceptance. */
  taken: number;
  rows: AttemptBits[];
}

export class ClaimBook {
  readonly #known = new Map<string, Claim[]>();
  /** By key and number of the word. */
  readonly #batches = new Map<string, Map<number, Word>>();
  /** Keys of one record have one word. */
  readonly #ids = new Map<string, Word>();

  constructor(known: readonly Claim[]) {
    for (const claim of known) {
      const others = this.#known.get(claim.key);
      if (others) others.push(claim);
      else this.#known.set(claim.key, [claim]);
    }
  }

  /** The words of a batch, to be looked up by {@link wordIn}. */
  batch(key: string): Map<number, Word> {
    let words = this.#batches.get(key);
    if (!words) {
      words = new Map();
      for (const { word, attempt, bits } of this.#known.get(key) ?? [])
        addKnown(wordIn(words, word), attempt, bits);
      this.#batches.set(key, words);
    }
    return words;
  }

  /** The word of a record that has a key for itself. */
  id(key: string): Word {
    let word = this.#ids.get(key);
    if (!word) {
      word = { taken: 0, rows: [] };
      if (this.#known.size > 0)
        for (const { attempt, bits } of this.#known.get(key) ?? []) addKnown(word, attempt, bits);
      this.#ids.set(key, word);
    }
    return word;
  }

  /** All that was asked for. */
  keys(): string[] {
    return [...this.#batches.keys(), ...this.#ids.keys()];
  }

  /** What was taken. */
  newClaims(receivedMs: number | undefined): NewClaims {
    const claims: NewClaims = { first: [], repeated: [], receivedMs };
    for (const [key, words] of this.#batches)
      for (const [number, word] of words) addNew(claims, key, number, word);
    for (const [key, word] of this.#ids) addNew(claims, key, 0, word);
    return claims;
  }
}

export function wordIn(words: Map<number, Word>, number: number): Word {
  let word = words.get(number);
  if (!word) {
    word = { taken: 0, rows: [] };
    words.set(number, word);
  }
  return word;
}

/** @param bit one bit of 32 */
export function judge(word: Word, attempt: number, bit: number): Verdict {
  const row = rowOf(word, attempt);
  if ((word.taken & bit) === 0) {
    word.taken |= bit;
    row.bits |= bit;
    row.first |= bit;
    return "first";
  }
  if ((row.bits & bit) !== 0) return "redelivered";
  row.bits |= bit;
  row.repeated |= bit;
  return "deduplicated";
}

export function isTaken(word: Word, bit: number): boolean {
  return (word.taken & bit) !== 0;
}

function rowOf({ rows }: Word, attempt: number): AttemptBits {
  for (const row of rows) if (row.attempt === attempt) return row;
  const row = { attempt, bits: 0, first: 0, repeated: 0 };
  rows.push(row);
  return row;
}

function addKnown(word: Word, attempt: number, bits: number): void {
  word.taken |= bits;
  rowOf(word, attempt).bits |= bits;
}

function addNew({ first, repeated }: NewClaims, key: string, word: number, { rows }: Word): void {
  for (const row of rows) {
    if (row.first !== 0) first.push({ key, word, attempt: row.attempt, bits: row.first >>> 0 });
    if (row.repeated !== 0) repeated.push({ key, word, attempt: row.attempt, bits: row.repeated >>> 0 });
  }
}
