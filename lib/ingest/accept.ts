// The intake's use case: the records of one request become envelopes in Kafka, and each record gets its verdict. What
// is answered as accepted was acknowledged by Kafka; nothing is claimed of anything else.
import type { KafkaError } from "../kafka/errors.ts";
import { partitionOf } from "../kafka/partitioner.ts";
import { produceRequests } from "../kafka/request-size.ts";
import { produceWithRetry, type RetryOptions, type Timing } from "../kafka/retry.ts";
import type { KafkaTransport, ProduceRecord } from "../kafka/transport.ts";
import { packEnvelopes, type Entry } from "../telemetry/envelope.ts";
import type { DecodedBody } from "../telemetry/native.ts";
import { reject, type Rejection } from "../telemetry/result.ts";
import { validateRecord, type NativeSignal } from "../telemetry/signal.ts";
import { messageKey, type KeyStrategy } from "./message-key.ts";

export interface AcceptRequest {
  tenant: string;
  signal: NativeSignal;
  body: DecodedBody;
  /** Identity of the request's records, together with tenant and index. */
  batch: string;
  receivedMs: number;
}

export interface AcceptDeps {
  transport: KafkaTransport;
  partitionCount(topic: string): Promise<number>;
  topic: string;
  keyStrategy: KeyStrategy;
  retry: RetryOptions;
  timing: Timing;
}

/** What became of one record, by its index in the request. */
export type Verdict =
  | { status: "ok"; topic: string; partition: number; offset: number }
  | { status: "rejected"; rejection: Rejection }
  | { status: "retry"; error: KafkaError };

export interface AcceptOutcome {
  /** One per record, in the request's order. */
  verdicts: Verdict[];
  /** Where the log grew: the owners of these partitions are to be woken. */
  grown: { topic: string; partition: number; offset: number }[];
}

/** @throws KafkaError when not even the partition count is known: nothing was written */
export async function acceptRecords(request: AcceptRequest, deps: AcceptDeps): Promise<AcceptOutcome> {
  const { topic } = deps;
  const { verdicts, groups } = checkRecords(request, deps.keyStrategy);
  const outcome: AcceptOutcome = { verdicts, grown: [] };
  if (groups.size === 0) return outcome;
  const messages = packGroups(request, groups, await deps.partitionCount(topic), verdicts);

  let failure: KafkaError | undefined;
  for (const chunk of produceRequests(messages)) {
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
      const error = result?.error ?? failure;
      const verdict = failedVerdict(error as KafkaError, record.partition);
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

/** Checks each record and gathers the good ones by key. */
function checkRecords(
  request: AcceptRequest,
  strategy: KeyStrategy,
): { verdicts: Verdict[]; groups: Map<string, Entry[]> } {
  const { tenant, signal, body, receivedMs } = request;
  const context = { receivedMs, enforceTimeRange: true };
  const random = strategy === "random" ? crypto.randomUUID() : "";
  const groups = new Map<string, Entry[]>();
  // Every place is filled: by a refusal here or by what Kafka says.
  const verdicts: Verdict[] = [];
  body.records.forEach((read, index) => {
    const checked = read.ok ? validateRecord(signal, read.value, context) : read;
    if (!checked.ok) {
      verdicts[index] = { status: "rejected", rejection: checked.error };
      return;
    }
    const key = messageKey(strategy, signal, checked.value, tenant, random);
    const group = groups.get(key);
    const entry = { index, record: checked.value };
    if (group) group.push(entry);
    else groups.set(key, [entry]);
  });
  return { verdicts, groups };
}

interface Message {
  record: ProduceRecord;
  /** Places in the request of the records in it. */
  indices: number[];
}

function packGroups(
  request: AcceptRequest,
  groups: Map<string, Entry[]>,
  partitionCount: number,
  verdicts: Verdict[],
): Message[] {
  const { tenant, signal, batch, receivedMs, body } = request;
  const received = new Date(receivedMs).toISOString();
  const header = { tenant, signal, batch, received, agentVersion: body.agentVersion };
  const utf8 = new TextEncoder();
  const messages: Message[] = [];
  for (const [keyText, entries] of groups) {
    const key = utf8.encode(keyText);
    const partition = partitionOf(key, partitionCount);
    const { envelopes, oversize } = packEnvelopes(header, entries);
    for (const { value, indices } of envelopes) messages.push({ record: { partition, key, value }, indices });
    for (const { index, error } of oversize) verdicts[index] = { status: "rejected", rejection: error };
  }
  return messages;
}
