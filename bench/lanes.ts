// What is measured side by side. Each lane is a path on one of the workers; those with a floor are compared with it.
import { RECORDS_PER_REQUEST, type BenchSignal } from "./payload.ts";

export const FLOORS = ["forward", "parse-and-forward"] as const;
export type Floor = (typeof FLOORS)[number];
export const WEIR_SETTINGS = {
  weir: {},
  "weir, gathering": { KAFKA_LINGER_MS: "50" },
} as const satisfies Record<string, Record<string, string>>;
export type WorkerName = Floor | keyof typeof WEIR_SETTINGS;

export type Lane = {
  name: string;
  worker: WorkerName;
  signal: BenchSignal;
  path: string;
  recordsPerRequest: number;
  /** Where not the run's: enough to keep many small requests waiting together. */
  connections?: number;
  /** Stands in every answer; an answer without it is a failure. */
  answerHolds: string;
  /** The lane that this one is compared with. */
  floor?: string;
};

export const LANES: readonly Lane[] = [
  {
    name: "forward, unread",
    worker: "forward",
    signal: "logs",
    path: "/",
    recordsPerRequest: RECORDS_PER_REQUEST,
    answerHolds: "queued",
  },
  floor("logs"),
  weir("logs"),
  floor("metrics"),
  weir("metrics"),
  single("weir", "weir: one record"),
  single("weir, gathering", "weir: one record, gathered"),
];

function floor(signal: BenchSignal): Lane {
  return {
    name: `floor: ${signal}`,
    worker: "parse-and-forward",
    signal,
    path: "/",
    recordsPerRequest: RECORDS_PER_REQUEST,
    answerHolds: acceptedOf(RECORDS_PER_REQUEST),
  };
}

function weir(signal: BenchSignal): Lane {
  return {
    name: `weir: ${signal}`,
    worker: "weir",
    signal,
    path: `/api/v1/${signal}`,
    recordsPerRequest: RECORDS_PER_REQUEST,
    answerHolds: acceptedOf(RECORDS_PER_REQUEST),
    floor: `floor: ${signal}`,
  };
}

/** What batching across requests is for: many requests of one record each. */
function single(worker: WorkerName, name: string): Lane {
  const answerHolds = acceptedOf(1);
  return {
    name,
    worker,
    signal: "logs",
    path: "/api/v1/logs",
    recordsPerRequest: 1,
    connections: 128,
    answerHolds,
  };
}

function acceptedOf(records: number): string {
  return `"accepted":${records}`;
}
