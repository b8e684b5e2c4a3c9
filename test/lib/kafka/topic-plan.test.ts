import { describe, expect, it } from "vitest";
import {
  creationCommands,
  desiredTopics,
  planTopic,
  type TopicSettings,
} from "../../../lib/kafka/topic-plan.ts";
import { allTopics, type TopicNaming } from "../../../lib/kafka/topics.ts";
import type { PartitionDescription, TopicSpec } from "../../../lib/kafka/transport.ts";
import { readConfig } from "../../../lib/config/config.ts";

const naming: TopicNaming = { template: "{signal}.{stage}", org: "o", domain: "d", env: "e", overrides: {} };
const settings = (env: Record<string, string> = {}): TopicSettings =>
  readConfig({ ENVIRONMENT: "development", ...env });

const partitions = (count: number, more: Partial<PartitionDescription> = {}): PartitionDescription[] =>
  Array.from({ length: count }, (_, partition) => ({ partition, ...more }));

const spec: TopicSpec = {
  name: "logs.raw",
  partitions: 3,
  replicationFactor: 3,
  config: { "retention.ms": "604800000", "cleanup.policy": "compact,delete" },
};
const asWanted = {
  name: "logs.raw",
  partitions: partitions(3, { replicas: 3, inSyncReplicas: 3 }),
  config: { "retention.ms": "604800000", "cleanup.policy": "compact,delete", "segment.bytes": "1" },
};

describe("the desired topics", () => {
  it("are all of them, with the contract's defaults", () => {
    const desired = desiredTopics(naming, settings());
    expect(desired.map(({ name }) => name)).toEqual(allTopics(naming));
    expect(desired[0]).toEqual({
      name: "logs.raw",
      partitions: 3,
      config: {
        "retention.ms": "604800000",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "compression.type": "lz4",
      },
    });
  });

  it("follow every setting", () => {
    const [first] = desiredTopics(
      naming,
      settings({
        KAFKA_PARTITIONS: "12",
        KAFKA_TOPIC_REPLICATION: "3",
        KAFKA_TOPIC_MIN_INSYNC: "2",
        KAFKA_TOPIC_RETENTION_MS: "3600000",
        KAFKA_TOPIC_RETENTION_BYTES: "1000000",
        KAFKA_TOPIC_CLEANUP: "compact,delete",
        KAFKA_TOPIC_COMPRESSION: "zstd",
      }),
    );
    expect(first).toEqual({
      name: "logs.raw",
      partitions: 12,
      replicationFactor: 3,
      config: {
        "retention.ms": "3600000",
        "retention.bytes": "1000000",
        "cleanup.policy": "compact,delete",
        "compression.type": "zstd",
        "min.insync.replicas": "2",
      },
    });
  });

  it("are named once each, though two signals were given one topic", () => {
    const shared = { ...naming, overrides: { logs: "all", metrics: "all" } };
    const names = desiredTopics(shared, settings()).map(({ name }) => name);
    expect(names.filter((name) => name === "all")).toEqual(["all"]);
  });
});

describe("a topic's plan", () => {
  it("is missing where there is none", () => {
    expect(planTopic(spec, undefined, true)).toMatchObject({ state: "missing", drift: [], unknown: [] });
  });

  it("is ok where all is as wanted, whatever else is set and however a list is spelled", () => {
    const ok = { name: "logs.raw", state: "ok", drift: [], unknown: [], under_replicated: [] };
    expect(planTopic(spec, asWanted, true)).toEqual(ok);
    const respelled = { ...asWanted, config: { ...asWanted.config, "cleanup.policy": "delete, compact" } };
    expect(planTopic(spec, respelled, true)).toEqual(ok);
  });

  it("has drifted where a setting differs", () => {
    const found = { ...asWanted, config: { ...asWanted.config, "retention.ms": "1" } };
    expect(planTopic(spec, found, true)).toMatchObject({
      state: "drifted",
      drift: [{ setting: "retention.ms", wanted: "604800000", found: "1", harmless: false }],
    });
  });

  it("tells more partitions as harmless, and fewer as not", () => {
    const drift = (count: number) =>
      planTopic(
        spec,
        { ...asWanted, partitions: partitions(count, { replicas: 3, inSyncReplicas: 3 }) },
        true,
      ).drift;
    expect(drift(5)).toEqual([{ setting: "partitions", wanted: "3", found: "5", harmless: true }]);
    expect(drift(2)).toEqual([{ setting: "partitions", wanted: "3", found: "2", harmless: false }]);
  });

  it("finds the one partition whose replication differs, and those that are under-replicated", () => {
    const mixed = [
      { partition: 0, replicas: 3, inSyncReplicas: 3 },
      { partition: 1, replicas: 3, inSyncReplicas: 2 },
      { partition: 2, replicas: 1, inSyncReplicas: 1 },
    ];
    expect(planTopic(spec, { ...asWanted, partitions: mixed }, true)).toMatchObject({
      drift: [{ setting: "replication.factor", wanted: "3", found: "1" }],
      under_replicated: [1],
    });
  });

  it("holds nothing against what the transport does not tell", () => {
    expect(planTopic(spec, { name: "logs.raw", partitions: partitions(9) }, false)).toEqual({
      name: "logs.raw",
      state: "ok",
      drift: [],
      unknown: ["partitions", "replication.factor", "retention.ms", "cleanup.policy"],
      under_replicated: null,
    });
  });
});

describe("the commands that make topics", () => {
  it("name every topic and setting", () => {
    const [rpk, kafka] = creationCommands([spec, { ...spec, name: "logs.dlq" }]);
    expect(rpk).toEqual({
      tool: "rpk",
      command:
        "rpk topic create logs.raw logs.dlq --if-not-exists --partitions 3 --replicas 3 --topic-config retention.ms=604800000 --topic-config cleanup.policy=compact,delete",
    });
    expect(kafka?.command).toBe(
      "for t in logs.raw logs.dlq; do kafka-topics.sh --bootstrap-server HOST:9092 --create --if-not-exists --topic $t --partitions 3 --replication-factor 3 --config retention.ms=604800000 --config cleanup.policy=compact,delete; done",
    );
    expect(creationCommands([])).toEqual([]);
  });
});
