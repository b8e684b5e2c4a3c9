// What Redpanda's proxy does not tell, found by reading. A read at the log's end gives nothing, one beyond it or
// before its start is out of range, one of a partition that is not there is an unknown topic. Costs O(log n) reads.
import { z } from "zod";
import { KafkaError, MAKE_TOPIC } from "./errors.ts";
import { fromHttpStatus, type RestClient } from "./rest-http.ts";
import { BINARY, V2 } from "./rest-v2-records.ts";
import type { KafkaTransport } from "./transport.ts";

const TIMEOUT_MS = 5_000;
/** Rounds of reading in search of a partition's first message, among all partitions of its topic. */
const MAX_EARLIEST_READS = 20;

type Reader = Pick<KafkaTransport, "fetch">;

/** How an offset lies to the log: on a message, at the end, or out of it. */
type Place = { kind: "message"; offset: number } | { kind: "end" } | { kind: "outside" };

async function probe(reader: Reader, topic: string, partition: number, offset: number): Promise<Place> {
  try {
    const [first] = await reader.fetch({ topic, partition, offset, maxBytes: 1, waitMs: 0 });
    return first ? { kind: "message", offset: first.offset } : { kind: "end" };
  } catch (error) {
    if (error instanceof KafkaError && error.code === "offset_out_of_range") return { kind: "outside" };
    throw error;
  }
}

/** Counts a topic's partitions: an offset no log reaches is out of range where there is a partition. */
export async function countPartitions(reader: Reader, topic: string): Promise<number> {
  const isThere = async (partition: number): Promise<boolean> => {
    try {
      await reader.fetch({ topic, partition, offset: Number.MAX_SAFE_INTEGER, maxBytes: 1, waitMs: 0 });
      return true;
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      if (error.code === "offset_out_of_range") return true;
      if (error.code === "unknown_topic") return false;
      throw error;
    }
  };
  // A broker that restarts may not know for a moment what it has: a "no" counts when it is said twice.
  const exists = async (partition: number) => (await isThere(partition)) || (await isThere(partition));
  if (!(await exists(0))) {
    throw new KafkaError("unknown_topic", `the topic ${topic} does not exist; ${MAKE_TOPIC}`);
  }
  let present = 0;
  let step = 1;
  while (await exists(present + step)) {
    present += step;
    step *= 2;
  }
  let absent = present + step;
  while (absent - present > 1) {
    const middle = Math.floor((present + absent) / 2);
    if (await exists(middle)) present = middle;
    else absent = middle;
  }
  return present + 1;
}

/**
 * Offset of the oldest message kept.
 * @param nearOffset of a message that is thought to be kept: between it and 0 the start is found by halving
 */
export async function findEarliest(
  reader: Reader,
  client: RestClient,
  topic: string,
  partition: number,
  nearOffset?: number,
): Promise<number> {
  const atZero = await probe(reader, topic, partition, 0);
  if (atZero.kind === "message") return atZero.offset;
  if (atZero.kind === "end") return 0;
  if (nearOffset !== undefined && (await probe(reader, topic, partition, nearOffset)).kind !== "outside") {
    let expired = 0;
    let kept = nearOffset;
    while (kept - expired > 1) {
      const middle = Math.floor((expired + kept) / 2);
      if ((await probe(reader, topic, partition, middle)).kind === "outside") expired = middle;
      else kept = middle;
    }
    return kept;
  }
  return await readEarliest(client, topic, partition);
}

/** Offset that the next message will get. */
export async function findLatest(
  reader: Reader,
  client: RestClient,
  topic: string,
  partition: number,
  nearOffset = 0,
): Promise<number> {
  let low = nearOffset; // on a message
  let high: number | undefined; // at the end or beyond it
  const first = await probe(reader, topic, partition, nearOffset);
  if (first.kind === "end") return nearOffset;
  if (first.kind === "outside") {
    low = await findEarliest(reader, client, topic, partition);
    if (low < nearOffset) high = nearOffset;
    if ((await probe(reader, topic, partition, low)).kind === "end") return low;
  }
  for (let step = 1; high === undefined; step *= 2) {
    const place = await probe(reader, topic, partition, low + step);
    if (place.kind === "end") return low + step;
    if (place.kind === "message") low += step;
    else high = low + step;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const place = await probe(reader, topic, partition, middle);
    if (place.kind === "end") return middle;
    if (place.kind === "message") low = middle;
    else high = middle;
  }
  return high;
}

const instanceAnswer = z.object({ instance_id: z.string() });
const recordsAnswer = z.array(z.object({ partition: z.int(), offset: z.int() }));

/**
 * Where old messages have expired and no message is known, no read tells the log's start. A consumer that belongs to a
 * group of its own and has committed nothing begins there (Karapace, Confluent; Redpanda's begins at 0 and fails);
 * it is deleted again.
 */
async function readEarliest(client: RestClient, topic: string, partition: number): Promise<number> {
  const group = encodeURIComponent(`weir-probe-${crypto.randomUUID()}`);
  const post = async (path: string, body: unknown) => {
    const answer = await client.call({
      method: "POST",
      path,
      accept: V2,
      contentType: V2,
      body: JSON.stringify(body),
      timeoutMs: TIMEOUT_MS,
    });
    if (answer.status >= 300) throw fromHttpStatus(answer, `looking for the start of ${topic}/${partition}`);
    return answer.json;
  };
  const created = instanceAnswer.safeParse(
    await post(`/consumers/${group}`, {
      format: "binary",
      "auto.offset.reset": "earliest",
      "auto.commit.enable": "false",
    }),
  );
  if (!created.success)
    throw new KafkaError("bad_answer", "creating a consumer: no instance_id in the answer");
  const instance = `/consumers/${group}/instances/${encodeURIComponent(created.data.instance_id)}`;
  try {
    await post(`${instance}/subscription`, { topics: [topic] });
    for (let read = 0; read < MAX_EARLIEST_READS; read++) {
      const answer = await client.call({
        method: "GET",
        path: `${instance}/records?timeout=500&max_bytes=1048576`,
        accept: BINARY,
        timeoutMs: TIMEOUT_MS,
      });
      if (answer.status !== 200)
        throw fromHttpStatus(answer, `looking for the start of ${topic}/${partition}`);
      const records = recordsAnswer.safeParse(answer.json ?? []);
      if (!records.success) throw new KafkaError("bad_answer", "reading as a group: not a list of records");
      const found = records.data.find((record) => record.partition === partition);
      if (found) return found.offset;
    }
  } finally {
    // A failure to tidy up must not hide the answer; the proxy drops an idle instance by itself.
    await client
      .call({ method: "DELETE", path: instance, accept: V2, contentType: V2, timeoutMs: TIMEOUT_MS })
      .catch(() => undefined);
  }
  throw new KafkaError(
    "unsupported",
    `the start of ${topic}/${partition} cannot be found: the proxy does not tell it, and no message is left there`,
  );
}
