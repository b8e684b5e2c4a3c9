// The log, in a process of its own: filled straight in its files, then served by local-kafka's HTTP API.
import { FileLog } from "../local-kafka/log/file-log.ts";
import type { LogRecord } from "../local-kafka/log/log.ts";
import { openLocalKafka } from "../local-kafka/broker.ts";
import { serveLocalKafka } from "../local-kafka/server.ts";
import { RECORDS_PER_ENVELOPE, type ConsumeOptions } from "./consume-options.ts";
import { envelopesOf } from "./consume-records.ts";
import { answerCalls } from "./ipc.ts";

export type FillOptions = ConsumeOptions & {
  dataDir: string;
  topics: string[];
  filled: string;
  partitions: number;
};
export type FilledLog = { url: string; records: number; messages: number; bytes: number };

/** Of one append: below what a batch may have. */
const APPEND_BYTES = 700_000;
/** Each is a write and an fsync. */
const APPENDS_AT_ONCE = 16;

export function runLog(): void {
  answerCalls({ fill, pid: async () => process.pid });
}

async function fill(options: FillOptions): Promise<FilledLog> {
  const { dataDir, topics, filled, partitions } = options;
  const log = await FileLog.open({ dataDir });
  for (const name of topics) await log.createTopic({ name, partitions, retentionMs: -1, retentionBytes: -1 });
  const received = new Date();
  const spanMs = Math.ceil(options.records / options.series) * options.intervalMs;
  const pending = Array.from({ length: partitions }, () => ({ records: [] as LogRecord[], bytes: 0 }));
  let messages = 0;
  let bytes = 0;
  const writes = new Set<Promise<unknown>>();
  const flush = async (partition: number) => {
    const { records } = pending[partition]!;
    if (records.length === 0) return;
    pending[partition] = { records: [], bytes: 0 };
    const write = log.append(filled, partition, records).finally(() => writes.delete(write));
    writes.add(write);
    if (writes.size >= APPENDS_AT_ONCE) await Promise.race(writes);
  };
  for (const { host, key, value } of envelopesOf(
    options,
    received.getTime() - spanMs,
    received.toISOString(),
  )) {
    const partition = host % partitions;
    if (pending[partition]!.bytes + value.length > APPEND_BYTES) await flush(partition);
    pending[partition]!.records.push({ key, value });
    pending[partition]!.bytes += value.length;
    messages++;
    bytes += value.length;
  }
  for (let partition = 0; partition < partitions; partition++) await flush(partition);
  await Promise.all(writes);
  await log.close();
  const kafka = await openLocalKafka({ dataDir });
  const { url } = await serveLocalKafka(kafka, "127.0.0.1", 0);
  return { url, records: messages * RECORDS_PER_ENVELOPE, messages, bytes };
}
