// The samples of alert rules: they lie beside the offsets that they are committed with.
import { d1AlertSamples, pruneD1AlertSamples } from "../lib/storage/d1-alert-samples.ts";
import { postgresAlertSamples, prunePostgresAlertSamples } from "../lib/storage/postgres/alert-samples.ts";
import type { AlertSample } from "../lib/storage/storage.ts";
import { storeBy } from "./storage.ts";

/** @param limit for each rule. @throws StorageError */
export async function alertSamples(
  env: Env,
  tenant: string,
  rules: readonly string[],
  limit: number,
): Promise<AlertSample[]> {
  const store = storeBy(
    env,
    (db) => ({ read: () => d1AlertSamples(db, tenant, rules, limit) }),
    (connections) => ({ read: () => postgresAlertSamples(connections, tenant, rules, limit) }),
  );
  return await store.read().finally(() => store.close());
}

/** @returns how many were dropped. @throws StorageError */
export async function pruneAlertSamples(env: Env, beforeMs: number, limit: number): Promise<number> {
  const store = storeBy(
    env,
    (db) => ({ prune: () => pruneD1AlertSamples(db, beforeMs, limit) }),
    (connections) => ({ prune: () => prunePostgresAlertSamples(connections, beforeMs, limit) }),
  );
  return await store.prune().finally(() => store.close());
}
