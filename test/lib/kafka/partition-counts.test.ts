// What is known of a topic's partitions outlives a Kafka that is away, and its absence is not asked for by every request.
import { expect, it } from "vitest";
import { KafkaError, type KafkaErrorCode } from "../../../lib/kafka/errors.ts";
import { PartitionCounts } from "../../../lib/kafka/partition-counts.ts";
import type { KafkaTransport } from "../../../lib/kafka/transport.ts";

function open(answers: (number | KafkaErrorCode)[]) {
  let asked = 0;
  const transport = {
    partitionCount: () => {
      const answer = answers[asked++];
      return typeof answer === "number"
        ? Promise.resolve(answer)
        : Promise.reject(new KafkaError(answer ?? "timeout", "away"));
    },
  } as unknown as KafkaTransport;
  const counts = new PartitionCounts();
  return { counts, asked: () => asked, at: (nowMs: number) => counts.of(transport, "logs.raw", nowMs) };
}

it("is asked for once a minute, and never shrinks", async () => {
  const { at, asked, counts } = open([3, 6, 4]);
  expect(counts.known("logs.raw", 0)).toBeUndefined();
  expect(await at(0)).toBe(3);
  expect(counts.known("logs.raw", 59_999)).toEqual({ count: 3, isDue: false });
  expect(await at(59_999)).toBe(3);
  expect(asked()).toBe(1);
  expect(counts.known("logs.raw", 60_000)).toEqual({ count: 3, isDue: true });
  expect(await at(60_000)).toBe(6);
  expect(await at(120_000)).toBe(6);
});

it("stays while Kafka is away, which is asked again in five seconds", async () => {
  const { at, asked } = open([3, "unreachable", 5]);
  await at(0);
  expect(await at(60_000)).toBe(3);
  expect(await at(64_999)).toBe(3);
  expect(asked()).toBe(2);
  expect(await at(65_000)).toBe(5);
});

it("is an error where the topic was never seen, or is gone", async () => {
  await expect(open(["unreachable"]).at(0)).rejects.toMatchObject({ code: "unreachable" });
  const { at } = open([3, "unknown_topic"]);
  await at(0);
  await expect(at(60_000)).rejects.toMatchObject({ code: "unknown_topic" });
});
