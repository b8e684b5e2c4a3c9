// Windows of a partition as its owner keeps them between commits, so that a commit reads from the store only what is not
// here: all of it stands in the store as well. Good for one position; whatever a commit touched that was not made is
// dropped. Bounded by bytes as estimated: series that were not touched for longest go first.
import type { PartitionSource, Position, StreamStore } from "../storage/storage.ts";
import { DAY_MS, type WindowDefinition } from "../windows/definition.ts";
import type { Sample } from "../windows/sample.ts";
import type { CachedWindow } from "./cached-window.ts";

/** What this memory may hold, estimated, with the partials of a commit in hand; its texts come on top (aggregate.ts). */
export const CACHE_BYTES = 24 * 1024 * 1024;

/** Series whose labels are known to be in the store for today; some 80 bytes each. */
const MAX_SEEN = 100_000;

/** An estimate: a series with its maps. */
const SERIES_BYTES = 800;

/** Sessions of one series and day, by their starts. */
export interface DaySessions {
  midnightMs: number;
  /** Those that start from here on are all here. */
  knownFromMs: number;
  list: CachedWindow[];
}

export interface SeriesEntry {
  tenant: string;
  name: string;
  series: string;
  labels: Record<string, string>;
  /** By the definition's place and the start; sessions are in `sessions`. */
  windows: Map<number, CachedWindow>[];
  sessions: Map<number, DaySessions>[];
  bytes: number;
  touchedBy: number;
}

export class WindowCache {
  readonly #maxBytes: number;
  /** By series, the one touched longest ago first. */
  readonly #entries = new Map<string, SeriesEntry>();
  #bytes = 0;
  #position: Position | undefined;
  #definitions: readonly WindowDefinition[] = [];
  /** By the definition's place: a window that starts later and is not here is nowhere. */
  #horizonMs: number[] = [];
  #nextDueMs: number | null | undefined;
  readonly #seen = new Set<string>();
  #seenDay = 0;
  #commit = 0;
  /** Of the commit in hand. */
  #touched: SeriesEntry[] = [];

