// Draining the spillway over a real queue and a model of a log that refuses and breaks on demand: order within a
// partition, what is held and what is not, whose fault a refusal is, budget.
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import {
  drainSpill,
  type DrainPlan,
  type DrainPorts,
  type Grown,
} from "../../../../lib/ingest/spill/drain-spill.ts";
import { keyHash } from "../../../../lib/ingest/spill/spill-port.ts";
import type { StoredQueue } from "../../../../lib/ingest/spill/stored-queue.ts";
import { KafkaError } from "../../../../lib/kafka/errors.ts";
import type { ProduceOutcome, ProduceRecord } from "../../../../lib/kafka/transport.ts";
import { otlpFromText } from "../../../../lib/telemetry/otlp/message.ts";
import { message, withQueue } from "./held.ts";

const PARTITIONS = 3;
const decoder = new TextDecoder();
const textOf = ({ value }: ProduceRecord) => decoder.decode(value ?? undefined);

/** A log; what `fault` answers for a record, or throws for a call, comes before it. */
function model(
  fault: (record: ProduceRecord, topic: string) => KafkaError | undefined = () => undefined,
  partitions = PARTITIONS,
) {
  const log: { topic: string; partition: number; text: string }[] = [];
  const calls: { topic: string; records: number; sentBytes: number }[] = [];
  const grown: Grown[] = [];
  const health: boolean[] = [];
  const inFlight = new Map<string, number>();
  const state = {
    values: "bytes" as "bytes" | "text",
    throwFor: undefined as KafkaError | undefined,
    most: 0,
    nowMs: 0,
  };
  const ports: Omit<DrainPorts, "queue"> = {
    transport: {
      capabilities: async () => ({ values: state.values }) as never,
      async produce(topic, records): Promise<ProduceOutcome[]> {
        const now = (inFlight.get(topic) ?? 0) + 1;
        inFlight.set(topic, now);
        state.most = Math.max(state.most, now);
        await new Promise((resolve) => setTimeout(resolve, 0));
        inFlight.set(topic, now - 1);
        const body = records.map(({ key, value, partition }) => ({
          key: base64Of(key),
          value: base64Of(value),
          partition,
        }));
        calls.push({ topic, records: records.length, sentBytes: JSON.stringify({ records: body }).length });
        if (state.throwFor) throw state.throwFor;
        return records.map((record) => {
          const error = fault(record, topic);
          if (error) return { ok: false, error };
          const { partition } = record;
          log.push({ topic, partition, text: textOf(record) });
          return { ok: true, partition, offset: log.length - 1 };
        });
      },
    },
    partitionsOf: async () => partitions,
    called: (isOk) => void health.push(isOk),
    grown: (places) => void grown.push(...places),
    now: () => state.nowMs,
  };
  const textsOf = (topic: string, partition?: number) =>
    log
      .filter((one) => one.topic === topic && (partition === undefined || one.partition === partition))
      .map(({ text }) => text);
  return { log, calls, grown, health, state, ports, textsOf };
}

function base64Of(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? []).toString("base64");
}

const drain = async (
  queue: StoredQueue,
  { ports }: ReturnType<typeof model>,
  plan: Partial<DrainPlan> = {},
) =>
  await drainSpill(
    {
      topics: queue.topics(),
      refusedUntilMs: 0,
      isProbe: false,
      budget: { timeMs: 20_000, calls: 40 },
      ...plan,
    },
    { ...ports, queue },
  );

/** A key of each partition. */
const KEYS = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let i = 0; ; i++) {
    const key = `key ${i}`;
    if (keyHash(new TextEncoder().encode(key)) % PARTITIONS === partition) return key;
  }
});
const [K0 = "", K1 = "", K2 = ""] = KEYS;

const unavailable = () => new KafkaError("unavailable", "no leader");
const tooLarge = () => new KafkaError("too_large", "message.max.bytes");
const rejected = () => new KafkaError("rejected", "HTTP 422");

