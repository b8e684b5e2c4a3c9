// API keys: `weir_<id>_<secret>`. Only the SHA-256 of the secret is stored; it is compared in constant time, and an
// unknown id costs the same comparison.
import { createHash, timingSafeEqual } from "node:crypto";

export const SCOPES = ["ingest", "query", "admin", "operator"] as const;
export type Scope = (typeof SCOPES)[number];

/** Who a request comes from. */
export interface Principal {
  tenant: string;
  keyId: string;
  scopes: ReadonlySet<Scope>;
}

export interface StoredKey {
  id: string;
  tenant: string;
  /** SHA-256 of the secret, hexadecimal. */
  secretSha256: string;
  scopes: Scope[];
  /** Epoch milliseconds. */
  expiresAtMs: number | undefined;
  isRevoked: boolean;
}

export interface KeyStore {
  find(id: string): Promise<StoredKey | undefined>;
}

/** Public, for development only; refused when ENVIRONMENT is anything else. */
export const DEV_KEY = "weir_dev_local00000000000000000000";
const DEV_TENANT = "dev";
const DEV_KEY_ID = "dev";

const KEY = /^weir_([A-Za-z0-9]{1,40})_([A-Za-z0-9]{16,128})$/;

/** Compared with when the id is unknown, so that a wrong id takes as long as a wrong secret. */
const NOBODY = hashSecret("");

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/**
 * The credential of a request: Bearer, X-API-Key, Basic with the key as password, or the bare key as Authorization.
 * Undefined when there is none.
 */
export function credentialOf(headers: Headers): string | undefined {
  const apiKey = headers.get("x-api-key")?.trim();
  if (apiKey !== undefined && apiKey !== "") return apiKey;
  const authorization = headers.get("authorization")?.trim();
  if (authorization === undefined || authorization === "") return undefined;
  const [scheme, rest] = splitOnce(authorization);
  if (rest === undefined) return authorization;
  switch (scheme.toLowerCase()) {
    case "bearer":
      return rest;
    case "basic":
      return passwordOf(rest);
    default:
      return undefined;
  }
}

/** @returns the principal, or undefined when the key is not valid now; never says why, so that nothing can be learned */
export async function authenticate(
  credential: string,
  store: KeyStore,
  options: { nowMs: number; isDevelopment: boolean },
): Promise<Principal | undefined> {
  const match = KEY.exec(credential);
  if (!match) return undefined;
  const [, id = "", secret = ""] = match;
  if (id === DEV_KEY_ID) {
    const isDevKey = options.isDevelopment && isEqual(credential, DEV_KEY);
    return isDevKey ? { tenant: DEV_TENANT, keyId: id, scopes: new Set(SCOPES) } : undefined;
  }
  const stored = await store.find(id);
  const isSecretRight = isEqual(hashSecret(secret), stored?.secretSha256 ?? NOBODY);
  if (!stored || !isSecretRight || stored.isRevoked) return undefined;
  // Put so that an expiry that is no number (a date that cannot be read) refuses too.
  if (stored.expiresAtMs !== undefined && !(stored.expiresAtMs > options.nowMs)) return undefined;
  return { tenant: stored.tenant, keyId: id, scopes: new Set(stored.scopes) };
}

function isEqual(a: string, b: string): boolean {
  const left = new TextEncoder().encode(a);
  const right = new TextEncoder().encode(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function splitOnce(text: string): [string, string | undefined] {
  const space = text.search(/\s/);
  return space === -1 ? [text, undefined] : [text.slice(0, space), text.slice(space).trim()];
}

function passwordOf(base64: string): string | undefined {
  try {
    const userAndPassword = atob(base64);
    const colon = userAndPassword.indexOf(":");
    return colon === -1 ? undefined : userAndPassword.slice(colon + 1);
  } catch {
    return undefined;
  }
}
