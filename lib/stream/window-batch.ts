// The windows that the samples of one commit touch: found in the cache, read from the store in one call where they are not
// there, folded in place, and encoded. Whoever calls has begun a commit of the cache, and settles it.
import type {
  PartitionSource,
  SeriesSeen,
  StoredWindow,
  StreamStore,
  WindowLookup,
  WindowPlace,
} from "../storage/storage.ts";
import {
  DAY_MS,
  endOf,
  startsOf,
  type SessionDefinition,
  type WindowDefinition,
} from "../windows/definition.ts";
import { decodePartial, encodePartial } from "../windows/partial-codec.ts";
import { emptyPartial, fold, type WindowPartial } from "../windows/partial.ts";
import type { Sample } from "../windows/sample.ts";
import { mergeSessions } from "../windows/sessions.ts";
import {
  midnightOf,
  type CachedWindow,
  type DaySessions,
  type SeriesEntry,
  type WindowCache,
} from "./window-cache.ts";

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
  /** Pairs: a sample, and a window that it belongs to. */
  readonly #into: CachedWindow[] = [];
  readonly #what: Sample[] = [];
  readonly #missing: Touched[] = [];
  readonly #groups = new Map<DaySessions, SessionGroup>();
  /** Of the states in `put`. */
  chars = 0;
  /** How often the store was asked. */
  calls = 0;

  constructor(context: BatchContext) {
    this.#context = context;
  }

  /**
   * Finds the windows of each sample, or makes them.
   * @returns false where they are more than `limit`: to be undone
   */
  place(samples: readonly Sample[], limit: number): boolean {
    const { cache, definitions, today } = this.#context;
    for (const sample of samples) {
      if (this.touched.length + this.#groups.size > limit) return false;
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
      window = newWindow(startMs, endMs, emptyPartial(this.#context.source.partition));
      windows.set(startMs, window);
      if (cache.mayBeStored(place, startMs)) this.#missing.push({ entry, definition, window });
    }
    if (window.touchedBy !== cache.commit) {
      window.touchedBy = cache.commit;
      this.touched.push({ entry, definition, window });
    }
    this.#into.push(window);
    this.#what.push(sample);
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

  /** Nothing was read or folded yet: as if no sample had been placed. */
  undo(): void {
    const { cache } = this.#context;
    for (const { entry, window } of this.touched) {
      if (window.isStored) continue;
      for (const windows of entry.windows)
        if (windows.get(window.startMs) === window) windows.delete(window.startMs);
    }
    cache.release();
  }

  /** Reads what may be in the store and is not held. */
  async lookUp(): Promise<void> {
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
      day.knownFromMs = midnightMs;
    }
    if (lookups.length === 0) return;
    this.calls++;
    const rows = await store.windows(source, lookups);
    const wanted = new Set(this.#missing.map(({ window }) => window));
    for (const row of rows) {
      const place = definitions.findIndex(({ id }) => id === row.window);
      const window = cache.peek(row.series)?.windows[place]?.get(row.startMs);
      if (window && wanted.has(window))
        Object.assign(window, fromStore(row), { touchedBy: window.touchedBy });
      else days.get(keyOf({ ...row, startMs: midnightOf(row.startMs) }))?.list.push(fromStore(row));
    }
    for (const day of days.values()) day.list.sort(byStart);
  }

  /** Samples into their windows; what came of it is encoded. */
  fold(): void {
    for (let i = 0; i < this.#into.length; i++)
      fold((this.#into[i] as CachedWindow).partial, this.#what[i] as Sample);
    for (const group of this.#groups.values()) this.#foldSessions(group);
    for (const { entry, definition, window } of this.touched) {
      const { tenant, name, series } = entry;
      const { startMs, endMs, dueMs, revision } = window;
      const state = encodePartial(window.partial);
      window.chars = state.length;
      this.chars += state.length;
      this.put.push({ tenant, name, series, window: definition.id, startMs, endMs, dueMs, revision, state });
    }
  }

  #foldSessions({ entry, definition, day, samples }: SessionGroup): void {
    const { cache, source } = this.#context;
    const { changed, removed } = mergeSessions(definition, day.list, samples, source.partition);
    const merged = new Set(changed.flatMap(({ from }) => from));
    day.list = day.list.filter((session) => !merged.has(session));
    for (const { startMs, endMs, partial, from } of changed) {
      const kept = from.find((before) => before.startMs === startMs);
      const window = {
        ...(kept ?? newWindow(startMs, endMs, partial)),
        endMs,
        partial,
        touchedBy: cache.commit,
      };
      day.list.push(window);
      this.touched.push({ entry, definition, window });
    }
    day.list.sort(byStart);
    for (const session of removed) {
      if (session.isStored)
        this.gone.push({ place: placeOf(entry, definition, session), entry, definition, session });
    }
  }
}

const newWindow = (startMs: number, endMs: number, partial: WindowPartial): CachedWindow => ({
  startMs,
  endMs,
  partial,
  dueMs: null,
  revision: 0,
  isStored: false,
  chars: 0,
  touchedBy: 0,
});

function fromStore({ startMs, endMs, dueMs, revision, state }: StoredWindow): CachedWindow {
  const partial = decodePartial(state);
  return { ...newWindow(startMs, endMs, partial), dueMs, revision, isStored: true, chars: state.length };
}

const placeOf = (
  { tenant, name, series }: SeriesEntry,
  { id }: WindowDefinition,
  { startMs }: { startMs: number },
): WindowPlace => ({ tenant, name, series, window: id, startMs });

export const lookupOf = (
  { tenant, name, series }: Pick<WindowPlace, "tenant" | "name" | "series">,
  { id }: WindowDefinition,
  fromMs: number,
  toMs: number,
): WindowLookup => ({ tenant, name, series, window: id, fromMs, toMs });

/** The series has its tenant and name in it. */
export const keyOf = ({
  series,
  window,
  startMs,
}: Pick<WindowPlace, "series" | "window" | "startMs">): string => `${series}/${window}/${startMs}`;

const byStart = (a: CachedWindow, b: CachedWindow) => a.startMs - b.startMs;
