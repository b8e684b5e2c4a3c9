// What GET /api/v1/ledger answers, as zod shapes.
import { z } from "zod";
import { SIGNALS } from "../telemetry/signal.ts";

const records = z.int().nonnegative();
const orUnknown = "null: it could not be counted";

const ledgerLineShape = z
  .object({
    tenant: z.string(),
    signal: z.enum(SIGNALS),
    accepted: records.nullable().describe(`answered as accepted, counted at the edge; ${orUnknown}`),
    stored: records,
    late: records.describe(
      "came when the day of their time was dropped already; written to the topic `late`",
    ),
    dead: records.describe("dead letters: they cannot be stored by a fault of their own"),
    deduplicated: records.describe("accepted once more than once, and stored once"),
    expired: records.describe("stored once, and dropped at their age since: no part of `stored` any more"),
    spilled: records.nullable().describe(`kept while Kafka is away; ${orUnknown}`),
    waiting: records.nullable().describe(`in the log, not read yet; null: too many to be counted here`),
    difference: z
      .int()
      .nullable()
      .describe("accepted + foreign − (stored + late + dead + deduplicated + expired + spilled + waiting)"),
    uncertain: z
      .object({
        lost_counts_at_most: records.describe(
          "records of any tenant that isolates may have accepted without having told it before they ended",
        ),
        unconfirmed: records.describe(
          "not answered as accepted, and yet perhaps in the log: an answer of Kafka's was lost",
        ),
      })
      .describe("by their sum the difference may be below 0"),
    settled: z.boolean().describe("nothing of it was on its way while this was read"),
    balanced: z
      .boolean()
      .nullable()
      .describe(
        "whether the difference lies where it must; null while it is not settled, or where messages expired unread",
      ),
    redelivered: records.describe("copies in the log of what was accepted once; no part of the balance"),
    foreign: records.describe("of the other terms: written to the topic by others, and never accepted"),
    client_discarded: records.describe("what clients say they threw away before sending; their own word"),
  })
  .meta({ id: "LedgerLine" });

const deploymentShape = z
  .object({
    waiting_messages: z
      .int()
      .nullable()
      .describe("offsets between what was read and the logs' ends; null: an end is not known"),
    spilled_messages: z.int().nullable(),
    storage: z
      .object({ bytes: z.int(), limit_bytes: z.int() })
      .nullable()
      .describe("how full the store is: from 90 % on days expire early; null: it has no bound of its own"),
    expired_messages: z
      .array(z.object({ topic: z.string(), messages: z.int() }))
      .describe("that Kafka's retention removed before they were read, where there are such"),
    open_intervals: z.int().describe("of isolates at work: their counts are on their way"),
    oldest_open_interval: z.iso.datetime().nullable(),
    lost_isolates: z.int().describe("that told of no counts within a minute after they had begun to count"),
    refused_counts: z
      .int()
      .describe("records in deliveries that came too late to be told from those that were added"),
    unregistered_records: z
      .int()
      .describe(
        "answered while the keeper of the counts was away; an end of their isolate would not have shown",
      ),
    errors: z.array(z.string()).describe("what could not be asked"),
    partitions: z.array(
      z.object({
        topic: z.string(),
        partition: z.int(),
        incarnation: z.int(),
        epoch: z.int(),
        next_offset: z
          .int()
          .nullable()
          .describe("counted up to here; null: of an earlier making of the topic"),
        end_offset: z.int().nullable(),
        tenant: z.string(),
        signal: z.enum(SIGNALS),
        stored: records,
        late: records,
        dead: records,
        deduplicated: records,
        expired: records,
        redelivered: records,
        foreign: records,
      }),
    ),
  })
  .meta({ id: "LedgerDeployment" });

export const ledgerShape = z
  .object({
    settled: z.boolean(),
    balanced: z
      .boolean()
      .nullable()
      .describe("false where one line is out of balance, null where one is not known"),
    lines: z.array(ledgerLineShape),
    deployment: deploymentShape.optional().describe("for the scope `operator`"),
  })
  .meta({ id: "Ledger" });

export const ledgerQueryShape = z.object({
  tenant: z
    .string()
    .min(1)
    .max(64)
    .describe(
      "Whose; without it a key with the scope `operator` is told of all, any other of its own. Another's takes that scope.",
    )
    .optional(),
});
