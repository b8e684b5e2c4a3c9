// What a commit's rows become: logs parsed, events through their handlers, nothing dropped, and the same every time.
import { describe, expect, it } from "vitest";
import type { EventHandler, HandlerOutcome } from "../../../lib/processors/event-handler.ts";
import { processRows, type PlacedRecords } from "../../../lib/processors/process-rows.ts";
import { processedMessages, type ProcessedPlace } from "../../../lib/processors/processed-messages.ts";
import { decodeMessage } from "../../../lib/telemetry/envelope.ts";
import type { Event } from "../../../lib/telemetry/event.ts";
import type { Log } from "../../../lib/telemetry/log.ts";
import { seriesId } from "../../../lib/windows/series.ts";

const TIME = "2026-11-21T10:00:00.000001000Z";
const MOMENT = { ms: Date.parse("2026-11-21T10:00:00.000Z"), ns: 1_000 };

const rowsOf = (rows: Partial<PlacedRecords>): PlacedRecords => ({
  metrics: [],
  logs: [],
  events: [],
  traces: [],
  ...rows,
});
const eventOf = (data: Event["data"], fields: Partial<Event> = {}): Event => ({
  timestamp: TIME,
  event_type: "order",
  data,
  ...fields,
});
const logOf = (message: string, fields: Partial<Log> = {}): Log => ({
  timestamp: TIME,
  level: "INFO",
  message,
  attributes: {},
  ...fields,
});
const placed = <R>(record: R, offset = 7, index = 0, tenant = "acme") => ({ tenant, offset, index, record });

const optionsOf = (handle?: EventHandler["handle"], logsProcessed = false) => ({
  services: new Map(),
  handlers: new Map(handle ? [["order", { handle }]] : []),
  logsProcessed,
});

const PLACE: ProcessedPlace = {
  source: "weir-storage/0/logs.raw/0/2",
  partition: "logs.raw/0/2",
  topics: { logs: "logs.processed", events: "events.processed" },
  messageAt: (offset) => ({
    key: "YQ==",
    received: "2026-11-21T10:00:01.000Z",
    origin: offset === 7 ? { batch: "b-1", indices: [4, 9] } : undefined,
  }),
};

const envelopeOf = (value: string) => {
  const decoded = decodeMessage(new TextEncoder().encode(value));
  if (!decoded.ok || decoded.value.kind !== "envelope") throw new Error("no envelope");
  return decoded.value.envelope;
};

it("parses logs, leaves the rows that came as they were, and writes nothing that was not asked for", () => {
  const rows = rowsOf({ logs: [placed(logOf('{"level":"error","a":1}'))] });
  const before = structuredClone(rows);
  const result = processRows(rows, optionsOf());
  expect(result).toMatchObject({ dead: [], samples: [], processed: [] });
  expect(result.rows.logs[0]).toMatchObject({
    tenant: "acme",
    offset: 7,
    index: 0,
    record: { level: "ERROR" },
  });
  expect(rows).toEqual(before);
  expect(result.rows.metrics).toBe(rows.metrics);
});

