// Where a partition's log stands at a time. No transport is asked for it, since most cannot tell: found by halving, over
// the messages' timestamps, or over when Weir received them. Errs to the early side.
import type { FetchedRecord, KafkaTransport } from "../kafka/transport.ts";
import { decodeMessage } from "../telemetry/envelope.ts";
import { decodeOtlpMessage } from "../telemetry/otlp/message.ts";
import type { Signal } from "../telemetry/signal.ts";
import { otlpOf } from "./decode.ts";

/** Enough for some messages; at least one comes. */
const PROBE_BYTES = 16 * 1024;

/** Messages that tell no time are passed over, so many reads far: then the search goes on before them. */
const MAX_BLIND_READS = 4;

export interface LogRange {
  topic: string;
  partition: number;
  signal: Signal;
  earliest: number;
  latest: number;
}

/**
 * @returns an offset from which on every message of `timeMs` or later lies, as far as times do not fall along the log by
 *   more than a probe's messages; `latest` where all are older
 * @throws KafkaError
 */
export async function offsetAt(
  transport: Pick<KafkaTransport, "fetch">,
  log: LogRange,
  timeMs: number,
): Promise<number> {
  let { earliest: low, latest: high } = log;
  // All before `low` is older; `high` is not, or is the end.
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    const probe = await timeFrom(transport, { ...log, latest: high }, middle);
    if (probe === undefined || probe.timeMs >= timeMs) high = middle;
    else low = probe.next;
  }
  return low;
}

/**
 * When the message at an offset, or the next that tells it, was written or received; epoch ms.
 * @returns undefined where none does
 * @throws KafkaError
 */
export async function timeAt(
  transport: Pick<KafkaTransport, "fetch">,
  log: LogRange,
  offset: number,
): Promise<number | undefined> {
  for (let reads = 0; offset < log.latest && reads < MAX_BLIND_READS; reads++) {
    const messages = await readAt(transport, log, offset);
    const last = messages.at(-1);
    if (!last) return undefined;
    for (const message of messages) {
      const timeMs = timeOf(message, log.signal);
      if (timeMs !== undefined) return timeMs;
    }
    offset = last.offset + 1;
  }
  return undefined;
}

/** The newest time in one read, since what the spillway held back tells an old one. */
async function timeFrom(
  transport: Pick<KafkaTransport, "fetch">,
  log: LogRange,
  offset: number,
): Promise<{ timeMs: number; next: number } | undefined> {
  for (let reads = 0; offset < log.latest && reads < MAX_BLIND_READS; reads++) {
    const messages = (await readAt(transport, log, offset)).filter((one) => one.offset < log.latest);
    const last = messages.at(-1);
    if (!last) return undefined;
    const times = messages.map((one) => timeOf(one, log.signal)).filter((timeMs) => timeMs !== undefined);
    offset = last.offset + 1;
    if (times.length > 0) return { timeMs: Math.max(...times), next: offset };
  }
  return undefined;
}

async function readAt(
  transport: Pick<KafkaTransport, "fetch">,
  { topic, partition }: LogRange,
  offset: number,
): Promise<FetchedRecord[]> {
  return await transport.fetch({ topic, partition, offset, maxBytes: PROBE_BYTES, waitMs: 0 });
}

function timeOf({ timestampMs, value }: FetchedRecord, signal: Signal): number | undefined {
  if (timestampMs !== undefined) return timestampMs;
  const otlp = otlpOf(value);
  if (otlp) {
    const read = signal === "events" ? undefined : decodeOtlpMessage(signal, otlp);
    return read?.ok ? read.value.weir?.receivedMs : undefined;
  }
  const read = decodeMessage(value);
  return read.ok && read.value.kind === "envelope" ? Date.parse(read.value.envelope.received) : undefined;
}
