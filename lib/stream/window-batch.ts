// The windows that the samples of one commit touch: found in the cache, read from the store in one call where they are not
// there, folded one after the other, and encoded. Whoever calls has begun a commit of the cache, and settles it.
import type {
  PartitionSource,
  SeriesSeen,
  StoredWindow,
  StreamStore,
  WindowPlace,
} from "../storage/storage.ts";
import {
  DAY_MS,
  endOf,
  startsOf,
  type SessionDefinition,
  type WindowDefinition,
} from "../windows/definition.ts";
import { encodePartial } from "../windows/partial-codec.ts";
import { emptyPartial, fold, type WindowPartial } from "../windows/partial.ts";
import type { Sample } from "../windows/sample.ts";
import { mergeSessions } from "../windows/sessions.ts";
import { CachedWindow } from "./cached-window.ts";
import { midnightOf, type DaySessions, type SeriesEntry, type WindowCache } from "./window-cache.ts";
import { keyOf, lookupOf, lookUpInParts } from "./window-lookup.ts";

export interface BatchContext {
  store: Pick<StreamStore, "windows">;
  cache: WindowCache;
  source: PartitionSource;
  definitions: readonly WindowDefinition[];
  /** In whole days since 1970. */
  today: number;
  /** Windows that start before are another reader's. */
  fromMs: number;
}

/** What a commit may come to; one of a single message has no limits. */
export interface BatchLimits {
  windows: number;
  /** Of the states of its windows as they are stored. */
  chars: number;
}

/** A commit's states grow by its samples: those of new windows are not known before. */
const MAX_GROWTH = 2;

/** A window that is put, in the order of `put`. */
export interface Touched {
  entry: SeriesEntry;
  definition: WindowDefinition;
  window: CachedWindow;
}

/** A session of the store that is part of another one by now. */
export interface GoneSession {
  place: WindowPlace;
  entry: SeriesEntry;
  definition: SessionDefinition;
  session: CachedWindow;
}

/** Samples of one series, definition and day, on their way into its sessions. */
interface SessionGroup {
  entry: SeriesEntry;
  definition: SessionDefinition;
  day: DaySessions;
  samples: Sample[];
  /** The earliest of them. */
  firstMs: number;
}

export class WindowBatch {
  readonly #context: BatchContext;
  readonly series: SeriesSeen[] = [];
  readonly touched: Touched[] = [];
  readonly put: StoredWindow[] = [];
  readonly gone: GoneSession[] = [];
  /** A sample for each window that it belongs to; and for each the next of the same window, the first after the last. */
  readonly #samples: Sample[] = [];
  readonly #next: number[] = [];
  readonly #missing: Touched[] = [];
  readonly #groups = new Map<DaySessions, SessionGroup>();
  readonly #limits: BatchLimits;
  /** Of the states of windows that are touched, before they are. */
  #chars = 0;
  /** How often the store was asked. */
  calls = 0;

  constructor(context: BatchContext, limits: BatchLimits) {
    this.#context = context;
    this.#limits = limits;
  }

