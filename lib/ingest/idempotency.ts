// What makes a retry count once. A client names its request by Idempotency-Key, and the key stands for one body; one
// that names none but sends the same bytes again (OTLP, remote write) has its batch made of them.
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** Bytes of a hash that are kept: 2^64 requests until two are likely to meet. */
const HASH_BYTES = 16;

/** How long a key stands for its body: the horizon of dedupe (contract). */
export const CLAIM_MS = 24 * 3600 * 1000;

/** new: never seen. same: a retry. different: seen with another body. */
export type Claim = "new" | "same" | "different";

/** SHA-256 of the decoded body, cut. Decoded: a client may compress a retry in another way. */
export function bodyHash(body: Uint8Array): Uint8Array<ArrayBuffer> {
  return cut(createHash("sha256").update(body).digest());
}

/** What a key is looked up by. One key may be used for each signal: the batches are told apart by it, too. */
export function claimHash(tenant: string, signal: string, key: string): Uint8Array<ArrayBuffer> {
  // None of the first two may hold a NUL, and the key is the rest.
  return cut(createHash("sha256").update(`${tenant}\0${signal}\0${key}`).digest());
}

/**
 * The batch of a request whose client named it: key and body, so that a key which is free again, or could not be looked
 * up, does not have another body taken for a repeat and never stored.
 */
export function keyedBatch(key: string, body: Uint8Array): string {
  return `${key}/${Buffer.from(bodyHash(body)).toString("hex")}`;
}

/** The batch of a request whose client named none: `h-` and 32 hexadecimal digits, the same for the same body. */
export function contentBatch(tenant: string, body: Uint8Array): string {
  const digest = createHash("sha256").update(`${tenant}\0`).update(body).digest("hex");
  return `h-${digest.slice(0, HASH_BYTES * 2)}`;
}

function cut(digest: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(digest.subarray(0, HASH_BYTES));
}
