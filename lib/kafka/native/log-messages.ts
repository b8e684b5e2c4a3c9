// The messages that write and read logs. In the grammars, `*` marks a list.
import { Buffer } from "node:buffer";
import {
  type Message,
  readList,
  readPartition,
  readText,
  writeList,
  writePartition,
  writeText,
} from "./message.ts";
import type { AbortedTransaction } from "./record-batch.ts";

const ALL_REPLICAS = -1;
/** We are no replica. */
const CONSUMER = -1;
const READ_COMMITTED = 1;
const NO_EPOCH = -1;

export interface PartitionBatch {
  topic: string;
  partition: number;
  batch: Buffer;
}

export interface ProduceAnswer {
  topic: string;
  partition: number;
  errorCode: number;
  baseOffset: number;
}

/** transactional_id acks timeout_ms *(topic *(partition records)) → *(topic *(partition error_code base_offset log_append_time_ms log_start_offset)) throttle_time_ms */
export const produceMessage: Message<{ timeoutMs: number; batches: PartitionBatch[] }, ProduceAnswer[]> = {
  name: "Produce",
  key: 0,
  version: 7,
  write(writer, { timeoutMs, batches }) {
    writeText(writer, null).appendInt16(ALL_REPLICAS).appendInt32(timeoutMs);
    const topics = new Set(batches.map(({ topic }) => topic));
    writeList(writer, [...topics], (name) => {
      writeText(writer, name);
      const partitions = batches.filter(({ topic }) => topic === name);
      writeList(writer, partitions, ({ partition, batch }) =>
        writer.appendInt32(partition).appendBytes(batch, false),
      );
    });
  },
  read: (reader) =>
    readList(reader, () => {
      const topic = readText(reader);
      return readList(reader, () => {
        const partition = reader.readInt32();
        const errorCode = reader.readInt16();
        const baseOffset = Number(reader.readInt64());
        reader.skip(16);
        return { topic, partition, errorCode, baseOffset };
      });
    }).flat(),
};

export interface FetchQuestion {
  topic: string;
  partition: number;
  offset: number;
  maxBytes: number;
  waitMs: number;
}

export interface FetchAnswer {
  errorCode: number;
  aborted: AbortedTransaction[];
  batches: Buffer;
}

/**
 * replica_id max_wait_ms min_bytes max_bytes isolation_level session_id session_epoch *(topic *(partition
 * current_leader_epoch fetch_offset log_start_offset partition_max_bytes)) *forgotten →
 * throttle_time_ms error_code session_id *(topic *(partition error_code high_watermark last_stable_offset
 * log_start_offset *(producer_id first_offset) records))
 */
export const fetchMessage: Message<FetchQuestion, FetchAnswer> = {
  name: "Fetch",
  key: 1,
  version: 10,
  write(writer, { topic, partition, offset, maxBytes, waitMs }) {
    writer.appendInt32(CONSUMER).appendInt32(waitMs).appendInt32(1).appendInt32(maxBytes);
    writer.appendInt8(READ_COMMITTED).appendInt32(0).appendInt32(NO_EPOCH);
    writePartition(writer, topic, partition, (rest) =>
      rest.appendInt32(NO_EPOCH).appendInt64(BigInt(offset)).appendInt64(-1n).appendInt32(maxBytes),
    );
    writer.appendInt32(0);
  },
  read(reader) {
    reader.skip(4);
    const errorCode = reader.readInt16();
    reader.skip(4);
    const answer = readPartition(reader, () => {
      const partitionErrorCode = reader.readInt16();
      reader.skip(24);
      const aborted = readList(reader, () => ({
        producerId: reader.readInt64(),
        firstOffset: Number(reader.readInt64()),
      }));
      const batches = reader.readBytes(false);
      return { errorCode: partitionErrorCode, aborted, batches };
    });
    return answer ?? { errorCode, aborted: [], batches: Buffer.alloc(0) };
  },
};

/** In place of a time: the oldest record kept, the end. */
export const EARLIEST = -2n;
export const LATEST = -1n;

/** replica_id isolation_level *(topic *(partition timestamp)) → throttle_time_ms *(topic *(partition error_code timestamp offset)) */
export const listOffsetsMessage: Message<
  { topic: string; partition: number; time: bigint },
  { errorCode: number; offset: number }
> = {
  name: "ListOffsets",
  key: 2,
  version: 2,
  write(writer, { topic, partition, time }) {
    writer.appendInt32(CONSUMER).appendInt8(0);
    writePartition(writer, topic, partition, (rest) => rest.appendInt64(time));
  },
  read(reader) {
    reader.skip(4);
    const answer = readPartition(reader, () => {
      const errorCode = reader.readInt16();
      reader.skip(8);
      return { errorCode, offset: Number(reader.readInt64()) };
    });
    return answer ?? { errorCode: -1, offset: -1 };
  },
};

/** transactional_id transaction_timeout_ms → throttle_time_ms error_code producer_id producer_epoch */
export const initProducerIdMessage: Message<
  undefined,
  { errorCode: number; producerId: bigint; producerEpoch: number }
> = {
  name: "InitProducerId",
  key: 22,
  version: 1,
  write: (writer) => void writeText(writer, null).appendInt32(60_000),
  read(reader) {
    reader.skip(4);
    const errorCode = reader.readInt16();
    return { errorCode, producerId: reader.readInt64(), producerEpoch: reader.readInt16() };
  },
};

/** *(topic *(partition offset)) timeout_ms → throttle_time_ms *(topic *(partition low_watermark error_code)) */
export const deleteRecordsMessage: Message<
  { topic: string; partition: number; beforeOffset: number; timeoutMs: number },
  { errorCode: number }
> = {
  name: "DeleteRecords",
  key: 21,
  version: 1,
  write(writer, { topic, partition, beforeOffset, timeoutMs }) {
    writePartition(writer, topic, partition, (rest) => rest.appendInt64(BigInt(beforeOffset)));
    writer.appendInt32(timeoutMs);
  },
  read(reader) {
    reader.skip(4);
    const answer = readPartition(reader, () => {
      reader.skip(8);
      return { errorCode: reader.readInt16() };
    });
    return answer ?? { errorCode: -1 };
  },
};
