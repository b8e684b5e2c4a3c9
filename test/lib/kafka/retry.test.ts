import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { produceWithRetry, type RetryOptions } from "../../../lib/kafka/retry.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../../../lib/kafka/transport.ts";

const OPTIONS: RetryOptions = { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 1_000, deadlineMs: 5_000 };
const records: ProduceRecord[] = [0, 1, 2].map((partition) => ({
  partition,
  key: null,
  value: new Uint8Array([partition]),
}));
const written = (partition: number): ProduceOutcome => ({ ok: true, partition, offset: 7 });
const passing = new KafkaError("unavailable", "no leader");
const final = new KafkaError("too_large", "too large");

/** A transport whose produce answers as scripted, one step a call; and a clock that sleeping moves. */
function scripted(steps: ((sent: readonly ProduceRecord[]) => ProduceOutcome[])[], random = 1) {
  const sent: number[][] = [];
  const slept: number[] = [];
  let nowMs = 0;
  const produce = async (_: string, batch: readonly ProduceRecord[]) => {
    sent.push(batch.map(({ partition }) => partition));
    return await Promise.resolve((steps[sent.length - 1] ?? steps.at(-1)!)(batch));
  };
  const timing = {
    now: () => nowMs,
    random: () => random,
    sleep: async (ms: number) => {
      slept.push(ms);
      nowMs += ms;
      await Promise.resolve();
    },
  };
  return { transport: { produce } as unknown as KafkaTransport, timing, sent, slept };
}

describe("produceWithRetry", () => {
  it("sends again only what failed in a way that may pass", async () => {
    const script = scripted([
      () => [written(0), { ok: false, error: passing }, { ok: false, error: final }],
      () => [written(1)],
      () => [{ ok: false, error: final }],
    ]);
    const outcomes = await produceWithRetry(script.transport, "t", records, OPTIONS, script.timing);
    expect(script.sent).toEqual([[0, 1, 2], [1], [2]]);
    expect(outcomes).toEqual([written(0), written(1), { ok: false, error: final }]);
  });

  it("halves what was refused as too large together, and refuses only what is too large alone", async () => {
    const limit = 2;
    const script = scripted([
      (sent) => {
        if (sent.length > limit || (sent.length > 1 && sent.some(({ partition }) => partition === 5)))
          throw final;
        return sent.map(({ partition }) =>
          partition === 5 ? { ok: false, error: final } : written(partition),
        );
      },
    ]);
    const many = [0, 1, 2, 3, 4, 5, 6].map((partition) => ({ partition, key: null, value: null }));
    const outcomes = await produceWithRetry(script.transport, "t", many, OPTIONS, script.timing);
    expect(outcomes).toEqual(
      many.map(({ partition }) => (partition === 5 ? { ok: false, error: final } : written(partition))),
    );
  });

  it("waits with full jitter under a doubling ceiling, and stops at the last attempt", async () => {
    const fail = () => {
      throw passing;
    };
    const script = scripted([fail]);
    const outcomes = await produceWithRetry(script.transport, "t", records, OPTIONS, script.timing);
    expect(script.sent).toHaveLength(4);
    expect(script.slept).toEqual([100, 200, 400]);
    expect(outcomes).toEqual(records.map(() => ({ ok: false, error: passing })));
    const lucky = scripted([fail], 0);
    await produceWithRetry(lucky.transport, "t", records, OPTIONS, lucky.timing);
    expect(lucky.slept).toEqual([0, 0, 0]);
  });

  it("waits as long as it was told to, and gives up where that passes the deadline", async () => {
    const throttled = (retryAfterMs: number) => () => {
      throw new KafkaError("throttled", "slow", { retryAfterMs });
    };
    const patient = scripted([throttled(3_000), (sent) => sent.map(({ partition }) => written(partition))]);
    await produceWithRetry(patient.transport, "t", records, OPTIONS, patient.timing);
    expect(patient.slept).toEqual([3_000]);
    const late = scripted([throttled(6_000)]);
    const outcomes = await produceWithRetry(late.transport, "t", records, OPTIONS, late.timing);
    expect(late.sent).toHaveLength(1);
    expect(outcomes[0]).toMatchObject({ ok: false, error: { code: "throttled" } });
  });

  it("does not try again what cannot pass", async () => {
    const script = scripted([
      () => {
        throw new KafkaError("unauthorized", "no");
      },
    ]);
    await produceWithRetry(script.transport, "t", records, OPTIONS, script.timing);
    expect(script.sent).toHaveLength(1);
  });

  it("takes a record that the answer leaves out for not written", async () => {
    const script = scripted([() => [written(0)], (sent) => sent.map(({ partition }) => written(partition))]);
    const outcomes = await produceWithRetry(script.transport, "t", records, OPTIONS, script.timing);
    expect(script.sent).toEqual([
      [0, 1, 2],
      [1, 2],
    ]);
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
  });

  describe("order within a partition", () => {
    const named = (...parts: [name: string, partition: number][]): ProduceRecord[] =>
      parts.map(([name, partition]) => ({ partition, key: null, value: Buffer.from(name) }));
    const names = (sent: readonly ProduceRecord[]) => sent.map(({ value }) => String(Buffer.from(value!)));
    const failing =
      (...bad: string[]) =>
      (sent: readonly ProduceRecord[]): ProduceOutcome[] =>
        sent.map((one) =>
          bad.includes(names([one])[0]!) ? { ok: false, error: passing } : written(one.partition),
        );
    async function run(sent: ProduceRecord[], steps: ReturnType<typeof failing>[]) {
      const seen: string[][] = [];
      const script = scripted([
        (batch) => {
          seen.push(names(batch));
          return (steps[seen.length - 1] ?? steps.at(-1)!)(batch);
        },
      ]);
      return { outcomes: await produceWithRetry(script.transport, "t", sent, OPTIONS, script.timing), seen };
    }

    it("sends what failed again in the order given", async () => {
      const all = named(["a", 0], ["b", 0], ["x", 1], ["c", 0]);
      const { seen } = await run(all, [failing("a", "b", "c"), failing()]);
      expect(seen[1]).toEqual(["a", "b", "c"]);
    });

    it("goes one by one where a later record has overtaken an earlier one", async () => {
      const all = named(["a", 0], ["b", 0], ["c", 0], ["d", 0], ["x", 1], ["y", 1]);
      const { outcomes, seen } = await run(all, [failing("a", "b", "d", "x", "y"), failing("a"), failing()]);
      expect(seen).toEqual([["a", "b", "c", "d", "x", "y"], ["a", "x", "y"], ["a"], ["b"], ["d"]]);
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
    });

    it("does not send what stands behind a record that keeps failing", async () => {
      const all = named(["a", 0], ["b", 0], ["c", 0], ["x", 1]);
      const { outcomes, seen } = await run(all, [failing("a", "b"), failing("a")]);
      expect(seen).toEqual([["a", "b", "c", "x"], ["a"], ["a"], ["a"]]);
      expect(outcomes).toEqual([
        { ok: false, error: passing },
        { ok: false, error: passing },
        written(0),
        written(1),
      ]);
    });
  });

  it("lets a fault of our own through", async () => {
    const script = scripted([
      () => {
        throw new TypeError("a bug");
      },
    ]);
    await expect(produceWithRetry(script.transport, "t", records, OPTIONS, script.timing)).rejects.toThrow(
      TypeError,
    );
  });
});
