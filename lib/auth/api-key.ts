// API keys: `weir_<id>_<secret>`. Only the SHA-256 of the secret is stored; it is compared in constant time, and an
// unknown id costs the same comparison.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Signal } from "../telemetry/signal.ts";
import { isOriginAllowed } from "./origin.ts";

export const SCOPES = ["ingest", "query", "admin", "operator"] as const;
export type Scope = (typeof SCOPES)[number];

/** A key's own quota, instead of its tenant's. */
export interface KeyLimits {
  requestsPerSecond: number;
  /** Requests at once, after a pause. */
  burst: number;
  recordsPerSecond?: number;
  bytesPerSecond?: number;
}

/** Who a request comes from. */
export interface Principal {
  tenant: string;
  keyId: string;
  scopes: ReadonlySet<Scope>;
  /** What it may ingest; unset: every signal. */
  signals?: ReadonlySet<Signal>;
  /** Set: a key for browsers, good from these origins only. */
  origins?: ReadonlySet<string>;
  limits?: KeyLimits;
}

export interface StoredKey {
  id: string;
  tenant: string;
  /** SHA-256 of the secret, hexadecimal. */
  secretSha256: string;
  /** The secret before the last rotation, while it is still good. */
  previous?: { secretSha256: string; untilMs: number };
  scopes: Scope[];
  signals?: Signal[];
  origins?: string[];
  limits?: KeyLimits;
  /** Epoch milliseconds. */
  expiresAtMs: number | undefined;
  isRevoked: boolean;
}

export interface KeyStore {
  /** @param maxAgeMs how old an answer may be, where the store remembers */
  find(id: string, maxAgeMs?: number): Promise<StoredKey | undefined>;
}

/** A secret that does not fit may be newer than what is remembered of its key: so old may that be. */
const MISMATCH_MAX_AGE_MS = 5_000;

/** Public, for development only; refused when ENVIRONMENT is anything else. */
export const DEV_KEY = "weir_dev_local00000000000000000000";
export const DEV_TENANT = "dev";
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
  const hash = hashSecret(secret);
  let stored = await store.find(id);
  let isSecretRight = fits(hash, stored, options.nowMs);
  if (stored && !isSecretRight) {
    stored = await store.find(id, MISMATCH_MAX_AGE_MS);
    isSecretRight = fits(hash, stored, options.nowMs);
  }
  if (!stored || !isSecretRight || stored.isRevoked) return undefined;
  // Put so that an expiry that is no number (a date that cannot be read) refuses too.
  if (stored.expiresAtMs !== undefined && !(stored.expiresAtMs > options.nowMs)) return undefined;
  const { tenant, scopes, signals, origins, limits } = stored;
  return {
    tenant,
    keyId: id,
    scopes: new Set(scopes),
    ...(signals && { signals: new Set(signals) }),
    ...(origins && { origins: new Set(origins) }),
    ...(limits && { limits }),
  };
}

/** Whether a key that is bound to origins may be used from there; one that is not may be used by anything. */
export function mayComeFrom({ origins }: Principal, origin: string | undefined): boolean {
  return origins === undefined || (origin !== undefined && isOriginAllowed(origins, origin));
}

/** Both secrets are always compared, so that the time tells nothing of a rotation either. */
function fits(hash: string, stored: StoredKey | undefined, nowMs: number): boolean {
  const isCurrent = isEqual(hash, stored?.secretSha256 ?? NOBODY);
  const isPrevious = isEqual(hash, stored?.previous?.secretSha256 ?? NOBODY);
  return isCurrent || (isPrevious && (stored?.previous?.untilMs ?? 0) > nowMs);
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
