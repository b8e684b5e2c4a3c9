// The transport `native` against a real Kafka: the contract that every transport passes.
import { randomUUID } from "node:crypto";
import { describe } from "vitest";
import { createNative } from "../../../lib/kafka/native/native.ts";
import { transportSuite } from "../../contract/transport.suite.ts";
import { realKafka, startRealKafka } from "../../support/real-kafka.ts";
import { startTcpFaults } from "../../support/tcp-faults.ts";

describe.skipIf(!realKafka.available)(`with a real Kafka ${realKafka.why}`, () => {
  transportSuite("native in Node", async () => {
    const faults = await startTcpFaults();
    const kafka = await startRealKafka({ advertisedPort: faults.port });
    faults.forwardTo(kafka.proxiedPort ?? 0);
    return {
      transport: createNative({
        brokers: [`127.0.0.1:${faults.port}`],
        tls: false,
        compression: "lz4",
      }),
      async makeTopic(partitions) {
        const name = `t-${randomUUID()}`;
        await kafka.createTopic(name, partitions);
        return name;
      },
      faults: {
        loseNextAnswer: async () => faults.loseNextAnswer(),
        hang: async () => faults.hang(),
        heal: async () => faults.heal(),
        trim: (topic, partition, before) => kafka.deleteRecords(topic, partition, before),
        async restartBroker() {
          await kafka.kill();
          await kafka.start();
        },
      },
      emptyBytes: "kept",
      async close() {
        await kafka.close();
        await faults.close();
      },
    };
  });
});
