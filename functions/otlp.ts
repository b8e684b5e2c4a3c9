// OTLP/HTTP 1.x: logs, metrics and traces, protobuf and JSON. 200 when every record is durable, with `partial_success`
// where some were refused for good; 503 when not all of them are, since clients must not repeat a partial
// success: they send the whole again, and the batch, made of the body, counts what was written before once.
import type { MiddlewareHandler } from "hono";
import { readBody } from "../lib/http/body.ts";
import type { Verdict } from "../lib/ingest/prepared.ts";
import { prepareOtlp } from "../lib/ingest/prepare-otlp.ts";
import { OTLP_CONTENT_TYPES, otlpError, otlpFormOf, otlpSuccess } from "../lib/telemetry/otlp/answer.ts";
import { decodeOtlp, type OtlpForm } from "../lib/telemetry/otlp/decode.ts";
import { countOtlpRecords } from "../lib/telemetry/otlp/records.ts";
import type { OtlpRequest, OtlpSignal } from "../lib/telemetry/otlp/request.ts";
import { reject } from "../lib/telemetry/result.ts";
import type { IntakeForm } from "./intake.ts";
import { notDurable, refusal } from "./intake-answer.ts";
import type { AppEnv } from "./request-context.ts";

export function otlpForm(signal: OtlpSignal, headers: Headers, requestId: string): IntakeForm<OtlpRequest> {
  const type = headers.get("content-type");
  const known = otlpFormOf(type);
  const form = known ?? "json";
  return {
    protocol: form === "json" ? "otlp_json" : "otlp_protobuf",
    signal,
    isBatchOfBody: true,
    async read(request) {
      if (known !== undefined) return await readBody(request);
      const taken = Object.values(OTLP_CONTENT_TYPES).join(" or ");
      return reject("unsupported_media_type", "", `takes ${taken}, not ${(type ?? "none").slice(0, 100)}`);
    },
    decode: (_, bytes) => decodeOtlp(signal, form, bytes),
    recordsIn: countOtlpRecords,
    prepare: prepareOtlp,
    answer: (verdicts) => answerOtlp(signal, form, verdicts, requestId),
    refuse: refusal(requestId),
    unavailable: (verdict) => notDurable(verdict, requestId),
  };
}

function answerOtlp(
  signal: OtlpSignal,
  form: OtlpForm,
  verdicts: readonly Verdict[],
  requestId: string,
): Response {
  let rejected = 0;
  let first = "";
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.status === "retry") return notDurable(verdict, requestId);
    if (verdict.status !== "rejected") continue;
    const { path, reason, message } = verdict.rejection;
    if (rejected === 0)
      first = `The first: record ${index}, ${path === "" ? "itself" : path}: ${message} (${reason}).`;
    rejected++;
  }
  const told = rejected === 0 ? "" : `${rejected} of ${verdicts.length} records were refused. ${first}`;
  return new Response(otlpSuccess(signal, form, rejected, told), {
    headers: { "Content-Type": OTLP_CONTENT_TYPES[form] },
  });
}

/** On OTLP's paths every error, whoever answers it, is a Status in the request's own content type. */
export const otlpErrors: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  if (c.res.headers.get("content-type") !== "application/problem+json") return;
  const { detail }: { detail: string } = await c.res.clone().json();
  // What cannot be understood is answered in JSON, which a person can read.
  const form = otlpFormOf(c.req.header("content-type")) ?? "json";
  const headers = new Headers(c.res.headers);
  headers.set("Content-Type", OTLP_CONTENT_TYPES[form]);
  c.res = new Response(otlpError(form, c.res.status, detail), { status: c.res.status, headers });
};
