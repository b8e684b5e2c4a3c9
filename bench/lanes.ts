// What is measured side by side. Each lane is a path on one of the workers; those with a floor are compared with it.
import { RECORDS_PER_REQUEST, type BenchSignal } from "./payload.ts";

export const FLOORS = ["forward", "parse-and-forward"] as const;
export type Floor = (typeof FLOORS)[number];
export type WorkerName = Floor | "weir";

export type Lane = {
  name: string;
  worker: WorkerName;
  signal: BenchSignal;
  path: string;
  /** Stands in every answer; an answer without it is a failure. */
  answerHolds: string;
  /** The lane that this one is compared with. */
  floor?: string;
};

const accepted = `"accepted":${RECORDS_PER_REQUEST}`;

export const LANES: readonly Lane[] = [
  { name: "forward, unread", worker: "forward", signal: "logs", path: "/", answerHolds: "queued" },
  floor("logs"),
  weir("logs"),
  floor("metrics"),
  weir("metrics"),
];

function floor(signal: BenchSignal): Lane {
  return { name: `floor: ${signal}`, worker: "parse-and-forward", signal, path: "/", answerHolds: accepted };
}

function weir(signal: BenchSignal): Lane {
  return {
    name: `weir: ${signal}`,
    worker: "weir",
    signal,
    path: `/api/v1/${signal}`,
    answerHolds: accepted,
    floor: `floor: ${signal}`,
  };
}
