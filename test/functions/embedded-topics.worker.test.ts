// Topics without Kafka: the deployment's own come into being by themselves, others by createTopic alone, and nothing
// that was interrupted stays half made.
import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { partitionLogs, topicDirectory } from "../../functions/embedded.ts";
import { createEmbedded } from "../../lib/kafka/embedded/embedded.ts";
import type { PartitionLogs } from "../../lib/kafka/embedded/objects.ts";
import { StoredTopics } from "../../lib/kafka/embedded/stored-topics.ts";
import type { KafkaTransport, TopicSpec } from "../../lib/kafka/transport.ts";

let prefix: string;
let own: TopicSpec[];
const name = (topic: string) => `${prefix}.${topic}`;
const spec = (topic: string, partitions = 3, config: Record<string, string> = {}): TopicSpec => ({
  name: name(topic),
  partitions,
  config,
});
/** As for one invocation. */
const open = (defaultTopics: readonly TopicSpec[] = own): KafkaTransport =>
  createEmbedded({ logs: partitionLogs(env), directory: topicDirectory(env), defaultTopics });
const message = (partition: number) => ({ partition, key: null, value: Uint8Array.of(1) });
const tables = async (topic: string, partition: number): Promise<number> =>
  await runInDurableObject(
    env.PARTITION_LOG.getByName(`${name(topic)}/${partition}`),
    (_, { storage }) => storage.sql.exec("SELECT name FROM sqlite_master").toArray().length,
  );

beforeEach(() => {
  prefix = `p-${crypto.randomUUID()}`;
  own = [spec("logs.raw"), spec("logs.dlq", 2, { "retention.ms": "1000" })];
});

describe("the deployment's topics", () => {
  it("come into being when they are first written to, every partition at once", async () => {
    const outcomes = await open().produce(name("logs.raw"), [message(0), message(1), message(2), message(0)]);
    expect(outcomes.map((outcome) => outcome.ok && outcome.offset)).toEqual([0, 0, 0, 1]);
    expect(await open().partitionCount(name("logs.dlq"))).toBe(2);
  });

  it("come into being when they are first read, counted, listed, described or committed to", async () => {
    const fetched = open().fetch({
      topic: name("logs.raw"),
      partition: 2,
      offset: 0,
      maxBytes: 1,
      waitMs: 0,
    });
    expect(await fetched).toEqual([]);
    const calls: ((transport: KafkaTransport, topic: string) => Promise<unknown>)[] = [
      (transport, topic) => transport.partitionCount(topic),
      (transport) => transport.topics(),
      (transport, topic) => transport.describeTopic(topic),
      (transport, topic) => transport.commitOffset("g", topic, 0, 0),
      (transport, topic) => transport.latestOffset(topic, 0),
    ];
    for (const [i, call] of calls.entries()) {
      const wanted = spec(`nth-${i}`, 1);
      await call(open([wanted]), wanted.name);
      expect(await open([]).topics()).toContain(wanted.name);
    }
  });

  it("are the only ones that do, and a mistaken name makes nothing", async () => {
    const [outcome] = await open().produce(name("logs.rwa"), [message(0)]);
    expect(outcome).toMatchObject({ ok: false, error: { code: "unknown_topic", retryable: false } });
    await expect(open().partitionCount(name("logs.rwa"))).rejects.toMatchObject({ code: "unknown_topic" });
    await expect(open().commitOffset("g", name("logs.rwa"), 0, 1)).rejects.toMatchObject({
      code: "unknown_topic",
    });
    expect(await tables("logs.rwa", 0)).toBe(0);
    const [beyond] = await open().produce(name("logs.raw"), [message(3)]);
    expect(beyond).toMatchObject({ ok: false, error: { code: "unknown_topic" } });
    expect(await tables("logs.raw", 3)).toBe(0);
  });

  it("get partitions added, and keep what they hold", async () => {
    await open().produce(name("logs.raw"), [message(0)]);
    const grown = open([spec("logs.raw", 5)]);
    expect(await grown.partitionCount(name("logs.raw"))).toBe(5);
    const outcomes = await grown.produce(name("logs.raw"), [message(0), message(4)]);
    expect(outcomes).toEqual([
      { ok: true, partition: 0, offset: 1 },
      { ok: true, partition: 4, offset: 0 },
    ]);
    // An older version of the deployment wants fewer: none is taken away.
    const older = open([spec("logs.raw", 3, { "retention.ms": "5000" })]);
    expect(await older.partitionCount(name("logs.raw"))).toBe(5);
  });

  it("get the settings of a new deployment, in the logs too", async () => {
    await open().topics();
    const changed = open([spec("logs.dlq", 2, { "retention.ms": "2000", "retention.bytes": "77" })]);
    const { config } = await changed.describeTopic(name("logs.dlq"));
    expect(config).toEqual({ "retention.ms": "2000", "retention.bytes": "77", "cleanup.policy": "delete" });
    const stored = await runInDurableObject(
      env.PARTITION_LOG.getByName(`${name("logs.dlq")}/1`),
      (_, { storage }) => storage.sql.exec("SELECT retention_ms, retention_bytes FROM log").one(),
    );
    expect(stored).toEqual({ retention_ms: 2_000, retention_bytes: 77 });
  });

  it("are made all that can be, and the one that cannot is named", async () => {
    const transport = open([spec("bad", 1, { "retention.ms": "soon" }), spec("good", 1)]);
    await expect(transport.topics()).rejects.toMatchObject({
      code: "rejected",
      message: expect.stringContaining("retention.ms"),
    });
    expect(await open([]).topics()).toContain(name("good"));
  });
});

