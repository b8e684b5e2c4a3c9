/** A broker over a temporary directory, and short ways to call it. Everything is removed by `dispose`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LocalKafka, type LocalKafkaOptions, openLocalKafka } from "../../local-kafka/broker.ts";

export const V2 = "application/vnd.kafka.v2+json";
export const JSON_V2 = "application/vnd.kafka.json.v2+json";
export const BINARY_V2 = "application/vnd.kafka.binary.v2+json";

export interface Answer {
  status: number;
  type: string | null;
  text: string;
  headers: Headers;
}

export interface WireRecord {
  topic: string;
  key: unknown;
  value: unknown;
  partition: number;
  offset: number;
}

export const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64");

export class Fixture {
  kafka: LocalKafka;
  readonly dataDir: string;
  readonly #options: Omit<LocalKafkaOptions, "dataDir">;

  private constructor(kafka: LocalKafka, dataDir: string, options: Omit<LocalKafkaOptions, "dataDir">) {
    this.kafka = kafka;
    this.dataDir = dataDir;
    this.#options = options;
  }

  /** fsync is off unless the options say otherwise: these tests do not cut the power. */
  static async open(options: Omit<LocalKafkaOptions, "dataDir"> = {}): Promise<Fixture> {
    const dataDir = await mkdtemp(join(tmpdir(), "local-kafka-"));
    const all = { fsync: false, ...options };
    return new Fixture(await openLocalKafka({ ...all, dataDir }), dataDir, all);
  }

  async reopen(options: Partial<LocalKafkaOptions> = {}): Promise<void> {
    await this.kafka.close();
    this.kafka = await openLocalKafka({ ...this.#options, ...options, dataDir: this.dataDir });
  }

  async dispose(): Promise<void> {
    await this.kafka.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async call(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<Answer> {
    const init = body === undefined ? { method, headers } : { method, headers, body: Buffer.from(body) };
    const response = await this.kafka.fetch(new Request(`http://kafka.test${path}`, init));
    const { status } = response;
    return {
      status,
      type: response.headers.get("content-type"),
      text: await response.text(),
      headers: response.headers,
    };
  }

  /** Produces in the binary format and returns the answer's `offsets`. */
  async produce(
    topic: string,
    records: object[],
    type = BINARY_V2,
  ): Promise<{ partition: number; offset: number; error_code?: number }[]> {
    const answer = await this.call(
      "POST",
      `/topics/${topic}`,
      { "content-type": type },
      JSON.stringify({ records }),
    );
    if (answer.status !== 200) throw new Error(`produce: ${answer.status} ${answer.text}`);
    return (
      JSON.parse(answer.text) as { offsets: { partition: number; offset: number; error_code?: number }[] }
    ).offsets;
  }

  fetchRaw(
    topic: string,
    partition: number,
    offset: number,
    query: { timeout?: number; maxBytes?: number; accept?: string } = {},
  ): Promise<Answer> {
    const { timeout = 0, maxBytes = 1_048_576, accept = BINARY_V2 } = query;
    const path = `/topics/${topic}/partitions/${partition}/records?offset=${offset}&timeout=${timeout}&max_bytes=${maxBytes}`;
    return this.call("GET", path, { accept });
  }

  async fetch(
    topic: string,
    partition: number,
    offset: number,
    query: { timeout?: number; maxBytes?: number; accept?: string } = {},
  ): Promise<WireRecord[]> {
    const answer = await this.fetchRaw(topic, partition, offset, query);
    if (answer.status !== 200) throw new Error(`fetch: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text) as WireRecord[];
  }

  /** Every record of a partition, read in steps. */
  async readAll(topic: string, partition: number, from = 0): Promise<WireRecord[]> {
    const all: WireRecord[] = [];
    for (let offset = from; ;) {
      const records = (await this.fetch(topic, partition, offset)).filter(
        (record) => record.offset >= offset,
      );
      const last = records.at(-1);
      if (last === undefined) return all;
      all.push(...records);
      offset = last.offset + 1;
    }
  }
}
