// What becomes of prepared messages: each record's verdict is Kafka's word, and after a failure nothing more is tried.
import { describe, expect, it } from "vitest";
import { produceMessages } from "../../../lib/ingest/accept.ts";
import type { KeyedMessage, Prepared } from "../../../lib/ingest/prepared.ts";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { partitionOf } from "../../../lib/kafka/partitioner.ts";
import { PRODUCE_RETRY } from "../../../lib/kafka/retry.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../../../lib/kafka/transport.ts";
import type { Rejection } from "../../../lib/telemetry/result.ts";

const utf8 = new TextEncoder();
const REJECTION: Rejection = { reason: "wrong_type", path: "p", message: "m" };

const prepared = (messages: KeyedMessage[], records: number, rejected: readonly number[] = []): Prepared => ({
  messages,
  records,
  rejections: new Map(rejected.map((index) => [index, REJECTION])),
  counts: { scrubbed: [], seriesOver: 0, seriesUnasked: 0 },
});

const message = (key: string, indices: number[], bytes = 10): KeyedMessage => ({
  key,
  value: new Uint8Array(bytes).fill(120),
  indices,
});

type Answer = (records: readonly ProduceRecord[], call: number) => ProduceOutcome[];
const written: Answer = (records, call) =>
  records.map(({ partition }, i) => ({ ok: true, partition: partition ?? -1, offset: call * 100 + i }));

function kafka(answer: Answer) {
  const calls: (readonly ProduceRecord[])[] = [];
  const transport = {
    produce: (_topic: string, records: readonly ProduceRecord[]) => {
      calls.push(records);
      return Promise.resolve(answer(records, calls.length));
    },
  } as unknown as KafkaTransport;
  return { calls, transport };
}

async function produce(what: Prepared, answer: Answer) {
  const { calls, transport } = kafka(answer);
  const outcome = await produceMessages(what, {
    transport,
    topic: "logs.raw",
    isCounted: true,
    partitions: 3,
    tenant: "acme",
    signal: "logs",
    receivedMs: 0,
    spill: undefined,
    retry: { ...PRODUCE_RETRY, maxAttempts: 1 },
    timing: { now: () => 0, sleep: () => Promise.resolve(), random: () => 0 },
  });
  return { ...outcome, produced: calls, statuses: outcome.verdicts.map(({ status }) => status) };
}

const failed = (code: KafkaError["code"]): ProduceOutcome => ({
  ok: false,
  error: new KafkaError(code, "no"),
});

describe("the verdicts", () => {
  it("are one for each record, in the request's order, however its messages are grouped", async () => {
    const what = prepared([message("b", [3, 0]), message("a", [4, 2])], 5, [1]);
    const { verdicts, grown, produced } = await produce(what, written);
    expect(verdicts).toEqual([
      { status: "ok", topic: "logs.raw", partition: expect.any(Number), offset: 100 },
      { status: "rejected", rejection: REJECTION },
      { status: "ok", topic: "logs.raw", partition: expect.any(Number), offset: 101 },
      { status: "ok", topic: "logs.raw", partition: expect.any(Number), offset: 100 },
      { status: "ok", topic: "logs.raw", partition: expect.any(Number), offset: 101 },
    ]);
    expect(grown.map(({ offset }) => offset)).toEqual([100, 101]);
    expect(produced.flat().map(({ partition }) => partition)).toEqual(
      ["b", "a"].map((key) => partitionOf(utf8.encode(key), 3)),
    );
  });

  it("of nothing to write are there without Kafka", async () => {
    const { statuses, produced } = await produce(prepared([], 2, [0, 1]), written);
    expect(statuses).toEqual(["rejected", "rejected"]);
    expect(produced).toEqual([]);
    expect((await produce(prepared([], 0), written)).verdicts).toEqual([]);
  });

  it("claim only what was acknowledged: the record of a message that failed is to be sent again", async () => {
    const what = prepared([message("a", [0]), message("b", [1, 2]), message("c", [3])], 4);
    const { statuses, grown, accepted, unconfirmed, calls } = await produce(what, (records, call) =>
      written(records, call).map((outcome, i) => (i === 1 ? failed("unavailable") : outcome)),
    );
    expect(statuses).toEqual(["ok", "retry", "retry", "ok"]);
    expect(grown).toHaveLength(2);
    expect({ accepted, unconfirmed, calls }).toEqual({
      accepted: 2,
      unconfirmed: 2,
      calls: { ok: 1, failed: 0 },
    });
  });

  it("refuse what the broker finds too large, and go on behind it", async () => {
    const big = 600_000;
    const what = prepared([message("a", [0], big), message("b", [1], big)], 2);
    const { verdicts, statuses, produced } = await produce(what, (records, call) =>
      call === 1 ? [failed("too_large")] : written(records, call),
    );
    expect(produced).toHaveLength(2);
    expect(statuses).toEqual(["rejected", "ok"]);
    expect(verdicts[0]).toMatchObject({ rejection: { reason: "record_too_large" } });
  });

  it("are `retry` for all that stands behind a failure, which is not even tried: order within a key holds", async () => {
    const big = 600_000;
    const what = prepared([message("a", [0], big), message("a", [1], big), message("b", [2], big)], 3);
    const { statuses, produced, unconfirmed, calls } = await produce(what, () => [failed("unavailable")]);
    expect(produced).toHaveLength(1);
    expect(statuses).toEqual(["retry", "retry", "retry"]);
    // What was never sent cannot have been written.
    expect({ unconfirmed, calls }).toEqual({ unconfirmed: 1, calls: { ok: 0, failed: 1 } });
  });

  it("are `retry` where the answer says nothing of a message", async () => {
    const { statuses } = await produce(prepared([message("a", [0]), message("b", [1])], 2), (records, call) =>
      written(records, call).slice(0, 1),
    );
    expect(statuses).toEqual(["ok", "retry"]);
  });
});
