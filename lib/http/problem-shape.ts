// A problem (problem.ts) as a zod shape, for the documentation and for the tests that hold answers equal to it.
import { z } from "zod";
import { reasons, type Reason } from "../telemetry/reasons.ts";

const reasonShape = z.enum(Object.keys(reasons) as [Reason, ...Reason[]]);

const problemErrorShape = z
  .object({
    index: z.int().min(0).optional().describe("place of the record in the request"),
    path: z.string().describe("where in the record, as in `labels.host`; empty: the record itself"),
    reason: reasonShape,
    message: z.string(),
  })
  .meta({ id: "ProblemError" });

/** Beside these a problem may hold more, as `accepted` beside a partly failed request. */
export const problemShape = z
  .looseObject({
    type: z.string().describe("`urn:weir:problem:` and the code"),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe("what is wrong here, and what to do"),
    code: reasonShape,
    request_id: z.string(),
    errors: z.array(problemErrorShape).describe("each fault by place; at most 100"),
    errors_total: z.int().optional().describe("how many there are, where that is more"),
    kafka_code: z.string().optional(),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details" });

/** What each status of a problem stands for, whichever route answers it. */
export const PROBLEM_STATUSES = {
  400: "Malformed: a parameter, a header, the body, or every record of it.",
  401: "No key, or one that is unknown, expired or revoked.",
  403: "The key lacks the scope or the signal, or is bound to other web origins.",
  404: "There is no such thing, for this key.",
  405: "The method is not allowed here; `Allow` names those that are.",
  409: "Kafka refuses this, or what is asked for has ended, or was changed meanwhile.",
  413: "Too large: more than 5 MiB as sent, 10 MiB decompressed, or too many records.",
  415: "A content type or encoding that is not taken here.",
  422: "One Idempotency-Key, two bodies.",
  429: "Over the quota; `Retry-After` says when to try again.",
  501: "This deployment's way to Kafka cannot do that.",
  503: "Not done, and safe to send again: Kafka or the storage is away, or a setting is wrong.",
} as const;
export type ProblemStatus = keyof typeof PROBLEM_STATUSES;
