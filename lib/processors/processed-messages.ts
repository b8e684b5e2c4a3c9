// What was processed, as messages for the `.processed` topics: envelopes (lib/telemetry/envelope.ts), one for each message
// that it came from, more where it has grown beyond what one takes. A log keeps its identity (tenant, batch, index), so
// that a reader can tell what it has read before; an event that a handler made has one of its own, made of its source's.
import { packEnvelopes } from "../telemetry/envelope.ts";
import type { ProcessedMessage } from "./process-rows.ts";

/** What is known of a message that something came from. */
export interface SourceMessage {
  /** base64 */
  key: string | null;
  /** ISO 8601 */
  received: string;
  /** Undefined: someone else wrote it, and its place is its identity. */
  origin: { batch: string; indices: readonly number[] } | undefined;
}

export interface ProcessedPlace {
  /** `group/epoch/topic/incarnation/partition` */
  source: string;
  /** `topic/incarnation/partition` */
  partition: string;
  topics: Readonly<Record<ProcessedMessage["signal"], string>>;
  messageAt: (offset: number) => SourceMessage;
}

export interface OutgoingMessage {
  id: string;
  topic: string;
  key: string | null;
  value: string;
}

export function processedMessages(
  processed: readonly ProcessedMessage[],
  { source, partition, topics, messageAt }: ProcessedPlace,
): OutgoingMessage[] {
  const utf8 = new TextDecoder();
  return processed.flatMap(({ signal, tenant, offset, entries }) => {
    const { key, received, origin } = messageAt(offset);
    const own = origin && signal === "logs" ? origin : undefined;
    const batch = own?.batch ?? `${partition}/${offset}`;
    const placed = entries.map(({ index, record }) => ({ index: own?.indices[index] ?? index, record }));
    const header = { tenant, signal, batch, attempt: 0, received, agentVersion: undefined };
    // What alone is larger than a message stays in storage, and in the raw topic.
    return packEnvelopes(header, placed).envelopes.map(({ value }, part) => ({
      id: `${source}/${offset}/${signal}.processed/${part}`,
      topic: topics[signal],
      key,
      value: utf8.decode(value),
    }));
  });
}
