// The batcher with time driven by the test, over a model of a log that takes time, refuses and breaks on demand.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatcher, type BatcherOptions } from "../../../lib/kafka/batcher.ts";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import type { Timer } from "../../../lib/kafka/timer.ts";
import type { ProduceOutcome, ProduceRecord } from "../../../lib/kafka/transport.ts";

const TOPIC = "t";
const MAX_SENT_BYTES = 1_000_000;

class Clock implements Timer {
  #nowMs = 0;
  #timers: { atMs: number; act: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }
  after(ms: number, act: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, act };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((one) => one !== timer));
  }
  get pending(): number {
    return this.#timers.length;
  }
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const next = this.#timers
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)
        .at(0);
      if (!next) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.#nowMs = next.atMs;
      next.act();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets everything run that waits for no timer. */
const settled = async () => await new Promise((resolve) => setImmediate(resolve));

type Refusal = "whole request" | "partition";

/** A log of many partitions behind a connection of some latency. Records are known by their key. */
function model(clock: Clock, latencyMs: number, refusal: Refusal = "whole request") {
  const log = new Map<number, string[]>();
  const calls: { atMs: number; keys: string[]; bytes: number; sentBytes: number }[] = [];
  const poison = new Set<string>();
  const failures: (KafkaError | Error)[] = [];
  let inFlight = 0;
  let mostInFlight = 0;
  const rejected = new KafkaError("rejected", "HTTP 422");
  return {
    log,
    calls,
    poison,
    failures,
    mostInFlight: () => mostInFlight,
    async produce(_: string, records: readonly ProduceRecord[]): Promise<ProduceOutcome[]> {
      const keys = records.map(keyOf);
      const sent = {
        records: records.map(({ partition, key, value }) => ({
          key: base64(key),
          value: base64(value),
          partition,
        })),
      };
      const bytes = records.reduce(
        (sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0),
        0,
      );
      calls.push({ atMs: clock.now(), keys, bytes, sentBytes: JSON.stringify(sent).length });
      mostInFlight = Math.max(mostInFlight, ++inFlight);
      await new Promise<void>((resolve) => clock.after(latencyMs, resolve));
      inFlight--;
      const failure = failures.shift();
      if (failure) throw failure;
      if (refusal === "whole request" && keys.some((key) => poison.has(key))) throw rejected;
      const bad = new Set(records.filter((one) => poison.has(keyOf(one))).map(({ partition }) => partition));
      return records.map((record): ProduceOutcome => {
        const { partition } = record;
        if (bad.has(partition)) return { ok: false, error: rejected };
        const messages = log.get(partition) ?? [];
        log.set(partition, messages);
        return { ok: true, partition, offset: messages.push(keyOf(record)) - 1 };
      });
    },
  };
}

const base64 = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("base64");
const keyOf = ({ key }: ProduceRecord) => Buffer.from(key!).toString();
const record = (key: string, partition = 0, valueBytes = 1): ProduceRecord => ({
  partition,
  key: Buffer.from(key),
  value: new Uint8Array(valueBytes),
});

function open(options: Partial<BatcherOptions> & { latencyMs?: number; refusal?: Refusal | undefined } = {}) {
  const clock = new Clock();
  const kafka = model(clock, options.latencyMs ?? 5, options.refusal);
  const batcher = createBatcher({
    transport: kafka,
    lingerMs: 10,
    maxBatchBytes: 500_000,
    maxPendingBytes: 32 << 20,
    timer: clock,
    ...options,
  });
  /** A caller's produce; what it came to is in `of` once it has. */
  const settledCalls: { name: string; atMs: number; outcomes?: ProduceOutcome[]; error?: unknown }[] = [];
  const produce = (name: string, records = [record(name)], topic = TOPIC) =>
    void batcher.produce(topic, records).then(
      (outcomes) => settledCalls.push({ name, atMs: clock.now(), outcomes }),
      (error: KafkaError) =>
        settledCalls.push({
          name,
          atMs: clock.now(),
          error,
          outcomes: records.map(() => ({ ok: false, error })),
        }),
    );
  const of = (name: string) => settledCalls.find((call) => call.name === name);
  return { clock, kafka, batcher, produce, of };
}

