// A batch's plan with its rows processed: what fails is dead and claims nothing, what is made goes to the outbox.
import { describe, expect, it } from "vitest";
import type { FetchedRecord } from "../../../lib/kafka/transport.ts";
import type { EventHandler } from "../../../lib/processors/event-handler.ts";
import { processRows } from "../../../lib/processors/process-rows.ts";
import { decode } from "../../../lib/stream/decode.ts";
import { planBatch, type PlanContext } from "../../../lib/stream/plan.ts";
import { processPlan } from "../../../lib/stream/process-plan.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import type { NativeSignal } from "../../../lib/telemetry/signal.ts";

const NOW_MS = Date.parse("2026-11-21T10:00:00.000Z");
const TIMESTAMP = "2026-11-21T09:59:59.000Z";

function messageOf(signal: NativeSignal, records: unknown[], offset: number): FetchedRecord {
  const header = {
    tenant: "acme",
    signal,
    batch: `b-${offset}`,
    attempt: 0,
    received: TIMESTAMP,
    agentVersion: undefined,
  };
  const { envelopes } = packEnvelopes(
    header,
    records.map((record, index) => ({ index: index * 2, record })),
  );
  return { offset, key: new TextEncoder().encode("key"), value: envelopes[0]?.value ?? null };
}

const CONTEXT: PlanContext = {
  group: "weir-storage",
  topic: "events.raw",
  partition: 2,
  position: { nextOffset: 7, incarnation: 1, epoch: 3, mark: null, watermarkMs: 0 },
  deadLetterTopic: "events.dlq",
  lateTopic: "events.late",
  rawFloorDay: 0,
  nowMs: NOW_MS,
  known: [],
};

function planned(signal: NativeSignal, records: unknown[][], handle?: EventHandler["handle"]) {
  const messages = records.map((each, i) =>
    decode(messageOf(signal, each, 7 + i), { signal, defaultTenant: "nobody", nowMs: NOW_MS }),
  );
  const options = {
    services: new Map(),
    handlers: new Map(handle ? [["order", { handle }]] : []),
    logsProcessed: true,
  };
  return processPlan(
    messages,
    (messages) => planBatch(messages, CONTEXT),
    (rows) => processRows(rows, options),
    { ...CONTEXT, processedTopics: { logs: "logs.processed", events: "events.processed" } },
  );
}

const order = (amount: number) => ({ timestamp: TIMESTAMP, event_type: "order", data: amount });
const claimed = ({ claims }: ReturnType<typeof planned>) =>
  claims.first.reduce((bits, one) => bits | one.bits, 0);

it("leaves the plan as it is where nothing is processed", () => {
  const message = decode(messageOf("events", [order(1)], 7), {
    signal: "events",
    defaultTenant: "nobody",
    nowMs: NOW_MS,
  });
  const plan = planBatch([message], CONTEXT);
  expect(processPlan([message], () => plan, undefined, { ...CONTEXT, processedTopics: null })).toEqual({
    ...plan,
    samples: [],
  });
});

it("stores what was made of the rows, and sends it on", () => {
  const plan = planned("logs", [
    [{ timestamp: TIMESTAMP, level: "INFO", message: "level=error a=b", attributes: {} }],
  ]);
  expect(plan.rows.logs[0]?.record).toMatchObject({ level: "ERROR", attributes: { a: "b" } });
  expect(plan.outbox).toMatchObject([
    {
      id: "weir-storage/3/events.raw/1/2/7/logs.processed/0",
      topic: "logs.processed",
      key: Buffer.from("key").toString("base64"),
    },
  ]);
  expect(JSON.parse(plan.outbox[0]?.value ?? "")).toMatchObject({
    batch: "b-7",
    indices: [0],
    received: TIMESTAMP,
  });
});

