// What went wrong on PostgreSQL's side, as StorageErrors. Their messages hold SQLSTATE and the server's own words, and
// never the connection string or the password; the driver's error, which holds data of tenants, is not passed on.
import { StorageError } from "../storage.ts";

/**
 * Classes of SQLSTATE by which the server says that the data is at fault (postgresql.org/docs/15/errcodes-appendix.html):
 * 21 cardinality, 22 data, 23 integrity, 54 limits of the program (a row too large for an index).
 */
const DATA_CLASSES = new Set(["21", "22", "23", "54"]);

/** Serialization failure and deadlock: the server took the transaction back, which may be tried again as it is. */
const TAKEN_BACK = new Set(["40001", "40P01"]);

const MAX_MESSAGE_CHARS = 500;

/** What the server said, as far as it was the server. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("severity" in error) || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

export function isTakenBack(error: unknown): boolean {
  return TAKEN_BACK.has(sqlStateOf(error) ?? "");
}

/** @param secrets texts that may not be told */
export function storageError(what: string, error: unknown, secrets: readonly string[]): StorageError {
  if (error instanceof StorageError) return error;
  const state = sqlStateOf(error);
  const isRejected = state !== undefined && DATA_CLASSES.has(state.slice(0, 2));
  let message = wordsOf(error);
  for (const secret of secrets) message = message.replaceAll(secret, "…");
  return new StorageError(
    `${what}: ${message.slice(0, MAX_MESSAGE_CHARS)}${state === undefined ? "" : ` (${state})`}`,
    { code: isRejected ? "storage_rejected" : "storage_unavailable" },
  );
}

/** Of several addresses that all failed Node tells in `errors`, with a message that is empty. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "") return error.message;
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0]);
  return "code" in error ? String(error.code) : error.name;
}

/** Shorter ones stand in many a word, and are no secret. */
const MIN_SECRET_CHARS = 4;

/** The connection string, and the password in it both as it is written and as it is meant. */
export function secretsOf(url: string): string[] {
  const password = URL.canParse(url) ? new URL(url).password : "";
  return [url, password, decoded(password)].filter(({ length }) => length >= MIN_SECRET_CHARS);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
