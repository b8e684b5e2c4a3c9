// What every transport must do, whatever lies behind it. A transport's test calls this with a way to reach a real
// cluster; nothing may be skipped without a reason.
import { Buffer } from "node:buffer";
import { beforeEach, describe, expect, it } from "vitest";
import type { FetchedRecord, KafkaTransport, ProduceRecord } from "../../lib/kafka/transport.ts";

export interface TransportUnderTest {
  transport: KafkaTransport;
  makeTopic(partitions: number): Promise<string>;
  /** Redpanda's proxy writes an empty key or value as empty and reads it as null. */
  readsEmptyAsNull: boolean;
}

const text = (value: string) => new Uint8Array(Buffer.from(value));
const record = (value: Uint8Array | null, partition = 0, key: Uint8Array | null = null): ProduceRecord => ({
  partition,
  key,
  value,
});

export function transportSuite(name: string, open: () => TransportUnderTest): void {
  describe(`transport contract: ${name}`, () => {
    let transport: KafkaTransport;
    let makeTopic: TransportUnderTest["makeTopic"];
    let readsEmptyAsNull: boolean;
    let topic: string;

    beforeEach(async () => {
      ({ transport, makeTopic, readsEmptyAsNull } = open());
      topic = await makeTopic(3);
    });

    const read = async (offset: number, partition = 0, maxBytes = 1 << 20): Promise<FetchedRecord[]> =>
      await transport.fetch({ topic, partition, offset, maxBytes, waitMs: 0 });

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
      expect((await read(0)).map(({ value }) => Buffer.from(value!).toString())).toEqual(["0", "2", "4"]);
      expect((await read(1, 1)).map(({ offset }) => offset)).toEqual([1]);
    });

    it("carries any bytes: binary, unicode, empty, null", async () => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i);
      const pairs: [Uint8Array | null, Uint8Array | null][] = [
        [every, every],
        [text("ключ:日本"), text("значение 🚀")],
        [text(""), text("")],
        [null, text("no key")],
        [text("no value"), null],
      ];
      await transport.produce(
        topic,
        pairs.map(([key, value]) => record(value, 0, key)),
      );
      const back = await read(0);
      const asBuffers = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes);
      const expected = (bytes: Uint8Array | null) =>
        bytes?.length === 0 && readsEmptyAsNull ? null : asBuffers(bytes);
      expect(back.map(({ key, value }) => [asBuffers(key), asBuffers(value)])).toEqual(
        pairs.map(([key, value]) => [expected(key), expected(value)]),
      );
    });

    it("carries a message of 700,000 bytes, and reads it whatever max_bytes is", async () => {
      const big = new Uint8Array(700_000).fill(120);
      await transport.produce(topic, [record(text("before")), record(big)]);
      const [found] = await read(1, 0, 1);
      expect(Buffer.from(found!.value!).equals(big)).toBe(true);
    });

    it("reads on from any offset, and nothing at the end", async () => {
      await transport.produce(
        topic,
        Array.from({ length: 100 }, (_, i) => record(text(`${i}`))),
      );
      const back = await read(60);
      expect(back.map(({ offset }) => offset)).toEqual(Array.from({ length: back.length }, (_, i) => 60 + i));
      expect(await read(100)).toEqual([]);
    });

    it("says that an offset beyond the end is out of range", async () => {
      await transport.produce(topic, [record(text("only"))]);
      await expect(read(2)).rejects.toMatchObject({ code: "offset_out_of_range", retryable: false });
    });

    it("fails the records of a partition that is not there, and not their neighbours", async () => {
      const outcomes = await transport.produce(topic, [record(text("good"), 1), record(text("bad"), 99)]);
      expect(outcomes[0]).toEqual({ ok: true, partition: 1, offset: 0 });
      expect(outcomes[1]).toMatchObject({ ok: false, error: { code: "unknown_topic", retryable: false } });
    });

    it("names an unknown topic", async () => {
      topic = "no.such.topic";
      await expect(read(0)).rejects.toMatchObject({ code: "unknown_topic" });
      await expect(transport.partitionCount(topic)).rejects.toMatchObject({ code: "unknown_topic" });
      const outcome = await transport.produce(topic, [record(text("x"))]).then(
        ([first]) => (first?.ok ? undefined : first?.error),
        (error: unknown) => error,
      );
      expect(outcome).toMatchObject({ code: "unknown_topic", retryable: false });
    });

    it("counts partitions and lists topics", async () => {
      expect(await transport.partitionCount(topic)).toBe(3);
      expect(await transport.partitionCount(await makeTopic(1))).toBe(1);
      expect(await transport.partitionCount(await makeTopic(17))).toBe(17);
      expect(await transport.topics()).toContain(topic);
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

    it("waits for data no longer than asked", async () => {
      const began = performance.now();
      expect(await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 100 })).toEqual([]);
      expect(performance.now() - began).toBeLessThan(3_000);
    });
  });
}
