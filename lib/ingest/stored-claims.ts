// The Idempotency-Keys of one shard, in SQLite: two hashes of 16 bytes and a time each. Kept for CLAIM_MS; beyond
// MAX_CLAIMS the oldest go first, and a key that went is new again (its records are still deduplicated by the
// consumers, which keep their own account; only "another body" goes unseen).
import type { SqlStore } from "../kafka/embedded/sql-store.ts";
import { CLAIM_MS, type Claim } from "./idempotency.ts";

/** About 40 MB of a database that may have 10 GB; 2.3 keyed requests a second and shard for a whole day. */
const MAX_CLAIMS = 200_000;

/** Rows that one step removes. */
const STEP = 1_000;

export class StoredClaims {
  readonly #store: SqlStore;
  readonly #maxClaims: number;
  #count: number;

  constructor(store: SqlStore, maxClaims = MAX_CLAIMS) {
    this.#store = store;
    this.#maxClaims = maxClaims;
    store.sql.exec(`
      CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, body BLOB NOT NULL, claimed_ms INTEGER NOT NULL) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS claims_by_time ON claims (claimed_ms);
    `);
    const [counted] = store.sql.exec<{ n: number }>("SELECT count(*) AS n FROM claims").toArray();
    this.#count = counted?.n ?? 0;
  }

  claim(key: Uint8Array, body: Uint8Array, nowMs: number): Claim {
    const { sql } = this.#store;
    const [found] = sql
      .exec<{ body: ArrayBuffer; claimed_ms: number }>(
        "SELECT body, claimed_ms FROM claims WHERE key = ?",
        key,
      )
      .toArray();
    if (found && nowMs - found.claimed_ms < CLAIM_MS) {
      return isSame(new Uint8Array(found.body), body) ? "same" : "different";
    }
    sql.exec("INSERT OR REPLACE INTO claims (key, body, claimed_ms) VALUES (?, ?, ?)", key, body, nowMs);
    if (!found) this.#count++;
    if (this.#count > this.#maxClaims) this.#remove(Number.MAX_SAFE_INTEGER);
    return "new";
  }

  /** One step of removing what is too old. @returns when the next is due; undefined: nothing is left */
  prune(nowMs: number): number | undefined {
    this.#remove(nowMs - CLAIM_MS);
    const [oldest] = this.#store.sql
      .exec<{ at: number | null }>("SELECT min(claimed_ms) AS at FROM claims")
      .toArray();
    return oldest?.at === null || oldest?.at === undefined ? undefined : oldest.at + CLAIM_MS;
  }

  get count(): number {
    return this.#count;
  }

  #remove(untilMs: number): void {
    // As many as a step has, and never more than are there to be kept.
    const most = Math.min(STEP, Math.max(1, Math.ceil(this.#maxClaims / 10)));
    const { sql } = this.#store;
    const gone = sql
      .exec(
        "DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE claimed_ms <= ? ORDER BY claimed_ms LIMIT ?) RETURNING 1",
        untilMs,
        most,
      )
      .toArray();
    this.#count -= gone.length;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
