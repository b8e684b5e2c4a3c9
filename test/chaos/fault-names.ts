// The faults there are, by the name that `--faults` takes. What each does is in faults.ts.
export const FAULT_NAMES = [
  "http-5xx",
  "http-429",
  "hang",
  "reset",
  "lost-answer",
  "partial",
  "kafka-kill",
  "kafka-flap",
  "spill-full",
  "worker-kill",
  "consume-kill",
  "produce-kill",
  "outbox-kill",
  "evict",
  "ticks",
  "race",
  "store-before",
  "store-after",
  "store-outage",
  "partitions",
  "topic-anew",
  "clock",
  "foreign",
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];
