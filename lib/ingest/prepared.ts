// What the intake's two paths (JSON records, OTLP) have in common: what they know of a request, the rules of the edge,
// and what they make of it: a verdict on each record that is refused, and messages for the others.
import type { KafkaError } from "../kafka/errors.ts";
import type { Reason } from "../telemetry/reasons.ts";
import type { Rejection } from "../telemetry/result.ts";
import type { SeriesDirectories } from "./cardinality/directory.ts";
import type { CardinalityOptions, SeriesLimiter } from "./cardinality/series-limiter.ts";
import type { HotKeys } from "./hot-keys.ts";
import type { KeyStrategy } from "./message-key.ts";
import type { ScrubCounts } from "./scrub/replace.ts";
import type { Scrubber } from "./scrub/scrubber.ts";

/** What became of one record, by its index in the request. */
export type Verdict =
  | { status: "ok"; topic: string; partition: number; offset: number }
  /** Kept in the spillway until Kafka is back. */
  | { status: "spilled"; topic: string }
  | { status: "rejected"; rejection: Rejection }
  | ({ status: "retry" } & NotDurable);

/** Why a good record is neither written nor kept. */
export interface NotDurable {
  reason: Extract<Reason, "kafka_unavailable" | "spill_full">;
  error: KafkaError;
  /** What the other side asks to be waited, where it does. */
  retryAfterMs: number | undefined;
}

export interface IntakeRequest {
  tenant: string;
  /** Identity of the request's records, together with tenant and index. */
  batch: string;
  /** Tells this acceptance of the batch from another one; 0 where there can be but one. */
  attempt: number;
  receivedMs: number;
  /** What is added to every time that the client gave. */
  skewMs: number;
  /** The decoded body's, for the rates of keys. */
  bodyBytes: number;
  /** Of the topic. */
  partitions: number;
  /** The way to Kafka carries text alone: OTLP goes as base64. */
  carriesText: boolean;
}

/** What happens to records before they leave the edge. */
export interface EdgeRules {
  keyStrategy: KeyStrategy;
  /** Undefined: nothing is scrubbed. */
  scrubber: Scrubber | undefined;
  series: { limiter: SeriesLimiter; directories: SeriesDirectories; options: CardinalityOptions };
  /** Undefined: a key stays on its partition, whatever its rate. */
  hotKeys: HotKeys | undefined;
}

export interface KeyedMessage {
  key: string;
  value: Uint8Array;
  /** Places in the request of the records in it. */
  indices: number[];
}

export interface EdgeCounts {
  /** Values changed, by rule. */
  scrubbed: ScrubCounts;
  /** Points over the limit on series; folded unless it is passive. */
  seriesOver: number;
  /** Points that passed since no directory of series answered. */
  seriesUnasked: number;
}

export interface Prepared {
  /** By index; the others' verdicts are Kafka's. */
  rejections: Map<number, Rejection>;
  records: number;
  messages: KeyedMessage[];
  counts: EdgeCounts;
}
