// How a test inside workerd makes the Kafka in Node fail, and makes topics of its own there.

export interface KafkaFault {
  method: "GET" | "POST";
  /** Requests whose path holds this are hit. */
  path: string;
  times: number;
  /** `refuse` answers instead of Kafka; `lose-answer` lets Kafka write first. */
  kind: "refuse" | "lose-answer";
  status?: number;
  body?: string;
  contentType?: string;
}

export async function failKafka(fault: KafkaFault): Promise<void> {
  await fetch("http://control.test/faults", { method: "POST", body: JSON.stringify(fault) });
}

export async function healKafka(): Promise<void> {
  await fetch("http://control.test/reset", { method: "POST" });
}

/** A topic that no other test knows: local-kafka is shared by all files of a run. */
export async function makeTopic(partitions = 3): Promise<string> {
  const name = `test.${crypto.randomUUID()}`;
  await fetch("http://control.test/topics", { method: "POST", body: JSON.stringify({ name, partitions }) });
  return name;
}
