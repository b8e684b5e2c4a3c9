// Windows of the store in memory: looks at every one of them. What is given and told is copied.
import { dayOf } from "./day.ts";
import type {
  FoundWindow,
  PartitionCommit,
  PartitionSource,
  SeriesSeen,
  StoredWindow,
  StreamStore,
  WindowLookup,
  WindowPlace,
  WindowQuery,
} from "./storage.ts";

type Source = Pick<PartitionSource, "topic" | "incarnation" | "epoch">;

type WindowStore = Pick<StreamStore, "windows" | "dueWindows" | "windowHorizon" | "seriesLabels">;

interface MemoryWindow {
  source: Source;
  partition: number;
  /** Of both. */
  own: string;
  window: StoredWindow;
}

export class MemoryWindows implements WindowStore {
  /** By source and place. */
  readonly #windows = new Map<string, MemoryWindow>();
  /** By source and definition: the newest there ever was. */
  readonly #newest = new Map<string, Record<string, number>>();
  readonly #series = new Map<string, SeriesSeen>();

  apply({ topic, partition, next, windows }: PartitionCommit): void {
    const source: Source = { topic, incarnation: next.incarnation, epoch: next.epoch };
    const own = sourceKey({ ...source, partition });
    for (const place of windows.removed) this.#windows.delete(windowKey(own, place));
    const newest = this.#newest.get(own) ?? {};
    for (const window of windows.put) {
      this.#windows.set(windowKey(own, window), { source, partition, own, window: { ...window } });
      newest[window.window] = Math.max(newest[window.window] ?? window.startMs, window.startMs);
    }
    this.#newest.set(own, newest);
    for (const seen of windows.series) {
      const known = this.#series.get(seriesKey(seen));
      if (!known) this.#series.set(seriesKey(seen), { ...seen, labels: { ...seen.labels } });
      else known.day = Math.max(known.day, seen.day);
    }
  }

  async windows(source: PartitionSource, lookups: readonly WindowLookup[]): Promise<StoredWindow[]> {
    const byPlace = new Map<string, WindowLookup[]>();
    for (const lookup of lookups) {
      const key = windowKey("", { ...lookup, startMs: 0 });
      byPlace.set(key, [...(byPlace.get(key) ?? []), lookup]);
    }
    return this.#of(source).filter((window) =>
      byPlace
        .get(windowKey("", { ...window, startMs: 0 }))
        ?.some(({ fromMs, toMs }) => fromMs <= window.startMs && window.startMs <= toMs),
    );
  }

  async dueWindows(source: PartitionSource, throughMs: number, limit: number): Promise<StoredWindow[]> {
    return this.#of(source)
      .filter(({ dueMs }) => dueMs !== null && dueMs <= throughMs)
      .toSorted((a, b) => Number(a.dueMs) - Number(b.dueMs))
      .slice(0, limit);
  }

  async windowHorizon(
    source: PartitionSource,
  ): Promise<{ nextDueMs: number | null; newestStartMs: Record<string, number> }> {
    const [next] = await this.dueWindows(source, Infinity, 1);
    return { nextDueMs: next?.dueMs ?? null, newestStartMs: { ...this.#newest.get(sourceKey(source)) } };
  }

  async seriesLabels(
    places: readonly Pick<WindowPlace, "tenant" | "name" | "series">[],
  ): Promise<Map<string, Record<string, string>>> {
    const labels = new Map<string, Record<string, string>>();
    for (const place of places) {
      const seen = this.#series.get(seriesKey(place));
      if (seen) labels.set(place.series, { ...seen.labels });
    }
    return labels;
  }

  /** @param isSeen whether queries see what the source stored */
  query(query: WindowQuery, isSeen: (source: Source) => boolean): FoundWindow[] {
    const wanted = Object.entries(query.labels);
    const { from = "", below } = query.series ?? {};
    const isAsked = ({ source, window }: MemoryWindow) =>
      window.tenant === query.tenant &&
      window.name === query.name &&
      window.window === query.window &&
      window.startMs >= query.fromMs &&
      window.startMs < query.toMs &&
      window.series >= from &&
      (below === undefined || window.series < below) &&
      isSeen(source);
    const found: FoundWindow[] = [];
    for (const one of this.#windows.values()) {
      if (!isAsked(one)) continue;
      const { partition, window } = one;
      const labels = this.#series.get(seriesKey(window))?.labels;
      if (labels && wanted.every(([label, value]) => Object.hasOwn(labels, label) && labels[label] === value))
        found.push({ ...window, partition, labels: { ...labels } });
    }
    return found.toSorted((a, b) => b.startMs - a.startMs).slice(0, query.limit);
  }

  /** Drops the windows that start before the day, in whole days since 1970, UTC. */
  dropBefore(day: number): void {
    for (const [key, { window }] of this.#windows) if (dayOf(window.startMs) < day) this.#windows.delete(key);
  }

  #of(source: PartitionSource): StoredWindow[] {
    const own = sourceKey(source);
    return [...this.#windows.values()].flatMap((one) => (one.own === own ? [{ ...one.window }] : []));
  }
}

const sourceKey = ({ topic, incarnation, epoch, partition }: Source & { partition: number }) =>
  JSON.stringify([topic, incarnation, epoch, partition]);

const seriesKey = ({ tenant, name, series }: Pick<WindowPlace, "tenant" | "name" | "series">) =>
  JSON.stringify([tenant, name, series]);

const windowKey = (source: string, { tenant, name, series, window, startMs }: WindowPlace) =>
  JSON.stringify([source, tenant, name, series, window, startMs]);
