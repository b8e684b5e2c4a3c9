// How a test inside workerd makes the Kafka in Node fail.

import type { KafkaFault } from "../kafka-fault.ts";

export async function failKafka(fault: KafkaFault): Promise<void> {
  await fetch("http://control.test/faults", { method: "POST", body: JSON.stringify(fault) });
}

export async function healKafka(): Promise<void> {
  await fetch("http://control.test/reset", { method: "POST" });
}
