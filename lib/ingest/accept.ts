// The intake's use case, behind decoding: prepared messages go to Kafka, and each record gets its verdict. What is
// answered as accepted was acknowledged by Kafka; nothing is claimed of anything else.
import { KafkaError } from "../kafka/errors.ts";
import { partitionOf } from "../kafka/partitioner.ts";
import { produceRequests } from "../kafka/request-size.ts";
import { produceWithRetry, type RetryOptions, type Timing } from "../kafka/retry.ts";
import type { KafkaTransport, ProduceRecord } from "../kafka/transport.ts";
import { reject } from "../telemetry/result.ts";
import type { Prepared, Verdict } from "./prepared.ts";

export interface ProduceDeps {
  transport: KafkaTransport;
  topic: string;
  partitions: number;
  retry: RetryOptions;
  timing: Timing;
}

export interface AcceptOutcome {
  /** One per record, in the request's order. */
  verdicts: Verdict[];
  /** Where the log grew: the owners of these partitions are to be woken. */
  grown: { topic: string; partition: number; offset: number }[];
}

export async function produceMessages(
  { rejections, records, messages }: Prepared,
  deps: ProduceDeps,
): Promise<AcceptOutcome> {
  const { topic, partitions } = deps;
  const verdicts: Verdict[] = Array.from({ length: records });
  for (const [index, rejection] of rejections) verdicts[index] = { status: "rejected", rejection };
  const outcome: AcceptOutcome = { verdicts, grown: [] };
  const utf8 = new TextEncoder();
  const items = messages.map(({ key, value, indices }) => {
    const bytes = utf8.encode(key);
    const record: ProduceRecord = { partition: partitionOf(bytes, partitions), key: bytes, value };
    return { record, indices };
  });
  let failure: KafkaError | undefined;
  for (const chunk of produceRequests(items)) {
    // Once Kafka has failed for good, the rest is not tried: the client waits, and order within a key must hold.
    const results = failure
      ? undefined
      : await produceWithRetry(
          deps.transport,
          topic,
          chunk.map(({ record }) => record),
          deps.retry,
          deps.timing,
        );
    chunk.forEach(({ indices, record }, i) => {
      const result = results?.[i];
      if (result?.ok) {
        const { partition, offset } = result;
        for (const index of indices) verdicts[index] = { status: "ok", topic, partition, offset };
        outcome.grown.push({ topic, partition, offset });
        return;
      }
      const error =
        result?.error ?? failure ?? new KafkaError("bad_answer", "nothing is known of this message");
      const verdict = failedVerdict(error, record.partition);
      for (const index of indices) verdicts[index] = verdict;
      if (verdict.status === "retry") failure ??= verdict.error;
    });
  }
  return outcome;
}

function failedVerdict(error: KafkaError, partition: number): Verdict {
  if (error.code !== "too_large") return { status: "retry", error };
  const { error: rejection } = reject(
    "record_too_large",
    "",
    `partition ${partition} refused the message as too large; raise the broker's message.max.bytes to 1 MiB or more`,
  );
  return { status: "rejected", rejection };
}
