// Folding an OTLP data point in place. Its series is that of its kept form (`seriesOf`), in which the resource tells
// service and host; those are never folded: the resource is the message's key, and points that pass stand under it, too.
import { create } from "@bufbuild/protobuf";
import {
  AnyValueSchema,
  KeyValueSchema,
  type KeyValue,
} from "../../telemetry/gen/opentelemetry/proto/common/v1/common_pb.ts";
import type { DataPoint } from "../../telemetry/otlp/records.ts";
import { OTHER, type Fold } from "./series.ts";

/** Changes the point's attributes alone. */
export function foldDataPoint(point: DataPoint, fold: Fold): void {
  point.attributes = fold === "bare" ? [other(OTHER)] : point.attributes.map(({ key }) => other(key));
}

function other(key: string): KeyValue {
  const value = create(AnyValueSchema, { value: { case: "stringValue", value: OTHER } });
  return create(KeyValueSchema, { key, value });
}
