// API keys kept in D1, and a cache before it that is never older than a minute, so that a revocation is in force
// within 60 s and D1 is asked neither at every request nor at every guess.
import type { KeyLimits, KeyStore, StoredKey } from "./api-key.ts";
import { KEY_COLUMNS, queryKeys, type KeyDatabase, type KeyRow } from "./key-database.ts";

/** Its `find` throws KeyStoreError. */
export function createD1KeyStore(db: KeyDatabase): KeyStore {
  return {
    async find(id) {
      const sql = `SELECT ${KEY_COLUMNS} FROM api_keys WHERE id = ?1`;
      const [found] = await queryKeys(db, "looking up a key", sql, [id]);
      return found && storedKeyOf(found);
    },
  };
}

function storedKeyOf(row: KeyRow): StoredKey {
  const { id, tenant, scopes, signals, origins, limits, previous_sha256, previous_until } = row;
  return {
    id,
    tenant,
    secretSha256: row.secret_sha256,
    scopes,
    expiresAtMs: row.expires_at === null ? undefined : Date.parse(row.expires_at),
    isRevoked: row.revoked_at !== null,
    ...(signals && { signals }),
    ...(origins && { origins }),
    ...(limits && { limits: limitsOf(limits) }),
    ...(previous_sha256 !== null &&
      previous_until !== null && {
        previous: { secretSha256: previous_sha256, untilMs: Date.parse(previous_until) },
      }),
  };
}

function limitsOf(limits: NonNullable<KeyRow["limits"]>): KeyLimits {
  const { requests_per_second, burst, records_per_second, bytes_per_second } = limits;
  return {
    requestsPerSecond: requests_per_second,
    burst,
    ...(records_per_second !== undefined && { recordsPerSecond: records_per_second }),
    ...(bytes_per_second !== undefined && { bytesPerSecond: bytes_per_second }),
  };
}

const TTL_MS = 60_000;
/** A key that was just made must work, also where its id was guessed before. */
const UNKNOWN_TTL_MS = 5_000;
const MAX_CACHED = 10_000;

/** Remembers keys that exist and, apart from them, ids that do not: guesses push no key out. */
export class KeyCache {
  readonly #keys = new Map<string, { key: StoredKey; readAtMs: number }>();
  readonly #unknown = new Map<string, number>();

  /** A store that asks `store` at most once a minute for each key, and once in 5 s for each id that is none. */
  over(store: KeyStore, now: () => number): KeyStore {
    return {
      find: async (id, maxAgeMs = TTL_MS) => {
        const nowMs = now();
        const cached = this.#keys.get(id);
        if (cached && nowMs - cached.readAtMs < Math.min(maxAgeMs, TTL_MS)) return cached.key;
        const unknownAtMs = this.#unknown.get(id);
        if (unknownAtMs !== undefined && nowMs - unknownAtMs < Math.min(maxAgeMs, UNKNOWN_TTL_MS))
          return undefined;
        const key = await store.find(id);
        this.forget(id);
        if (key) remember(this.#keys, id, { key, readAtMs: nowMs });
        else remember(this.#unknown, id, nowMs);
        return key;
      },
    };
  }

  /** For whoever changed the key: this isolate need not wait. */
  forget(id: string): void {
    this.#keys.delete(id);
    this.#unknown.delete(id);
  }
}

/** Maps keep the order of insertion: the first is the one read longest ago. */
function remember<T>(map: Map<string, T>, id: string, value: T): void {
  map.set(id, value);
  if (map.size <= MAX_CACHED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
