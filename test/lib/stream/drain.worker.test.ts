// The consume loop over real local-kafka and real D1, without the Durable Object around it.
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import { createD1StreamStore } from "../../../lib/storage/d1-stream.ts";
import { drainPartition, newDrainMemory } from "../../../lib/stream/drain.ts";
import type { DrainDeps, DrainMemory, DrainResult, DrainSource } from "../../../lib/stream/run.ts";
import { packEnvelopes } from "../../../lib/telemetry/envelope.ts";
import { decodeOtlp, encodeOtlp } from "../../../lib/telemetry/otlp/decode.ts";
import { rowsOfDays } from "../../support/worker/day-tables.ts";

const store = createD1StreamStore(env.DB);
const transport = createRestV2({ url: "http://kafka.test" });
const deps: DrainDeps = {
  transport,
  store,
  now: Date.now,
  sleep: () => Promise.resolve(),
  reached: () => Promise.resolve(),
};
const BUDGET = { timeMs: 20_000, batches: 20 };

/** As a new life of the owner, unless it has a memory. */
const drain = async (
  from: DrainSource,
  changes: Partial<DrainDeps> = {},
  memory: DrainMemory = newDrainMemory(),
): Promise<DrainResult> => await drainPartition(from, { ...deps, ...changes }, BUDGET, memory);

let source: DrainSource;
beforeEach(() => {
  source = {
    group: `g-${crypto.randomUUID()}`,
    topic: "events.raw",
    partition: 1,
    signal: "events",
    startAt: "earliest",
    defaultTenant: `t-${crypto.randomUUID()}`,
    deadLetterTopic: "events.dlq",
    lateTopic: "events.late",
    processedTopic: null,
    processedTopics: null,
    windows: [],
    latenessMs: 0,
    recentOffset: undefined,
  };
});

async function write(...values: string[]): Promise<void> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const records = values.map((value) => ({ partition: 1, key: null, value: bytes(value) }));
  const outcomes = await transport.produce("events.raw", records);
  expect(outcomes.every(({ ok }) => ok)).toBe(true);
}

const event = (data: unknown) => JSON.stringify({ event_type: "drain", data });

