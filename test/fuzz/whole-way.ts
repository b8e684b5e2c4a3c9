// The way of a body as the deployed code goes it, without HTTP and Kafka: reading, decoding, the rules of the edge, the
// messages, and what a consumer makes of them. Each part is told apart, so that its cost can be measured.
import { readBody } from "../../lib/http/body.ts";
import { SeriesLimiter } from "../../lib/ingest/cardinality/series-limiter.ts";
import { prepareOtlp } from "../../lib/ingest/prepare-otlp.ts";
import { prepareRecords, type RecordsBody } from "../../lib/ingest/prepare-records.ts";
import type { EdgeRules, IntakeRequest, KeyedMessage, Prepared } from "../../lib/ingest/prepared.ts";
import { createScrubber, type Scrubber } from "../../lib/ingest/scrub/scrubber.ts";
import { parseMessage } from "../../lib/kafka/message-json.ts";
import { decode } from "../../lib/stream/decode.ts";
import { decodeNativeBody } from "../../lib/telemetry/native.ts";
import { otlpFormOf } from "../../lib/telemetry/otlp/answer.ts";
import { decodeOtlp } from "../../lib/telemetry/otlp/decode.ts";
import type { OtlpRequest, OtlpSignal } from "../../lib/telemetry/otlp/request.ts";
import { negotiate } from "../../lib/telemetry/remote-write/content-type.ts";
import { decodeWriteRequest } from "../../lib/telemetry/remote-write/decode.ts";
import { decompressSnappy } from "../../lib/telemetry/remote-write/snappy.ts";
import { ok, reject, type Result } from "../../lib/telemetry/result.ts";
import type { NativeSignal, Signal } from "../../lib/telemetry/signal.ts";
import { decodedParts, type DecodedParts } from "../support/decoded-parts.ts";
import type { FuzzCase } from "./bodies/fuzz-case.ts";

export type DecodedCase =
  | { kind: "records"; body: RecordsBody }
  | { kind: "otlp"; request: OtlpRequest }
  | { kind: "consumed"; batch: DecodedParts }
  | { kind: "other"; value: unknown };

/** @returns what the request's body holds, out of its transfer's encoding */
export async function readCase({ decoder, headers, body }: FuzzCase): Promise<Result<Uint8Array>> {
  if (!decoder.startsWith("/")) return ok(body);
  const isSnappy = decoder === "/api/v1/write";
  const sent = new Headers(headers);
  if (isSnappy) sent.delete("content-encoding");
  const read = await readBody(
    new Request(`http://weir.test${decoder}`, { method: "POST", headers: sent, body }),
  );
  return read.ok && isSnappy ? decompressSnappy(read.value) : read;
}

export function decodeCase({ decoder, headers, nowMs }: FuzzCase, bytes: Uint8Array): Result<DecodedCase> {
  switch (decoder) {
    case "/api/v1/logs":
    case "/api/v1/metrics":
    case "/api/v1/events":
      return decodeNative(decoder.slice("/api/v1/".length) as NativeSignal, headers, bytes);
    case "/kafka/publish":
      return decodeNative("events", headers, bytes);
    case "/v1/logs":
    case "/v1/metrics":
    case "/v1/traces": {
      const form = otlpFormOf(headers["content-type"]);
      if (form === undefined) return reject("unsupported_media_type", "", "is neither protobuf nor JSON");
      const request = decodeOtlp(decoder.slice("/v1/".length) as OtlpSignal, form, bytes);
      return request.ok ? ok({ kind: "otlp", request: request.value }) : request;
    }
    case "/api/v1/write": {
      const version = negotiate(new Headers(headers));
      if (!version.ok) return version;
      const body = decodeWriteRequest(version.value, bytes);
      return body.ok
        ? ok({ kind: "records", body: { ...body.value, signal: "metrics", isKept: true } })
        : body;
    }
    case "message/logs":
    case "message/metrics":
    case "message/events":
    case "message/traces":
      return ok({
        kind: "consumed",
        batch: consume(decoder.slice("message/".length) as Signal, [bytes], nowMs),
      });
    case "produce": {
      const json = jsonOf(bytes);
      return json.ok ? asOther(parseMessage(json.value, "messages[0]")) : json;
    }
    case "scrub-rules": {
      const scrubber = createScrubber(new TextDecoder().decode(bytes), "salt");
      if (!scrubber.ok) return reject("wrong_type", "", scrubber.error[0]?.message ?? "");
      const record = { timestamp: "", level: "", message: "a 1234 b@c.de", attributes: { user: { a: 1 } } };
      scrubber.value?.scrubRecord("logs", record, scrubber.value.newCounts());
      return ok({ kind: "other", value: record });
    }
  }
}

function decodeNative(
  signal: NativeSignal,
  headers: Record<string, string>,
  bytes: Uint8Array,
): Result<DecodedCase> {
  const body = decodeNativeBody(signal, new Headers(headers), bytes);
  return body.ok ? ok({ kind: "records", body: { ...body.value, signal } }) : body;
}

const asOther = (result: Result<unknown>): Result<DecodedCase> =>
  result.ok ? ok({ kind: "other", value: result.value }) : result;

function jsonOf(bytes: Uint8Array): Result<unknown> {
  try {
    return ok(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return reject("malformed_json", "", "is not JSON");
  }
}

export function consume(signal: Signal, values: readonly Uint8Array[], nowMs: number): DecodedParts {
  const context = { signal, defaultTenant: "default", nowMs };
  return decodedParts(values.map((value, offset) => decode({ offset, key: null, value }, context)));
}

const noDirectories = {
  of: () => {
    throw new Error("the limit on series is off");
  },
};

/** Without a limit on series: that asks Durable Objects. */
const rules = (scrubber: Scrubber | undefined): EdgeRules => ({
  keyStrategy: "source",
  scrubber,
  series: { limiter: new SeriesLimiter(), directories: noDirectories, options: { mode: "off", limit: 1 } },
  hotKeys: undefined,
});

/** Every kind of action and of place; what they leave must still be records. */
const SCRUBBER = createScrubber(
  JSON.stringify([
    { path: "attributes.**", pattern: "email", action: "hash" },
    { path: "labels.*", action: "mask" },
    { path: "**", pattern: "/[a-m]+/i", action: "mask" },
    { path: "data", action: "drop" },
    { path: "resource.*", action: "hash" },
    { path: "name", action: "drop" },
  ]),
  "salt",
);

export async function prepareCase(
  { nowMs }: FuzzCase,
  decoded: Extract<DecodedCase, { kind: "records" | "otlp" }>,
  bodyBytes: number,
  isScrubbed: boolean,
): Promise<Prepared> {
  if (!SCRUBBER.ok) throw new Error(`the fuzzer's own rules: ${JSON.stringify(SCRUBBER.error)}`);
  const about: IntakeRequest = {
    tenant: "acme",
    batch: "b-1",
    attempt: 0,
    receivedMs: nowMs,
    skewMs: 0,
    bodyBytes,
    partitions: 3,
    carriesText: false,
  };
  const edge = rules(isScrubbed ? SCRUBBER.value : undefined);
  return decoded.kind === "otlp"
    ? await prepareOtlp(about, decoded.request, edge)
    : await prepareRecords(about, decoded.body, edge);
}

export const signalOf = (decoded: Extract<DecodedCase, { kind: "records" | "otlp" }>): Signal =>
  decoded.kind === "otlp" ? decoded.request.signal : decoded.body.signal;

export const bytesIn = (messages: readonly KeyedMessage[]): number =>
  messages.reduce((sum, { value }) => sum + value.length, 0);
