// CloudEvents 1.0 over HTTP, its three content modes (github.com/cloudevents/spec, http-protocol-binding and
// json-format), brought to Weir's event form: type → event_type, time → timestamp, data or data_base64 → data.
// A CloudEvent's identity is source and id together; every other attribute is kept.
import { isPlainObject } from "./record.ts";
import { ok, reject, type Result } from "./result.ts";

export const STRUCTURED = "application/cloudevents+json";
export const BATCHED = "application/cloudevents-batch+json";

/** A structured CloudEvent, as the input of `validateEvent`. */
export function fromStructured(event: unknown): Result<unknown> {
  if (!isPlainObject(event)) return reject("not_an_object", "", "must be a CloudEvent object");
  const { specversion, type, source, id, time, data, data_base64: base64, ...extensions } = event;
  if (specversion !== "1.0") {
    return specversion === undefined
      ? reject("missing_field", "specversion", 'is required and must be "1.0"')
      : reject("wrong_type", "specversion", 'must be "1.0"');
  }
  for (const [name, value] of [
    ["type", type],
    ["source", source],
    ["id", id],
  ] as const) {
    if (value === undefined) return reject("missing_field", name, "is required by CloudEvents 1.0");
    if (typeof value !== "string" || value === "")
      return reject("wrong_type", name, "must be a text, not empty");
  }
  if (data !== undefined && base64 !== undefined) {
    return reject("forbidden_key", "data_base64", "must not stand beside data");
  }
  if (base64 !== undefined && typeof base64 !== "string") {
    return reject("wrong_type", "data_base64", "must be a text");
  }
  if (time !== undefined && time !== null && typeof time !== "string") {
    return reject("wrong_type", "time", "must be an RFC 3339 text");
  }
  const attributes = base64 === undefined ? extensions : { ...extensions, data_base64: true };
  return ok({
    event_type: type,
    data: base64 ?? data ?? null,
    timestamp: time,
    // A separator that neither part can hold unescaped keeps ("a", "b c") and ("a b", "c") apart.
    id: JSON.stringify([source, id]),
    attributes: { ...attributes, ce_source: source, ce_id: id },
  });
}

/** A binary-mode CloudEvent: attributes in `ce-` headers, the body is the data. */
export function fromBinary(headers: Headers, data: unknown): Result<unknown> {
  const event: Record<string, unknown> = {};
  for (const [name, value] of headers) {
    if (name.startsWith("ce-")) event[name.slice(3)] = percentDecoded(value);
  }
  const contentType = headers.get("content-type");
  if (contentType !== null) event.datacontenttype = contentType;
  event.data = data;
  return fromStructured(event);
}

/** Header values carry what ASCII cannot in percent-encoding (HTTP binding, 3.1.3.2). */
function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Whether a request is in one of the three HTTP forms. */
export function isCloudEvents(headers: Headers): boolean {
  const type = headers.get("content-type") ?? "";
  return headers.has("ce-specversion") || type.toLowerCase().startsWith("application/cloudevents");
}
