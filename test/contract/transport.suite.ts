// What every transport must do, whatever lies behind it. A transport's test calls this with a way to reach a real
// cluster and to make it fail. Where a transport declares not to have a power, its case shows the clear refusal instead.
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { produceWithRetry, systemTiming } from "../../lib/kafka/retry.ts";
import type {
  FetchedRecord,
  KafkaTransport,
  ProduceRecord,
  TransportCapabilities,
} from "../../lib/kafka/transport.ts";
import { contractRun, type ContractRunName } from "./transport-runs.ts";

/** How a test makes what lies between the transport and the log fail. */
export interface TransportFaults {
  /** The next call is carried out, and its answer is lost (a connection cut, a 5xx from a gateway on the way). */
  loseNextAnswer(): Promise<void>;
  /** From now on calls are taken and never answered, until `heal`. */
  hang(): Promise<void>;
  heal(): Promise<void>;
  /** Stops the broker as a crash would, and starts it again over the same data. */
  restartBroker(): Promise<void>;
  /** Makes the partition's log begin at `beforeOffset`, as retention would. */
  trim(topic: string, partition: number, beforeOffset: number): Promise<void>;
}

export interface TransportUnderTest {
  transport: KafkaTransport;
  makeTopic(partitions: number): Promise<string>;
  faults: TransportFaults;
  /** `null`: an empty key or value reads back as null (Redpanda's proxy). */
  emptyBytes: "kept" | "null";
  close(): Promise<void>;
}

const text = (value: string) => new Uint8Array(Buffer.from(value));
const record = (value: Uint8Array | null, partition = 0, key: Uint8Array | null = null): ProduceRecord => ({
  partition,
  key,
  value,
});
const asBuffer = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes);
const asText = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString();

/** A case that hangs must end by the transport's own deadline; none is longer than this. */
const LONGEST_DEADLINE_MS = 15_000;

