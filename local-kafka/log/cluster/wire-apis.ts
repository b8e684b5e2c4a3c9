/**
 * The two requests that carry records, with record batches as plain bytes: the client library's own forms of them write
 * and read a null key or value as an empty one. Versions 7 and 11: the last that name topics in a fixed layout, taken by
 * every Kafka from 2.3 on. Grammar: https://kafka.apache.org/protocol#protocol_api_keys
 */
import { type Reader, Writer, createAPI } from "@platformatic/kafka";

const PRODUCE = 0;
const FETCH = 1;
const ALL_IN_SYNC_REPLICAS = -1;

export interface ProduceAnswer {
  errorCode: number;
  baseOffset: number;
}

/** One batch for one partition, acks=all. */
export const produceApi = createAPI<
  [topic: string, partition: number, batch: Buffer, timeoutMs: number],
  ProduceAnswer
>(
  PRODUCE,
  7,
  (topic: string, partition: number, batch: Buffer, timeoutMs: number) =>
    Writer.create()
      .appendString(null, false)
      .appendInt16(ALL_IN_SYNC_REPLICAS)
      .appendInt32(timeoutMs)
      .appendInt32(1)
      .appendString(topic, false)
      .appendInt32(1)
      .appendInt32(partition)
      .appendBytes(batch, false),
  (_id, _key, _version, reader) => {
    const [answer] = perPartition(reader, () => {
      const errorCode = reader.readInt16();
      const baseOffset = Number(reader.readInt64());
      reader.skip(16);
      return { errorCode, baseOffset };
    });
    return answer ?? { errorCode: -1, baseOffset: -1 };
  },
  false,
  false,
);

export interface FetchRequest {
  topic: string;
  partition: number;
  offset: number;
  maxBytes: number;
  maxWaitMs: number;
}

export interface FetchAnswer {
  errorCode: number;
  records: Buffer;
}

/** From one partition, outside any fetch session; what transactions have not committed is read, too. */
export const fetchApi = createAPI<[request: FetchRequest], FetchAnswer>(
  FETCH,
  11,
  ({ topic, partition, offset, maxBytes, maxWaitMs }: FetchRequest) =>
    Writer.create()
      .appendInt32(-1)
      .appendInt32(maxWaitMs)
      .appendInt32(1)
      .appendInt32(maxBytes)
      .appendInt8(0)
      .appendInt32(0)
      .appendInt32(-1)
      .appendInt32(1)
      .appendString(topic, false)
      .appendInt32(1)
      .appendInt32(partition)
      .appendInt32(-1)
      .appendInt64(BigInt(offset))
      .appendInt64(-1n)
      .appendInt32(maxBytes)
      .appendInt32(0)
      .appendString("", false),
  (_id, _key, _version, reader) => {
    reader.readInt32();
    const errorCode = reader.readInt16();
    reader.readInt32();
    const [answer] = perPartition(reader, () => {
      const partitionError = reader.readInt16();
      reader.skip(24);
      const aborted = reader.readInt32();
      reader.skip(Math.max(0, aborted) * 16 + 4);
      // The connection reuses its buffer.
      const records = Buffer.from(reader.readNullableBytes(false) ?? []);
      return { errorCode: partitionError, records };
    });
    if (errorCode !== 0 || answer === undefined) return { errorCode, records: Buffer.alloc(0) };
    return answer;
  },
  false,
  false,
);

function perPartition<T>(reader: Reader, read: () => T): T[] {
  const found: T[] = [];
  for (let topics = reader.readInt32(); topics > 0; topics--) {
    reader.readNullableString(false);
    for (let partitions = reader.readInt32(); partitions > 0; partitions--) {
      reader.readInt32();
      found.push(read());
    }
  }
  return found;
}
