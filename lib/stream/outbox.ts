// Sends what the commits of a partition left to be sent, oldest first, and forgets it once Kafka has it: at least once,
// since a crash between the two sends it again, under the same id. Never throws: what cannot be sent stays.
import { Buffer } from "node:buffer";
import { KafkaError } from "../kafka/errors.ts";
import { partitionOf } from "../kafka/partitioner.ts";
import { produceRequests } from "../kafka/request-size.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../kafka/transport.ts";
import type { OutboxEntry, PartitionId, StreamStore } from "../storage/storage.ts";

/** Read and sent at a time; twice as many after a page of small rows, since one may have 700,000 bytes. */
const MIN_PAGE_ROWS = 20;
const MAX_PAGE_ROWS = 80;
const SMALL_PAGE_CHARS = 250_000;

export interface OutboxDeps {
  transport: Pick<KafkaTransport, "produce">;
  store: Pick<StreamStore, "outbox" | "sent">;
  /** @throws KafkaError */
  partitionCount(topic: string): Promise<number>;
  now(): number;
}

export interface OutboxResult {
  sent: number;
  /** There may be more. */
  isLeft: boolean;
  /** Why it ended before all was sent; undefined where nothing failed. */
  reason: string | undefined;
}

/** @param timeMs after which no further page is begun */
export async function sendOutbox(id: PartitionId, deps: OutboxDeps, timeMs: number): Promise<OutboxResult> {
  const result: OutboxResult = { sent: 0, isLeft: true, reason: undefined };
  const endMs = deps.now() + timeMs;
  /** What goes to these waits for the next call: a topic that is away leaves the others alone. */
  const failed: string[] = [];
  try {
    let limit = MIN_PAGE_ROWS;
    for (let isMore = true; isMore && deps.now() < endMs;) {
      const rows = await deps.store.outbox(id, limit, failed);
      for (const topic of new Set(rows.map((row) => row.topic))) {
        const ofTopic = rows.filter((row) => row.topic === topic);
        const fault = await sendTo(topic, ofTopic, id, deps, result);
        if (fault !== undefined) failed.push(topic);
        result.reason ??= fault;
      }
      const chars = rows.reduce((sum, { value }) => sum + value.length, 0);
      // A page of large rows ends before its limit.
      isMore = rows.length === limit || chars >= SMALL_PAGE_CHARS;
      result.isLeft = isMore || failed.length > 0;
      limit = chars < SMALL_PAGE_CHARS ? Math.min(limit * 2, MAX_PAGE_ROWS) : MIN_PAGE_ROWS;
    }
  } catch (error) {
    result.reason = error instanceof Error ? error.message : String(error);
  }
  return result;
}

interface Outgoing {
  id: string;
  record: ProduceRecord;
}

/** @returns why some of it was not sent */
async function sendTo(
  topic: string,
  rows: readonly OutboxEntry[],
  id: PartitionId,
  deps: OutboxDeps,
  result: OutboxResult,
): Promise<string | undefined> {
  let fault: string | undefined;
  try {
    const count = await deps.partitionCount(topic);
    const outgoing = rows.map((row): Outgoing => ({ id: row.id, record: recordOf(row, count) }));
    for (const request of produceRequests(outgoing)) {
      const outcomes = await produce(topic, request, deps);
      const acknowledged: string[] = [];
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.ok) acknowledged.push((request[i] as Outgoing).id);
        else fault ??= outcome.error.message;
      }
      if (acknowledged.length > 0) await deps.store.sent(id, acknowledged);
      result.sent += acknowledged.length;
    }
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error;
    fault ??= error.message;
  }
  return fault;
}

/** One row that Kafka will never have must not keep the others from it. */
async function produce(
  topic: string,
  request: readonly Outgoing[],
  deps: OutboxDeps,
): Promise<ProduceOutcome[]> {
  try {
    return await deps.transport.produce(
      topic,
      request.map(({ record }) => record),
    );
  } catch (error) {
    const isSingle = request.length === 1;
    if (!(error instanceof KafkaError) || error.retryable) throw error;
    if (isSingle) return [{ ok: false, error }];
    if (error.code !== "too_large" && error.code !== "rejected") throw error;
    const half = Math.ceil(request.length / 2);
    const first = await produce(topic, request.slice(0, half), deps);
    return [...first, ...(await produce(topic, request.slice(half), deps))];
  }
}

function recordOf({ id, key, value }: OutboxEntry, partitionCount: number): ProduceRecord {
  const keyBytes = key === null ? null : new Uint8Array(Buffer.from(key, "base64"));
  return {
    partition: partitionOf(keyBytes ?? new TextEncoder().encode(id), partitionCount),
    key: keyBytes,
    value: new TextEncoder().encode(value),
  };
}
