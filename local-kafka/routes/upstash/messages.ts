/** Records as Upstash answers them: text, an empty one for null, each with its headers. */
import type { ConsumerBatches } from "../../groups/read-partition.ts";

export interface UpstashMessage {
  topic: string;
  partition: number;
  offset: number;
  /** ms since the epoch */
  timestamp: number;
  key: string;
  value: string;
  headers: { key: string; value: string }[];
}

export function toMessages({ topic, partition, fromOffset, batches }: ConsumerBatches): UpstashMessage[] {
  return batches.flatMap(({ baseOffset, appendedMs, records }) =>
    records.flatMap(({ key, value, timestampMs = appendedMs, headers = [] }, i) => {
      const offset = baseOffset + i;
      if (offset < fromOffset) return [];
      return [
        {
          topic,
          partition,
          offset,
          timestamp: timestampMs,
          key: text(key),
          value: text(value),
          headers: headers.map((header) => ({ key: header.name, value: text(header.value) })),
        },
      ];
    }),
  );
}

function text(field: Uint8Array | null): string {
  return field === null ? "" : Buffer.from(field).toString();
}
