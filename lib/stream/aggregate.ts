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
import { decodePartial } from "../windows/partial-codec.ts";
import type { WindowPartial } from "../windows/partial.ts";
import type { Sample } from "../windows/sample.ts";
import { nextResult, ResultBatch, type ResultWindow } from "./results.ts";
import { keyOf, lookupOf, WindowBatch } from "./window-batch.ts";
import { heldAt, type CachedWindow, type WindowCache } from "./window-cache.ts";

/** A commit of more than one message is cut where it would put more windows, or more characters of their states. */
export const MAX_WINDOWS_PER_COMMIT = 20_000;
const MAX_STATE_CHARS = 12_000_000;

/** What one commit sends at most; what is due beyond that stays due. */
export const MAX_RESULTS_PER_COMMIT = 2_000;

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
  const batch = new WindowBatch(context);
  if (!batch.place(samples, context.mayBeCut ? MAX_WINDOWS_PER_COMMIT : Infinity)) {
    batch.undo();
    return "too_large";
  }
  await batch.lookUp();
  try {
    batch.fold();
  } catch (error) {
    throw new FoldError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  if (context.mayBeCut && batch.chars > MAX_STATE_CHARS) return "too_large";
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
      if (next.send) this.results.add(stored, window.partial, definition, next.isFinal, entry.labels);
      isLeft ||= next.dueMs !== null && next.dueMs <= watermarkMs;
    }
    return isLeft;
  }

  #noteOwn(place: WindowPlace, { isStored, dueMs }: CachedWindow): void {
    if (isStored && dueMs !== null && dueMs <= this.#context.watermarkMs) this.#own.add(keyOf(place));
  }

  /** Windows that no sample of the commit touched. @returns whether more may be due */
  async #tellDue(): Promise<boolean> {
    const { store, source, watermarkMs } = this.#context;
    const limit = this.results.left + this.#own.size;
    const rows = await store.dueWindows(source, watermarkMs, limit);
    this.calls++;
    for (const row of rows) {
      if (this.#own.has(keyOf(row))) continue;
      if (this.results.left <= 0) return true;
      this.#tellOne(row);
    }
    return rows.length === limit;
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
    if (next.send)
      this.results.add(put, held?.partial ?? decodePartial(row.state), definition, isFinal, entry?.labels);
  }

  /** Labels, and the windows before those of counters, as far as they are not held. */
  async #complete(): Promise<void> {
    const { store, source } = this.#context;
    const unlabelled = this.results.unlabelled();
    if (unlabelled.length > 0) {
      this.calls++;
      this.results.label(await store.seriesLabels(unlabelled));
    }
    const lookups: WindowLookup[] = [];
    for (const one of this.results.growing()) {
      const previous = this.#previousOf(one);
      if (previous === "unknown") {
        const at = startBefore(one);
        lookups.push(lookupOf(one, one.definition, at, at));
      } else if (previous) this.results.setPrevious(one, previous);
    }
    if (lookups.length === 0) return;
    this.calls++;
    const found = new Map((await store.windows(source, lookups)).map((row) => [keyOf(row), row]));
    for (const one of this.results.growing()) {
      const row = found.get(keyOf({ ...one, startMs: startBefore(one) }));
      if (row) this.results.setPrevious(one, decodePartial(row.state));
    }
  }

  #previousOf(one: ResultWindow): WindowPartial | "unknown" | undefined {
    const { cache, definitions } = this.#context;
    const place = definitions.indexOf(one.definition);
    const at = startBefore(one);
    const held = cache.peek(one.series)?.windows[place]?.get(at);
    if (held) return held.partial;
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
