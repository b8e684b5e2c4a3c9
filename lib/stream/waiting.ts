// Counts the records that stand in the log and were not read yet, by reading them, within a budget: what lies beyond it
// is not known, and then nothing is told of any. Reads only; whoever owns the partitions is not disturbed.
import { KafkaError } from "../kafka/errors.ts";
import type { FetchedRecord, KafkaTransport } from "../kafka/transport.ts";
import { decodeMessage } from "../telemetry/envelope.ts";
import { decodeOtlpMessage } from "../telemetry/otlp/message.ts";
import type { Signal } from "../telemetry/signal.ts";
import { otlpOf } from "./decode.ts";

const FETCH_MAX_BYTES = 1024 * 1024;

export interface UnreadPartition {
  topic: string;
  partition: number;
  signal: Signal;
  /** The next offset to be read. */
  from: number;
  /** The log's end. */
  end: number;
}

interface WaitingRecords {
  tenant: string;
  signal: Signal;
  records: number;
}

interface WaitingBudget {
  fetches: number;
  bytes: number;
}

/**
 * Records that Weir accepted; what others wrote is no part of it.
 * @returns undefined where they are too many, or could not be read
 */
export async function countWaiting(
  transport: Pick<KafkaTransport, "fetch">,
  unread: readonly UnreadPartition[],
  budget: WaitingBudget,
): Promise<WaitingRecords[] | undefined> {
  const sums = new Map<string, WaitingRecords>();
  let { fetches, bytes } = budget;
  try {
    for (const { topic, partition, signal, from, end } of unread) {
      for (let offset = from; offset < end;) {
        if (fetches-- <= 0 || bytes <= 0) return undefined;
        const maxBytes = Math.min(FETCH_MAX_BYTES, bytes);
        const messages = await transport.fetch({ topic, partition, offset, maxBytes, waitMs: 0 });
        const last = messages.at(-1);
        // Markers of transactions take offsets, and hold nothing.
        if (!last) break;
        for (const message of messages) {
          bytes -= message.value?.length ?? 0;
          if (message.offset < end) add(sums, ownRecords(message, signal));
        }
        offset = last.offset + 1;
      }
    }
  } catch (error) {
    // What waits before the log's start will expire unread: its records are nobody's to know, either.
    if (error instanceof KafkaError) return undefined;
    throw error;
  }
  return [...sums.values()];
}

function add(sums: Map<string, WaitingRecords>, found: WaitingRecords | undefined): void {
  if (!found || found.records === 0) return;
  const name = `${found.signal}/${found.tenant}`;
  const known = sums.get(name);
  if (known) known.records += found.records;
  else sums.set(name, found);
}

/** Undefined for what another producer wrote, or what cannot be read: such messages were accepted by nobody. */
function ownRecords({ value }: FetchedRecord, signal: Signal): WaitingRecords | undefined {
  const otlp = otlpOf(value);
  if (otlp) {
    if (signal === "events") return undefined;
    const decoded = decodeOtlpMessage(signal, otlp);
    if (!decoded.ok || !decoded.value.weir) return undefined;
    const { tenant, indices } = decoded.value.weir;
    return { tenant, signal, records: indices.length };
  }
  const decoded = decodeMessage(value);
  if (!decoded.ok || decoded.value.kind !== "envelope") return undefined;
  const { tenant, entries, signal: own } = decoded.value.envelope;
  return { tenant, signal: own, records: entries.length };
}
