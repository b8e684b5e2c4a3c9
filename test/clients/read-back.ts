// Reads back through the API what a client sent. Nothing is counted before every record that Kafka holds has been
// consumed, so a record too many is seen as surely as one too few.
import { getJson } from "../support/api.ts";
import { devKey, until } from "../support/start.ts";

const SETTLE_MS = 30_000;

export type JsonObject = { [name: string]: unknown };

export interface LogRow {
  timestamp: string;
  level: string;
  message: string;
  service: string | null;
  host: string | null;
  attributes: JsonObject;
  detail?: Detail;
}

export interface MetricRow {
  timestamp: string;
  name: string;
  value: number | string | null;
  labels: Record<string, string>;
  kind?: string;
  detail?: Detail;
}

export interface SpanRow {
  timestamp: string;
  duration_ms: number;
  trace_id: string;
  span_id: string;
  parent_span_id?: string | null;
  name: string;
  kind: string;
  status: string;
  service?: string | null;
  host?: string | null;
  detail: Detail;
}

export interface EventRow {
  timestamp: string;
  event_type: string;
  data: unknown;
  id: string | null;
  key: string | null;
  attributes: JsonObject | null;
}

/** What has no field of its own, in OTLP/JSON form. */
export interface Detail {
  otlp?: {
    resource?: { attributes?: KeyValue[] };
    scope?: { name?: string; version?: string; attributes?: KeyValue[] };
    logRecord?: JsonObject;
    metric?: JsonObject;
    dataPoint?: JsonObject;
    span?: JsonObject;
  };
}

export interface KeyValue {
  key: string;
  value: JsonObject;
}

/** Resolves when everything that was in Kafka at the call has been consumed. */
export async function untilConsumed(url: string): Promise<void> {
  const place = ({ group, topic, partition }: LagRow): string => `${group} ${topic} ${partition}`;
  const ends = new Map((await lagOf(url)).map((row) => [place(row), row.end ?? Number.NaN]));
  await until(async () => {
    const rows = await lagOf(url);
    return rows.every((row) => {
      const end = ends.get(place(row)) ?? 0;
      return end === 0 || (row.committed ?? 0) >= end;
    });
  }, SETTLE_MS);
}

interface LagRow {
  group: string;
  topic: string;
  partition: number;
  committed: number | null;
  end: number | null;
}

const lagOf = (url: string): Promise<LagRow[]> => getJson<LagRow[]>(url, "/api/v1/lag");

export async function logsOf(url: string, service: string): Promise<LogRow[]> {
  return await rowsOf<LogRow>(url, "/api/v1/logs", { service });
}

export async function metricsOf(
  url: string,
  name: string,
  labels: Record<string, string> = {},
): Promise<MetricRow[]> {
  const filters = Object.entries(labels).map(([label, value]) => [`label.${label}`, value] as const);
  return await rowsOf<MetricRow>(url, "/api/v1/metrics", { name, ...Object.fromEntries(filters) });
}

export async function eventsOf(url: string, type: string): Promise<EventRow[]> {
  return await rowsOf<EventRow>(url, "/api/v1/events", { event_type: type });
}

export async function traceOf(url: string, traceId: string): Promise<SpanRow[]> {
  const { spans } = await getJson<{ spans: SpanRow[] }>(url, `/api/v1/traces/${traceId}`);
  return spans;
}

/** Every row of a list, oldest first, once everything is consumed. */
async function rowsOf<T>(url: string, path: string, query: Record<string, string>): Promise<T[]> {
  const rows: T[] = [];
  let next: string | undefined = `${path}?${new URLSearchParams({ limit: "1000", ...query }).toString()}`;
  while (next !== undefined) {
    const response: Response = await fetch(`${url}${next}`, {
      headers: { Authorization: `Bearer ${devKey}` },
      signal: AbortSignal.timeout(20_000),
    });
    if (response.status !== 200) throw new Error(`GET ${next}: ${response.status} ${await response.text()}`);
    rows.push(...((await response.json()) as T[]));
    next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return rows.toReversed();
}

/** A list of OTLP/JSON attributes as an object of its `AnyValue`s; a name twice is a fault. */
export function attributesOf(list: unknown): Record<string, JsonObject> {
  const entries = ((list ?? []) as KeyValue[]).map(({ key, value }) => [key, value] as const);
  const names = new Set(entries.map(([key]) => key));
  if (names.size !== entries.length) throw new Error("an attribute stands there twice");
  return Object.fromEntries(entries);
}

/** The nanoseconds since 1970 of a row's timestamp. */
export function nanosOf(timestamp: string): bigint {
  const [, whole = "", fraction = ""] = /^(.+?)(?:\.(\d+))?Z$/.exec(timestamp) ?? [];
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}
