// Looks an Idempotency-Key up: only a request that carries one pays for it.
import { bodyHash, claimHash, type Claim } from "../lib/ingest/idempotency.ts";
import { within } from "../lib/kafka/timer.ts";
import { logger } from "../lib/observability/logger.ts";

/** Objects that share a tenant's keys; each tenant has its own, so that none pushes another's keys out. */
const SHARDS = 8;

const DEADLINE_MS = 1_000;

export interface ClaimRequest {
  tenant: string;
  signal: string;
  key: string;
  /** Decoded. */
  body: Uint8Array;
}

/**
 * Whether the key has stood for another body within 24 h.
 *
 * `unknown`: the object did not answer. The request goes on all the same, since a look-up must not lose telemetry: a
 * retry is still counted once by the consumers; only another body under the same key goes unseen. To be counted.
 */
export async function claimKey(
  env: Env,
  { tenant, signal, key, body }: ClaimRequest,
): Promise<Claim | "unknown"> {
  const hash = claimHash(tenant, signal, key);
  const shard = (hash[0] ?? 0) % SHARDS;
  try {
    const asked = env.IDEMPOTENCY.getByName(`${tenant}/${shard}`).claim(hash, bodyHash(body));
    return await within(DEADLINE_MS, asked, () => new Error("no answer in time"));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.warn("idempotency_unknown", { tenant, message });
    return "unknown";
  }
}
