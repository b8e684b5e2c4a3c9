// Reads what lies behind a position, and finds out what is meant where there is nothing to read there: the log's end,
// messages that have expired, or a topic that is another one by now.
import { KafkaError } from "../kafka/errors.ts";
import type { FetchedRecord, KafkaTransport } from "../kafka/transport.ts";
import type { Position } from "../storage/storage.ts";
import { isMarkOf, markOf } from "./identity.ts";

/**
 * What one read asks for, and one commit mostly takes: half of it costs a sixth more for each record. Brokers count it
 * before decompression, so more may come; proxies that answer in JSON count it as base64.
 */
const FETCH_MAX_BYTES = 2 * 1024 * 1024;

export interface Log {
  topic: string;
  partition: number;
  recentOffset: number | undefined;
}

export type Read =
  | { kind: "messages"; messages: FetchedRecord[] }
  | { kind: "moved"; position: Position }
  | { kind: "stopped"; reason: string };

/**
 * @param isFresh the position comes from the store: the message before it is read, too, and must be the one it was
 * @throws KafkaError
 */
export async function readFrom(
  log: Log,
  transport: KafkaTransport,
  position: Position,
  isFresh: boolean,
): Promise<Read> {
  const { nextOffset, mark } = position;
  if (isFresh && mark !== null && isMarkOf(mark, nextOffset - 1)) {
    const messages = await fetchOr(log, transport, nextOffset - 1);
    const before = messages?.[0];
    if (before?.offset === nextOffset - 1) {
      if (markOf(before) !== mark)
        return stopped(log, `another message lies at ${nextOffset - 1} than was read there`);
      // Where no other message fitted beside it, the read says nothing of the log's end.
      if (messages && messages.length > 1) return { kind: "messages", messages: messages.slice(1) };
    }
  }
  const messages = await fetchOr(log, transport, nextOffset);
  return messages ? { kind: "messages", messages } : await explain(log, transport, position);
}

/** @returns undefined where the offset lies outside of the log */
async function fetchOr(
  { topic, partition }: Log,
  transport: KafkaTransport,
  offset: number,
): Promise<FetchedRecord[] | undefined> {
  try {
    return await transport.fetch({ topic, partition, offset, maxBytes: FETCH_MAX_BYTES, waitMs: 0 });
  } catch (error) {
    if (!(error instanceof KafkaError) || error.code !== "offset_out_of_range") throw error;
    return undefined;
  }
}

/** A position out of the log has two meanings: what it points at has expired, or the topic is another one now. */
async function explain(log: Log, transport: KafkaTransport, position: Position): Promise<Read> {
  const { topic, partition, recentOffset } = log;
  const { nextOffset: offset } = position;
  const earliest = await transport.earliestOffset(topic, partition, recentOffset);
  if (earliest > offset)
    return { kind: "moved", position: { ...position, nextOffset: earliest, mark: null } };
  const latest = await transport.latestOffset(topic, partition, offset);
  // Between the two looks the log may have grown past the position: then it is simply read.
  if (latest >= offset) return { kind: "moved", position };
  return stopped(log, `the log ends at ${latest}, before the stored offset ${offset}`);
}

function stopped({ topic, partition }: Log, what: string): Read {
  return {
    kind: "stopped",
    reason: `${topic}/${partition}: ${what}; the topic was made anew or lost its end. Resume it as a new one by POST /api/v1/admin/groups/{group}/resume`,
  };
}