describe("createTopic", () => {
  it("refuses what is no topic, or cannot be one here", async () => {
    for (const [bad, code] of [
      [{ name: "a/b", partitions: 1, config: {} }, "rejected"],
      [{ name: "", partitions: 1, config: {} }, "rejected"],
      [spec("none", 0), "rejected"],
      [spec("many", 501), "rejected"],
      [spec("long", 1, { "retention.bytes": "1e3" }), "rejected"],
      [spec("compact", 1, { "cleanup.policy": "compact,delete" }), "unsupported"],
    ] as const) {
      await expect(open().createTopic(bad), bad.name).rejects.toMatchObject({ code, retryable: false });
    }
  });

  it("of one name at once makes one topic", async () => {
    const results = await Promise.allSettled(
      [1, 2, 3].map((partitions) => open().createTopic(spec("wanted", partitions))),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of results)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "topic_exists" });
  });

  it("that is interrupted shows no half topic, and is finished by another try", async () => {
    const whole = partitionLogs(env);
    let failures = 1;
    const interrupted: PartitionLogs = {
      of: (topic, partition) => {
        if (partition === 2 && failures-- > 0) throw Object.assign(new Error("gone"), { retryable: true });
        return whole.of(topic, partition);
      },
    };
    const directory = env.TOPIC_DIRECTORY.getByName(prefix);
    await runInDurableObject(directory, async (_, { storage }) => {
      const topics = new StoredTopics(storage, interrupted);
      await expect(topics.create(spec("wanted"))).rejects.toMatchObject({ code: "unreachable" });
      expect(topics.list()).toEqual([]);
      await topics.create(spec("wanted", 4));
      expect(topics.describe(name("wanted"))).toMatchObject({ partitions: 4 });
      await expect(topics.create(spec("wanted"))).rejects.toMatchObject({ code: "topic_exists" });
    });
    const outcomes = await open().produce(name("wanted"), [message(2), message(3)]);
    expect(outcomes).toMatchObject([{ ok: true }, { ok: true }]);
  });
});

describe("a group's offsets", () => {
  it("are refused for a partition that is not there", async () => {
    const transport = open();
    for (const partition of [-1, 3, 0.5]) {
      await expect(transport.commitOffset("g", name("logs.raw"), partition, 1)).rejects.toMatchObject({
        code: "unknown_topic",
      });
    }
    await expect(transport.commitOffset("g", name("logs.raw"), 0, -1)).rejects.toMatchObject({
      code: "rejected",
    });
    expect(await transport.committedOffset("g", name("logs.raw"), 0)).toBeUndefined();
  });
});
