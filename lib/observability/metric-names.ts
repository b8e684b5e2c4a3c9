// Every metric of the edge, declared once: name, type, help, labels, buckets. A name or a label that is not here does not
// compile. Labels are enumerations, or names that come from code and settings; a tenant is never one. The buckets of a
// name may change: what was counted under other ones, or under other labels, is kept apart and no longer shown.

/** Values of a label: those listed, or at most `max` different ones; what goes beyond is counted as `other`. */
export type LabelSpec = readonly string[] | { max: number };

export interface MetricSpec {
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: Readonly<Record<string, LabelSpec>>;
  /** Upper bounds of a histogram's buckets, rising; `+Inf` is added. */
  buckets?: readonly number[];
}

export const OTHER = "other";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER] as const;
export const SIGNALS = ["logs", "metrics", "events", "traces"] as const;
const PROTOCOLS = [
  "json",
  "cloudevents",
  "publish",
  "otlp_protobuf",
  "otlp_json",
  "remote_write_v1",
  "remote_write_v2",
] as const;
const topic = { max: 100 };
const route = { max: 200 };
const reason = { max: 200 };

const DELAY = "Counted by each isolate and gathered every weir_edge_flush_interval_seconds.";

export const METRICS = {
  kafka_messages_sent_total: {
    type: "counter",
    help: `Messages given to Kafka, each attempt counted, by what became of them. ${DELAY}`,
    labels: { topic, status: ["success", "failure"] },
  },
  kafka_message_size_bytes: {
    type: "histogram",
    help: "Size of the messages given to Kafka: key and value, before compression.",
    labels: { topic },
    buckets: [256, 1_024, 4_096, 16_384, 65_536, 262_144, 700_000, 1_000_000],
  },
  kafka_produce_time_seconds: {
    type: "histogram",
    help: "Time of each produce call to Kafka, failed ones among them.",
    labels: { topic },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  weir_requests_total: {
    type: "counter",
    help: `Requests answered, by the route's pattern. ${DELAY} What an isolate had not given away when it ended is lost: at most that long.`,
    labels: { method: METHODS, route, status: { max: 60 } },
  },
  weir_request_duration_seconds: {
    type: "histogram",
    help: "Time from the request's headers to the answer's, as the runtime's clock shows it, which moves with input and output only.",
    labels: { route },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  weir_requests_refused_total: {
    type: "counter",
    help: "Requests refused as a whole, by reason (docs/errors.md).",
    labels: { reason },
  },
  weir_records_accepted_total: {
    type: "counter",
    help: `Records answered as accepted. ${DELAY}`,
    labels: { signal: SIGNALS, protocol: PROTOCOLS },
  },
  weir_records_rejected_total: {
    type: "counter",
    help: "Records refused for good, by reason (docs/errors.md).",
    labels: { reason },
  },
  weir_records_retry_total: {
    type: "counter",
    help: "Records that were good but not made durable, so that the client was asked to send them again.",
    labels: { signal: SIGNALS, protocol: PROTOCOLS },
  },
  weir_records_spilled_total: {
    type: "counter",
    help: "Records that were kept in the spillway because Kafka was away; they are among the accepted ones.",
    labels: { signal: SIGNALS },
  },
  weir_request_bytes_total: {
    type: "counter",
    help: "Bytes of the bodies that the intake read, as sent and as decoded.",
    labels: { protocol: PROTOCOLS, form: ["sent", "decoded"] },
  },
  weir_quota_refused_total: {
    type: "counter",
    help: "Requests refused because the tenant's quota was used up.",
    labels: {},
  },
  weir_quota_failed_open_total: {
    type: "counter",
    help: "Requests that were admitted though the object that keeps their quota did not answer.",
    labels: {},
  },
  weir_idempotency_unknown_total: {
    type: "counter",
    help: "Requests whose Idempotency-Key could not be looked up, so that another body under it went unseen.",
    labels: {},
  },
  weir_clock_skew_corrected_total: {
    type: "counter",
    help: "Requests whose records' times were corrected by the client's clock.",
    labels: {},
  },
  weir_client_discarded_total: {
    type: "counter",
    help: "Records that agents say they threw away before they were sent, by signal and reason.",
    labels: { signal: SIGNALS, reason: { max: 40 } },
  },
  weir_series_folded_total: {
    type: "counter",
    help: "Records whose labels were folded because the tenant has too many series, by mode.",
    labels: { mode: { max: 10 } },
  },
  weir_series_unchecked_total: {
    type: "counter",
    help: "Records that passed unchecked because no directory of series answered.",
    labels: {},
  },
  weir_scrubbed_total: {
    type: "counter",
    help: "Values that a scrubbing rule removed or masked, by rule.",
    labels: { rule: { max: 100 } },
  },
  weir_edge_flushes_lost_total: {
    type: "counter",
    help: "Deliveries of counts that were given up because their object did not answer for half an hour.",
    labels: {},
  },
  weir_edge_flush_interval_seconds: {
    type: "gauge",
    help: "How long an isolate keeps its counts before it gives them away; what its sudden end can lose.",
    labels: {},
  },
  weir_edge_isolates: {
    type: "gauge",
    help: "Isolates that gave counts away within the last hour.",
    labels: {},
  },
  weir_breaker_open: {
    type: "gauge",
    help: "1 while Kafka is taken for away, so that records go into the spillway untried; else 0.",
    labels: {},
  },
  weir_spill_messages: {
    type: "gauge",
    help: "Messages kept while Kafka is away, of all shards that answered this scrape.",
    labels: {},
  },
  weir_spill_bytes: {
    type: "gauge",
    help: "Size of those messages.",
    labels: {},
  },
  weir_spill_oldest_seconds: {
    type: "gauge",
    help: "Age of the oldest message that waits, those that Kafka refuses left out; at SPILL_MAX_AGE_MS new records of its topic are refused.",
    labels: {},
  },
  weir_storage_bytes: {
    type: "gauge",
    help: "Size of the database that the results are in; 0 where it has no bound of its own.",
    labels: {},
  },
  weir_storage_limit_bytes: {
    type: "gauge",
    help: "What that database holds at most; near it the oldest raw days go early (docs/retention.md).",
    labels: {},
  },
  weir_scrape_errors: {
    type: "gauge",
    help: "Objects, stores and logs that did not answer this scrape. Of counters the last known totals stand in where this isolate has any; else the sums are too low, or the samples missing.",
    labels: {},
  },
} as const satisfies Record<string, MetricSpec>;

type Metrics = typeof METRICS;
export type MetricName = keyof Metrics;
type NameOf<T extends MetricSpec["type"]> = {
  [N in MetricName]: Metrics[N]["type"] extends T ? N : never;
}[MetricName];
export type CounterName = NameOf<"counter">;
export type GaugeName = NameOf<"gauge">;
export type HistogramName = NameOf<"histogram">;

export type MethodLabel = (typeof METHODS)[number];
export type SignalLabel = (typeof SIGNALS)[number];
export type ProtocolLabel = (typeof PROTOCOLS)[number];

type ValueOf<S> = S extends readonly (infer V)[] ? V : string;
export type LabelsOf<N extends MetricName> = {
  readonly [L in keyof Metrics[N]["labels"]]: ValueOf<Metrics[N]["labels"][L]>;
};

/** A method as a label; what is none of HTTP's common ones is `other`. */
export function methodLabel(method: string): MethodLabel {
  return METHODS.find((known) => known === method) ?? OTHER;
}
