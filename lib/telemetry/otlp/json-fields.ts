// The fields whose form in OTLP/JSON their protobuf type does not tell.
import type { DescField } from "@bufbuild/protobuf";
import { NumberDataPointSchema } from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";

const HEX_IDS = new Set(["trace_id", "span_id", "parent_span_id"]);

/** Hexadecimal where protobuf's JSON form would have base64. */
export const isHexId = (field: DescField): boolean => HEX_IDS.has(field.name);

/** A double that our .proto files declare fixed64, so that the payload of a NaN survives (double.ts). */
export const isDoubleInBits = (field: DescField): boolean =>
  field.parent === NumberDataPointSchema && field.name === "as_double";
