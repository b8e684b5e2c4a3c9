// What lies on a topic of the Kafka in Node, as any client of it sees it.
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import type { FetchedRecord } from "../../../lib/kafka/transport.ts";

export interface TopicMessage extends FetchedRecord {
  partition: number;
  /** Of key and value, whatever bytes they are. */
  text: string;
}

/** The messages in whose key or value the marker stands: a name that one test alone uses. */
export async function messagesWith(topic: string, marker: string, partitions = 3): Promise<TopicMessage[]> {
  const transport = createRestV2({ url: "http://kafka.test" });
  const decoder = new TextDecoder();
  const found: TopicMessage[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    for (let offset = 0; ;) {
      const page = await transport.fetch({ topic, partition, offset, maxBytes: 1_000_000, waitMs: 0 });
      if (page.length === 0) break;
      for (const message of page) {
        const text = `${decoder.decode(message.key ?? undefined)}\n${decoder.decode(message.value ?? undefined)}`;
        if (text.includes(marker)) found.push({ ...message, partition, text });
      }
      offset = (page.at(-1)?.offset ?? 0) + 1;
    }
  }
  return found;
}

/** Where the topic is there already, that is as good. */
export async function makeTopic(name: string, partitions = 3): Promise<void> {
  await fetch("http://control.test/topics", { method: "POST", body: JSON.stringify({ name, partitions }) });
}
