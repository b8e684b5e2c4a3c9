// Ids of series by their names and labels, so that the same series is hashed once and has one object of labels. Holds at
// most two generations; what was not asked for in one of them is forgotten.
import { seriesId } from "../windows/series.ts";

/** With some 400 bytes each: 4 MB at most. */
const MAX_GENERATION = 5_000;

export interface KnownSeries {
  series: string;
  labels: Record<string, string>;
}

export class SeriesCache {
  readonly #maxGeneration: number;
  #young = new Map<string, KnownSeries>();
  #old = new Map<string, KnownSeries>();
  /** Neighbours often share the object of their labels (telemetry/metric.ts): known by their names alone. */
  #lastLabels: Record<string, string> | undefined;
  #lastTenant = "";
  readonly #ofLast = new Map<string, KnownSeries>();

  constructor(maxGeneration = MAX_GENERATION) {
    this.#maxGeneration = maxGeneration;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  of(tenant: string, name: string, labels: Record<string, string>): KnownSeries {
    if (labels !== this.#lastLabels || tenant !== this.#lastTenant) {
      this.#lastLabels = labels;
      this.#lastTenant = tenant;
      this.#ofLast.clear();
    }
    let known = this.#ofLast.get(name);
    if (!known) this.#ofLast.set(name, (known = this.#find(tenant, name, labels)));
    return known;
  }

  #find(tenant: string, name: string, labels: Record<string, string>): KnownSeries {
    const key = keyOf(tenant, name, labels);
    const young = this.#young.get(key);
    if (young) return young;
    const known = this.#old.get(key) ?? { series: seriesId(tenant, name, labels), labels };
    if (this.#young.size >= this.#maxGeneration) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, known);
    return known;
  }
}

/** In the order that the labels come in: another one is another key to the same series. */
function keyOf(tenant: string, name: string, labels: Record<string, string>): string {
  // Neither a tenant nor a name holds a NUL; a value may, and so has its length before it.
  let key = `${tenant}\0${name}`;
  for (const label in labels) {
    const value = labels[label] as string;
    key += `\0${label}\0${value.length}:${value}`;
  }
  return key;
}
