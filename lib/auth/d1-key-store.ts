// API keys kept in D1, and a cache before it that is never older than a minute, so that a revocation is in force
// within 60 s and D1 is not asked at every request.
import { z } from "zod";
import { SCOPES, type KeyStore, type Scope, type StoredKey } from "./api-key.ts";

/** The part of D1 that looking up a key takes. */
export interface KeyDatabase {
  prepare(sql: string): { bind(id: string): { all(): Promise<{ results: unknown[] }> } };
}

/** Looking a key up failed: nothing is known of the key, so nothing may be let through. */
export class KeyStoreError extends Error {
  override readonly name = "KeyStoreError";
  readonly code = "storage_unavailable";
  readonly retryable = true;
}

const row = z.object({
  id: z.string(),
  tenant: z.string(),
  secret_sha256: z.string(),
  scopes: z.string().transform((text, context): Scope[] => {
    try {
      return z.array(z.enum(SCOPES)).parse(JSON.parse(text));
    } catch {
      context.addIssue("is not a JSON array of scopes");
      return z.NEVER;
    }
  }),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
});

const LOOKUP_TIMEOUT_MS = 5_000;

export function createD1KeyStore(db: KeyDatabase): KeyStore {
  return {
    async find(id) {
      const sql =
        "SELECT id, tenant, secret_sha256, scopes, expires_at, revoked_at FROM api_keys WHERE id = ?1";
      let timer: ReturnType<typeof setTimeout> | undefined;
      const timeout = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`no answer within ${LOOKUP_TIMEOUT_MS} ms`)),
          LOOKUP_TIMEOUT_MS,
        );
      });
      let results: unknown[];
      try {
        ({ results } = await Promise.race([db.prepare(sql).bind(id).all(), timeout]));
      } catch (cause) {
        throw new KeyStoreError("looking up a key failed", { cause });
      } finally {
        clearTimeout(timer);
      }
      const [found] = results;
      if (found === undefined) return undefined;
      const { data: key, error } = row.safeParse(found);
      if (!key) throw new KeyStoreError(`the stored key ${id} cannot be read`, { cause: error });
      return {
        id: key.id,
        tenant: key.tenant,
        secretSha256: key.secret_sha256,
        scopes: key.scopes,
        expiresAtMs: key.expires_at === null ? undefined : Date.parse(key.expires_at),
        isRevoked: key.revoked_at !== null,
      };
    },
  };
}

const TTL_MS = 60_000;
const MAX_CACHED = 10_000;

/** Remembers keys that exist. Unknown ids are not remembered: guesses must not fill memory. */
export class KeyCache {
  readonly #keys = new Map<string, { key: StoredKey; readAtMs: number }>();

  /** A store that asks `store` at most once a minute for each key. */
  over(store: KeyStore, now: () => number): KeyStore {
    return {
      find: async (id) => {
        const nowMs = now();
        const cached = this.#keys.get(id);
        if (cached && nowMs - cached.readAtMs < TTL_MS) return cached.key;
        const key = await store.find(id);
        this.#keys.delete(id);
        if (key) this.#keys.set(id, { key, readAtMs: nowMs });
        if (this.#keys.size > MAX_CACHED) {
          for (const oldest of this.#keys.keys()) {
            this.#keys.delete(oldest);
            break;
          }
        }
        return key;
      },
    };
  }
}
