// One transport out of two: a writer that cannot read, or should not, and a reader. Writing is the writer's; fetching,
// offsets and groups are the reader's; what is about topics goes to the one that can do more, the writer first.
import type { KafkaTransport, TransportCapabilities } from "./transport.ts";

/** From less to more. */
const COUNTS: readonly TransportCapabilities["partitionCounts"][] = ["probed", "configured", "cluster"];
const DETAILS: readonly TransportCapabilities["describeTopics"][] = ["partitions", "settings", "replicas"];

export function pairTransports(writer: KafkaTransport, reader: KafkaTransport): KafkaTransport {
  const both = async () => await Promise.all([writer.capabilities(), reader.capabilities()]);

  /** Who is asked: the reader only where it can do more. */
  async function better(power: (can: TransportCapabilities) => number | boolean): Promise<KafkaTransport> {
    const [writes, reads] = await both();
    return Number(power(reads)) > Number(power(writes)) ? reader : writer;
  }

  return {
    name: `${writer.name}+${reader.name}`,
    async capabilities() {
      const [writes, reads] = await both();
      return {
        reads: reads.reads,
        partitionCounts: (counting(reads) > counting(writes) ? reads : writes).partitionCounts,
        endOffsets: reads.endOffsets,
        acks: writes.acks,
        values: writes.values === "text" || reads.values === "text" ? "text" : "bytes",
        recordHeaders: headersOf(writes.recordHeaders, reads.recordHeaders),
        createTopics: writes.createTopics || reads.createTopics,
        describeTopics: (describing(reads) > describing(writes) ? reads : writes).describeTopics,
        groupOffsets: reads.groupOffsets,
        deleteRecords: writes.deleteRecords || reads.deleteRecords,
      };
    },

    produce: (topic, records) => writer.produce(topic, records),

    fetch: (request) => reader.fetch(request),
    earliestOffset: (topic, partition, near) => reader.earliestOffset(topic, partition, near),
    latestOffset: (topic, partition, near) => reader.latestOffset(topic, partition, near),
    commitOffset: (group, topic, partition, next) => reader.commitOffset(group, topic, partition, next),
    committedOffset: (group, topic, partition) => reader.committedOffset(group, topic, partition),

    partitionCount: async (topic) => await (await better(counting)).partitionCount(topic),
    topics: () => writer.topics(),
    describeTopic: async (topic) => await (await better(describing)).describeTopic(topic),
    createTopic: async (spec) => await (await better((can) => can.createTopics)).createTopic(spec),
    deleteRecords: async (topic, partition, before) =>
      await (await better((can) => can.deleteRecords)).deleteRecords(topic, partition, before),

    async close() {
      try {
        await writer.close();
      } finally {
        await reader.close();
      }
    },
  };
}

function counting(can: TransportCapabilities): number {
  return COUNTS.indexOf(can.partitionCounts);
}

function describing(can: TransportCapabilities): number {
  return DETAILS.indexOf(can.describeTopics);
}

function headersOf(
  writes: TransportCapabilities["recordHeaders"],
  reads: TransportCapabilities["recordHeaders"],
): TransportCapabilities["recordHeaders"] {
  if (writes === "none") return "none";
  return reads === "read-write" ? "read-write" : "write";
}
