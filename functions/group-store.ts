// Where the registry of consumer groups is kept: in the store of the results, since both change in one transaction.
import { createD1GroupStore } from "../lib/storage/d1-groups.ts";
import type { GroupStore } from "../lib/storage/groups.ts";
import { PostgresConnections } from "../lib/storage/postgres/connections.ts";
import { createPostgresGroupStore } from "../lib/storage/postgres/groups.ts";
import { deploymentOf } from "./deployment.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

/** Belongs to who asked for it; its connections end a moment after its last call. @throws ConfigError */
export function groupStoreOf(env: Env): GroupStore {
  if (deploymentOf(env).config.STORAGE === "d1") return createD1GroupStore(env.DB);
  return createPostgresGroupStore(new PostgresConnections({ url: hyperdriveUrl(env) }));
}
