// What the embedded transport makes of a Durable Object that fails or stays silent. The errors have the fields that
// Cloudflare documents (developers.cloudflare.com/durable-objects/best-practices/error-handling).
import { expect, it } from "vitest";
import { createEmbedded } from "../../../lib/kafka/embedded/embedded.ts";
import type { PartitionLogCalls, TopicDirectoryCalls } from "../../../lib/kafka/embedded/objects.ts";

type Append = PartitionLogCalls["append"];

const absent = async (): Promise<never> => {
  throw new Error("not asked in this test");
};
const directory: TopicDirectoryCalls = {
  ensure: absent,
  create: absent,
  list: absent,
  describe: absent,
  commitOffset: absent,
  committedOffset: absent,
};

/** A transport over logs that answer as `append` says, and a timer that is let off by hand. */
function withAppend(append: (partition: number) => Append) {
  const pending: { ms: number; act: () => void }[] = [];
  const transport = createEmbedded({
    logs: {
      of: (_, partition) => ({
        create: absent,
        append: append(partition),
        read: async () => await new Promise(() => undefined),
        bounds: absent,
        deleteRecords: absent,
      }),
    },
    directory: { get: () => directory },
    defaultTopics: [],
    timer: {
      now: () => 0,
      after(ms, act) {
        const entry = { ms, act };
        pending.push(entry);
        return () => void pending.splice(pending.indexOf(entry), 1);
      },
    },
  });
  return { transport, pending };
}

const message = (partition: number) => ({ partition, key: null, value: Uint8Array.of(1) });
const throwing =
  (fields: object): Append =>
  async () => {
    throw Object.assign(new Error("Durable Object failed."), fields);
  };

it.each([
  [{ retryable: true }, { code: "unreachable", retryable: true, retryAfterMs: undefined }],
  [{ overloaded: true }, { code: "unavailable", retryable: true, retryAfterMs: 1_000 }],
  [
    { overloaded: true, retryable: true },
    { code: "unavailable", retryAfterMs: 1_000 },
  ],
  [{ remote: true }, { code: "unavailable", retryable: true, retryAfterMs: undefined }],
])("an object that throws %j is told as a fault that may pass", async (fields, expected) => {
  const { transport, pending } = withAppend(() => throwing(fields));
  const [outcome] = await transport.produce("t", [message(0)]);
  expect(outcome).toMatchObject({ ok: false, error: { name: "KafkaError", ...expected } });
  expect(pending).toEqual([]);
});

it("one partition's failure is its own, and outcomes keep the records' order", async () => {
  const { transport } = withAppend((partition) =>
    partition === 1 ? throwing({ retryable: true }) : async () => ({ ok: true, value: 10 * partition }),
  );
  const outcomes = await transport.produce("t", [2, 1, 0, 2, 0, 1].map(message));
  expect(outcomes).toMatchObject([
    { ok: true, partition: 2, offset: 20 },
    { ok: false, error: { code: "unreachable" } },
    { ok: true, partition: 0, offset: 0 },
    { ok: true, partition: 2, offset: 21 },
    { ok: true, partition: 0, offset: 1 },
    { ok: false, error: { code: "unreachable" } },
  ]);
});

it("partitions are written to at the same time, each with one call", async () => {
  let begun = 0;
  let goOn = (): void => undefined;
  const all = new Promise<void>((resolve) => (goOn = resolve));
  const { transport } = withAppend(() => async () => {
    if (++begun === 3) goOn();
    await all;
    return { ok: true, value: 0 };
  });
  await transport.produce("t", [0, 1, 2, 0, 1].map(message));
  expect(begun).toBe(3);
});

it("a call that is not answered ends by its deadline, a read's after what it may wait", async () => {
  const { transport, pending } = withAppend(() => async () => await new Promise(() => undefined));
  const produced = transport.produce("t", [message(0)]);
  const fetched = transport.fetch({ topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 700 });
  expect(pending.map(({ ms }) => ms)).toEqual([5_000, 5_700]);
  const [ofProduce, ofRead] = pending;
  ofProduce?.act();
  ofRead?.act();
  expect(await produced).toMatchObject([{ ok: false, error: { code: "timeout", retryable: true } }]);
  await expect(fetched).rejects.toMatchObject({ code: "timeout", retryable: true });
  expect(pending).toEqual([]);
});

it("a topic that is not the deployment's own costs no look into the directory", async () => {
  const error = { code: "unknown_topic", message: "there is no such topic" } as const;
  const { transport } = withAppend(() => async () => ({ ok: false, error }));
  const outcomes = await transport.produce("mistaken", [message(0), message(1)]);
  expect(outcomes).toMatchObject([
    { error: { code: "unknown_topic" } },
    { error: { code: "unknown_topic" } },
  ]);
});
