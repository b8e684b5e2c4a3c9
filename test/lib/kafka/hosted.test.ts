// The caller's side of hosts: which host gets what, and what becomes of hosts that fail. The hosts are stand-ins for a
// Durable Object's stub; the real one is in test/functions/transport-host.worker.test.ts.
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { createHosted, type HostedOptions, type TransportHostStub } from "../../../lib/kafka/hosted.ts";
import type { RpcOutcome, RpcResult } from "../../../lib/kafka/rpc-result.ts";
import type { Timer } from "../../../lib/kafka/timer.ts";
import type { KafkaTransport, ProduceRecord } from "../../../lib/kafka/transport.ts";

const record = (partition: number, text: string): ProduceRecord => ({
  partition,
  key: null,
  value: Buffer.from(text),
});

/** Takes everything; tells what it was asked. */
function stand(asked: { shard: number; call: string; args: unknown[] }[], shard: number): TransportHostStub {
  const told = <T>(call: string, args: unknown[], value: T): Promise<RpcResult<T>> => {
    asked.push({ shard, call, args });
    return Promise.resolve({ ok: true, value });
  };
  return {
    produce: (topic, records) =>
      told(
        "produce",
        [topic, records],
        records.map(({ partition, value }): RpcOutcome => ({
          ok: true,
          partition,
          offset: Number(Buffer.from(value!)),
        })),
      ),
    capabilities: () => told("capabilities", [], {} as never),
    read: (request) => told("read", [request], []),
    earliestOffset: (...args) => told("earliestOffset", args, 1),
    latestOffset: (...args) => told("latestOffset", args, 2),
    partitionCount: (...args) => told("partitionCount", args, 3),
    topics: () => told("topics", [], ["t"]),
    describeTopic: (name) => told("describeTopic", [name], { name, partitions: [] }),
    createTopic: (spec) => told("createTopic", [spec], undefined),
    commitOffset: (...args) => told("commitOffset", args, undefined),
    committedOffset: (...args) => told("committedOffset", args, undefined),
    deleteRecords: (...args) => told("deleteRecords", args, undefined),
  };
}

function open(
  options: Partial<HostedOptions> & { broken?: (shard: number) => Partial<TransportHostStub> } = {},
) {
  const asked: { shard: number; call: string; args: unknown[] }[] = [];
  const transport = createHosted({
    name: "native",
    shards: 4,
    host: (shard) => ({ ...stand(asked, shard), ...options.broken?.(shard) }),
    ...options,
  });
  return { transport, asked };
}

/** Timers that never end, until the test says so. */
function heldTimer() {
  const held: { ms: number; act: () => void }[] = [];
  const timer: Timer = {
    now: () => 0,
    after(ms, act) {
      const one = { ms, act };
      held.push(one);
      return () => void held.splice(held.indexOf(one), 1);
    },
  };
  return { timer, held };
}

