// Every run of the transport contract there is: a suite under another name throws, one of these that never ran is told
// at the end of the whole run (test/support/transport-matrix.ts), and each value of KAFKA_TRANSPORT must be among them.
import type { TransportName } from "../../lib/config/settings.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Set by a case of the contract that saw the declared refusal instead of the power. */
    refused?: boolean;
  }
}

interface ContractRun {
  transport: TransportName;
  /** What lies behind the transport. */
  over: string;
}

export const CONTRACT_RUNS = {
  "rest-v2 on Redpanda's dialect": { transport: "rest-v2", over: "local-kafka, files" },
  "rest-v2 on Karapace's dialect": { transport: "rest-v2", over: "local-kafka, files" },
  "rest-v2 on Redpanda's dialect, real Kafka": {
    transport: "rest-v2",
    over: "local-kafka in front of Apache Kafka",
  },
  "rest-v2 on Karapace's dialect, real Kafka": {
    transport: "rest-v2",
    over: "local-kafka in front of Apache Kafka",
  },
  "rest-v2 through a host that batches": { transport: "rest-v2", over: "local-kafka, files; workerd" },
  "rest-v3, read by rest-v2": { transport: "rest-v3", over: "local-kafka, files" },
  "rest-v3, read by native, real Kafka": {
    transport: "rest-v3",
    over: "local-kafka in front of Apache Kafka, and Apache Kafka",
  },
  upstash: { transport: "upstash", over: "local-kafka, files" },
  "upstash, real Kafka": { transport: "upstash", over: "local-kafka in front of Apache Kafka" },
  "native in Node": { transport: "native", over: "Apache Kafka" },
  "native in workerd": { transport: "native", over: "Apache Kafka; a Durable Object" },
  embedded: { transport: "embedded", over: "Durable Objects" },
} as const satisfies Record<string, ContractRun>;

export type ContractRunName = keyof typeof CONTRACT_RUNS;

/** @throws when no run has this name, so that nothing can be selected that is not there */
export function contractRun(name: string): ContractRun {
  if (!Object.hasOwn(CONTRACT_RUNS, name)) {
    throw new Error(`no contract run is called ${name}; there are ${Object.keys(CONTRACT_RUNS).join(" · ")}`);
  }
  return CONTRACT_RUNS[name as ContractRunName];
}
