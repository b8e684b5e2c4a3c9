// A window as its owner holds it between commits: its partial, ready to be folded into, or where that would take too much the
// text that is stored of it. Says by estimates what it takes.
import type { StoredWindow } from "../storage/storage.ts";
import { decodePartial } from "../windows/partial-codec.ts";
import type { WindowPartial } from "../windows/partial.ts";
import type { Session } from "../windows/sessions.ts";

/**
 * Estimates: a window of one point; what more a character of the stored state stands for. Measured:
 * 1,257 bytes with one gauge point (20 characters), 4,498 with 240 (592), 6,776 with 200 of a counter (1,656); as texts
 * 3,990 with 512 of a counter (3,852), 4,265 with 60 of a cumulative histogram (4,148), whose partial takes 60,000.
 */
const WINDOW_BYTES = 1_000;
const BYTES_PER_STATE_CHAR = 6;
/** Of a window that is held as its text. */
const TEXT_BYTES = 250;

/** A larger state is held as its text: to read it anew takes less than to write it, which each commit does. */
const MAX_PARTIAL_CHARS = 2_000;

export class CachedWindow implements Session {
  startMs: number;
  endMs: number;
  /** The partial, or the state as it is stored, which takes a fifth of the memory. */
  held: WindowPartial | string;
  dueMs: number | null = null;
  revision = 0;
  isStored = false;
  /** Of the state as it was put last. */
  chars = 0;
  /** The commit that touched it last. */
  touchedBy = 0;
  /** Of that commit: the place of its last sample in the batch. */
  lastSample = 0;

  constructor(startMs: number, endMs: number, held: WindowPartial | string) {
    this.startMs = startMs;
    this.endMs = endMs;
    this.held = held;
  }

  /** Made anew at each reading where the text is held. @throws PartialStateError */
  get partial(): WindowPartial {
    return typeof this.held === "string" ? decodePartial(this.held) : this.held;
  }

  /** As the store has it. */
  restore({
    endMs,
    dueMs,
    revision,
    state,
  }: Pick<StoredWindow, "endMs" | "dueMs" | "revision" | "state">): this {
    this.endMs = endMs;
    this.dueMs = dueMs;
    this.revision = revision;
    this.held = state;
    this.chars = state.length;
    this.isStored = true;
    return this;
  }

  /** @param room bytes that partials may take @returns how many of them this one takes */
  keep(partial: WindowPartial, state: string, room: number): number {
    this.chars = state.length;
    const bytes = WINDOW_BYTES + state.length * BYTES_PER_STATE_CHAR;
    // What each point of a cumulative histogram holds is told in its text by what it grew: 14 times as little.
    const isSmall = state.length <= MAX_PARTIAL_CHARS && partial.seen === undefined && bytes <= room;
    this.held = isSmall ? partial : state;
    return isSmall ? bytes : 0;
  }

  /** About what it takes. */
  get bytes(): number {
    return typeof this.held === "string"
      ? TEXT_BYTES + this.chars
      : WINDOW_BYTES + this.chars * BYTES_PER_STATE_CHAR;
  }
}
