// What the limit on series asks of its Durable Objects. Each holds some of the metric names of one tenant, whole, so
// that it alone can say how many series a name has.

/** How many objects share the names of a tenant. */
export const SERIES_SHARDS = 8;

/** Series of one metric name that the asker does not know. */
export interface NameAsk {
  /** Hash of the name, as series.ts makes it. */
  name: string;
  /** Hashes of the series, each once. */
  series: string[];
  /** By place in `series`: the hash it would have once folded with its label names. */
  folded: string[];
}

/** Places in `NameAsk.series`; those that neither list names pass. */
export interface NameAnswer {
  folded: number[];
  bare: number[];
}

export interface SeriesDirectoryCalls {
  /** @returns by place in `asks`; null where the object cannot say, and everything is to pass */
  admit(limit: number, asks: readonly NameAsk[]): Promise<NameAnswer[] | null>;
}

export interface SeriesDirectories {
  /** For one call: a stub that has thrown once fails all later calls. */
  of(tenant: string, shard: number): SeriesDirectoryCalls;
}