async function count(table: "events" | "dead_letters", tenant: string): Promise<number> {
  if (table === "events") return (await rowsOfDays(table, "1 AS one", "tenant = ?", tenant)).length;
  const row = await env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE tenant = ?`)
    .bind(tenant)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

describe("the consume loop", () => {
  it("that starts at the latest message decides where that is once", async () => {
    const latest: DrainSource = { ...source, startAt: "latest" };
    await write(event("before"));
    expect(await drain(latest)).toMatchObject({
      state: "caught-up",
      records: 0,
    });
    for (let i = 0; i < 3; i++) {
      await write(event(i));
      // As a new life of the owner each time: nothing is remembered but what is stored.
      expect(await drain(latest)).toMatchObject({
        state: "caught-up",
        records: 1,
      });
    }
    expect(await count("events", latest.defaultTenant)).toBe(3);
  });

  it("keeps a bad record once and small, and a message of many bad ones once and whole", async () => {
    const latest: DrainSource = { ...source, startAt: "latest" };
    await drain(latest);
    const padding = "x".repeat(400_000);
    const bad = (records: number) => `[${event("good")},${event(padding)},${"1,".repeat(records - 1)}1]`;
    await write(bad(3), bad(5_000));
    expect(await drain(latest)).toMatchObject({
      state: "caught-up",
      records: 4,
    });
    const { results } = await env.DB.prepare(
      "SELECT idx, length(original_value) AS size, error FROM dead_letters WHERE tenant = ? ORDER BY offset, idx",
    )
      .bind(latest.defaultTenant)
      .all<{ idx: number; size: number; error: string }>();
    expect(results.map(({ idx }) => idx)).toEqual([2, 3, 4, -1]);
    expect(results[0]!.size).toBeLessThan(10);
    expect(results[3]!.size).toBeGreaterThan(400_000);
    expect(results[3]!.error).toMatch(/^5000 of 5002 records; the first: /);
  });

  it("reads past a message that no row could hold", async () => {
    const latest: DrainSource = { ...source, startAt: "latest" };
    await drain(latest);
    // What lies in the log was written by somebody with larger limits than ours.
    const huge = { offset: 0, key: null, value: new TextEncoder().encode(event("y".repeat(2_500_000))) };
    const first = (await store.position(latest))!.nextOffset;
    await write(event("after"));
    const withHuge = {
      transport: {
        ...transport,
        fetch: async (request: Parameters<typeof transport.fetch>[0]) => {
          const messages = await transport.fetch(request);
          return messages.map((message) => (message.offset === first ? { ...huge, offset: first } : message));
        },
      },
    };
    await write(event("later"));
    expect(await drain(latest, withHuge)).toMatchObject({
      state: "caught-up",
      records: 1,
      deadLetters: 1,
    });
  });

  it("tells what it committed before a failure", async () => {
    const latest: DrainSource = { ...source, startAt: "latest" };
    await drain(latest);
    await write(event(1));
    let reads = 0;
    const failing = {
      transport: {
        ...transport,
        fetch: async (request: Parameters<typeof transport.fetch>[0]) => {
          if (++reads > 1) throw new Error("away");
          return await transport.fetch(request);
        },
      },
    };
    const memory = newDrainMemory();
    expect(await drain(latest, failing, memory)).toMatchObject({
      state: "failed",
      commits: 1,
      records: 1,
      reason: "away",
    });
    expect(memory.position).toBeUndefined();
  });

  it("stores a batch once that comes in two partitions, and of one commit each record once", async () => {
    const tenant = `t-${crypto.randomUUID()}`;
    const both = [1, 2].map((partition): DrainSource => ({ ...source, partition, startAt: "latest" }));
    for (const one of both) await drain(one);
    const entries = Array.from({ length: 70 }, (_, index) => ({
      index,
      record: { event_type: "once", data: index, ...(index % 2 === 0 ? {} : { id: `id ${index >> 2}` }) },
    }));
    const head = { tenant, signal: "events" as const, batch: "b", received: new Date().toISOString() };
    for (const [i, partition] of [1, 1, 2].entries()) {
      const header = { ...head, attempt: i < 2 ? 1 : 2, agentVersion: undefined };
      const [packed] = packEnvelopes(header, entries).envelopes;
      const record = { partition, key: null, value: packed!.value };
      expect(await transport.produce("events.raw", [record])).toMatchObject([{ ok: true }]);
    }
    for (const one of both) expect(await drain(one)).toMatchObject({ state: "caught-up" });
    // 35 by their places, and 35 with 18 ids between them.
    expect(await count("events", tenant)).toBe(53);
    const ledger = await store.ledger(source.group, tenant);
    const sum = (name: "stored" | "deduplicated" | "redelivered") =>
      ledger.reduce((all, row) => all + row[name], 0);
    expect([sum("stored"), sum("deduplicated"), sum("redelivered")]).toEqual([53, 87, 70]);
  });

  it("commits small messages one by one whose rows are large, whatever a read gave", async () => {
    const latest: DrainSource = { ...source, topic: "logs.raw", signal: "logs", startAt: "latest" };
    await drain(latest);
    // 50 KB each on the topic; 33 MB each as rows, since each record has its resource with it.
    const attributes = [{ key: "x", value: { stringValue: "y".repeat(4_000) } }];
    const logRecords = Array.from({ length: 8_000 }, () => ({ severityNumber: 9 }));
    const body = { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords }] }] };
    const request = decodeOtlp("logs", "json", new TextEncoder().encode(JSON.stringify(body)));
    if (!request.ok) throw new Error(request.error.message);
    const value = encodeOtlp("protobuf", request.value);
    expect(value.length).toBeLessThan(60_000);
    const records = Array.from({ length: 3 }, () => ({ partition: 1, key: null, value }));
    await transport.produce("logs.raw", records);
    // This takes seconds, in which a proxy may close the connection: then the last look at the log fails, and is repeated.
    const first = await drain(latest);
    expect(first).toMatchObject({ commits: 3, records: 24_000, deadLetters: 0 });
    expect(first.state === "failed" ? await drain(latest) : first).toMatchObject({ state: "caught-up" });
  });
});
