// What is not read yet, counted by reading it: whose records they are, within a budget, or nothing at all.
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import type { FetchedRecord, FetchRequest } from "../../../lib/kafka/transport.ts";
import { countWaiting, type UnreadPartition } from "../../../lib/stream/waiting.ts";
import { writeWeirField } from "../../../lib/telemetry/otlp/weir-field.ts";

const HEADER = { batch: "b", received: "2026-11-21T10:00:00.000Z" };
const PLENTY = { fetches: 200, bytes: 8e6 };

const envelope = (tenant: string, records: number, signal = "logs") =>
  JSON.stringify({
    v: 1,
    tenant,
    signal,
    ...HEADER,
    indices: Array.from({ length: records }, (_, i) => i),
    entries: Array.from({ length: records }, () => ({})),
  });

/** resource_logs { scope_logs { log_records {} × records } }, and Weir's field where it is one of ours. */
function otlp(records: number, tenant?: string): Uint8Array {
  const scope = [0x12, records * 2, ...Array.from({ length: records }, () => [0x12, 0]).flat()];
  const request = Uint8Array.from([0x0a, scope.length, ...scope]);
  if (tenant === undefined) return request;
  const indices = Array.from({ length: records }, (_, i) => i);
  const field = writeWeirField({ tenant, batch: "b", receivedMs: 1, attempt: 0, indices });
  return Buffer.concat([request, field]);
}

/** A partition's log: the messages by their offsets, at most so many a fetch. */
function log(messages: Record<number, string | Uint8Array | null>, most = 2) {
  const fetched: number[] = [];
  const fetch = async ({ offset }: FetchRequest): Promise<FetchedRecord[]> => {
    fetched.push(offset);
    return Object.entries(messages)
      .map(([at, value]) => ({
        offset: Number(at),
        key: null,
        value: value === null ? null : Uint8Array.from(Buffer.from(value)),
      }))
      .filter((message) => message.offset >= offset)
      .slice(0, most);
  };
  return { fetched, fetch };
}

const unread = (from: number, end: number): UnreadPartition[] => [
  { topic: "logs.raw", partition: 0, signal: "logs", from, end },
];

describe("what waits", () => {
  it("is counted by tenant and signal, up to the end that was told", async () => {
    const kafka = log({
      3: envelope("acme", 100),
      4: envelope("acme", 2),
      5: otlp(3, "acme"),
      6: envelope("other", 4),
      7: envelope("acme", 50),
    });
    expect(await countWaiting(kafka, unread(4, 7), PLENTY)).toEqual([
      { tenant: "acme", signal: "logs", records: 5 },
      { tenant: "other", signal: "logs", records: 4 },
    ]);
    expect(kafka.fetched).toEqual([4, 6]);
  });

  it("of others is no part of it: bare records, OTLP without our field, tombstones, what cannot be read", async () => {
    const kafka = log({ 0: '{"message":"bare"}', 1: otlp(2), 2: null, 3: "{", 4: "otlp:A" });
    expect(await countWaiting(kafka, unread(0, 5), PLENTY)).toEqual([]);
  });

  it("is carried as text by some transports", async () => {
    const text = `otlp:${Buffer.from(otlp(2, "acme")).toString("base64")}`;
    expect(await countWaiting(log({ 0: text }), unread(0, 1), PLENTY)).toEqual([
      { tenant: "acme", signal: "logs", records: 2 },
    ]);
  });

  it("is nothing where offsets hold no messages, and costs nothing where all is read", async () => {
    const kafka = log({ 0: envelope("acme", 1) });
    expect(await countWaiting(kafka, unread(1, 3), PLENTY)).toEqual([]);
    expect(kafka.fetched).toEqual([1]);
    expect(await countWaiting(kafka, unread(3, 3), { fetches: 0, bytes: 0 })).toEqual([]);
  });
});

describe("nothing is told", () => {
  const messages = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [i, envelope("acme", 1)]));

  it("beyond the budget of fetches", async () => {
    expect(await countWaiting(log(messages), unread(0, 6), { ...PLENTY, fetches: 3 })).toHaveLength(1);
    expect(await countWaiting(log(messages), unread(0, 6), { ...PLENTY, fetches: 2 })).toBeUndefined();
  });

  it("beyond the budget of bytes", async () => {
    const bytes = envelope("acme", 1).length * 6;
    expect(await countWaiting(log(messages), unread(0, 6), { ...PLENTY, bytes })).toHaveLength(1);
    const less = bytes - envelope("acme", 1).length * 2;
    expect(await countWaiting(log(messages), unread(0, 6), { ...PLENTY, bytes: less })).toBeUndefined();
  });

  it("where Kafka does not answer; other errors are a fault of ours", async () => {
    const failing = (error: Error) => ({
      fetch: async () => {
        throw error;
      },
    });
    const away = failing(new KafkaError("offset_out_of_range", "expired"));
    expect(await countWaiting(away, unread(0, 6), PLENTY)).toBeUndefined();
    await expect(countWaiting(failing(new TypeError("x")), unread(0, 6), PLENTY)).rejects.toThrow(TypeError);
  });
});
