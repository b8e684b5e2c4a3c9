// The Durable Objects that count active series, as lib/ingest/cardinality asks for them: a new stub for each call, since
// one that has thrown fails all later calls.
import type { SeriesDirectories } from "../lib/ingest/cardinality/directory.ts";

export function seriesDirectories(env: Env): SeriesDirectories {
  return { of: (tenant, shard) => env.SERIES.getByName(`${tenant}/${shard}`) };
}
