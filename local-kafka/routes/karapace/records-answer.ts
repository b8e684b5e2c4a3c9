/** Records as Karapace answers them: from the position on, each with its timestamp; an empty key or value reads as null. */
import type { ConsumerBatches } from "../../groups/read-partition.ts";
import { ApiError } from "../../http/api-error.ts";

/** In the json format, a key or value that is not JSON fails the whole answer. */
export function encodeRecords(parts: readonly ConsumerBatches[], format: "binary" | "json"): object[] {
  const decode = format === "json" ? decodeJson : decodeBinary;
  return parts.flatMap(({ topic, partition, fromOffset, batches }) =>
    batches.flatMap(({ baseOffset, appendedMs, records }) =>
      records.flatMap(({ key, value, timestampMs = appendedMs }, i) => {
        const offset = baseOffset + i;
        if (offset < fromOffset) return [];
        return [
          {
            key: decode(key, "key"),
            offset,
            partition,
            timestamp: timestampMs,
            topic,
            value: decode(value, "value"),
          },
        ];
      }),
    ),
  );
}

function decodeBinary(field: Uint8Array | null): string | null {
  return field === null || field.byteLength === 0 ? null : Buffer.from(field).toString("base64");
}

function decodeJson(field: Uint8Array | null, name: string): unknown {
  if (field === null || field.byteLength === 0) return null;
  try {
    return JSON.parse(Buffer.from(field).toString());
  } catch (error) {
    const message = `${name} deserialization error for format json: ${(error as Error).message}`;
    throw new ApiError(422, message, { cause: error });
  }
}