describe("order", () => {
  it("is that of the appends, by the partition count of the drain, and nothing is left", async () => {
    await withQueue(async (queue) => {
      const messages = Array.from({ length: 5_000 }, (_, i) => message(`k${i % 50}`, `${i % 50}/${i}`));
      queue.append(messages);
      const kafka = model(undefined, 7);
      const result = await drain(queue, kafka);
      expect(result).toMatchObject({ sent: 5_000, refused: 0 });
      expect([...result.topics]).toEqual([["logs.raw", { state: "drained" }]]);
      for (let key = 0; key < 50; key++) {
        const own = kafka.log.filter(({ text }) => text.startsWith(`${key}/`));
        const partition = keyHash(new TextEncoder().encode(`k${key}`)) % 7;
        expect(own.every((one) => one.partition === partition)).toBe(true);
        const numbers = own.map(({ text }) => Number(text.split("/")[1]));
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        expect(numbers).toHaveLength(100);
      }
      expect(queue.sums().messages).toBe(0);
      expect(kafka.state.most).toBe(1);
    });
  });

  it("holds behind a message that fails, in its partition alone", async () => {
    await withQueue(async (queue) => {
      queue.append([message(K0, "a"), message(K1, "b"), message(K2, "c")]);
      // Pages of one message each: what stands behind is in another call.
      queue.append(Array.from({ length: 6 }, (_, i) => message(KEYS[i % 3]!, "x".repeat(700_000 + i))));
      const kafka = model((record) => (textOf(record) === "b" ? unavailable() : undefined));
      const result = await drain(queue, kafka);
      expect(result.topics.get("logs.raw")).toMatchObject({ state: "held", error: { code: "unavailable" } });
      expect(kafka.textsOf("logs.raw", 0)).toHaveLength(3);
      expect(kafka.textsOf("logs.raw", 2)).toHaveLength(3);
      expect(queue.sums().messages).toBe(3);
      const healed = model();
      await drain(queue, healed);
      expect(healed.textsOf("logs.raw").map((text) => text.length)).toEqual([1, 700_001, 700_004]);
    });
  });

  it("holds where partitions are added while it is kept", async () => {
    await withQueue(async (queue) => {
      const texts = Array.from({ length: 200 }, (_, i) => `${i % 20}/${i}`);
      queue.append(texts.map((text) => message(`k${text.split("/")[0]}`, text)));
      const before = model(({ partition }) => (partition === 1 ? unavailable() : undefined));
      await drain(queue, before);
      expect(queue.sums().messages).toBeGreaterThan(0);
      const after = model(undefined, 7);
      await drain(queue, after);
      const all = [...before.log, ...after.log].map(({ text }) => text);
      for (let key = 0; key < 20; key++) {
        const own = all.filter((text) => text.startsWith(`${key}/`));
        expect(own).toEqual(texts.filter((text) => text.startsWith(`${key}/`)));
      }
      expect(
        after.log.every(
          ({ partition, text }) =>
            partition === keyHash(new TextEncoder().encode(`k${text.split("/")[0]}`)) % 7,
        ),
      ).toBe(true);
    });
  });

  it("keeps other topics going, side by side", async () => {
    await withQueue(async (queue) => {
      for (const topic of ["a", "b", "c", "d", "e", "f"]) queue.append([message("k", topic, { topic })]);
      const kafka = model((_, topic) => (topic === "b" ? unavailable() : undefined));
      const { topics } = await drain(queue, kafka);
      expect([...topics].filter(([, { state }]) => state === "held").map(([topic]) => topic)).toEqual(["b"]);
      expect(queue.topics()).toEqual(["b"]);
    });
  });
});

