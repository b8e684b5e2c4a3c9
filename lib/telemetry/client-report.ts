// What agents and SDKs report of records that they threw away before sending: POST /api/v1/client-reports. They stand
// beside the ledger, as nobody else can count them. A reason that is not known counts as `other`.
import { z } from "zod";
import { SIGNALS, type Signal } from "./signal.ts";

/** A report's body (contract). */
export const MAX_CLIENT_REPORT_BYTES = 4 * 1024;

const DISCARD_REASONS = [
  "queue_overflow",
  "network_error",
  "rate_limited",
  "rejected",
  "too_large",
  "expired",
  "sampled",
  "filtered",
  "disk_full",
  "shutdown",
  "other",
] as const;
type DiscardReason = (typeof DISCARD_REASONS)[number];

const reason = z
  .string()
  .min(1)
  .max(100)
  .describe(`One of ${DISCARD_REASONS.join(", ")}; any other counts as other.`);

export const clientReportShape = z
  .strictObject({
    discarded: z
      .array(
        z.strictObject({
          reason,
          signal: z.enum(SIGNALS),
          quantity: z.int().min(1).max(1e12),
        }),
      )
      .min(1),
  })
  .meta({
    id: "ClientReport",
    examples: [{ discarded: [{ reason: "queue_overflow", signal: "logs", quantity: 120 }] }],
  });

export interface Discarded {
  reason: DiscardReason;
  signal: Signal;
  quantity: number;
}

/** A report's sums, one for each reason and signal. */
export function sumDiscarded({ discarded }: z.output<typeof clientReportShape>): Discarded[] {
  const sums = new Map<string, Discarded>();
  for (const { reason: given, signal, quantity } of discarded) {
    const reason = DISCARD_REASONS.find((known) => known === given) ?? "other";
    const sum = sums.get(`${signal} ${reason}`);
    if (sum) sum.quantity += quantity;
    else sums.set(`${signal} ${reason}`, { reason, signal, quantity });
  }
  return [...sums.values()];
}
