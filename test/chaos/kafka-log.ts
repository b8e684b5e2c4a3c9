// What lies in Kafka, read through the REST API: the ids of the records of each message, in the order of the log. By their
// form alone, in whatever the message is; it shares no decoder with the product.
export interface LoggedMessage {
  partition: number;
  offset: number;
  key: string | null;
  /** Of the records in it, in order. */
  ids: string[];
  value: Buffer | null;
}

/** `w7.2.31.4;`: seed, lane, request, record. */
export const ID = /w\d+\.\d+\.\d+\.\d+;/g;

const PAGE_BYTES = 4_000_000;
const DEADLINE_MS = 20_000;

interface Row {
  offset: number;
  key: string | null;
  value: string | null;
}

export async function readLog(kafkaUrl: string, topic: string, partitions: number): Promise<LoggedMessage[]> {
  const messages: LoggedMessage[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    for (let next = 0; ;) {
      const page = await readPage(kafkaUrl, topic, partition, next);
      if (page.length === 0) break;
      for (const { offset, key, value } of page) {
        const bytes = value === null ? null : Buffer.from(value, "base64");
        messages.push({
          partition,
          offset,
          key: key === null ? null : Buffer.from(key, "base64").toString(),
          ids: bytes?.toString("latin1").match(ID) ?? [],
          value: bytes,
        });
        next = offset + 1;
      }
    }
  }
  return messages;
}

async function readPage(kafkaUrl: string, topic: string, partition: number, offset: number): Promise<Row[]> {
  const query = `offset=${offset}&timeout=0&max_bytes=${PAGE_BYTES}`;
  const response = await fetch(`${kafkaUrl}/topics/${topic}/partitions/${partition}/records?${query}`, {
    headers: { Accept: "application/vnd.kafka.binary.v2+json" },
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (response.status !== 200)
    throw new Error(`reading ${topic}/${partition}: ${response.status} ${await response.text()}`);
  return ((await response.json()) as Row[]).filter((row) => row.offset >= offset);
}

/** Writes as another producer would: no envelope. @returns the offset */
export async function writeForeign(
  kafkaUrl: string,
  topic: string,
  partition: number,
  value: Buffer,
): Promise<number> {
  const record = { partition, value: value.toString("base64") };
  const response = await fetch(`${kafkaUrl}/topics/${topic}`, {
    method: "POST",
    headers: {
      "Content-Type": "application/vnd.kafka.binary.v2+json",
      Accept: "application/vnd.kafka.v2+json",
    },
    body: JSON.stringify({ records: [record] }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const text = await response.text();
  const offset = (JSON.parse(text) as { offsets?: { offset: number }[] }).offsets?.[0]?.offset ?? -1;
  if (response.status !== 200 || offset < 0) throw new Error(`writing to ${topic}/${partition}: ${text}`);
  return offset;
}
