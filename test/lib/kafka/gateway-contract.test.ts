// The transports over HTTP against a real Kafka, through local-kafka as a gateway in each dialect: the contract that every
// transport passes. One broker serves all runs; each kills it in its last case, and the next one finds it serving again.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import { createNative } from "../../../lib/kafka/native/native.ts";
import { pairTransports } from "../../../lib/kafka/pair-transports.ts";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import { createRestV3 } from "../../../lib/kafka/rest-v3.ts";
import type { KafkaTransport } from "../../../lib/kafka/transport.ts";
import { createUpstash } from "../../../lib/kafka/upstash.ts";
import type { Dialect } from "../../../local-kafka/app.ts";
import { type TransportUnderTest, transportSuite } from "../../contract/transport.suite.ts";
import { createFaultyFetch } from "../../support/faulty-fetch.ts";
import { startGateway } from "../../support/gateway.ts";
import { realKafka, startRealKafka, type RealKafka } from "../../support/real-kafka.ts";
import { startTcpFaults, type TcpFaults } from "../../support/tcp-faults.ts";

const credentials = { username: "weir", password: "pässwörd:€" };

describe.skipIf(!realKafka.available)(`gateways before a real Kafka ${realKafka.why}`, () => {
  let kafka: RealKafka;
  /** In front of the broker, for whoever goes there without a gateway. */
  let broker: TcpFaults;

  beforeAll(async () => {
    broker = await startTcpFaults();
    kafka = await startRealKafka({ advertisedPort: broker.port });
    broker.forwardTo(kafka.proxiedPort ?? 0);
  });
  afterAll(async () => {
    await kafka?.close();
    await broker?.close();
  });

  interface Gateway {
    url: string;
    fetch: typeof fetch;
  }

  async function open(
    dialect: Dialect,
    emptyBytes: TransportUnderTest["emptyBytes"],
    connect: (gateway: Gateway) => KafkaTransport,
  ): Promise<TransportUnderTest> {
    const gateway = await startGateway(kafka.bootstrap, { dialect, credentials });
    const faulty = createFaultyFetch(async (request) => await fetch(request));
    return {
      transport: connect({ url: gateway.url, fetch: faulty.fetch }),
      emptyBytes,
      async makeTopic(partitions) {
        const name = `t-${randomUUID()}`;
        await kafka.createTopic(name, partitions);
        return name;
      },
      faults: {
        loseNextAnswer: () => faulty.loseNextAnswer(),
        async hang() {
          await faulty.hang();
          broker.hang();
        },
        async heal() {
          await faulty.heal();
          broker.heal();
        },
        trim: (topic, partition, before) => kafka.deleteRecords(topic, partition, before),
        async restartBroker() {
          await kafka.kill();
          await kafka.start();
        },
      },
      close: () => gateway.close(),
    };
  }

  const restV2 = (gateway: Gateway) => createRestV2({ ...gateway, ...credentials, acksConfirmed: "all" });

  transportSuite("rest-v2 on Redpanda's dialect, real Kafka", () => open("redpanda", "null", restV2));

  transportSuite("rest-v2 on Karapace's dialect, real Kafka", () => open("karapace", "null", restV2));

  transportSuite("rest-v3, read by native, real Kafka", () =>
    open("confluent-v3", "kept", (gateway) =>
      pairTransports(
        createRestV3({ ...gateway, ...credentials }),
        createNative({ brokers: [`127.0.0.1:${broker.port}`], tls: false, compression: "lz4" }),
      ),
    ),
  );

  transportSuite("upstash, real Kafka", () =>
    open("upstash", "null", (gateway) => createUpstash({ ...gateway, ...credentials, acksConfirmed: "all" })),
  );
});