export function transportSuite(name: ContractRunName, open: () => Promise<TransportUnderTest>): void {
  const { transport: expectedName } = contractRun(name);
  describe(`transport contract: ${name}`, () => {
    let opened: TransportUnderTest;
    let transport: KafkaTransport;
    let can: TransportCapabilities;
    let topic: string;

    beforeAll(async () => {
      opened = await open();
      transport = opened.transport;
      can = await transport.capabilities();
      expect(transport.name.split("+")[0]).toBe(expectedName);
    });
    afterAll(async () => {
      await transport.close();
      await opened.close();
    });
    beforeEach(async () => {
      topic = await opened.makeTopic(3);
    });

    const read = async (offset: number, partition = 0, maxBytes = 1 << 20): Promise<FetchedRecord[]> =>
      await transport.fetch({ topic, partition, offset, maxBytes, waitMs: 0 });

    /** Reads to the end of a partition, however little one read gives. */
    const readAll = async (from = 0, partition = 0): Promise<FetchedRecord[]> => {
      const all: FetchedRecord[] = [];
      for (let offset = from; ;) {
        const records = await read(offset, partition);
        if (records.length === 0) return all;
        all.push(...records);
        offset = (records.at(-1)?.offset ?? 0) + 1;
      }
    };

    it("tells where each record lies, in the order given", async () => {
      const first = await transport.produce(
        topic,
        [0, 1, 0, 2, 0].map((partition, i) => record(text(`${i}`), partition)),
      );
      expect(first).toEqual([
        { ok: true, partition: 0, offset: 0 },
        { ok: true, partition: 1, offset: 0 },
        { ok: true, partition: 0, offset: 1 },
        { ok: true, partition: 2, offset: 0 },
        { ok: true, partition: 0, offset: 2 },
      ]);
      const second = await transport.produce(topic, [record(text("5"), 1)]);
      expect(second).toEqual([{ ok: true, partition: 1, offset: 1 }]);
      expect((await readAll()).map(({ value }) => asText(value))).toEqual(["0", "2", "4"]);
      expect((await readAll(1, 1)).map(({ offset }) => offset)).toEqual([1]);
    });

    it("carries unicode, empty and null keys and values", async () => {
      const pairs: [Uint8Array | null, Uint8Array | null][] = [
        [text("ключ:日本"), text("значение 🚀")],
        [text(""), text("")],
        [null, text("no key")],
        [text("no value"), null],
        [text("\u0000"), text("\u0000\u001f\u2028")],
      ];
      const outcomes = await transport.produce(
        topic,
        pairs.map(([key, value]) => record(value, 0, key)),
      );
      // Where everything is text there is no null value: it is refused, and its neighbours are not.
      const isCarried = ([, value]: (typeof pairs)[number]) => value !== null || can.values === "bytes";
      expect(outcomes.map((outcome) => outcome.ok || outcome.error.code)).toEqual(
        pairs.map((pair) => isCarried(pair) || "unsupported"),
      );
      const expected = (bytes: Uint8Array | null) =>
        bytes?.length === 0 && opened.emptyBytes === "null" ? null : asBuffer(bytes);
      expect((await readAll()).map(({ key, value }) => [asBuffer(key), asBuffer(value)])).toEqual(
        pairs.filter(isCarried).map(([key, value]) => [expected(key), expected(value)]),
      );
    });

    it("carries any bytes, or refuses those that are no text, record by record", async ({ task }) => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i);
      const outcomes = await transport.produce(topic, [
        record(text("good")),
        record(every, 0, every),
        record(text("good, too")),
      ]);
      if (can.values === "bytes") {
        expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, true, true]);
        const [, back] = await readAll();
        expect([asBuffer(back!.key), asBuffer(back!.value)]).toEqual([asBuffer(every), asBuffer(every)]);
      } else {
        task.meta.refused = true;
        expect(outcomes).toMatchObject([
          { ok: true },
          { ok: false, error: { code: "unsupported", retryable: false } },
          { ok: true },
        ]);
        expect((await readAll()).map(({ value }) => asText(value))).toEqual(["good", "good, too"]);
      }
    });

    it("carries headers and timestamps, or refuses them", async ({ task }) => {
      const headers = [
        { name: "trace", value: text("ü") },
        { name: "trace", value: text("second") },
      ];
      const stamped: ProduceRecord = {
        ...record(text("with headers")),
        headers,
        timestampMs: 1_750_000_000_123,
      };
      if (can.recordHeaders === "none") {
        task.meta.refused = true;
        const plain = record(text("plain"));
        expect(await transport.produce(topic, [plain, stamped, plain])).toMatchObject([
          { ok: true },
          { ok: false, error: { code: "unsupported", retryable: false } },
          { ok: true },
        ]);
        expect((await readAll()).map(({ value }) => asText(value))).toEqual(["plain", "plain"]);
        return;
      }
      expect(await transport.produce(topic, [stamped])).toEqual([{ ok: true, partition: 0, offset: 0 }]);
      const [back] = await read(0);
      expect(asText(back!.value)).toBe("with headers");
      if (can.recordHeaders === "write") return;
      expect(back!.headers!.map(({ name: header, value }) => [header, asText(value)])).toEqual([
        ["trace", "ü"],
        ["trace", "second"],
      ]);
      expect(back!.timestampMs).toBe(1_750_000_000_123);
    });

    it("carries a message of 700,000 bytes, and reads it whatever max_bytes is", async () => {
      const big = new Uint8Array(700_000).fill(120);
      await transport.produce(topic, [record(text("before"))]);
      const [outcome] = await transport.produce(topic, [record(big)]);
      expect(outcome).toEqual({ ok: true, partition: 0, offset: 1 });
      const [found] = await read(1, 0, 1);
      expect(Buffer.from(found!.value!).equals(big)).toBe(true);
    });

    it("says that a message is too large, and takes its neighbours", async () => {
      const huge = new Uint8Array(3_000_000);
      // No compression makes it small.
      for (let i = 0, state = 1; i < huge.length; i++)
        huge[i] =
          can.values === "text"
            ? 33 + ((state = (state * 48_271) % 2_147_483_647) % 90)
            : (state = (state * 48_271) % 2_147_483_647);
      const outcomes = await produceWithRetry(transport, topic, [
        record(text("before")),
        record(huge),
        record(text("after")),
      ]);
      expect(outcomes[0]).toMatchObject({ ok: true });
      expect(outcomes[1]).toMatchObject({ ok: false, error: { code: "too_large", retryable: false } });
      expect(outcomes[2]).toMatchObject({ ok: true });
      expect((await readAll()).map(({ value }) => asText(value))).toEqual(["before", "after"]);
    });

    it("reads on from any offset, and nothing at the end", async () => {
      await transport.produce(
        topic,
        Array.from({ length: 100 }, (_, i) => record(text(`${i}`))),
      );
      const back = await read(60);
      expect(back.length).toBeGreaterThan(0);
      expect(back.map(({ offset }) => offset)).toEqual(Array.from({ length: back.length }, (_, i) => 60 + i));
      expect(await read(100)).toEqual([]);
    });

    it("says that an offset beyond the end is out of range", async () => {
      await transport.produce(topic, [record(text("only"))]);
      await expect(read(2)).rejects.toMatchObject({ code: "offset_out_of_range", retryable: false });
    });

    it("says that an offset before the start is out of range, and finds the start", async () => {
      for (let i = 0; i < 8; i++) await transport.produce(topic, [record(text(`${i}`))]);
      await opened.faults.trim(topic, 0, 5);
      await expect(read(4)).rejects.toMatchObject({ code: "offset_out_of_range", retryable: false });
      expect((await readAll(5)).map(({ value }) => asText(value))).toEqual(["5", "6", "7"]);
      expect(await transport.earliestOffset(topic, 0, 7)).toBe(5);
      expect(await transport.latestOffset(topic, 0, 5)).toBe(8);
    });

    it("fails the records of a partition that is not there, and not their neighbours", async () => {
      const outcomes = await transport.produce(topic, [record(text("good"), 1), record(text("bad"), 99)]);
      expect(outcomes[0]).toEqual({ ok: true, partition: 1, offset: 0 });
      expect(outcomes[1]).toMatchObject({ ok: false, error: { code: "unknown_topic", retryable: false } });
      expect(await readAll(0, 1)).toHaveLength(1);
    });

    it("names an unknown topic", async () => {
      topic = "no.such.topic";
      await expect(read(0)).rejects.toMatchObject({ code: "unknown_topic" });
      await expect(transport.partitionCount(topic)).rejects.toMatchObject({ code: "unknown_topic" });
      await expect(transport.describeTopic(topic)).rejects.toMatchObject({ code: "unknown_topic" });
      const outcome = await transport.produce(topic, [record(text("x"))]).then(
        ([first]) => (first?.ok ? undefined : first?.error),
        (error: unknown) => error,
      );
      expect(outcome).toMatchObject({ code: "unknown_topic", retryable: false });
    });

    it("counts partitions, lists and describes topics", async () => {
      expect(await transport.partitionCount(topic)).toBe(3);
      expect(await transport.partitionCount(await opened.makeTopic(1))).toBe(1);
      expect(await transport.partitionCount(await opened.makeTopic(17))).toBe(17);
      expect(await transport.topics()).toContain(topic);
      const described = await transport.describeTopic(topic);
      expect(described.name).toBe(topic);
      expect(described.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2]);
      expect(described.config !== undefined).toBe(can.describeTopics !== "partitions");
      if (can.describeTopics === "replicas")
        expect(described.partitions[0]).toMatchObject({ replicas: 1, inSyncReplicas: 1 });
    });

    it("finds the start and the end of a log, however far the hint is off", async () => {
      expect(await transport.earliestOffset(topic, 0)).toBe(0);
      expect(await transport.latestOffset(topic, 0)).toBe(0);
      for (let i = 0; i < 7; i++)
        await transport.produce(
          topic,
          Array.from({ length: 11 }, () => record(text("x"))),
        );
      expect(await transport.earliestOffset(topic, 0)).toBe(0);
      for (const hint of [undefined, 0, 1, 38, 76, 77, 78, 1_000_000]) {
        expect(await transport.latestOffset(topic, 0, hint), `hint ${hint}`).toBe(77);
      }
    });

    it("waits for data no longer than asked, and ends the wait when it comes", async () => {
      const began = performance.now();
      expect(await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 100 })).toEqual([]);
      expect(performance.now() - began).toBeLessThan(3_000);
    });

    it("keeps the order of what is written one after the other, from several writers", async () => {
      const write = async (writer: number) => {
        for (let i = 0; i < 20; i++) {
          const [outcome] = await transport.produce(topic, [record(text(`${writer}:${i}`), 1)]);
          expect(outcome).toMatchObject({ ok: true });
        }
      };
      await Promise.all([0, 1, 2].map(write));
      const back = (await readAll(0, 1)).map(({ value }) => asText(value)!);
      expect(back).toHaveLength(60);
      for (const writer of [0, 1, 2]) {
        expect(back.filter((one) => one.startsWith(`${writer}:`))).toEqual(
          Array.from({ length: 20 }, (_, i) => `${writer}:${i}`),
        );
      }
    });

    it("makes topics with their settings, or says that it cannot", async ({ task }) => {
      const spec = {
        name: `${topic}.made`,
        partitions: 5,
        config: { "retention.ms": "3600000", "cleanup.policy": "delete" },
      };
      if (!can.createTopics) {
        task.meta.refused = true;
        await expect(transport.createTopic(spec)).rejects.toMatchObject({ code: "unsupported" });
        return;
      }
      await transport.createTopic(spec);
      expect(await transport.partitionCount(spec.name)).toBe(5);
      const { config } = await transport.describeTopic(spec.name);
      if (can.describeTopics !== "partitions") expect(config).toMatchObject(spec.config);
      await expect(transport.createTopic(spec)).rejects.toMatchObject({
        code: "topic_exists",
        retryable: false,
      });
    });

    it("keeps a group's offsets, or says that it cannot", async ({ task }) => {
      const group = `group-of-${topic}`;
      if (!can.groupOffsets) {
        task.meta.refused = true;
        await expect(transport.commitOffset(group, topic, 0, 1)).rejects.toMatchObject({
          code: "unsupported",
        });
        await expect(transport.committedOffset(group, topic, 0)).rejects.toMatchObject({
          code: "unsupported",
        });
        return;
      }
      await transport.produce(
        topic,
        Array.from({ length: 9 }, () => record(text("x"), 1)),
      );
      expect(await transport.committedOffset(group, topic, 1)).toBeUndefined();
      await transport.commitOffset(group, topic, 1, 7);
      expect(await transport.committedOffset(group, topic, 1)).toBe(7);
      await transport.commitOffset(group, topic, 1, 9);
      expect(await transport.committedOffset(group, topic, 1)).toBe(9);
      expect(await transport.committedOffset(group, topic, 0)).toBeUndefined();
    });

    it("deletes records, or says that it cannot", async ({ task }) => {
      for (let i = 0; i < 6; i++) await transport.produce(topic, [record(text(`${i}`))]);
      if (!can.deleteRecords) {
        task.meta.refused = true;
        await expect(transport.deleteRecords(topic, 0, 4)).rejects.toMatchObject({ code: "unsupported" });
        return;
      }
      await transport.deleteRecords(topic, 0, 4);
      expect(await transport.earliestOffset(topic, 0)).toBe(4);
      await expect(read(3)).rejects.toMatchObject({ code: "offset_out_of_range" });
      expect((await readAll(4)).map(({ value }) => asText(value))).toEqual(["4", "5"]);
    });

    it("says of a lost answer that it may be tried again, and finds the record once it is", async () => {
      await transport.produce(topic, [record(text("before"))]);
      await opened.faults.loseNextAnswer();
      // A client of its own may try again by itself; then the record is there, perhaps twice.
      const outcome = await transport.produce(topic, [record(text("lost"))]).then(
        ([first]) => first!,
        (error: unknown) => ({ ok: false as const, error: error as Error }),
      );
      if (!outcome.ok) expect(outcome.error).toMatchObject({ name: "KafkaError", retryable: true });
      const [again] = await produceWithRetry(transport, topic, [record(text("after"))]);
      expect(again).toMatchObject({ ok: true });
      const values = (await readAll()).map(({ value }) => asText(value));
      expect(values[0]).toBe("before");
      expect(values.at(-1)).toBe("after");
      expect(values).toContain("lost");
    });

    it("ends every call by its deadline when nothing answers", async () => {
      await transport.partitionCount(topic);
      await opened.faults.hang();
      const began = performance.now();
      try {
        const calls = await Promise.allSettled([
          transport.produce(topic, [record(text("x"))]).then(([outcome]) => {
            if (outcome?.ok === false) throw outcome.error;
            return outcome;
          }),
          read(0),
          transport.latestOffset(topic, 0),
          transport.topics(),
        ]);
        for (const call of calls) {
          expect(call.status).toBe("rejected");
          expect((call as PromiseRejectedResult).reason).toMatchObject({
            name: "KafkaError",
            retryable: true,
          });
        }
        expect(performance.now() - began).toBeLessThan(LONGEST_DEADLINE_MS + 5_000);
      } finally {
        await opened.faults.heal();
      }
      const [after] = await produceWithRetry(transport, topic, [record(text("after"))]);
      expect(after).toMatchObject({ ok: true });
    });

    it("loses nothing that was acknowledged when the broker restarts in mid-produce", async () => {
      const acknowledged = new Set<string>();
      const load = new AbortController();
      const write = async (writer: number) => {
        for (let i = 0; !load.signal.aborted || i < 5; i++) {
          const value = `${writer}:${i}`;
          const retry = { maxAttempts: 40, baseDelayMs: 50, maxDelayMs: 500, deadlineMs: 60_000 };
          const [outcome] = await produceWithRetry(
            transport,
            topic,
            [record(text(value), writer % 3)],
            retry,
            systemTiming,
          );
          if (outcome?.ok) acknowledged.add(value);
        }
      };
      const writers = Promise.all([0, 1, 2, 3].map(write));
      try {
        // In mid-produce: something is acknowledged by then that could be lost, and more is under way.
        await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThanOrEqual(20), 30_000);
        await opened.faults.restartBroker();
      } finally {
        load.abort();
      }
      await writers;
      const stored = new Set<string | null>();
      for (const partition of [0, 1, 2])
        for (const { value } of await readAll(0, partition)) stored.add(asText(value));
      expect(acknowledged.size).toBeGreaterThanOrEqual(20);
      expect([...acknowledged].filter((value) => !stored.has(value))).toEqual([]);
    });
  });
}
