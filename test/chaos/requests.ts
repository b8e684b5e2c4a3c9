// The requests of a lane, made of seed, lane and number alone: the same number is the same body, however often it is sent.
// Every record carries an id of its own in its content, where dedupe does not look; some lanes give records a dedupe id.
import { createHash } from "node:crypto";
import { Random } from "../fuzz/bodies/random.ts";

/**
 * `keyed-…`: under an Idempotency-Key. `racing`: the same, several at once. `own-ids`: records with ids, grouped anew at
 * each retry. `plain`: nothing that tells a retry, so there is none. `otlp-…`: the same body again.
 */
export const LANE_KINDS = [
  "keyed-logs",
  "keyed-events",
  "keyed-metrics",
  "racing",
  "own-ids",
  "plain",
  "otlp-logs",
  "otlp-metrics",
  "otlp-traces",
] as const;
/** `gauges`: what alert rules look at, made by alert-probe.ts. */
export type LaneKind = (typeof LANE_KINDS)[number] | "gauges";

export interface LaneOptions {
  seed: number;
  lane: number;
  kind: LaneKind;
}

/** A request, or the part of one that a retry groups anew. */
export interface ChaosRequest {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Of its records, in order. */
  ids: string[];
}

/** Small ones mostly, and now and then one that is cut into many messages. */
export function sizeOf({ seed, lane }: LaneOptions, number: number): number {
  const random = Random.of(seed * 31 + lane, number);
  const kind = random.below(20);
  if (kind < 13) return random.between(1, 8);
  return kind < 18 ? random.between(10, 40) : random.between(100, 300);
}

export function makeRequest(options: LaneOptions, number: number, places?: readonly number[]): ChaosRequest {
  const { seed, lane, kind } = options;
  const random = Random.of(seed * 31 + lane, number);
  const size = sizeOf(options, number);
  const hosts = random.between(1, 4);
  const padding = "x".repeat(random.below(160));
  const all = places ?? Array.from({ length: size }, (_, i) => i);
  const records = all.map((i) => ({
    id: `w${seed}.${lane}.${number}.${i};`,
    own: `o-${seed}-${lane}-${number}-${i}`,
    service: `lane-${lane}`,
    host: `host-${i % hosts}`,
    padding,
    i,
  }));
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (kind.startsWith("keyed") || kind === "racing")
    headers["Idempotency-Key"] = `k-${seed}-${lane}-${number}`;
  return { ...bodyOf(kind, records), headers, ids: records.map(({ id }) => id) };
}

interface Planned {
  id: string;
  own: string;
  service: string;
  host: string;
  padding: string;
  i: number;
}

function bodyOf(kind: LaneKind, records: readonly Planned[]): { path: string; body: string } {
  switch (kind) {
    case "keyed-logs":
    case "racing":
    case "plain":
      return json(
        "logs",
        records.map(({ id, service, host, padding, i }) => ({
          message: i % 3 === 0 ? `level=warn took=${i}ms msg=${id}` : id,
          service,
          host,
          padding,
        })),
      );
    case "own-ids":
      return json(
        "logs",
        records.map(({ id, own, service, host, padding }) => ({
          message: id,
          service,
          host,
          padding,
          id: own,
        })),
      );
    case "keyed-events":
      return json(
        "events",
        records.map(({ id, service, host, i }) => ({
          // Its handler (functions/handlers/example.ts) gives windows the amount, and tells of large ones in an event.
          event_type: "example.order_placed",
          key: `${service}/${host}`,
          data: { id, order: id, amount: amountOf(i) },
        })),
      );
    case "keyed-metrics":
      return json(
        "metrics",
        records.map(({ id, service, host, i }) => ({
          name: "chaos_points",
          value: i,
          labels: { service, host, id },
        })),
      );
    case "otlp-logs":
      return otlp("logs", "resourceLogs", "scopeLogs", records, (list) => ({
        logRecords: list.map(({ id }) => ({ severityText: "INFO", body: { stringValue: id } })),
      }));
    case "otlp-metrics":
      return otlp("metrics", "resourceMetrics", "scopeMetrics", records, (list) => ({
        metrics: [
          {
            name: "chaos_otlp",
            gauge: { dataPoints: list.map(({ id, i }) => ({ asDouble: i, attributes: [text("id", id)] })) },
          },
        ],
      }));
    case "gauges":
      throw new Error("the probe of alerts makes its own");
    case "otlp-traces":
      return otlp("traces", "resourceSpans", "scopeSpans", records, (list) => ({ spans: list.map(spanOf) }));
  }
}

/** Every fourth order is a large one. */
const amountOf = (i: number) => (i % 4 === 0 ? LARGE_ORDER : 1) + i;
export const LARGE_ORDER = 1_000;

const json = (path: string, records: unknown[]) => ({
  path: `/api/v1/${path}`,
  body: JSON.stringify(records),
});

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });

/** A trace of one span. Its ids are made of the record's, its times are fixed. */
function spanOf({ id, own }: Planned): object {
  const traceId = createHash("sha256").update(own).digest("hex").slice(0, 32);
  return {
    traceId,
    spanId: traceId.slice(16),
    name: id,
    kind: 1,
    startTimeUnixNano: START_NANOS,
    endTimeUnixNano: START_NANOS,
  };
}

/** An hour before the process began: in the range that the edge takes, whatever the clock does in the run. */
const START_NANOS = `${Date.now() - 5 * 3_600_000}000000`;

function otlp(
  signal: string,
  resources: string,
  scopes: string,
  records: readonly Planned[],
  partOf: (records: Planned[]) => object,
): { path: string; body: string } {
  const byHost = new Map<string, Planned[]>();
  for (const record of records) byHost.set(record.host, [...(byHost.get(record.host) ?? []), record]);
  const list = [...byHost].map(([host, own]) => ({
    resource: { attributes: [text("service.name", own[0]?.service ?? ""), text("host.name", host)] },
    [scopes]: [partOf(own)],
  }));
  return { path: `/v1/${signal}`, body: JSON.stringify({ [resources]: list }) };
}