describe("batcher", () => {
  it("gathers what comes until the first has lingered, and answers once Kafka has", async () => {
    const { clock, kafka, produce, of } = open();
    produce("a");
    await clock.advance(9);
    produce("b");
    expect(kafka.calls).toEqual([]);
    await clock.advance(1);
    expect(kafka.calls).toMatchObject([{ atMs: 10, keys: ["a", "b"] }]);
    await clock.advance(4);
    expect([of("a"), of("b")]).toEqual([undefined, undefined]);
    await clock.advance(1);
    expect(of("a")).toMatchObject({ atMs: 15, outcomes: [{ ok: true, partition: 0, offset: 0 }] });
    expect(of("b")).toMatchObject({ atMs: 15, outcomes: [{ ok: true, partition: 0, offset: 1 }] });
    expect(clock.pending).toBe(0);
  });

  it("does not wait once there is enough, and keeps within the limits of one call", async () => {
    const { clock, kafka, produce } = open({ maxBatchBytes: 1_000 });
    for (const name of ["a", "b", "c"]) produce(name, [record(name, 0, 450)]);
    await settled();
    expect(kafka.calls).toMatchObject([{ atMs: 0, keys: ["a", "b"] }]);
    // The call's own; the linger was given up.
    expect(clock.pending).toBe(1);
    // The third has lingered by then.
    await clock.advance(20);
    expect(kafka.calls).toMatchObject([{ keys: ["a", "b"] }, { atMs: 10, keys: ["c"] }]);
    expect(clock.pending).toBe(0);
  });

  it("sends a call that is larger than a batch by itself", async () => {
    const { clock, kafka, produce, of } = open({ maxBatchBytes: 1_000 });
    produce("small");
    produce("large", [record("large 1", 0, 2_000), record("large 2", 1, 2_000)]);
    await clock.advance(40);
    expect(kafka.calls.map(({ keys }) => keys)).toEqual([["small"], ["large 1", "large 2"]]);
    expect(of("large")?.outcomes).toHaveLength(2);
  });

  it("counts what base64 and JSON add: many tiny records stay within 1,000,000 bytes as sent", async () => {
    const { clock, kafka, produce } = open({ maxBatchBytes: 700_000 });
    for (let i = 0; i < 300; i++)
      produce(
        `${i}`,
        Array.from({ length: 100 }, (_, n) => record(`${i}.${n}`)),
      );
    await clock.advance(100);
    expect(kafka.calls.flatMap(({ keys }) => keys)).toHaveLength(30_000);
    expect(kafka.calls.length).toBeLessThan(5);
    for (const { sentBytes } of kafka.calls) expect(sentBytes).toBeLessThanOrEqual(MAX_SENT_BYTES);
  });

  it("without linger sends at once, and gathers only while a call is in flight", async () => {
    const { clock, kafka, produce } = open({ lingerMs: 0 });
    produce("a");
    await settled();
    expect(kafka.calls).toMatchObject([{ atMs: 0, keys: ["a"] }]);
    for (const name of ["b", "c", "d"]) produce(name);
    await clock.advance(5);
    expect(kafka.calls).toMatchObject([{ keys: ["a"] }, { atMs: 5, keys: ["b", "c", "d"] }]);
    await clock.advance(5);
    produce("e");
    await settled();
    expect(kafka.calls).toMatchObject([{}, {}, { atMs: 10, keys: ["e"] }]);
  });

  it("does not let one topic wait for another", async () => {
    const { clock, kafka, produce } = open({ lingerMs: 0, latencyMs: 1_000 });
    produce("a", [record("a")], "one");
    produce("b", [record("b")], "other");
    await clock.advance(0);
    expect(kafka.calls.map(({ keys }) => keys)).toEqual([["a"], ["b"]]);
  });

  it("tells every caller of a failure that may pass, and tries nothing again by itself", async () => {
    const { clock, kafka, produce, of } = open();
    const away = new KafkaError("unreachable", "away");
    kafka.failures.push(away);
    for (const name of ["a", "b", "c"]) produce(name);
    await clock.advance(100);
    expect(kafka.calls).toHaveLength(1);
    for (const name of ["a", "b", "c"]) expect(of(name)?.error).toBe(away);
    produce("d");
    await clock.advance(100);
    expect(of("d")?.outcomes).toMatchObject([{ ok: true }]);
  });

  it("looks for nobody's fault where the whole topic is refused", async () => {
    for (const code of ["unauthorized", "unknown_topic", "misconfigured"] as const) {
      const { clock, kafka, produce, of } = open();
      kafka.failures.push(new KafkaError(code, "refused"));
      for (const name of ["a", "b", "c"]) produce(name);
      await clock.advance(100);
      expect(kafka.calls, code).toHaveLength(1);
      expect(of("c")?.outcomes, code).toMatchObject([{ ok: false, error: { code } }]);
    }
  });

  it.each<Refusal>(["whole request", "partition"])(
    "refuses a poisoned message alone (refusal of a %s), in O(log n) calls",
    async (refusal) => {
      const { clock, kafka, produce, of } = open({ refusal, latencyMs: 1 });
      kafka.poison.add("77");
      for (let i = 0; i < 100; i++) produce(`${i}`, [record(`${i}`, i % 2)]);
      await clock.advance(200);
      expect(of("77")?.outcomes).toMatchObject([{ ok: false, error: { code: "rejected" } }]);
      for (let i = 0; i < 100; i++) if (i !== 77) expect(of(`${i}`)?.outcomes).toMatchObject([{ ok: true }]);
      expect(kafka.log.get(0)).toEqual(Array.from({ length: 50 }, (_, i) => `${2 * i}`));
      expect(kafka.log.get(1)).toEqual(
        Array.from({ length: 50 }, (_, i) => `${2 * i + 1}`).filter((key) => key !== "77"),
      );
      // One call, and two for each halving of 100.
      expect(kafka.calls.length).toBeLessThanOrEqual(1 + 2 * 7);
    },
  );

  it("goes by what a transport says record by record, without another call", async () => {
    const clock = new Clock();
    let calls = 0;
    const batcher = createBatcher({
      transport: {
        produce: async (_, records) => {
          calls++;
          return await Promise.resolve(
            records.map((one, offset) =>
              keyOf(one) === "bad"
                ? { ok: false, error: new KafkaError("too_large", "this one") }
                : { ok: true, partition: 0, offset },
            ),
          );
        },
      },
      lingerMs: 10,
      maxBatchBytes: 1_000,
      maxPendingBytes: 1_000_000,
      timer: clock,
    });
    const all = Promise.all(["a", "bad", "b"].map((name) => batcher.produce(TOPIC, [record(name)])));
    await clock.advance(10);
    expect(await all).toMatchObject([[{ ok: true }], [{ error: { code: "too_large" } }], [{ ok: true }]]);
    expect(calls).toBe(1);
  });

  it("stops looking once Kafka is away: the rest may be tried again, and nothing overtakes", async () => {
    const { clock, kafka, produce, of } = open();
    kafka.failures.push(new KafkaError("too_large", "together"), new KafkaError("timeout", "no answer"));
    for (const name of ["a", "b", "c", "d"]) produce(name);
    await clock.advance(100);
    expect(kafka.calls.map(({ keys }) => keys)).toEqual([
      ["a", "b", "c", "d"],
      ["a", "b"],
    ]);
    for (const name of ["a", "b", "c", "d"])
      expect(of(name)?.outcomes).toMatchObject([{ ok: false, error: { code: "timeout", retryable: true } }]);
  });

  it("stops looking when there is no time left, and blames nobody whom it has not found guilty", async () => {
    const { clock, kafka, produce, of } = open({ latencyMs: 900 });
    kafka.poison.add("7");
    for (let i = 0; i < 8; i++) produce(`${i}`);
    await clock.advance(10_000);
    expect(kafka.calls.map(({ keys }) => keys.length)).toEqual([8, 4, 4]);
    for (let i = 0; i < 4; i++) expect(of(`${i}`)?.outcomes).toMatchObject([{ ok: true }]);
    for (let i = 4; i < 8; i++)
      expect(of(`${i}`)?.outcomes).toMatchObject([
        { ok: false, error: { code: "unavailable", retryable: true } },
      ]);
  });

  it("refuses at once what it cannot hold, and takes more when there is room again", async () => {
    const { clock, batcher, kafka, produce, of } = open({
      lingerMs: 0,
      latencyMs: 50,
      maxPendingBytes: 10_000,
    });
    for (let i = 0; i < 6; i++) produce(`${i}`, [record(`${i}`, 0, 2_000)]);
    await settled();
    expect([0, 1, 2, 3, 4, 5].map((i) => of(`${i}`)?.error)).toMatchObject([
      undefined,
      undefined,
      undefined,
      { code: "throttled", retryable: true },
      { code: "throttled" },
      { code: "throttled" },
    ]);
    expect(batcher.stats()).toMatchObject({ pendingRequests: 3 });
    expect(batcher.stats().pendingBytes).toBeLessThanOrEqual(10_000);
    await clock.advance(1_000);
    expect(batcher.stats()).toMatchObject({ pendingRequests: 0, pendingBytes: 0 });
    produce("after", [record("after", 0, 50_000)]);
    await clock.advance(1_000);
    expect(of("after")?.outcomes).toMatchObject([{ ok: true }]);
    expect(kafka.calls.flatMap(({ keys }) => keys)).toEqual(["0", "1", "2", "after"]);
  });

  it("sends away who has waited so long that its caller is about to give up", async () => {
    const { clock, kafka, produce, of } = open({ latencyMs: 5_000 });
    produce("a");
    await clock.advance(100);
    produce("late");
    await clock.advance(4_000);
    produce("in time");
    await clock.advance(10_000);
    expect(of("late")?.error).toMatchObject({ code: "throttled", retryable: true });
    expect(kafka.calls.map(({ keys }) => keys)).toEqual([["a"], ["in time"]]);
  });

  it("passes a fault of the transport's own to its callers, and goes on", async () => {
    const { clock, kafka, batcher, produce, of } = open();
    kafka.failures.push(new TypeError("closed"));
    produce("a");
    await clock.advance(100);
    expect(of("a")?.error).toBeInstanceOf(TypeError);
    produce("b");
    await clock.advance(100);
    expect(of("b")?.outcomes).toMatchObject([{ ok: true }]);
    expect(batcher.stats()).toEqual({
      requests: 2,
      calls: 2,
      records: 1,
      bytes: 2,
      pendingRequests: 0,
      pendingBytes: 0,
    });
  });

  it("gives every caller its own outcomes, whatever comes when (property)", async () => {
    const arrival = fc.record({
      gapMs: fc.integer({ min: 0, max: 12 }),
      partitions: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }),
      valueBytes: fc.integer({ min: 0, max: 700 }),
      isPoisoned: fc.integer({ min: 0, max: 14 }).map((n) => n === 0),
      isTopicAway: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
    });
    const setting = fc.record({
      lingerMs: fc.constantFrom(0, 1, 10, 30),
      latencyMs: fc.integer({ min: 1, max: 25 }),
      refusal: fc.constantFrom<Refusal>("whole request", "partition"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(arrival, { maxLength: 60 }), setting, async (arrivals, options) => {
        const { clock, kafka, batcher } = open({ ...options, maxBatchBytes: 2_000 });
        const answers: Promise<void>[] = [];
        const sizes = new Map<string, number>();
        for (const [i, { gapMs, partitions, valueBytes, isPoisoned, isTopicAway }] of arrivals.entries()) {
          await clock.advance(gapMs);
          const records = partitions.map((partition, n) => record(`${i}.${n}`, partition, valueBytes));
          if (isPoisoned) kafka.poison.add(`${i}.0`);
          if (isTopicAway) kafka.failures.push(new KafkaError("unavailable", "no leader"));
          sizes.set(
            `${i}`,
            records.reduce((sum, { key, value }) => sum + key!.length + value!.length, 0),
          );
          const check = (outcomes: ProduceOutcome[]): void => {
            expect(outcomes).toHaveLength(records.length);
            outcomes.forEach((outcome, n) => {
              // Readable at the moment of the answer, in the place that it names.
              if (outcome.ok) {
                expect(outcome.partition).toBe(partitions[n]);
                expect(kafka.log.get(outcome.partition)?.[outcome.offset]).toBe(`${i}.${n}`);
              } else if (!outcome.error.retryable) expect(isPoisoned).toBe(true);
            });
            if (isPoisoned) expect(outcomes[0]).toMatchObject({ ok: false });
          };
          const refused = (error: KafkaError) => check(records.map(() => ({ ok: false, error })));
          answers.push(batcher.produce(TOPIC, records).then(check, refused));
        }
        await clock.advance(60_000);
        await Promise.all(answers);
        const arrived = (key: string) => Number(key.split(".")[0]) * 10 + Number(key.split(".")[1]);
        for (const messages of kafka.log.values()) {
          expect(messages).toEqual(messages.toSorted((a, b) => arrived(a) - arrived(b)));
          expect(new Set(messages).size).toBe(messages.length);
        }
        for (const { keys, bytes } of kafka.calls) {
          const callers = new Set(keys.map((key) => key.split(".")[0]!));
          if (callers.size > 1) expect(bytes).toBeLessThanOrEqual(2_000);
        }
        expect(kafka.mostInFlight()).toBeLessThanOrEqual(1);
        expect(batcher.stats()).toMatchObject({
          requests: arrivals.length,
          calls: kafka.calls.length,
          records: [...kafka.log.values()].flat().length,
          pendingRequests: 0,
          pendingBytes: 0,
        });
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