  /**
   * Finds the windows of each sample, or makes them.
   * @returns false where they are too many, or too large: to be undone
   */
  place(samples: readonly Sample[]): boolean {
    const { cache, definitions, today } = this.#context;
    const { windows, chars } = this.#limits;
    for (const sample of samples) {
      if (this.touched.length + this.#groups.size > windows || this.#chars > chars) return false;
      const known = cache.peek(sample.series);
      const isFirst = known?.touchedBy !== cache.commit;
      const entry = isFirst ? cache.touch(sample) : known;
      if (isFirst && cache.isUnseen(sample.series, today)) {
        const { tenant, name, series, labels } = sample;
        this.series.push({ tenant, name, series, labels, day: today });
      }
      for (let place = 0; place < definitions.length; place++) {
        const definition = definitions[place] as WindowDefinition;
        if (definition.kind === "session") this.#placeInSession(entry, place, definition, sample);
        else if (definition.kind === "tumbling") {
          const startMs = Math.floor(sample.time.ms / definition.sizeMs) * definition.sizeMs;
          this.#placeAt(entry, place, definition, startMs, startMs + definition.sizeMs, sample);
        } else
          for (const startMs of startsOf(definition, sample.time.ms))
            if (startMs >= this.#context.fromMs)
              this.#placeAt(entry, place, definition, startMs, endOf(definition, startMs), sample);
      }
    }
    return true;
  }

  #placeAt(
    entry: SeriesEntry,
    place: number,
    definition: WindowDefinition,
    startMs: number,
    endMs: number,
    sample: Sample,
  ): void {
    const { cache } = this.#context;
    const windows = entry.windows[place] as Map<number, CachedWindow>;
    let window = windows.get(startMs);
    if (!window) {
      window = new CachedWindow(startMs, endMs, emptyPartial(this.#context.source.partition));
      windows.set(startMs, window);
      if (cache.mayBeStored(place, startMs)) this.#missing.push({ entry, definition, window });
    }
    if (window.touchedBy !== cache.commit) {
      window.touchedBy = cache.commit;
      this.#chars += window.chars;
      this.touched.push({ entry, definition, window });
      this.#next.push(this.#samples.length);
    } else {
      this.#next.push(this.#next[window.lastSample] as number);
      this.#next[window.lastSample] = this.#samples.length;
    }
    window.lastSample = this.#samples.length;
    this.#samples.push(sample);
  }

  #placeInSession(entry: SeriesEntry, place: number, definition: SessionDefinition, sample: Sample): void {
    const { cache } = this.#context;
    const { ms } = sample.time;
    const midnightMs = midnightOf(ms);
    const days = entry.sessions[place] as Map<number, DaySessions>;
    let day = days.get(midnightMs);
    if (!day) {
      const knownFromMs = cache.mayBeStored(place, midnightMs) ? midnightMs + DAY_MS : midnightMs;
      day = { midnightMs, knownFromMs, list: [] };
      days.set(midnightMs, day);
    }
    const group = this.#groups.get(day);
    if (group) {
      group.samples.push(sample);
      group.firstMs = Math.min(group.firstMs, ms);
    } else this.#groups.set(day, { entry, definition, day, samples: [sample], firstMs: ms });
  }

  /** Nothing was folded yet: as if no sample had been placed. */
  undo(): void {
    const { cache } = this.#context;
    for (const { entry, window } of this.touched) {
      if (window.isStored) continue;
      for (const windows of entry.windows)
        if (windows.get(window.startMs) === window) windows.delete(window.startMs);
    }
    cache.release();
  }

  /**
   * Reads what may be in the store and is not held.
   * @returns false where it is too large: to be undone
   */
  async lookUp(): Promise<boolean> {
    const { store, source, cache, definitions } = this.#context;
    const lookups = this.#missing.map(({ entry, definition, window }) =>
      lookupOf(entry, definition, window.startMs, window.startMs),
    );
    const days = new Map<string, DaySessions>();
    for (const { entry, definition, day, firstMs } of this.#groups.values()) {
      const { midnightMs, knownFromMs } = day;
      if (firstMs >= knownFromMs) continue;
      lookups.push(lookupOf(entry, definition, midnightMs, knownFromMs - 1));
      days.set(keyOf(placeOf(entry, definition, { startMs: midnightMs })), day);
    }
    const wanted = new Set(this.#missing.map(({ window }) => window));
    for await (const part of lookUpInParts(store, source, lookups)) {
      this.calls++;
      for (const row of part.rows) {
        this.#chars += row.state.length;
        const place = definitions.findIndex(({ id }) => id === row.window);
        const window = cache.peek(row.series)?.windows[place]?.get(row.startMs);
        if (window && wanted.has(window)) window.restore(row);
        else {
          const { startMs, endMs, state } = row;
          const day = days.get(keyOf({ ...row, startMs: midnightOf(startMs) }));
          day?.list.push(new CachedWindow(startMs, endMs, state).restore(row));
        }
      }
      for (const lookup of part.lookups) {
        const day = days.get(keyOf({ ...lookup, startMs: lookup.fromMs }));
        if (!day) continue;
        day.knownFromMs = day.midnightMs;
        day.list.sort(byStart);
      }
      if (this.#chars > this.#limits.chars) return false;
    }
    return true;
  }

  /**
   * Samples into their windows, one window after the other; what came of it is encoded.
   * @returns false where that is too large: what the commit touched is of no use any more
   */
  fold(): boolean {
    let chars = 0;
    let room = this.#context.cache.room;
    const put = ({ entry, definition, window }: Touched, partial: WindowPartial) => {
      const { tenant, name, series } = entry;
      const { startMs, endMs, dueMs, revision } = window;
      const state = encodePartial(partial);
      room -= window.keep(partial, state, room);
      chars += state.length;
      this.put.push({ tenant, name, series, window: definition.id, startMs, endMs, dueMs, revision, state });
      return chars <= this.#limits.chars * MAX_GROWTH;
    };
    for (const touched of this.touched) {
      const { partial, lastSample } = touched.window;
      let at = lastSample;
      do {
        at = this.#next[at] as number;
        fold(partial, this.#samples[at] as Sample);
      } while (at !== lastSample);
      if (!put(touched, partial)) return false;
    }
    for (const group of this.#groups.values())
      for (const touched of this.#foldSessions(group)) {
        this.touched.push(touched);
        if (!put(touched, touched.window.partial)) return false;
      }
    return true;
  }

  /** @returns the sessions that are to be put */
  #foldSessions({ entry, definition, day, samples }: SessionGroup): Touched[] {
    const { cache, source } = this.#context;
    const { changed, removed } = mergeSessions(definition, day.list, samples, source.partition);
    const merged = new Set(changed.flatMap(({ from }) => from));
    day.list = day.list.filter((session) => !merged.has(session));
    const touched = changed.map(({ startMs, endMs, partial, from }) => {
      const kept = from.find((before) => before.startMs === startMs);
      const window = new CachedWindow(startMs, endMs, partial);
      if (kept) {
        window.dueMs = kept.dueMs;
        window.revision = kept.revision;
        window.isStored = kept.isStored;
      }
      window.touchedBy = cache.commit;
      day.list.push(window);
      return { entry, definition, window };
    });
    day.list.sort(byStart);
    for (const session of removed) {
      if (session.isStored)
        this.gone.push({ place: placeOf(entry, definition, session), entry, definition, session });
    }
    return touched;
  }
}

const placeOf = (
  { tenant, name, series }: SeriesEntry,
  { id }: WindowDefinition,
  { startMs }: { startMs: number },
): WindowPlace => ({ tenant, name, series, window: id, startMs });

const byStart = (a: CachedWindow, b: CachedWindow) => a.startMs - b.startMs;