describe("logs.processed", () => {
  it("has one message for each that they came from, under the identity of the records", () => {
    const detail = { otlp: { logRecord: {} } };
    const rows = rowsOf({
      logs: [
        placed(logOf("one", { detail }), 7, 0),
        placed(logOf("two"), 7, 1),
        placed(logOf("three"), 8, 5),
        placed(logOf("four"), 9, 0, "other"),
      ],
    });
    const messages = processedMessages(processRows(rows, optionsOf(undefined, true)).processed, PLACE);
    expect(messages.map(({ id, topic, key }) => ({ id, topic, key }))).toEqual(
      [7, 8, 9].map((offset) => ({
        id: `weir-storage/0/logs.raw/0/2/${offset}/logs.processed/0`,
        topic: "logs.processed",
        key: "YQ==",
      })),
    );
    const [first, second, third] = messages.map(({ value }) => envelopeOf(value));
    expect(first).toMatchObject({ v: 1, tenant: "acme", signal: "logs", batch: "b-1", indices: [4, 9] });
    expect(first?.entries).toMatchObject([
      { message: "one", attributes: { fingerprint: expect.any(String) } },
      {},
    ]);
    expect(first?.entries[0]).not.toHaveProperty("detail");
    expect(second).toMatchObject({ batch: "logs.raw/0/2/8", indices: [5] });
    expect(third).toMatchObject({ tenant: "other" });
  });

  it("has more messages where the logs have grown beyond one, each with an id of its own", () => {
    const logs = Array.from({ length: 5 }, (_, i) => placed(logOf("x".repeat(250_000)), 8, i));
    const messages = processedMessages(
      processRows(rowsOf({ logs }), optionsOf(undefined, true)).processed,
      PLACE,
    );
    expect(messages.map(({ value }) => envelopeOf(value).indices)).toEqual([[0, 1], [2, 3], [4]]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(3);
  });
});

describe("a handler", () => {
  it("changes data and attributes, and gives metrics and events", () => {
    const handle = ({ data }: Event, { tenant }: { tenant: string }): HandlerOutcome => ({
      data: { wrapped: data },
      attributes: { seen: tenant, kept: "new" },
      metrics: [{ name: "order.amount", value: 5, labels: { shop: 1 } }],
      events: [
        { event_type: "derived", data: null },
        { event_type: "derived", data: 1, timestamp: "2026-11-21T11:00:00.000Z", id: "d-1" },
      ],
    });
    const event = eventOf({ n: 1 }, { id: "e-1", attributes: { old: 1, kept: "old" } });
    const rows = rowsOf({ events: [placed(event, 7, 1), placed(eventOf(2, { event_type: "other" }), 7, 2)] });
    const before = structuredClone(rows);
    const result = processRows(rows, optionsOf(handle));
    expect(result.rows.events.map(({ record }) => record)).toEqual([
      { ...event, data: { wrapped: { n: 1 } }, attributes: { old: 1, kept: "new", seen: "acme" } },
      eventOf(2, { event_type: "other" }),
    ]);
    expect(result.samples).toEqual([
      {
        tenant: "acme",
        name: "order.amount",
        labels: { shop: "1" },
        series: seriesId("acme", "order.amount", { shop: "1" }),
        time: MOMENT,
        offset: 7,
        index: 1,
        value: { kind: "number", value: 5 },
      },
    ]);
    const [message] = processedMessages(result.processed, PLACE);
    expect(message).toMatchObject({
      topic: "events.processed",
      id: "weir-storage/0/logs.raw/0/2/7/events.processed/0",
    });
    expect(envelopeOf(message?.value ?? "")).toMatchObject({
      signal: "events",
      batch: "logs.raw/0/2/7",
      indices: [100, 101],
      entries: [
        { event_type: "derived", data: null, timestamp: TIME },
        { event_type: "derived", data: 1, timestamp: "2026-11-21T11:00:00.000Z", id: "d-1" },
      ],
    });
    // A batch is planned again after a conflict, with or without records beside.
    expect(processRows(rows, optionsOf(handle))).toEqual(result);
    const alone = processRows(rowsOf({ events: rows.events.slice(0, 1) }), optionsOf(handle));
    expect(alone.processed).toEqual(result.processed);
    expect(rows).toEqual(before);
  });

  it("may leave an event as it is", () => {
    const rows = rowsOf({ events: [placed(eventOf(1))] });
    expect(
      processRows(
        rows,
        optionsOf(() => undefined),
      ).rows.events,
    ).toEqual(rows.events);
  });

  it("does no harm by what it does to the event it was given", () => {
    const rows = rowsOf({ events: [placed(eventOf({ list: [1] }))] });
    const before = structuredClone(rows);
    const result = processRows(
      rows,
      optionsOf((event) => {
        (event.data as { list: number[] }).list.push(2);
        event.event_type = "gone";
        return undefined;
      }),
    );
    expect(rows).toEqual(before);
    expect(result.rows).toEqual(before);
  });

  const circular: { self?: unknown } = {};
  circular.self = circular;
  it.each<[string, () => unknown, string]>([
    [
      "throws",
      () => {
        throw new Error("no \0 stock");
      },
      "no  stock",
    ],
    [
      "throws no error",
      () => {
        throw undefined;
      },
      "undefined",
    ],
    [
      "throws what has no text",
      () => {
        throw Object.create(null);
      },
      "threw what has no text",
    ],
    ["is asynchronous", () => Promise.reject(new Error("later")), "must not be asynchronous"],
    ["returns null", () => null, "must return an object or undefined"],
    ["returns attributes that are none", () => ({ attributes: [] }), "attributes must be an object"],
    [
      "returns data that is no JSON",
      () => ({ data: { a: Number.NaN } }),
      "data.a is beyond the range of a 64-bit float",
    ],
    ["returns data without an end", () => ({ data: circular }), "is nested deeper than 32 levels"],
    [
      "returns a metric that is none",
      () => ({ metrics: [{ name: "", value: 1 }] }),
      "metrics[0].name must not be empty",
    ],
    [
      "returns a metric that is no number",
      () => ({ metrics: [{ name: "a", value: Infinity }] }),
      "metrics[0].value",
    ],
    ["returns an event that is none", () => ({ events: [{ data: 1 }] }), "events[0].event_type is required"],
    [
      "returns too much",
      () => ({ events: Array.from({ length: 101 }, () => eventOf(1)) }),
      "lists of at most 100",
    ],
    ["returns too large an event", () => ({ data: "x".repeat(700_001) }), "more than 700000 bytes"],
  ])("that %s makes a dead letter of that event alone", (_, fail, error) => {
    let calls = 0;
    const handle = (event: Event) => {
      if (event.data !== "bad") return { attributes: { fine: true } };
      calls++;
      return fail() as HandlerOutcome;
    };
    const rows = rowsOf({ events: [placed(eventOf("good"), 7, 0), placed(eventOf("bad"), 7, 1)] });
    const result = processRows(rows, optionsOf(handle));
    expect(calls).toBe(3);
    expect(result.dead).toMatchObject([
      {
        offset: 7,
        index: 1,
        fault: { errorType: "handler_failed", attempts: 3, error: expect.stringContaining(error) },
      },
    ]);
    expect(result.rows.events[0]?.record.attributes).toEqual({ fine: true });
    expect(result.rows.events[1]).toEqual(rows.events[1]);
    expect({ samples: result.samples, processed: result.processed }).toEqual({ samples: [], processed: [] });
  });

  it("that fails once is asked again", () => {
    let calls = 0;
    const handle = () => {
      if (++calls === 1) throw new Error("once");
      return { attributes: { calls } };
    };
    const result = processRows(rowsOf({ events: [placed(eventOf(1))] }), optionsOf(handle));
    expect(result.dead).toEqual([]);
    expect(result.rows.events[0]?.record.attributes).toEqual({ calls: 2 });
  });
});
