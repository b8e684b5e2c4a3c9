// The public API's answers as this page reads them. A list that is a list is taken; an entry in it that is not
// what the contract says is left out, so that one odd record never blanks a panel.

export interface MetricPoint {
  value: number;
  labels: Record<string, string>;
  /** Milliseconds since the epoch. */
  atMs: number;
}

export interface LogEntry {
  atMs: number;
  level: string;
  message: string;
  service: string;
  host: string;
  attributes: Record<string, unknown>;
}

export interface PartitionLag {
  group: string;
  topic: string;
  partition: number;
  /** Records behind the log's end; undefined where the transport cannot tell. */
  lag: number | undefined;
  end: number | undefined;
  /** Records stored so far. */
  records: number;
  error: string;
}

/** What is kept while Kafka does not take it. */
export interface Spill {
  messages: number;
  records: number;
  /** Messages that Kafka refuses for themselves: they stay. */
  refused: number;
  /** The age of the oldest. */
  oldestMs: number | undefined;
  /** Why a part of it could not be counted. */
  error: string;
}

export interface KafkaStatus {
  producer: string;
  consumer: string;
  transport: string;
  acks: string;
  /** What is wrong and what to do about it. */
  error: string;
  breaker: "closed" | "open" | "half-open";
  spill: Spill;
  /** Tenants whose records the store refuses, with the topics on which it does. */
  tripped: Array<{ tenant: string; topics: string[] }>;
}

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
export const text = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";
export const figure = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined;

export function list<T>(json: unknown, parse: (entry: Json) => T | undefined): T[] | undefined {
  if (!Array.isArray(json)) return undefined;
  return json.filter(isObject).flatMap((entry) => parse(entry) ?? []);
}

export function parseMetrics(json: unknown): MetricPoint[] | undefined {
  return list(json, (entry) => {
    const value = figure(entry["value"]);
    const atMs = Date.parse(text(entry["timestamp"]));
    if (value === undefined || Number.isNaN(atMs)) return undefined;
    const labels = isObject(entry["labels"]) ? entry["labels"] : {};
    return {
      value,
      atMs,
      labels: Object.fromEntries(Object.entries(labels).map(([name, of]) => [name, text(of)])),
    };
  });
}

export function parseLogs(json: unknown): LogEntry[] | undefined {
  return list(json, ({ timestamp, level, message, service, host, attributes }) => {
    const atMs = Date.parse(text(timestamp));
    if (Number.isNaN(atMs)) return undefined;
    return {
      atMs,
      level: text(level).toUpperCase(),
      message: typeof message === "string" ? message : (JSON.stringify(message) ?? ""),
      service: text(service),
      host: text(host),
      attributes: isObject(attributes) ? attributes : {},
    };
  });
}

export function parseLag(json: unknown): PartitionLag[] | undefined {
  return list(json, ({ group, topic, partition, lag, end, records, error }) => {
    if (typeof topic !== "string") return undefined;
    return {
      group: text(group),
      topic,
      partition: figure(partition) ?? -1,
      lag: figure(lag),
      end: figure(end),
      records: figure(records) ?? 0,
      error: isObject(error) ? text(error["message"]) : text(error),
    };
  });
}

const breakers = ["open", "half-open"] as const;

export function parseStatus(json: unknown): KafkaStatus | undefined {
  if (!isObject(json)) return undefined;
  const spill = isObject(json["spill"]) ? json["spill"] : {};
  return {
    producer: text(json["kafka_producer"]) || "unknown",
    consumer: text(json["kafka_consumer"]) || "unknown",
    transport: text(json["transport"]),
    acks: text(json["acks"]),
    error: text(json["error"]),
    breaker: breakers.find((state) => state === json["breaker"]) ?? "closed",
    spill: {
      messages: figure(spill["messages"]) ?? 0,
      records: figure(spill["records"]) ?? 0,
      refused: figure(spill["refused"]) ?? 0,
      oldestMs: figure(spill["oldest_ms"]),
      error: text(spill["error"]),
    },
    tripped: trippedTenants(json["consumers"]),
  };
}

function trippedTenants(consumers: unknown): KafkaStatus["tripped"] {
  const topics = new Map<string, Set<string>>();
  for (const consumer of Array.isArray(consumers) ? consumers.filter(isObject) : []) {
    const { tripped } = consumer;
    for (const tenant of Array.isArray(tripped) ? tripped.map(text) : [])
      topics.set(tenant, (topics.get(tenant) ?? new Set()).add(text(consumer["topic"])));
  }
  return [...topics]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([tenant, of]) => ({ tenant, topics: [...of].toSorted() }));
}
