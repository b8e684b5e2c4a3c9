// Which store holds the results, by STORAGE. A store belongs to who asked for it: a request, or a Durable Object for as
// long as it lives. Its connections end a moment after its last call; `close` ends them at once.
import { createD1QueryStore } from "../lib/storage/d1-query.ts";
import { createD1StreamStore } from "../lib/storage/d1-stream.ts";
import { PostgresConnections } from "../lib/storage/postgres/connections.ts";
import { createPostgresQueryStore } from "../lib/storage/postgres/query.ts";
import { createPostgresStreamStore } from "../lib/storage/postgres/stream.ts";
import type { QueryStore, StreamStore } from "../lib/storage/storage.ts";
import { deploymentOf } from "./deployment.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

export interface Closable {
  close(): void;
}

/** @throws ConfigError */
export function streamStoreOf(env: Env): StreamStore & Closable {
  if (deploymentOf(env).config.STORAGE === "d1")
    return { ...createD1StreamStore(env.DB), close: () => undefined };
  const connections = new PostgresConnections({ url: hyperdriveUrl(env) });
  return { ...createPostgresStreamStore(connections), close: () => connections.close() };
}

/** @throws ConfigError */
export function queryStoreOf(env: Env): QueryStore & Closable {
  if (deploymentOf(env).config.STORAGE === "d1")
    return { ...createD1QueryStore(env.DB), close: () => undefined };
  const connections = new PostgresConnections({ url: hyperdriveUrl(env) });
  return { ...createPostgresQueryStore(connections), close: () => connections.close() };
}
