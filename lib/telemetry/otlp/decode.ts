// From the bytes of an OTLP/HTTP request to its message. What a body can make of memory and stack is bounded before
// anything is built; what cannot be read is refused as a whole (records are judged one by one in records.ts).
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { hasMoreValuesThan, locateSyntaxError } from "../json-scan.ts";
import { MAX_JSON_VALUES, MAX_RECORDS } from "../limits.ts";
import { ok, reject, type Result } from "../result.ts";
import { messageFromJson } from "./json-decode.ts";
import { messageToJson } from "./json-encode.ts";
import { quoteLongIntegers } from "./json-numbers.ts";
import {
  otlpRequest,
  requestSchemas,
  type OtlpMessages,
  type OtlpRequest,
  type OtlpSignal,
} from "./request.ts";
import { checkRepeated } from "./repeated.ts";
import { scanWire, type WireBounds } from "./wire-scan.ts";

export type OtlpForm = "protobuf" | "json";

/** An empty body is a request without records, in either form. */
export function decodeOtlp(signal: OtlpSignal, form: OtlpForm, bytes: Uint8Array): Result<OtlpRequest> {
  const decoded =
    form === "json" && bytes.length > 0
      ? decodeJson(signal, bytes)
      : decodeWire(signal, bytes, { maxRecords: MAX_RECORDS, maxValues: MAX_JSON_VALUES });
  // Whatever stands beside OTLP's fields of the request itself is nobody's but ours to write (weir-field.ts).
  if (!decoded.ok) return decoded;
  delete decoded.value.message.$unknown;
  const fault = checkRepeated(decoded.value, bytes.length);
  return fault ? { ok: false, error: fault } : decoded;
}

/** Fields that the types do not know are kept, and written again. */
export function decodeWire(signal: OtlpSignal, bytes: Uint8Array, bounds: WireBounds): Result<OtlpRequest> {
  const schema = requestSchemas[signal];
  const fault = scanWire(schema, bytes, bounds);
  if (fault) return { ok: false, error: fault };
  try {
    return ok(otlpRequest(signal, fromBinary<typeof schema>(schema, bytes, { recursionLimit: 1_000 })));
  } catch (error) {
    // The scan has seen to all else.
    return reject("invalid_utf8", "", `holds a text that is not UTF-8 (${String(error).slice(0, 100)})`);
  }
}

function decodeJson(signal: OtlpSignal, bytes: Uint8Array): Result<OtlpRequest> {
  if (hasMoreValuesThan(bytes, MAX_JSON_VALUES)) {
    return reject("too_many_values", "", `holds more than ${MAX_JSON_VALUES} JSON values`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return reject("invalid_utf8", "", "the body is not UTF-8");
  }
  let json: unknown;
  try {
    json = JSON.parse(quoteLongIntegers(text));
  } catch (error) {
    return reject("malformed_json", "", `the body is not JSON ${locateSyntaxError(text, error)}`);
  }
  const message = messageFromJson(requestSchemas[signal], json, MAX_RECORDS);
  return message.ok ? ok(otlpRequest(signal, message.value as OtlpMessages[OtlpSignal])) : message;
}

/** A request in either form. */
export function encodeOtlp(form: OtlpForm, { signal, message }: OtlpRequest): Uint8Array {
  const schema = requestSchemas[signal];
  return form === "json"
    ? new TextEncoder().encode(JSON.stringify(messageToJson(schema, message)))
    : toBinary(schema, message as never);
}
