// From the samples of a commit, and from how far its watermark goes, to the windows it puts and the results it sends. Asks
// the store for what the owner does not hold. Its work grows with the samples and with what is due, never with what is
// there: O(samples × definitions + results).
import type {
  OutboxEntry,
  PartitionSource,
  StoredWindow,
  StreamStore,
  WindowChanges,
  WindowLookup,
  WindowPlace,
} from "../storage/storage.ts";
import type { WindowDefinition } from "../windows/definition.ts";
import type { Sample } from "../windows/sample.ts";
import { PartialStateError } from "../windows/state-bytes.ts";
import { complete, nextResult, ResultBatch, type ResultWindow } from "./results.ts";
import type { CachedWindow } from "./cached-window.ts";
import { WindowBatch, type BatchLimits } from "./window-batch.ts";
import { heldAt, type WindowCache } from "./window-cache.ts";
import { keyOf, lookupOf, lookUpInParts, roomFor } from "./window-lookup.ts";

/**
 * A commit of more than one message is cut where it would put more windows, or more characters of their states: these are
 * held up to four times on their way into the store.
 */
export const MAX_WINDOWS_PER_COMMIT = 20_000;
const MAX_STATE_CHARS = 4_000_000;
const LIMITS: BatchLimits = { windows: MAX_WINDOWS_PER_COMMIT, chars: MAX_STATE_CHARS };
const NO_LIMITS: BatchLimits = { windows: Infinity, chars: Infinity };

/** What one commit sends at most; what is due beyond that stays due. */
export const MAX_RESULTS_PER_COMMIT = 2_000;
/** So many windows that are due are looked at for how large they are. */
const FIRST_DUE = 200;

export interface AggregateContext {
  store: Pick<StreamStore, "windows" | "dueWindows" | "seriesLabels">;
  cache: WindowCache;
  source: PartitionSource;
  definitions: readonly WindowDefinition[];
  latenessMs: number;
  /** Where results go; null: nowhere, and nothing is ever due. */
  processedTopic: string | null;
  /** As of this commit, and the offset it moves to: together they name it. */
  watermarkMs: number;
  nextOffset: number;
  /** In whole days since 1970. */
  today: number;
  /** Windows that start before are another reader's. */
  fromMs: number;
  maxResults: number;
  /** Whether the commit could be a smaller one. */
  mayBeCut: boolean;
}

export interface Aggregate {
  windows: WindowChanges;
  outbox: OutboxEntry[];
  /** When a window is due next; undefined: to be asked for. */
  nextDueMs: number | null | undefined;
  /** How often the store was asked. */
  calls: number;
}

/** A fault of our own code on the way from a sample to its window. */
export class FoldError extends Error {
  override readonly name = "FoldError";
}

/**
 * The cache has begun a commit; whoever calls settles it.
 * @returns `too_large` where the commit must be cut
 * @throws FoldError, StorageError, PartialStateError
 */