describe("calls", () => {
  it("are as large as may be sent, and no larger", async () => {
    await withQueue(async (queue) => {
      queue.append(Array.from({ length: 300 }, (_, i) => message(`k${i}`, "v".repeat(20_000))));
      const kafka = model();
      await drain(queue, kafka);
      expect(Math.max(...kafka.calls.map(({ sentBytes }) => sentBytes))).toBeLessThanOrEqual(1_000_000);
      expect(kafka.calls.length).toBeLessThanOrEqual(9);
    });
  });

  it("end with the budget, and what was acknowledged by then is gone", async () => {
    await withQueue(async (queue) => {
      queue.append(Array.from({ length: 5 }, () => message("k", "v".repeat(700_000))));
      const kafka = model();
      const result = await drain(queue, kafka, { budget: { timeMs: 1_000, calls: 2 } });
      expect(result.topics.get("logs.raw")).toEqual({ state: "budget" });
      expect(queue.sums().messages).toBe(3);
      const late = model();
      late.ports.now = () => (late.state.nowMs += 600);
      await drain(queue, late, { budget: { timeMs: 1_000, calls: 40 } });
      expect(queue.sums().messages).toBe(2);
    });
  });

  it("tell where the log grew, from the first for each partition", async () => {
    await withQueue(async (queue) => {
      queue.append(Array.from({ length: 30 }, (_, i) => message(KEYS[i % 2]!, String(i))));
      const kafka = model();
      await drain(queue, kafka);
      expect(kafka.grown).toEqual([
        { topic: "logs.raw", partition: 0, offset: 0 },
        { topic: "logs.raw", partition: 1, offset: 1 },
      ]);
    });
  });

  it("are one alone where Kafka may still be away", async () => {
    await withQueue(async (queue) => {
      for (const topic of ["a", "b", "c"]) queue.append([message("k", "v", { topic })]);
      const kafka = model();
      kafka.state.throwFor = new KafkaError("unreachable", "away");
      const { topics } = await drain(queue, kafka, { isProbe: true });
      expect(kafka.calls).toHaveLength(1);
      expect(kafka.health).toEqual([false]);
      expect([...topics.values()].every(({ state }) => state === "held")).toBe(true);
      kafka.state.throwFor = undefined;
      expect((await drain(queue, kafka, { isProbe: true })).sent).toBe(3);
    });
  });

  it("carry OTLP as text where nothing else may pass", async () => {
    await withQueue(async (queue) => {
      // ExportLogsServiceRequest with one empty ResourceLogs that has an empty Resource (opentelemetry-proto, logs_service.proto).
      const otlp = new Uint8Array([0x0a, 0x02, 0x0a, 0x00]);
      queue.append([message("k", "", { value: otlp }), message("k", '{"v":1}')]);
      const kafka = model();
      kafka.state.values = "text";
      await drain(queue, kafka);
      const [first, second] = kafka.textsOf("logs.raw");
      expect(otlpFromText(first!)).toEqual(otlp);
      expect(second).toBe('{"v":1}');
    });
  });
});

