// Where the samples of alert rules lie, by STORAGE: beside the offsets that they are committed with.
import { d1AlertSamples, pruneD1AlertSamples } from "../lib/storage/d1-alert-samples.ts";
import { postgresAlertSamples, prunePostgresAlertSamples } from "../lib/storage/postgres/alert-samples.ts";
import { PostgresConnections } from "../lib/storage/postgres/connections.ts";
import type { AlertSample } from "../lib/storage/storage.ts";
import { deploymentOf } from "./deployment.ts";
import { hyperdriveUrl } from "./hyperdrive.ts";

/** @param limit for each rule. @throws StorageError */
export async function alertSamples(
  env: Env,
  tenant: string,
  rules: readonly string[],
  limit: number,
): Promise<AlertSample[]> {
  return await withStore(
    env,
    () => d1AlertSamples(env.DB, tenant, rules, limit),
    (connections) => postgresAlertSamples(connections, tenant, rules, limit),
  );
}

/** @returns how many were dropped. @throws StorageError */
export async function pruneAlertSamples(env: Env, beforeMs: number, limit: number): Promise<number> {
  return await withStore(
    env,
    () => pruneD1AlertSamples(env.DB, beforeMs, limit),
    (connections) => prunePostgresAlertSamples(connections, beforeMs, limit),
  );
}

async function withStore<T>(
  env: Env,
  onD1: () => Promise<T>,
  onPostgres: (connections: PostgresConnections) => Promise<T>,
): Promise<T> {
  if (deploymentOf(env).config.STORAGE === "d1") return await onD1();
  const connections = new PostgresConnections({ url: hyperdriveUrl(env) });
  try {
    return await onPostgres(connections);
  } finally {
    connections.close();
  }
}