export async function aggregate(
  context: AggregateContext,
  samples: readonly Sample[],
): Promise<Aggregate | "too_large"> {
  const batch = new WindowBatch(context, context.mayBeCut ? LIMITS : NO_LIMITS);
  if (!batch.place(samples) || !(await batch.lookUp())) {
    batch.undo();
    return "too_large";
  }
  try {
    if (!batch.fold()) return "too_large";
  } catch (error) {
    if (error instanceof PartialStateError) throw error;
    throw new FoldError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  const telling = new Telling(context, batch);
  await telling.run();
  const { put, gone, series } = batch;
  return {
    windows: { put, removed: gone.map(({ place }) => place), series },
    outbox: telling.results.entries(),
    nextDueMs: telling.nextDueMs,
    calls: batch.calls + telling.calls,
  };
}

/** What a commit sends, and when each of its windows is due next. */
class Telling {
  readonly #context: AggregateContext;
  readonly #batch: WindowBatch;
  readonly results: ResultBatch;
  /** What is due by now and put or removed by the commit: it is not taken from the store once more. */
  readonly #own = new Set<string>();
  nextDueMs: number | null | undefined;
  calls = 0;

  constructor(context: AggregateContext, batch: WindowBatch) {
    this.#context = context;
    this.#batch = batch;
    this.results = new ResultBatch(context);
    this.nextDueMs = context.cache.nextDueMs;
  }

  async run(): Promise<void> {
    const { cache, watermarkMs, processedTopic } = this.#context;
    const { touched, put } = this.#batch;
    if (processedTopic === null) {
      for (const [i, { window }] of touched.entries())
        keep(window, put[i] as StoredWindow, { dueMs: null, revision: window.revision });
      this.nextDueMs = null;
      return;
    }
    const isDue = cache.nextDueMs !== null && cache.nextDueMs <= watermarkMs;
    let isLeft = this.#tellTouched();
    if (isDue) isLeft = this.results.left <= 0 || (await this.#tellDue()) || isLeft;
    await this.#complete();
    // Of what is left something is due by now; of what was taken, the store knows what comes behind it.
    if (isLeft) this.nextDueMs = watermarkMs;
    else if (isDue) this.nextDueMs = undefined;
    else
      for (const { dueMs } of put)
        if (dueMs !== null) this.nextDueMs = Math.min(this.nextDueMs ?? Infinity, dueMs);
  }

  /** @returns whether some stay due */
  #tellTouched(): boolean {
    const { watermarkMs, latenessMs } = this.#context;
    const { touched, put, gone } = this.#batch;
    for (const { place, session, definition, entry } of gone) {
      this.#noteOwn(place, session);
      if (session.revision > 0) this.results.addRemoved(place, session, definition, entry.labels);
    }
    let isLeft = false;
    for (const [i, { entry, definition, window }] of touched.entries()) {
      const stored = put[i] as StoredWindow;
      this.#noteOwn(stored, window);
      const next = nextResult(window, true, watermarkMs, latenessMs, this.results.left > 0);
      keep(window, stored, next);
      if (next.send) this.results.add(stored, window.held, definition, next.isFinal, entry.labels);
      isLeft ||= next.dueMs !== null && next.dueMs <= watermarkMs;
    }
    return isLeft;
  }

  #noteOwn(place: WindowPlace, { isStored, dueMs }: CachedWindow): void {
    if (isStored && dueMs !== null && dueMs <= this.#context.watermarkMs) this.#own.add(keyOf(place));
  }

  /** Windows that no sample of the commit touched. @returns whether more may be due */
  async #tellDue(): Promise<boolean> {
    const { watermarkMs } = this.#context;
    const all = this.results.left + this.#own.size;
    let limit = Math.min(all, this.#own.size + FIRST_DUE);
    let rows = await this.#dueRows(watermarkMs, limit);
    if (rows.length === limit && limit < all) {
      let chars = 0;
      for (const { state } of rows) chars += state.length;
      limit = Math.max(limit, Math.min(all, roomFor(chars / limit)));
      if (limit > rows.length) rows = await this.#dueRows(watermarkMs, limit);
    }
    for (const row of rows) {
      if (this.#own.has(keyOf(row))) continue;
      if (this.results.left <= 0) return true;
      this.#tellOne(row);
    }
    return rows.length === limit;
  }

  async #dueRows(watermarkMs: number, limit: number): Promise<StoredWindow[]> {
    this.calls++;
    return await this.#context.store.dueWindows(this.#context.source, watermarkMs, limit);
  }

  #tellOne(row: StoredWindow): void {
    const { cache, watermarkMs, latenessMs, definitions } = this.#context;
    const place = definitions.findIndex(({ id }) => id === row.window);
    const definition = definitions[place];
    if (!definition) {
      // Of a definition that is none any more: it would never be complete.
      this.#batch.put.push({ ...row, dueMs: null });
      return;
    }
    const next = nextResult(row, false, watermarkMs, latenessMs, true);
    const { dueMs, revision, isFinal } = next;
    const put = { ...row, dueMs, revision };
    this.#batch.put.push(put);
    const entry = cache.peek(row.series);
    const held = entry && heldAt(entry, place, definition, row.startMs);
    if (held) {
      cache.mark(entry);
      Object.assign(held, { dueMs, revision, touchedBy: cache.commit });
    }
    if (next.send) this.results.add(put, held?.held ?? row.state, definition, isFinal, entry?.labels);
  }

  /** Labels, and the windows before those of counters, as far as they are not held. */
  async #complete(): Promise<void> {
    const { store, source } = this.#context;
    const unlabelled = this.results.unlabelled();
    if (unlabelled.length > 0) {
      this.calls++;
      this.results.label(await store.seriesLabels(unlabelled));
    }
    const unknown = new Map<string, ResultWindow>();
    const lookups: WindowLookup[] = [];
    for (const one of this.results.growing()) {
      const previous = this.#previousOf(one);
      if (previous !== "unknown") {
        complete(one, previous?.held);
        continue;
      }
      const lookup = lookupOf(one, one.definition, startBefore(one), startBefore(one));
      lookups.push(lookup);
      unknown.set(keyOf({ ...lookup, startMs: lookup.fromMs }), one);
    }
    for await (const { rows } of lookUpInParts(store, source, lookups)) {
      this.calls++;
      for (const row of rows) complete(unknown.get(keyOf(row)) as ResultWindow, row.state);
    }
    for (const one of this.results.growing()) complete(one, undefined);
  }

  #previousOf(one: ResultWindow): CachedWindow | "unknown" | undefined {
    const { cache, definitions } = this.#context;
    const place = definitions.indexOf(one.definition);
    const at = startBefore(one);
    const held = cache.peek(one.series)?.windows[place]?.get(at);
    if (held) return held;
    return cache.mayBeStored(place, at) ? "unknown" : undefined;
  }
}

/** A window as the commit leaves it. */
function keep(
  window: CachedWindow,
  put: StoredWindow,
  { dueMs, revision }: { dueMs: number | null; revision: number },
): void {
  window.dueMs = put.dueMs = dueMs;
  window.revision = put.revision = revision;
  window.isStored = true;
}

/** Of the window that ends where this one starts. */
const startBefore = ({ startMs, endMs }: ResultWindow): number => startMs - (endMs - startMs);
