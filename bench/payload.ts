// The bodies that the load sends: 100 records of about 270 bytes each, as one agent on one host would post them, with
// four sources to a request (so four messages, Weir writing one for each key). Deterministic but for the time.
import { Buffer } from "node:buffer";

export const BENCH_SIGNALS = ["logs", "metrics"] as const;
export type BenchSignal = (typeof BENCH_SIGNALS)[number];

export const RECORDS_PER_REQUEST = 100;
/** Stands once in every record, on both sides of the worker, and in no envelope's head: records are counted by it. */
export const RECORD_MARK = '"timestamp":"';

const SERVICES = ["checkout", "catalogue", "payments", "search"];
const LEVELS = ["DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR"];
const METHODS = ["GET", "POST", "PUT"];
const METRICS = ["http_request_duration_ms", "cpu_usage_percent", "heap_used_bytes", "queue_depth_messages"];

const recordOf: Record<BenchSignal, (seed: number, host: string, timestamp: string) => unknown> = {
  logs: (seed, host, timestamp) => ({
    timestamp,
    level: pick(LEVELS, seed),
    service: pick(SERVICES, seed),
    host,
    message: `${pick(METHODS, seed)} /api/orders/${10_000 + (seed % 90_000)} answered in ${(seed % 997) / 10} ms`,
    attributes: {
      trace: (0xa000_0000 + seed * 7919).toString(16).padStart(16, "0"),
      status: seed % 9 === 0 ? 503 : 200,
      region: "eu-west-1",
      user: `customer-${seed % 5_000}`,
    },
  }),
  metrics: (seed, host, timestamp) => ({
    name: pick(METRICS, seed),
    value: (seed * 7919) / 64,
    timestamp,
    labels: {
      service: pick(SERVICES, seed),
      host,
      region: "eu-west-1",
      zone: `eu-west-1${pick(["a", "b", "c"], seed)}`,
      version: "2026.11.3-build.481",
      route: `/api/orders/{id}/${pick(["items", "status"], seed)}`,
      method: pick(METHODS, seed),
    },
  }),
};

/** `count` bodies, each from a host of its own, so that all partitions get some. */
export function createBodies(
  signal: BenchSignal,
  count: number,
  nowMs: number,
  recordsPerRequest: number = RECORDS_PER_REQUEST,
): Buffer[] {
  return Array.from({ length: count }, (_, body) => {
    const host = `web-${String(body).padStart(2, "0")}.eu-west-1.example.net`;
    const records = Array.from({ length: recordsPerRequest }, (_, index) => {
      const seed = body * recordsPerRequest + index;
      return recordOf[signal](seed, host, new Date(nowMs - seed).toISOString());
    });
    return Buffer.from(JSON.stringify(signal === "logs" ? { entries: records } : { metrics: records }));
  });
}

function pick(list: readonly string[], seed: number): string {
  return list[seed % list.length] ?? "";
}