describe("a refusal", () => {
  it("of one message sets it aside, and its partition moves on", async () => {
    await withQueue(async (queue) => {
      queue.append([message(K0, "1"), message(K0, "poison"), message(K0, "2"), message(K1, "3")]);
      const kafka = model((record) => (textOf(record) === "poison" ? rejected() : undefined));
      const result = await drain(queue, kafka);
      expect(result).toMatchObject({ sent: 3, refused: 1 });
      expect(kafka.textsOf("logs.raw", 0)).toEqual(["1", "2"]);
      expect(queue.holds()).toBe(false);
      expect(queue.refusals()).toMatchObject([{ code: "rejected", message: "HTTP 422" }]);
      // Not before its hour.
      await drain(queue, kafka, { refusedUntilMs: 3_599_999 });
      expect(kafka.calls).toHaveLength(1);
      const healed = model();
      expect((await drain(queue, healed, { refusedUntilMs: 3_600_000 })).sent).toBe(1);
      expect(healed.textsOf("logs.raw")).toEqual(["poison"]);
      expect(queue.sums().messages).toBe(0);
    });
  });

  it.each(["partition's share", "call"])("of a whole %s finds whose fault it is", async (unit) => {
    await withQueue(async (queue) => {
      const texts = Array.from({ length: 40 }, (_, i) =>
        i === 17 || i === 30 ? `poison ${i}` : `good ${i}`,
      );
      queue.append(texts.map((text) => message(K0, text)));
      const kafka = model();
      const { produce } = kafka.ports.transport;
      kafka.ports.transport.produce = async (topic, records) => {
        if (!records.some((record) => textOf(record).startsWith("poison")))
          return await produce(topic, records);
        if (unit === "call") throw tooLarge();
        return records.map(() => ({ ok: false, error: tooLarge() }));
      };
      const result = await drain(queue, kafka);
      expect(result).toMatchObject({ sent: 38, refused: 2 });
      expect(kafka.textsOf("logs.raw")).toEqual(texts.filter((text) => text.startsWith("good")));
      expect(queue.refusals().map(({ code }) => code)).toEqual(["too_large", "too_large"]);
    });
  });

  it("of everything is no message's fault: all is held, in order", async () => {
    await withQueue(async (queue) => {
      const texts = Array.from({ length: 20 }, (_, i) => `m${i}`);
      queue.append(texts.map((text) => message(K0, text)));
      const kafka = model();
      kafka.state.throwFor = rejected();
      const result = await drain(queue, kafka);
      expect(result).toMatchObject({ sent: 0, refused: 0 });
      expect(result.topics.get("logs.raw")).toMatchObject({ state: "held", error: { code: "rejected" } });
      const healed = model();
      await drain(queue, healed);
      expect(healed.textsOf("logs.raw")).toEqual(texts);
    });
  });

  it("of the first message shows as its own once another goes through", async () => {
    await withQueue(async (queue) => {
      queue.append([message(K0, "poison")]);
      const kafka = model((record) => (textOf(record) === "poison" ? rejected() : undefined));
      expect((await drain(queue, kafka)).topics.get("logs.raw")?.state).toBe("held");
      expect(queue.holds()).toBe(true);
      queue.append([message(K0, "next")]);
      expect(await drain(queue, kafka)).toMatchObject({ sent: 1, refused: 1 });
      expect(queue.holds()).toBe(false);
    });
  });

  it.each(["unknown_topic", "unauthorized", "misconfigured"] as const)(
    "as %s holds the topic, and is no fault of Kafka's health",
    async (code) => {
      await withQueue(async (queue) => {
        queue.append([message(K0, "1"), message(K1, "2")]);
        const kafka = model(() => new KafkaError(code, "see to it"));
        const result = await drain(queue, kafka);
        expect(result.topics.get("logs.raw")).toMatchObject({ state: "held", error: { code } });
        expect(kafka.health).toEqual([true]);
        expect(queue.sums()).toMatchObject({ messages: 2, refused: 0 });
      });
    },
  );

  it("that is tried again while Kafka is away keeps its reason", async () => {
    await withQueue(async (queue) => {
      queue.append([message(K0, "poison")]);
      queue.refuse(
        queue
          .page({
            topic: "logs.raw",
            after: 0,
            partitions: 3,
            except: new Set(),
            maxMessages: 9,
            maxSentBytes: 9,
          })
          .map(({ id }) => id),
        "too_large",
        "over 1 MiB",
        0,
      );
      const kafka = model();
      kafka.state.throwFor = unavailable();
      await drain(queue, kafka);
      expect(queue.refusals()).toMatchObject([{ code: "too_large", message: "over 1 MiB" }]);
      expect(queue.refusedAgainMs).toBe(60_000);
    });
  });
});

describe("a fault of ours", () => {
  it("holds its topic, and is told", async () => {
    await withQueue(async (queue) => {
      queue.append([message(K0, "1"), message(K0, "2", { topic: "events.raw" })]);
      const kafka = model();
      kafka.ports.partitionsOf = async (topic) => {
        if (topic === "logs.raw") throw new TypeError("x is not a function");
        return 3;
      };
      const { topics, sent } = await drain(queue, kafka);
      expect(sent).toBe(1);
      expect(topics.get("logs.raw")).toMatchObject({
        state: "held",
        error: { message: expect.stringContaining("x is not a function") },
      });
    });
  });
});
