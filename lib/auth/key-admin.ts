// Making, listing, rotating and revoking keys. A wall between tenants: whoever is no operator finds his own tenant's
// keys only, and another's is as one that does not exist. Refuses to hand out more than the asker has himself.
import { ok, reject, type Result } from "../telemetry/result.ts";
import { SIGNALS } from "../telemetry/signal.ts";
import { hashSecret, type Principal } from "./api-key.ts";
import type { KeyCursor } from "./key-cursor.ts";
import { KEY_COLUMNS, queryKeys, type KeyDatabase, type KeyRow } from "./key-database.ts";
import type { IssuedKey, Key, NewKeyInput } from "./key-shapes.ts";
import { createKey, type FillRandom } from "./new-key.ts";

/** All tenants, for operators. */
const ALL_TENANTS = "*";

export interface KeyPage {
  limit: number;
  /** The last key of the page before. */
  after: KeyCursor | undefined;
}

export interface KeyAdminOptions {
  now: () => number;
  random: FillRandom;
}

export class KeyAdmin {
  readonly #db: KeyDatabase;
  readonly #options: KeyAdminOptions;

  constructor(db: KeyDatabase, options: KeyAdminOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** @throws KeyStoreError, as all of them */
  async create(input: NewKeyInput, by: Principal): Promise<Result<IssuedKey>> {
    const nowMs = this.#options.now();
    const tenant = tenantFor(input.tenant, by);
    if (!tenant.ok) return tenant;
    const missing = input.scopes.find((scope) => !by.scopes.has(scope));
    if (missing !== undefined)
      return reject("forbidden", "scopes", `may hold only what your own key has; it lacks \`${missing}\``);
    const signals = signalsFor(input, by);
    if (!signals.ok) return signals;
    // A key with limits has a bucket of its own beside its tenant's: enough of them would be no quota at all.
    if (input.limits && !isOperator(by))
      return reject("forbidden", "limits", "may be given with the scope `operator` only");
    const expiresAtMs = input.expires_at === undefined ? undefined : Date.parse(input.expires_at);
    if (expiresAtMs !== undefined && !(expiresAtMs > nowMs))
      return reject("timestamp_out_of_range", "expires_at", "must lie ahead");
    const { id, secret, key } = createKey(this.#options.random);
    const columns = {
      id,
      tenant: tenant.value,
      name: input.name,
      secret_sha256: hashSecret(secret),
      scopes: JSON.stringify(input.scopes),
      signals: jsonOrNull(signals.value),
      origins: jsonOrNull(input.origins),
      limits: jsonOrNull(input.limits),
      created_at: iso(nowMs),
      created_by: by.keyId,
      expires_at: expiresAtMs === undefined ? null : iso(expiresAtMs),
    };
    const names = Object.keys(columns);
    const sql = `INSERT INTO api_keys (${names.join(", ")}) VALUES (${names.map((_, i) => `?${i + 1}`).join(", ")}) RETURNING ${KEY_COLUMNS}`;
    const [made] = await queryKeys(this.#db, "making a key", sql, Object.values(columns));
    if (!made) throw new Error("INSERT … RETURNING answered with no row");
    return ok({ ...describe(made), key });
  }

  /** Newest first; one more than the limit tells that there are more. */
  async list(tenant: string | undefined, page: KeyPage, by: Principal): Promise<Result<Key[]>> {
    const whose = tenant === ALL_TENANTS && isOperator(by) ? ok(null) : tenantFor(tenant, by);
    if (!whose.ok) return whose;
    const sql = `SELECT ${KEY_COLUMNS} FROM api_keys
      WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR (created_at, id) < (?2, ?3))
      ORDER BY created_at DESC, id DESC LIMIT ?4`;
    const { createdAt = null, id = null } = page.after ?? {};
    const values = [whose.value, createdAt, id, page.limit + 1];
    return ok((await queryKeys(this.#db, "listing keys", sql, values)).map(describe));
  }

  /** A new secret; the old one is good for `overlapSeconds` more, and no third. */
  async rotate(id: string, overlapSeconds: number, by: Principal): Promise<Result<IssuedKey>> {
    const nowMs = this.#options.now();
    const found = await this.#find(id, by);
    if (!found.ok) return found;
    // Whoever is told the new secret has what the key has.
    const missing = found.value.scopes.find((scope) => !by.scopes.has(scope));
    if (missing !== undefined)
      return reject("forbidden", "id", `names a key with \`${missing}\`, which your own key lacks`);
    const reach = found.value.signals ?? SIGNALS;
    if (found.value.scopes.includes("ingest") && reach.some((signal) => by.signals?.has(signal) === false))
      return reject("forbidden", "id", "names a key that may ingest more signals than your own");
    const { secret, key } = createKey(this.#options.random, id);
    // In SQL the right sides are the values before the update.
    const sql = `UPDATE api_keys SET secret_sha256 = ?2, rotated_at = ?3, rotated_by = ?4,
        previous_sha256 = CASE WHEN ?5 IS NULL THEN NULL ELSE secret_sha256 END, previous_until = ?5
      WHERE id = ?1 AND tenant = ?6 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)
      RETURNING ${KEY_COLUMNS}`;
    const until = overlapSeconds > 0 ? iso(nowMs + overlapSeconds * 1000) : null;
    const values = [id, hashSecret(secret), iso(nowMs), by.keyId, until, found.value.tenant];
    const [rotated] = await queryKeys(this.#db, "rotating a key", sql, values);
    if (!rotated) return reject("key_ended", "id", "names a key that is revoked or expired; make a new one");
    return ok({ ...describe(rotated), key });
  }

  /** What is revoked stays so, with the time and the hand of the first revocation. */
  async revoke(id: string, by: Principal): Promise<Result<Key>> {
    const found = await this.#find(id, by);
    if (!found.ok) return found;
    if (found.value.scopes.includes("operator") && !isOperator(by))
      return reject("forbidden", "id", "names a key with `operator`, which your own key lacks");
    const sql = `UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2), revoked_by = CASE WHEN revoked_at IS NULL THEN ?3 ELSE revoked_by END,
        previous_sha256 = NULL, previous_until = NULL
      WHERE id = ?1 AND tenant = ?4 RETURNING ${KEY_COLUMNS}`;
    const values = [id, iso(this.#options.now()), by.keyId, found.value.tenant];
    const [revoked] = await queryKeys(this.#db, "revoking a key", sql, values);
    return ok(describe(revoked ?? found.value));
  }

  async #find(id: string, by: Principal): Promise<Result<KeyRow>> {
    const sql = `SELECT ${KEY_COLUMNS} FROM api_keys WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2)`;
    const values = [id, isOperator(by) ? null : by.tenant];
    const [found] = await queryKeys(this.#db, "looking up a key", sql, values);
    return found ? ok(found) : reject("not_found", "id", "names no key here");
  }
}

function isOperator(by: Principal): boolean {
  return by.scopes.has("operator");
}

function tenantFor(named: string | undefined, by: Principal): Result<string> {
  if (named === undefined || named === by.tenant || isOperator(by)) return ok(named ?? by.tenant);
  return reject("forbidden", "tenant", "may be another than your own with the scope `operator` only");
}

function signalsFor(input: NewKeyInput, by: Principal): Result<NewKeyInput["signals"]> {
  const { signals, scopes } = input;
  if (by.signals === undefined || !scopes.includes("ingest")) return ok(signals);
  const missing = signals?.find((signal) => !by.signals?.has(signal));
  if (missing !== undefined)
    return reject("forbidden", "signals", `may hold only what your own key has; it lacks \`${missing}\``);
  return ok(signals ?? [...by.signals]);
}

function describe(row: KeyRow): Key {
  const { secret_sha256: _, previous_sha256: __, ...key } = row;
  return key;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
