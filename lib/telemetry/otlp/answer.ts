// OTLP/HTTP's answers, in the request's content type: Export…ServiceResponse when it was taken, wholly or in part, and
// google.rpc.Status for everything else (OTLP 1.x, "OTLP/HTTP Response").
import { create, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ExportLogsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.ts";
import { ExportMetricsServiceResponseSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.ts";
import { ExportTraceServiceResponseSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { OtlpForm } from "./decode.ts";
import { messageToJson } from "./json-encode.ts";
import type { OtlpSignal } from "./request.ts";

export const OTLP_CONTENT_TYPES = {
  protobuf: "application/x-protobuf",
  json: "application/json",
} as const satisfies Record<OtlpForm, string>;

/** @returns undefined for a content type that OTLP does not have */
export function otlpFormOf(contentType: string | null | undefined): OtlpForm | undefined {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  if (type === OTLP_CONTENT_TYPES.protobuf) return "protobuf";
  return type === OTLP_CONTENT_TYPES.json ? "json" : undefined;
}

/**
 * The body of a 200.
 * @param rejected how many records were refused; with 0 and no text there is no `partial_success`
 * @param message for a person; with nothing rejected it is a warning
 */
export function otlpSuccess(signal: OtlpSignal, form: OtlpForm, rejected = 0, message = ""): Uint8Array {
  const partial = rejected > 0 || message !== "";
  const answer = responseOf(signal, partial ? { count: BigInt(rejected), errorMessage: message } : undefined);
  return form === "json"
    ? encodeJson(messageToJson(answer.schema, answer.message))
    : toBinary(answer.schema, answer.message);
}

function responseOf(
  signal: OtlpSignal,
  partial: { count: bigint; errorMessage: string } | undefined,
): { schema: DescMessage; message: Message } {
  const errorMessage = partial?.errorMessage.toWellFormed() ?? "";
  const count = partial?.count ?? 0n;
  switch (signal) {
    case "logs": {
      const schema = ExportLogsServiceResponseSchema;
      const partialSuccess = { rejectedLogRecords: count, errorMessage };
      return { schema, message: create(schema, partial && { partialSuccess }) };
    }
    case "metrics": {
      const schema = ExportMetricsServiceResponseSchema;
      const partialSuccess = { rejectedDataPoints: count, errorMessage };
      return { schema, message: create(schema, partial && { partialSuccess }) };
    }
    case "traces": {
      const schema = ExportTraceServiceResponseSchema;
      const partialSuccess = { rejectedSpans: count, errorMessage };
      return { schema, message: create(schema, partial && { partialSuccess }) };
    }
  }
}

/** google.rpc.Code for the statuses that Weir answers with; every other 4xx is INVALID_ARGUMENT, 5xx INTERNAL. */
const RPC_CODES = new Map([
  [401, 16], // UNAUTHENTICATED
  [403, 7], // PERMISSION_DENIED
  [404, 5], // NOT_FOUND
  [405, 12], // UNIMPLEMENTED
  [413, 8], // RESOURCE_EXHAUSTED
  [429, 8],
  [501, 12],
  [503, 14], // UNAVAILABLE
]);
const INVALID_ARGUMENT = 3;
const INTERNAL = 13;

/** The body of an answer with the HTTP status `status`: a google.rpc.Status. */
export function otlpError(form: OtlpForm, status: number, message: string): Uint8Array {
  const code = RPC_CODES.get(status) ?? (status < 500 ? INVALID_ARGUMENT : INTERNAL);
  const text = message.toWellFormed();
  if (form === "json") return encodeJson({ code, message: text });
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(code)
    .tag(2, WireType.LengthDelimited)
    .string(text)
    .finish();
}

const encodeJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
