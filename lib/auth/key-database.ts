// The part of D1 that keys take, asked under a deadline. Refuses to guess: where the database fails, or a row is no
// key, it throws, since nothing may be let through then.
import { z } from "zod";
import { SIGNALS } from "../telemetry/signal.ts";
import { SCOPES } from "./api-key.ts";
import { keyLimitsShape } from "./key-shapes.ts";

export interface KeyDatabase {
  prepare(sql: string): {
    bind(...values: (string | number | null)[]): { all(): Promise<{ results: unknown[] }> };
  };
}

/** The database of keys failed: nothing is known of a key, so nothing may be let through. */
export class KeyStoreError extends Error {
  override readonly name = "KeyStoreError";
  readonly code = "storage_unavailable";
  readonly retryable = true;
}

/** D1 gives no deadline of its own. */
const TIMEOUT_MS = 5_000;

/** A JSON text in a column. */
const json = <T>(shape: z.ZodType<T>) =>
  z.string().transform((text, context): T => {
    try {
      return shape.parse(JSON.parse(text));
    } catch {
      context.addIssue("is not the JSON that belongs here");
      return z.NEVER;
    }
  });

const keyRow = z.object({
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  secret_sha256: z.string(),
  scopes: json(z.array(z.enum(SCOPES))),
  signals: json(z.array(z.enum(SIGNALS))).nullable(),
  origins: json(z.array(z.string())).nullable(),
  limits: json(keyLimitsShape).nullable(),
  previous_sha256: z.string().nullable(),
  previous_until: z.string().nullable(),
  created_at: z.string(),
  created_by: z.string().nullable(),
  expires_at: z.string().nullable(),
  rotated_at: z.string().nullable(),
  rotated_by: z.string().nullable(),
  revoked_at: z.string().nullable(),
  revoked_by: z.string().nullable(),
});
export type KeyRow = z.output<typeof keyRow>;

/** As SELECT and RETURNING name them. */
export const KEY_COLUMNS = Object.keys(keyRow.shape).join(", ");

/**
 * Runs one statement that answers with keys (KEY_COLUMNS).
 *
 * @param what it is for, as in "looking up a key"
 * @throws KeyStoreError
 */
export async function queryKeys(
  db: KeyDatabase,
  what: string,
  sql: string,
  values: (string | number | null)[],
): Promise<KeyRow[]> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  });
  let results: unknown[];
  try {
    ({ results } = await Promise.race([
      db
        .prepare(sql)
        .bind(...values)
        .all(),
      timeout,
    ]));
  } catch (cause) {
    throw new KeyStoreError(`${what} failed`, { cause });
  } finally {
    clearTimeout(timer);
  }
  return results.map((found) => {
    const { data, error } = keyRow.safeParse(found);
    if (!data) throw new KeyStoreError(`${what}: a stored key cannot be read`, { cause: error });
    return data;
  });
}
