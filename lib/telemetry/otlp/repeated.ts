// A resource, a scope and a metric stand once in a request, and again in the detail of each of their records: some 100 KB
// can come to gigabytes of rows. What would is refused as a whole before anything is made of it.
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { InstrumentationScopeSchema } from "../gen/opentelemetry/proto/common/v1/common_pb.ts";
import { MetricSchema } from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.ts";
import { ResourceSchema } from "../gen/opentelemetry/proto/resource/v1/resource_pb.ts";
import { MAX_DECODED_BYTES } from "../limits.ts";
import { reject, type Rejection } from "../result.ts";
import { messageToJson } from "./json-encode.ts";
import { countOtlpRecords, otlpRecords } from "./records.ts";
import type { OtlpRequest } from "./request.ts";

/**
 * What the details of all records repeat, as JSON, in UTF-16 units. 10,000 records may have 4,000 each; a resource of
 * Kubernetes with 30 attributes has 2,100.
 */
const MAX_REPEATED_CHARS = 4 * MAX_DECODED_BYTES;

/** What a byte of a request may come to as JSON, at the most (lib/stream/decode.ts). */
const JSON_GROWTH = 16;

/** @param bytes the request's size, in either form */
export function checkRepeated(request: OtlpRequest, bytes: number): Rejection | undefined {
  if (countOtlpRecords(request) * bytes * JSON_GROWTH <= MAX_REPEATED_CHARS) return undefined;
  const lengths = new Map<object, number>();
  const lengthOf = (desc: DescMessage, owner: object | undefined, message: Message | undefined): number => {
    if (owner === undefined || message === undefined) return 0;
    let length = lengths.get(owner);
    if (length === undefined)
      lengths.set(owner, (length = JSON.stringify(messageToJson(desc, message)).length));
    return length;
  };
  let chars = 0;
  for (const placed of otlpRecords(request)) {
    const { resource, scope } = placed;
    chars += resource.schemaUrl.length + lengthOf(ResourceSchema, resource, resource.resource);
    chars += scope.schemaUrl.length + lengthOf(InstrumentationScopeSchema, scope, scope.scope);
    if (placed.signal === "metrics") {
      const { metric } = placed;
      chars += lengthOf(MetricSchema, metric, { ...metric, data: { case: undefined } } as Message);
    }
    if (chars > MAX_REPEATED_CHARS) {
      const message = "becomes far larger than it is, record by record; send several requests";
      return reject("body_too_large", "", message).error;
    }
  }
  return undefined;
}
