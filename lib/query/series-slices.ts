// Reads what of a store is too much for one look, series by series: slices of their ids, each as wide as brings about what
// a look may bring, whatever the density. Of a slice all of its series' rows are there at once; then they are let go of.
import { isGrowing } from "../windows/partial-codec.ts";
import type { FindRows, FoundRow, Starts } from "./window-answer.ts";

export interface LookBounds {
  /** Rows that a look is to bring at most, and characters of their states, about. */
  lookRows: number;
  lookChars: number;
  /** What a look may bring where it cannot be divided: one series alone. */
  maxRows: number;
  maxChars: number;
  /** For all slices of a page together: on D1 each takes three queries, and a request may have 1,000 of them. */
  wideLooks: number;
}

/** Ids are told apart by their first 48 bits here, which a double holds. */
const IDS = 2 ** 48;
const FIRST_SHARE = 256;
/** How much wider the next slice is at most: rows may lie less evenly than they should. */
const MAX_GROWTH = 8;
const SHRINK = 4;
/** Of what a look may bring: one that is full has to be done again, narrower. */
const FILL = 0.8;
/** For a look of one series alone that is full. */
const LARGER = 4;

export class SeriesSlices<R extends FoundRow> {
  readonly #find: FindRows<R>;
  readonly #bounds: LookBounds;
  #width = IDS / FIRST_SHARE;
  /** Characters of a row's state, as of the last look. */
  #size: number;
  #left: number;

  /** @param size characters of a row's state, as far as that is known */
  constructor(find: FindRows<R>, bounds: LookBounds, size: number) {
    this.#find = find;
    this.#bounds = bounds;
    this.#size = size;
    this.#left = bounds.wideLooks;
  }

  /** Looks that are left. */
  get left(): number {
    return this.#left;
  }

  /**
   * All rows of these starts, those of one series at once.
   * @param before what is read of the same series, too, where one of them holds what grows
   * @returns what is too much, if anything is; else all was read
   */
  async *read(starts: Starts, before: Starts | undefined): AsyncGenerator<R[], string | undefined> {
    let larger = 1;
    for (let from = 0; from < IDS;) {
      if (this.#left <= 0) return this.#tooManyLooks();
      const width = Math.min(this.#width, IDS - from);
      const limit = Math.min(this.#largest(), this.#limit() * larger);
      // oxlint-disable-next-line no-await-in-loop -- how wide the next one is follows from this one
      const found = await this.#look(starts, before, { from, below: from + width }, limit);
      if (found.isFull) {
        const isOne = width === 1 || found.rows.every(({ series }) => series === found.rows[0]?.series);
        if (!isOne) this.#width = Math.max(1, Math.floor(width / SHRINK));
        else if (limit < this.#largest()) larger *= LARGER;
        else return `has more than ${limit} stored rows of one series`;
        continue;
      }
      if (found.rows.length > 0) yield found.rows;
      from += width;
      larger = 1;
      this.#width = widthAfter(width, found.most, this.#limit());
    }
    return undefined;
  }

  async #look(
    starts: Starts,
    before: Starts | undefined,
    ids: { from: number; below: number },
    limit: number,
  ): Promise<{ rows: R[]; most: number; isFull: boolean }> {
    const series = { from: idOf(ids.from), below: ids.below >= IDS ? undefined : idOf(ids.below) };
    const rows = await this.#find({ ...starts, limit, series });
    this.#note(rows);
    let most = rows.length;
    if (before && most < limit && rows.some(({ state }) => isGrowing(state))) {
      const earlier = await this.#find({ ...before, limit, series });
      this.#note(earlier);
      most = Math.max(most, earlier.length);
      if (earlier.length >= limit) return { rows: earlier, most, isFull: true };
      for (const row of earlier) rows.push(row);
    }
    return { rows, most, isFull: most >= limit };
  }

  #note(rows: readonly R[]): void {
    this.#left--;
    if (rows.length > 0) this.#size = meanSize(rows);
  }

  #tooManyLooks(): string {
    const { wideLooks, lookRows, lookChars } = this.#bounds;
    return `needs more than ${wideLooks} looks at the store, of some ${lookRows} rows or ${lookChars} characters,`;
  }

  #limit(): number {
    const { lookRows, lookChars } = this.#bounds;
    return Math.max(1, Math.min(lookRows, Math.floor(lookChars / this.#size)));
  }

  #largest(): number {
    const { maxRows, maxChars } = this.#bounds;
    return Math.max(this.#limit(), Math.min(maxRows, Math.ceil(maxChars / this.#size)));
  }
}

/** Characters of a row's state. */
export function meanSize(rows: readonly FoundRow[]): number {
  let chars = 0;
  for (const { state } of rows) chars += state.length;
  return Math.max(1, chars / Math.max(1, rows.length));
}

function widthAfter(width: number, rows: number, limit: number): number {
  const fitting = rows === 0 ? Infinity : (width * limit * FILL) / rows;
  return Math.min(IDS, Math.max(1, Math.floor(Math.min(width * MAX_GROWTH, fitting))));
}

const idOf = (first48Bits: number) => first48Bits.toString(16).padStart(12, "0").padEnd(32, "0");
