// What of a record fits Upstash's API, where keys, values and headers are text: bytes that are UTF-8 go exactly as they
// are; other bytes, a null value and a null header would be stored as something else and are refused.
import { Buffer } from "node:buffer";
import { KafkaError } from "./errors.ts";
import type { FetchedRecord, ProduceRecord } from "./transport.ts";

/**
 * A message beyond this is refused unsent: the service answers once for the whole request, so its own "too large" says
 * neither which message it means nor whether its neighbours were stored. Kafka's own default limit is near to it.
 */
const MAX_MESSAGE_BYTES = 1_000_000;

export interface UpstashMessage {
  topic: string;
  partition: number;
  /** Left out for none: Kafka then holds a null. */
  key?: string;
  value: string;
  headers?: { key: string; value: string }[];
  /** Milliseconds, as in the service's answers; the package's comment says seconds. */
  timestamp?: number;
}

/** @returns the message as it is sent, or why it cannot be */
export function toUpstash(
  topic: string,
  { partition, key, value, headers = [], timestampMs }: ProduceRecord,
): UpstashMessage | KafkaError {
  if (value === null) return refusal("a null value");
  const sizes = [key, value, ...headers.map((header) => header.value)].map((bytes) => bytes?.length ?? 0);
  const size = sizes.reduce((sum, one) => sum + one, 0);
  if (size > MAX_MESSAGE_BYTES) {
    return new KafkaError("too_large", `a message of ${size} bytes is over upstash's ${MAX_MESSAGE_BYTES}`);
  }
  const valueText = toText(value);
  const keyText = key === null ? undefined : toText(key);
  if (valueText === undefined || (key !== null && keyText === undefined)) {
    return refusal("a key or value that is not UTF-8");
  }
  const sent: { key: string; value: string }[] = [];
  for (const header of headers) {
    const text = header.value === null ? undefined : toText(header.value);
    if (text === undefined) return refusal("a header that is null or not UTF-8");
    sent.push({ key: header.name, value: text });
  }
  return {
    topic,
    partition,
    ...(keyText !== undefined && { key: keyText }),
    value: valueText,
    ...(sent.length > 0 && { headers: sent }),
    ...(timestampMs !== undefined && { timestamp: timestampMs }),
  };
}

/** An answer shows "" for null, too: read as null, which is the commoner of the two. */
export function fromUpstash(message: {
  offset: number;
  key: string;
  value: string;
  timestamp: number;
  headers: { key: string; value: string }[];
}): FetchedRecord {
  return {
    offset: message.offset,
    key: message.key === "" ? null : Buffer.from(message.key),
    value: message.value === "" ? null : Buffer.from(message.value),
    headers: message.headers.map((header) => ({ name: header.key, value: Buffer.from(header.value) })),
    timestampMs: message.timestamp,
  };
}

function toText(bytes: Uint8Array): string | undefined {
  try {
    // A byte order mark is content here.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function refusal(what: string): KafkaError {
  return new KafkaError(
    "unsupported",
    `KAFKA_TRANSPORT=upstash carries only text and cannot carry ${what}; use another transport for such messages`,
  );
}
