/**
 * Redpanda's content negotiation: the header is cut at commas, semicolons and blanks, and the first piece that names a
 * supported format wins. "None" (no header, or anything goes) counts only where the endpoint allows it.
 */
import { ApiError } from "./api-error.ts";

export const V2 = "application/vnd.kafka.v2+json";
export const JSON_V2 = "application/vnd.kafka.json.v2+json";
export const BINARY_V2 = "application/vnd.kafka.binary.v2+json";

/** Format of a record's key and value on the wire. */
export type RecordFormat = typeof JSON_V2 | typeof BINARY_V2;

/** Picks the answer's format from the Accept header, else throws 406. `orNone`: no wish means the first. */
export function acceptHeader<T extends string>(
  header: string | undefined,
  supported: readonly T[],
  orNone = false,
): T {
  const format = negotiate(header, supported, orNone);
  if (format === undefined) throw new ApiError(406, "not_acceptable");
  return format;
}

/** Reads the request's format from the Content-Type header, else throws 415. */
export function contentTypeHeader<T extends string>(header: string | undefined, supported: readonly T[]): T {
  const format = negotiate(header, supported, false);
  if (format === undefined) throw new ApiError(415, "unsupported_media_type");
  return format;
}

function negotiate<T extends string>(
  header: string | undefined,
  supported: readonly T[],
  orNone: boolean,
): T | undefined {
  for (const piece of (header ?? "").split(/[,; ]+/)) {
    const match = supported.find((format) => format === piece);
    if (match !== undefined) return match;
    if (orNone && (piece === "" || piece === "*/*")) return supported[0];
  }
  return undefined;
}
