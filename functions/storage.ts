// Which store holds the results, by STORAGE, and what changes in one transaction with them. A store belongs to who asked
// for it: a request, or a Durable Object for as long as it lives. Its connections end a moment after its last call;
// `close` ends them at once.
import type { StatsStore } from "../lib/storage/consumer-stats.ts";
import { createD1StatsStore } from "../lib/storage/d1-consumer-stats.ts";
import type { D1 } from "../lib/storage/d1-database.ts";
import { createD1GroupStore } from "../lib/storage/d1-groups.ts";
import { createD1QueryStore } from "../lib/storage/d1-query.ts";
import { createD1StreamStore } from "../lib/storage/d1-stream.ts";
import type { GroupStore } from "../lib/storage/groups.ts";
import { PostgresConnections } from "../lib/storage/postgres/connections.ts";
import { createPostgresStatsStore } from "../lib/storage/postgres/consumer-stats.ts";
import { createPostgresGroupStore } from "../lib/storage/postgres/groups.ts";
import { createPostgresQueryStore } from "../lib/storage/postgres/query.ts";
import { createPostgresStreamStore } from "../lib/storage/postgres/stream.ts";
import type { QueryStore, StreamStore } from "../lib/storage/storage.ts";
import { deploymentOf } from "./deployment.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

export interface Closable {
  close(): void;
}

/** @throws ConfigError */
export function storeBy<T extends object>(
  env: Env,
  onD1: (db: D1) => T,
  onPostgres: (connections: PostgresConnections) => T,
): T & Closable {
  if (deploymentOf(env).config.STORAGE === "d1") return { ...onD1(env.DB), close: () => undefined };
  const connections = new PostgresConnections({ url: hyperdriveUrl(env) });
  return { ...onPostgres(connections), close: () => connections.close() };
}

/** @throws ConfigError */
export const streamStoreOf = (env: Env): StreamStore & Closable =>
  storeBy(env, createD1StreamStore, createPostgresStreamStore);

/** @throws ConfigError */
export const queryStoreOf = (env: Env): QueryStore & Closable =>
  storeBy(env, createD1QueryStore, createPostgresQueryStore);

/** The consumers' figures. @throws ConfigError */
export const statsStoreOf = (env: Env): StatsStore & Closable =>
  storeBy(env, createD1StatsStore, createPostgresStatsStore);

/** The registry of consumer groups. @throws ConfigError */
export const groupStoreOf = (env: Env): GroupStore & Closable =>
  storeBy(env, createD1GroupStore, createPostgresGroupStore);
