// Which of the two messages a remote write request holds, by its headers alone (specification 2.0, "Content-Type" and
// "Content-Encoding"): anything else is 415, from which a sender of 2.0 learns to try 1.0. The version header only
// informs. A request that says nothing is 1.0 in snappy, as Prometheus takes it.
import { mediaTypeOf } from "../native.ts";
import { ok, reject, type Result } from "../result.ts";

export type WriteVersion = "v1" | "v2";

/** For Accept and Accept-Encoding of a 415 (RFC 9110, 15.5.16). */
export const ACCEPTED_TYPES =
  "application/x-protobuf;proto=io.prometheus.write.v2.Request, application/x-protobuf;proto=prometheus.WriteRequest";

const VERSIONS = new Map<string, WriteVersion>([
  ["prometheus.WriteRequest", "v1"],
  ["io.prometheus.write.v2.Request", "v2"],
]);

export function negotiate(headers: Headers): Result<WriteVersion> {
  const contentType = headers.get("content-type") ?? "";
  const mediaType = mediaTypeOf(contentType);
  if (mediaType !== "application/x-protobuf" && mediaType !== "") {
    return unsupportedType(`takes application/x-protobuf, not ${mediaType.slice(0, 60)}`);
  }
  const proto = protoOf(contentType);
  const version = VERSIONS.get(proto);
  if (!version)
    return unsupportedType(`takes ${[...VERSIONS.keys()].join(" or ")}, not ${proto.slice(0, 60)}`);
  const encoding = (headers.get("content-encoding") ?? "").trim().toLowerCase();
  if (encoding !== "snappy" && encoding !== "") {
    return reject("unsupported_encoding", "", `takes snappy, not ${encoding.slice(0, 40)}`);
  }
  return ok(version);
}

const unsupportedType = (message: string) => reject("unsupported_media_type", "", message);

/** The parameter `proto`, bare or quoted; the name of 1.0's message where there is none. */
function protoOf(contentType: string): string {
  for (const parameter of contentType.split(";").slice(1)) {
    const [name = "", value = ""] = parameter.split("=", 2);
    if (name.trim().toLowerCase() === "proto") return value.trim().replace(/^"(.*)"$/, "$1");
  }
  return "prometheus.WriteRequest";
}
