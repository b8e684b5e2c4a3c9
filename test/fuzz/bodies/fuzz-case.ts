// One body with what it is sent to: all that is needed to send it again.
import type { Bytes } from "./mutate-bytes.ts";

/**
 * Paths of the intake; `message/…` is what a consumer of that signal reads from Kafka, `produce` one message of POST
 * …/messages, `scrub-rules` the setting.
 */
export const DECODERS = [
  "/api/v1/logs",
  "/api/v1/metrics",
  "/api/v1/events",
  "/kafka/publish",
  "/v1/logs",
  "/v1/metrics",
  "/v1/traces",
  "/api/v1/write",
  "message/logs",
  "message/metrics",
  "message/events",
  "message/traces",
  "produce",
  "scrub-rules",
] as const;
export type Decoder = (typeof DECODERS)[number];

export interface FuzzCase {
  decoder: Decoder;
  headers: Record<string, string>;
  /** When it is received, epoch milliseconds. */
  nowMs: number;
  body: Bytes;
}

export const JSON_TYPE = "application/json";
export const PROTOBUF_TYPE = "application/x-protobuf";
export const LINES_TYPE = "application/x-ndjson";
