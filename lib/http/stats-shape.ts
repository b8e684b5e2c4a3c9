// What GET /api/v1/stats takes and answers, as zod shapes.
import { z } from "zod";
import { SIGNALS } from "../telemetry/signal.ts";

/** The oldest minute that is kept is a day old. */
export const MAX_STATS_MINUTES = 1_440;
export const DEFAULT_STATS_MINUTES = 5;

export const statsQueryShape = z.object({
  tenant: z.string().describe("Of this tenant only: for keys with the scope `operator`.").optional(),
  minutes: z
    .int()
    .min(1)
    .max(MAX_STATS_MINUTES)
    .default(DEFAULT_STATS_MINUTES)
    .describe("Over how many minutes, this one included, rate, mean and percentiles go."),
});

const ofDeployment = "null where only a tenant's share is told";

const lineShape = z.object({
  processed: z
    .int()
    .describe(
      "records read and settled: stored, late, dead or known already. What a group reads again after a reset counts again",
    ),
  failed: z.int().nullable().describe(`messages of which at least one dead letter came; ${ofDeployment}`),
  dlq: z.int().describe("dead letters written; of a tenant: its records among them"),
  rate_per_sec: z.number().nullable().describe(`records a second; ${ofDeployment}`),
  avg_processing_ms: z
    .number()
    .nullable()
    .describe(
      `a message's share of the time from fetch to commit; null where nothing was read, or of a tenant`,
    ),
  p95: z.number().nullable().describe("of the same, ms, within a fixed histogram's buckets"),
  waited_p95_ms: z
    .number()
    .nullable()
    .describe("how long the oldest message of a batch had waited since its receipt, ms"),
});

export const statsShape = lineShape
  .extend({
    tenant: z.string().nullable().describe("whose share it is; null: everybody's"),
    uptime_sec: z
      .int()
      .nullable()
      .describe(`since the first commit there is, whatever was restarted since; ${ofDeployment}`),
    topics: z
      .array(lineShape.extend({ topic: z.string(), signal: z.enum(SIGNALS) }))
      .describe("the same by topic, in the order of their names"),
  })
  .meta({ id: "Stats" });
