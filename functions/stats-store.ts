// Where the consumers' figures lie, by STORAGE: beside the results whose commits they are added up in.
import type { StatsStore } from "../lib/storage/consumer-stats.ts";
import { createD1StatsStore } from "../lib/storage/d1-consumer-stats.ts";
import { PostgresConnections } from "../lib/storage/postgres/connections.ts";
import { createPostgresStatsStore } from "../lib/storage/postgres/consumer-stats.ts";
import { deploymentOf } from "./deployment.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

/** @throws ConfigError */
export function statsStoreOf(env: Env): StatsStore {
  if (deploymentOf(env).config.STORAGE === "d1") return createD1StatsStore(env.DB);
  return createPostgresStatsStore(new PostgresConnections({ url: hyperdriveUrl(env) }));
}