  constructor(maxBytes = CACHE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get seriesCount(): number {
    return this.#entries.size;
  }

  /** Bytes that partials of the commit in hand may take: others of the series that it touches are left out of account. */
  get room(): number {
    let bytes = this.#maxBytes - this.#bytes;
    for (const entry of this.#touched) bytes += entry.bytes;
    return bytes;
  }

  /** Number of the commit in hand. */
  get commit(): number {
    return this.#commit;
  }

  /** When a window of the partition is due next: none is before it. */
  get nextDueMs(): number | null {
    return this.#nextDueMs ?? null;
  }

  /**
   * Begins a commit from `position`. What an earlier one touched and nobody settled is dropped.
   * @returns how often the store was asked
   */
  async begin(
    store: Pick<StreamStore, "windowHorizon">,
    source: PartitionSource,
    position: Position,
    definitions: readonly WindowDefinition[],
  ): Promise<number> {
    this.rollBack();
    this.#commit++;
    const isOurs =
      this.#position !== undefined &&
      isSame(this.#position, position) &&
      areSame(this.#definitions, definitions);
    if (isOurs && this.#nextDueMs !== undefined) return 0;
    const { nextDueMs, newestStartMs } = await store.windowHorizon(source);
    if (!isOurs) {
      this.#clear();
      this.#definitions = definitions;
      this.#horizonMs = definitions.map(({ id }) => newestStartMs[id] ?? -Infinity);
      this.#position = position;
    }
    this.#nextDueMs = nextDueMs;
    return 1;
  }

  /** The entry of a sample's series, as touched by the commit in hand. */
  touch(sample: Pick<Sample, "tenant" | "name" | "series" | "labels">): SeriesEntry {
    const known = this.#entries.get(sample.series);
    if (known) {
      this.mark(known);
      return known;
    }
    const { tenant, name, series, labels } = sample;
    const entry: SeriesEntry = {
      tenant,
      name,
      series,
      labels,
      windows: this.#definitions.map(() => new Map()),
      sessions: this.#definitions.map(() => new Map()),
      bytes: 0,
      touchedBy: 0,
    };
    this.#entries.set(series, entry);
    this.mark(entry);
    return entry;
  }

  mark(entry: SeriesEntry): void {
    if (entry.touchedBy === this.#commit) return;
    entry.touchedBy = this.#commit;
    this.#touched.push(entry);
    this.#entries.delete(entry.series);
    this.#entries.set(entry.series, entry);
  }

  peek(series: string): SeriesEntry | undefined {
    return this.#entries.get(series);
  }

  /** Whether the store may have windows of the definition that start from `fromMs` on and are not here. */
  mayBeStored(definition: number, fromMs: number): boolean {
    return fromMs <= (this.#horizonMs[definition] ?? -Infinity);
  }

  /** Whether the store may not know the labels of the series as of this day. */
  isUnseen(series: string, day: number): boolean {
    return day !== this.#seenDay || !this.#seen.has(series);
  }

  /**
   * The commit was made.
   * @param nextDueMs of what it put; undefined: to be asked for
   */
  accept(from: Position | undefined, next: Position, seen: Seen, nextDueMs: number | null | undefined): void {
    if (!from || !this.#position || !isSame(this.#position, from)) return this.#clear();
    this.#position = next;
    this.#nextDueMs = nextDueMs;
    if (seen.day !== this.#seenDay || this.#seen.size + seen.series.length > MAX_SEEN) this.#seen.clear();
    this.#seenDay = seen.day;
    for (const { series } of seen.series) this.#seen.add(series);
    for (const entry of this.#touched) {
      this.#bytes -= entry.bytes;
      entry.bytes = this.#trim(entry);
      this.#bytes += entry.bytes;
    }
    this.#touched = [];
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(entry);
    }
  }

  /** A commit was made that has nothing to do with windows. */
  moved(from: Position | undefined, next: Position): void {
    if (from && this.#position && isSame(this.#position, from)) this.#position = next;
    else this.#clear();
  }

  /** The commit was not made, or nobody knows: what it touched is as the store has it. */
  rollBack(): void {
    for (const entry of this.#touched) this.#drop(entry);
    this.#touched = [];
  }

  /** The commit in hand is given up, and has changed nothing. */
  release(): void {
    for (const entry of this.#touched) if (entry.bytes === 0) this.#entries.delete(entry.series);
    this.#touched = [];
  }

  #clear(): void {
    this.#entries.clear();
    this.#touched = [];
    this.#bytes = 0;
    this.#position = undefined;
    this.#nextDueMs = undefined;
  }

  #drop(entry: SeriesEntry): void {
    for (const [place, windows] of entry.windows.entries())
      for (const startMs of windows.keys()) this.#forgot(place, startMs);
    for (const [place, days] of entry.sessions.entries())
      for (const { list, knownFromMs } of days.values())
        this.#forgot(place, list.at(-1)?.startMs ?? knownFromMs);
    this.#entries.delete(entry.series);
    this.#bytes -= entry.bytes;
  }

  #forgot(definition: number, startMs: number): void {
    this.#horizonMs[definition] = Math.max(this.#horizonMs[definition] ?? -Infinity, startMs);
  }

  /** Lets go of windows that are over and were not touched just now. @returns about how many bytes are left */
  #trim(entry: SeriesEntry): number {
    let bytes = SERIES_BYTES;
    for (const [name, value] of Object.entries(entry.labels)) bytes += 2 * (name.length + value.length);
    for (const [place, windows] of entry.windows.entries()) {
      for (const window of windows.values()) {
        if (this.#isOver(window)) {
          windows.delete(window.startMs);
          this.#forgot(place, window.startMs);
        } else bytes += window.bytes;
      }
    }
    for (const [place, days] of entry.sessions.entries()) {
      for (const day of days.values()) {
        const kept = day.list.findIndex((session) => !this.#isOver(session));
        const over = day.list.splice(0, kept === -1 ? day.list.length : kept);
        const last = over.at(-1);
        if (last) {
          this.#forgot(place, last.startMs);
          day.knownFromMs = day.list[0]?.startMs ?? last.endMs;
        }
        if (day.list.length === 0) {
          // What is known of a day without sessions is worth less than its place.
          days.delete(day.midnightMs);
          this.#forgot(place, day.midnightMs);
        }
        for (const session of day.list) bytes += session.bytes;
      }
    }
    return bytes;
  }

  #isOver({ dueMs, touchedBy, endMs }: CachedWindow): boolean {
    const watermarkMs = this.#position?.watermarkMs ?? 0;
    return dueMs === null && touchedBy !== this.#commit && endMs <= watermarkMs;
  }
}

export function heldAt(
  entry: SeriesEntry,
  place: number,
  definition: WindowDefinition,
  startMs: number,
): CachedWindow | undefined {
  if (definition.kind !== "session") return entry.windows[place]?.get(startMs);
  return entry.sessions[place]?.get(midnightOf(startMs))?.list.find((session) => session.startMs === startMs);
}

/** What a commit told of series. */
export interface Seen {
  day: number;
  series: readonly { series: string }[];
}

export const midnightOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/** The mark is no part of it: it follows from the others. */
function isSame(a: Position, b: Position): boolean {
  return (
    a.nextOffset === b.nextOffset &&
    a.incarnation === b.incarnation &&
    a.epoch === b.epoch &&
    a.watermarkMs === b.watermarkMs
  );
}

/** An id tells all of a definition. */
function areSame(a: readonly WindowDefinition[], b: readonly WindowDefinition[]): boolean {
  return a === b || (a.length === b.length && a.every(({ id }, i) => id === b[i]?.id));
}
