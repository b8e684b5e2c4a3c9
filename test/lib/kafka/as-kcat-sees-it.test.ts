// Whichever transport writes a message, Kafka holds the same bytes in the partition that the Java client would choose:
// read back by kcat, which shares no code with ours. `embedded` has no Kafka; every other transport is in the table.
import { Buffer, isUtf8 } from "node:buffer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../../lib/config/config.ts";
import { TRANSPORT_NAMES } from "../../../lib/config/settings.ts";
import { createHeldTransport } from "../../../lib/kafka/create-transport.ts";
import { partitionOf } from "../../../lib/kafka/partitioner.ts";
import { produceRequests } from "../../../lib/kafka/request-size.ts";
import { produceWithRetry } from "../../../lib/kafka/retry.ts";
import type { KafkaTransport } from "../../../lib/kafka/transport.ts";
import { type Dialect, DIALECT_NAMES } from "../../../local-kafka/app.ts";
import type { LocalKafkaServer } from "../../../local-kafka/server.ts";
import golden from "../../fixtures/partitioner/vectors.json" with { type: "json" };
import { startGateway } from "../../support/gateway.ts";
import { kcatRead, type KcatRecord } from "../../support/kcat.ts";
import { realKafka, startRealKafka, type RealKafka } from "../../support/real-kafka.ts";

const PARTITIONS = 12;

const WAYS: { transport: string; dialect?: Dialect; values: "bytes" | "text" }[] = [
  { transport: "native", values: "bytes" },
  { transport: "rest-v2", dialect: "redpanda", values: "bytes" },
  { transport: "rest-v2", dialect: "karapace", values: "bytes" },
  { transport: "rest-v3", dialect: "confluent-v3", values: "bytes" },
  { transport: "upstash", dialect: "upstash", values: "text" },
];

interface Message {
  key: Buffer | null;
  value: Buffer | null;
  /** Where the Java client puts it; without a key it may lie anywhere, and is put here. */
  partition: number;
}

const every = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
/** `BuiltInPartitioner.partitionForKey` of kafka-clients 4.3.1 for the bytes 0 to 255 (see Vectors.java). */
const EVERY_BYTE_GOES_TO = 10;

const messages: Message[] = [
  ...javaKeys().map((one, i) => ({ ...one, value: Buffer.from(`value ${i}`) })),
  // The same keys again, so that nothing stands alone in its partition.
  ...[
    Buffer.from(""),
    Buffer.from("\uFEFFзначение 日本 🚀 \u2028"),
    null,
    Buffer.from('\u0000\u001f"\\/\r\n'),
    Buffer.from('{"is":"not parsed"}'),
    every,
    Buffer.from("é".repeat(51_200)),
    Buffer.concat(Array.from({ length: 400 }, () => every)),
  ].map((value, i) => ({ ...javaKeys()[i]!, value })),
  { key: every, value: every, partition: EVERY_BYTE_GOES_TO },
  { key: null, value: Buffer.from("no key"), partition: 3 },
  { key: null, value: Buffer.from(""), partition: 3 },
  { key: null, value: null, partition: 3 },
];

function javaKeys(): { key: Buffer; partition: number }[] {
  const column = golden.counts.indexOf(PARTITIONS);
  return golden.vectors.map(({ key, partitions }) => ({
    key: Buffer.from(key, "base64"),
    partition: partitions[column] ?? Number.NaN,
  }));
}

const isText = ({ key, value }: Message) => value !== null && isUtf8(value) && (key === null || isUtf8(key));
const nowhere = (): never => {
  throw new Error("nothing is asked for here");
};

it("has every transport in the table but `embedded`, and every dialect", () => {
  const seen = new Set([...WAYS.map(({ transport }) => transport), "embedded"]);
  expect([...seen].toSorted()).toEqual([...TRANSPORT_NAMES].toSorted());
  expect(WAYS.flatMap(({ dialect }) => dialect ?? []).toSorted()).toEqual(DIALECT_NAMES.toSorted());
});

describe.skipIf(!realKafka.available)(`as kcat sees it ${realKafka.why}`, () => {
  const credentials = { username: "weir", password: "secret" };
  let kafka: RealKafka;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    kafka = await startRealKafka();
  });
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()));
    await kafka?.close();
  });

  /** From its settings, as a deployment has it. */
  async function connect({ transport, dialect }: (typeof WAYS)[number]): Promise<KafkaTransport> {
    let gateway: LocalKafkaServer | undefined;
    if (dialect) open.push((gateway = await startGateway(kafka.bootstrap, { dialect, credentials })));
    const config = readConfig({
      ENVIRONMENT: "development",
      KAFKA_TRANSPORT: transport,
      KAFKA_BROKERS: kafka.bootstrap,
      ...(transport === "rest-v3" && { KAFKA_READ_TRANSPORT: "native" }),
      ...(gateway && {
        KAFKA_REST_URL: gateway.url,
        KAFKA_REST_USERNAME: credentials.username,
        KAFKA_REST_PASSWORD: credentials.password,
        KAFKA_ACKS_CONFIRMED: "all",
      }),
    });
    const made = createHeldTransport(config, {
      embedded: { logs: { of: nowhere }, directory: { get: nowhere }, defaultTopics: [] },
    });
    open.push(made);
    return made;
  }

  const shown = ({ partition, offset, key, value }: KcatRecord) => ({
    partition,
    offset,
    key: key && key.toString("hex"),
    value: value && value.toString("hex"),
  });

  it.each(WAYS.map((way) => [way.transport, way.dialect ?? "no gateway", way] as const))(
    "%s (%s): the bytes given, where the Java client puts them",
    async (_, dialect, way) => {
      const transport = await connect(way);
      expect((await transport.capabilities()).values).toBe(way.values);
      const topic = `seen.${way.transport}.${dialect.replaceAll(" ", "-")}`;
      await kafka.createTopic(topic, PARTITIONS);
      const count = await transport.partitionCount(topic);

      const items = messages.map((message) => {
        const partition = message.key ? partitionOf(message.key, count) : message.partition;
        return { message, record: { key: message.key, value: message.value, partition } };
      });
      const stored: ReturnType<typeof shown>[] = [];
      const refused: Message[] = [];
      for (const chunk of produceRequests(items)) {
        const outcomes = await produceWithRetry(
          transport,
          topic,
          chunk.map(({ record }) => record),
        );
        chunk.forEach(({ message }, i) => {
          const outcome = outcomes[i]!;
          if (outcome.ok) return void stored.push(shown({ ...message, offset: outcome.offset }));
          expect(outcome.error).toMatchObject({ code: "unsupported", retryable: false });
          refused.push(message);
        });
      }
      expect(refused).toEqual(way.values === "bytes" ? [] : messages.filter((message) => !isText(message)));

      const seen = await kcatRead(kafka.bootstrap, topic);
      // Stable: in each partition they lie in the order given.
      expect(seen.map(shown)).toEqual(stored.toSorted((a, b) => a.partition - b.partition));
    },
  );
});