describe("hosted", () => {
  it("sends each partition to one host, and puts the outcomes together in order", async () => {
    const { transport, asked } = open();
    const records = Array.from({ length: 40 }, (_, i) => record(i % 8, `${i}`));
    const outcomes = await transport.produce("logs.raw", records);
    expect(outcomes).toEqual(records.map(({ partition }, offset) => ({ ok: true, partition, offset })));
    const shardsOf = new Map<number, Set<number>>();
    for (const { shard, args } of asked)
      for (const { partition } of args[1] as ProduceRecord[])
        shardsOf.set(partition, (shardsOf.get(partition) ?? new Set()).add(shard));
    expect([...shardsOf.values()].map(({ size }) => size)).toEqual(Array.from({ length: 8 }, () => 1));
    // Neighbouring partitions lie on different hosts, one call each.
    expect(new Set(asked.map(({ shard }) => shard))).toEqual(new Set([0, 1, 2, 3]));
    expect(asked).toHaveLength(4);
    await transport.fetch({ topic: "logs.raw", partition: 5, offset: 0, maxBytes: 1, waitMs: 0 });
    expect(asked.at(-1)).toMatchObject({ call: "read", shard: [...shardsOf.get(5)!][0] });
  });

  it("does not put every topic's first partition on the same host", async () => {
    const { transport, asked } = open();
    for (const topic of ["logs.raw", "metrics.raw", "events.raw", "traces.raw", "alerts", "logs.dlq"])
      await transport.produce(topic, [record(0, "0")]);
    expect(new Set(asked.map(({ shard }) => shard)).size).toBeGreaterThan(1);
  });

  it("makes no call for no records", async () => {
    const { transport, asked } = open();
    expect(await transport.produce("t", [])).toEqual([]);
    expect(asked).toEqual([]);
  });

  it("fails only the records of a host that fails", async () => {
    const { transport } = open({
      broken: (shard) =>
        shard === 2 ? { produce: () => Promise.reject(new Error("Durable Object reset")) } : {},
    });
    const outcomes = await transport.produce(
      "t",
      [0, 1, 2, 3].map((partition) => record(partition, "7")),
    );
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(3);
    expect(outcomes.find(({ ok }) => !ok)).toMatchObject({
      error: {
        name: "KafkaError",
        code: "unavailable",
        retryable: true,
        message: expect.stringContaining("Durable Object reset"),
      },
    });
  });

  it("throws what all hosts say alike, with its code and its wait", async () => {
    const refused = { code: "throttled" as const, message: "full", retryAfterMs: 500 };
    const { transport } = open({
      broken: () => ({ produce: () => Promise.resolve({ ok: false, error: refused }) }),
    });
    const both = [record(0, "0"), record(1, "0")];
    await expect(transport.produce("t", both)).rejects.toMatchObject({ name: "KafkaError", ...refused });
    const mixed = open({
      broken: (shard) => ({
        produce: () =>
          Promise.resolve({
            ok: false,
            error: { code: shard % 2 === 0 ? ("timeout" as const) : ("rejected" as const), message: "" },
          }),
      }),
    });
    const outcomes = await mixed.transport.produce("t", both);
    expect(outcomes.map((one) => (one.ok ? "ok" : one.error.code)).toSorted()).toEqual([
      "rejected",
      "timeout",
    ]);
  });

  it("carries a record's error as a KafkaError", async () => {
    const { transport } = open({
      broken: () => ({
        produce: () =>
          Promise.resolve({
            ok: true,
            value: [{ ok: false, error: { code: "too_large" as const, message: "big" } }],
          }),
      }),
    });
    const [outcome] = await transport.produce("t", [record(0, "0")]);
    expect(outcome?.ok === false && outcome.error).toBeInstanceOf(KafkaError);
    expect(outcome).toMatchObject({ error: { code: "too_large", retryable: false } });
  });

  it("takes an answer of another length for no answer", async () => {
    const { transport } = open({
      broken: () => ({ produce: () => Promise.resolve({ ok: true, value: [] }) }),
    });
    await expect(transport.produce("t", [record(0, "0")])).rejects.toMatchObject({ code: "bad_answer" });
  });

  it("gives a silent host up at its deadline, a fetch's wait included, and leaves no timer behind", async () => {
    const { timer, held } = heldTimer();
    const never = () => new Promise<never>(() => undefined);
    const { transport } = open({ timer, broken: () => ({ produce: never, read: never }) });
    expect(await transport.topics()).toEqual(["t"]);
    expect(held).toEqual([]);
    const calls = [
      transport.produce("t", [record(0, "0")]),
      transport.fetch({ topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 777 }),
    ].map(async (call) => await call.catch((error: unknown) => error));
    expect(held.map(({ ms }) => ms)).toEqual([15_000, 15_777]);
    for (const { act } of held.slice()) act();
    for (const call of calls) expect(await call).toMatchObject({ code: "timeout", retryable: true });
    expect(held).toEqual([]);
  });

  it("takes a stub that cannot even be had for a host that fails, and asks for a new one each time", async () => {
    let count = 0;
    const transport = createHosted({
      name: "native",
      shards: 1,
      host: (shard) => {
        if (++count === 1) throw new Error("overloaded");
        return stand([], shard);
      },
    });
    await expect(transport.produce("t", [record(0, "0")])).rejects.toMatchObject({ code: "unavailable" });
    expect(await transport.produce("t", [record(0, "0")])).toEqual([{ ok: true, partition: 0, offset: 0 }]);
    expect(count).toBe(2);
  });

  it("passes every other call to the hosts, or to the direct transport where there is one", async () => {
    const use = async (transport: KafkaTransport) => {
      await transport.capabilities();
      await transport.fetch({ topic: "t", partition: 1, offset: 2, maxBytes: 3, waitMs: 4 });
      await transport.earliestOffset("t", 1, 5);
      await transport.latestOffset("t", 1, 5);
      await transport.partitionCount("t");
      await transport.topics();
      await transport.describeTopic("t");
      await transport.createTopic({ name: "t", partitions: 1, config: {} });
      await transport.commitOffset("g", "t", 1, 2);
      await transport.committedOffset("g", "t", 1);
      await transport.deleteRecords("t", 1, 2);
      await transport.close();
    };
    const remote = open();
    await use(remote.transport);
    expect(remote.asked.map(({ call, args }) => [call, ...args])).toMatchObject([
      ["capabilities"],
      ["read", { topic: "t", partition: 1, offset: 2, maxBytes: 3, waitMs: 4 }],
      ["earliestOffset", "t", 1, 5],
      ["latestOffset", "t", 1, 5],
      ["partitionCount", "t"],
      ["topics"],
      ["describeTopic", "t"],
      ["createTopic", { name: "t" }],
      ["commitOffset", "g", "t", 1, 2],
      ["committedOffset", "g", "t", 1],
      ["deleteRecords", "t", 1, 2],
    ]);
    const called: unknown[][] = [];
    const direct = new Proxy({} as KafkaTransport, {
      get:
        (_, name) =>
        async (...args: unknown[]) =>
          await Promise.resolve(called.push([name, ...args])),
    });
    const mixed = open({ direct });
    await use(mixed.transport);
    expect(mixed.asked).toEqual([]);
    expect(called.map(([name, ...args]) => [name === "fetch" ? "read" : name, ...args])).toEqual([
      ...remote.asked.map(({ call, args }) => [call, ...args]),
      ["close"],
    ]);
    expect(mixed.transport.name).toBe("native");
  });
});