describe("a record whose handler fails", () => {
  const handle: EventHandler["handle"] = ({ data }) => {
    if (data === 0) throw new Error("no amount");
    return { metrics: [{ name: "amount", value: data as number }] };
  };

  it("is dead alone, with its letter, and takes no claim", () => {
    const plan = planned("events", [[order(1), order(0), order(3)], [order(4)]], handle);
    expect(plan.rows.events.map(({ record }) => record.data)).toEqual([1, 3, 4]);
    expect(plan.samples.map(({ value }) => value)).toEqual(
      [1, 3, 4].map((value) => ({ kind: "number", value })),
    );
    expect(plan.deadLetters).toMatchObject([
      { tenant: "acme", offset: 7, index: 1, errorType: "handler_failed", error: "no amount", attempts: 3 },
    ]);
    const original = Buffer.from(plan.deadLetters[0]?.originalValue ?? "", "base64").toString();
    expect(JSON.parse(original)).toMatchObject(order(0));
    expect(plan.ledger).toMatchObject([{ tenant: "acme", signal: "events", stored: 3, dead: 1 }]);
    expect(plan.outbox.map(({ topic }) => topic)).toEqual(["events.dlq"]);
    // Of the places 0, 2 and 4 in the request the second one's is free for its replay, under the key of those stored.
    const all = planned("events", [[order(1), order(2), order(3)]], handle);
    const [stored] = all.claims.first;
    const claim = plan.claims.first.find(({ key, word }) => key === stored?.key && word === stored?.word);
    expect(stored?.bits).toBe(0b10101);
    expect(claim?.bits).toBe(0b10001);
    expect(claimed(all)).toBe(0b10101);
  });

  it("is told with the whole message where there are more than a hundred", () => {
    const plan = planned("events", [Array.from({ length: 150 }, (_, i) => order(i < 120 ? 0 : i))], handle);
    expect(plan.rows.events).toHaveLength(30);
    expect(plan.deadLetters).toMatchObject([
      {
        offset: 7,
        index: -1,
        errorType: "handler_failed",
        error: "120 of 150 records; one of them: no amount",
      },
    ]);
    expect(plan.ledger).toMatchObject([{ stored: 30, dead: 120 }]);
  });

  it("is dead in each of its copies: none takes the place of another unhandled", () => {
    const named = (amount: number) => ({ ...order(amount), id: "a" });
    const both = planned("events", [[named(0), named(0), order(5)], [named(0)]], handle);
    expect(both.rows.events.map(({ record }) => record.data)).toEqual([5]);
    expect(both.deadLetters).toMatchObject([
      { offset: 7, index: 0 },
      { offset: 7, index: 1 },
      { offset: 8, index: 0 },
    ]);
    expect(both.ledger).toMatchObject([{ stored: 1, dead: 3, deduplicated: 0 }]);
    const one = planned("events", [[named(0), named(1), named(0)]], handle);
    expect(one.rows.events.map(({ record }) => record.data)).toEqual([1]);
    expect(one.ledger).toMatchObject([{ stored: 1 }]);
  });

  it("that fails by chance is refused in the end, not stored unhandled", () => {
    let pass = 0;
    // Each time that the batch is gone through, for another record.
    const whim: EventHandler["handle"] = ({ data }) => {
      if (data === pass * 2) throw new Error("no luck");
      if (data === 59) pass++;
      return {};
    };
    expect(() => planned("events", [Array.from({ length: 60 }, (_, i) => order(i))], whim)).toThrow(
      /handlers fail/,
    );
  });

  it("that was stored before is neither stored nor dead", () => {
    const first = planned("events", [[order(1)]], handle);
    const message = decode(messageOf("events", [order(0)], 7), {
      signal: "events",
      defaultTenant: "nobody",
      nowMs: NOW_MS,
    });
    const options = { services: new Map(), handlers: new Map([["order", { handle }]]), logsProcessed: false };
    const again = processPlan(
      [message],
      (messages) => planBatch(messages, { ...CONTEXT, known: first.claims.first }),
      (rows) => processRows(rows, options),
      { ...CONTEXT, processedTopics: null },
    );
    expect(again).toMatchObject({ deadLetters: [], rows: { events: [] } });
    expect(again.ledger).toMatchObject([{ stored: 0, dead: 0, redelivered: 1 }]);
  });
});
