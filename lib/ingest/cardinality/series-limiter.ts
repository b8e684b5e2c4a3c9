// The limit on active series for each tenant and metric name. Series that are known pass, new ones pass while there is
// room, the rest are folded into one (series.ts): every point is kept. Held by an isolate and shared by its requests, so
// it keeps plain data only. Where a directory fails or is late everything passes: telemetry is worth more than the limit.
import { noAnswer, systemTimer, within, type Timer } from "../../kafka/timer.ts";
import { SERIES_SHARDS, type NameAsk, type SeriesDirectories } from "./directory.ts";
import { hashFolded, hashName, hashSeries, type Fold, type SeriesRef } from "./series.ts";
import { SeriesCache } from "./series-cache.ts";
import { SeriesKeys } from "./series-keys.ts";

/** `passive` counts what `enforce` would fold, and folds nothing. */
export type CardinalityMode = "off" | "passive" | "enforce";

export interface CardinalityOptions {
  mode: CardinalityMode;
  /** Active series of one metric name of a tenant. */
  limit: number;
}

export interface Admission {
  /** By place in the list asked for: what is to be folded. Empty unless the mode is `enforce`. */
  folds: Map<number, Fold>;
  /** Points over the limit: folded, or only counted. */
  over: number;
  /** Points that passed because no directory answered. */
  unasked: number;
  /** Calls to directories. */
  calls: number;
}

const DEADLINE_MS = 250;

/** A known series is asked for again after this, which refreshes when it was last seen. */
const PASS_MS = 3_600_000;

/** A folded one gets another chance: others may have become idle. */
const FOLD_MS = 60_000;

/** A directory that failed is left alone for this long, so that not every request waits for its deadline. */
const FAILED_MS = 2_000;

/** About 100 bytes each; an isolate has 128 MB for everything. */
const MAX_CACHED = 50_000;

const MAX_FAILED = 1_000;

interface AskedSeries {
  ref: SeriesRef;
  /** Its points. */
  places: number[];
}

/** What waits for one directory's answer: series by their key, by the hash of their name. */
interface ShardAsk {
  shard: number;
  names: Map<string, Map<string, AskedSeries>>;
}

export class SeriesLimiter {
  readonly #timer: Timer;
  readonly #keys = new SeriesKeys();
  readonly #passing: SeriesCache;
  readonly #folded: Record<Fold, SeriesCache>;
  readonly #failedUntilMs = new Map<string, number>();

  constructor(maxCached = MAX_CACHED, timer: Timer = systemTimer) {
    this.#timer = timer;
    this.#passing = new SeriesCache(maxCached);
    this.#folded = { names: new SeriesCache(maxCached >> 2), bare: new SeriesCache(maxCached >> 2) };
  }

  /** One call at most to each directory, whatever the number of points. Never throws. */
  async admit(
    tenant: string,
    points: readonly SeriesRef[],
    directories: SeriesDirectories,
    { mode, limit }: CardinalityOptions,
  ): Promise<Admission> {
    const admission: Admission = { folds: new Map(), over: 0, unasked: 0, calls: 0 };
    if (mode === "off") return admission;
    const folds = new Map<number, Fold>();
    const asks = this.#sort(tenant, points, folds);
    await Promise.all(asks.map((ask) => this.#ask(tenant, ask, directories, limit, folds, admission)));
    admission.over = folds.size;
    if (mode === "enforce") admission.folds = folds;
    return admission;
  }

  /** Settles what is known; the rest goes by directory. A point without labels is a series that cannot be folded. */
  #sort(tenant: string, points: readonly SeriesRef[], folds: Map<number, Fold>): ShardAsk[] {
    const nowMs = this.#timer.now();
    const nameHashes = new Map<string, string>();
    const shards = new Map<number, ShardAsk>();
    points.forEach((ref, place) => {
      if (!hasLabels(ref)) return;
      const series = this.#keys.of(tenant, ref);
      if (this.#passing.has(series, nowMs)) return;
      for (const fold of ["names", "bare"] as const) {
        if (this.#folded[fold].has(series, nowMs)) {
          folds.set(place, fold);
          return;
        }
      }
      const name = nameHashes.get(ref.name) ?? hashName(tenant, ref.name);
      nameHashes.set(ref.name, name);
      const shard = Number.parseInt(name.slice(0, 8), 16) % SERIES_SHARDS;
      const ask = getOr(shards, shard, () => ({ shard, names: new Map() }));
      const asked = getOr(ask.names, name, () => new Map<string, AskedSeries>());
      getOr<string, AskedSeries>(asked, series, () => ({ ref, places: [] })).places.push(place);
    });
    return [...shards.values()];
  }

  async #ask(
    tenant: string,
    { shard, names }: ShardAsk,
    directories: SeriesDirectories,
    limit: number,
    folds: Map<number, Fold>,
    admission: Admission,
  ): Promise<void> {
    const directory = `${tenant}/${shard}`;
    const asks: NameAsk[] = [...names].map(([name, series]) => ({
      name,
      series: [...series.values()].map(({ ref }) => hashSeries(tenant, ref)),
      folded: [...series.values()].map(({ ref }) => hashFolded(tenant, ref)),
    }));
    const answers = await this.#call(directory, admission, async () =>
      directories.of(tenant, shard).admit(limit, asks),
    );
    const nowMs = this.#timer.now();
    [...names.values()].forEach((points, i) => {
      const answer = answers?.[i];
      const over = new Map<number, Fold>();
      for (const place of answer?.folded ?? []) over.set(place, "names");
      for (const place of answer?.bare ?? []) over.set(place, "bare");
      [...points].forEach(([one, { places }], at) => {
        const fold = over.get(at);
        if (!answer) admission.unasked += places.length;
        else if (fold) {
          this.#folded[fold].put(one, nowMs + FOLD_MS);
          for (const place of places) folds.set(place, fold);
        } else this.#passing.put(one, nowMs + PASS_MS);
      });
    });
  }

  async #call<T>(directory: string, admission: Admission, call: () => Promise<T | null>): Promise<T | null> {
    const failedUntilMs = this.#failedUntilMs.get(directory);
    if (failedUntilMs !== undefined && failedUntilMs > this.#timer.now()) return null;
    admission.calls++;
    let answer: T | null = null;
    try {
      answer = await within(DEADLINE_MS, call(), () => noAnswer("series", DEADLINE_MS), this.#timer);
    } catch {
      // Late, overloaded or broken are one: the points pass, and are counted as not asked.
    }
    if (answer !== null) {
      this.#failedUntilMs.delete(directory);
      return answer;
    }
    if (this.#failedUntilMs.size >= MAX_FAILED) this.#failedUntilMs.clear();
    this.#failedUntilMs.set(directory, this.#timer.now() + FAILED_MS);
    return null;
  }
}

function hasLabels({ labels }: SeriesRef): boolean {
  for (const _ in labels) return true;
  return false;
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
