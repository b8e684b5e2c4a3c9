// POST /api/v1/dlq/{topic}/replay against the worker, its consumer and the Kafka in Node: what is replayed is written,
// counted as accepted, and stored once; a tenant replays its own only.
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { streamStoreOf } from "../../functions/storage.ts";
import type { DeadLetter } from "../../lib/storage/storage.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { getList, GROUP, postJson, problemOf, send, wakeAndDrain } from "../support/worker/client.ts";
import { storeKey } from "../support/worker/stored-tenant.ts";
import { messagesWith } from "../support/worker/topic-messages.ts";

const TOPIC = "logs.raw";
/** A partition that nobody reads: its letters are made here, beside those of the consumer. */
const ELSEWHERE = 77;

let tenant: string;
let service: string;
let admin: string;

beforeEach(async () => {
  tenant = `t${crypto.randomUUID()}`;
  service = `s-${crypto.randomUUID()}`;
  admin = await storeKey(tenant, ["ingest", "query", "admin"]);
});
afterEach(healKafka);

const envelope = (messages: string[], batch = crypto.randomUUID()) =>
  JSON.stringify({
    v: 1,
    tenant,
    signal: "logs",
    batch,
    received: new Date().toISOString(),
    indices: messages.map((_, i) => i),
    entries: messages.map((message) => ({ timestamp: new Date().toISOString(), message, service })),
  });

/** @returns the letters' ids, in the order given */
async function bury(...values: string[]): Promise<string[]> {
  const incarnation = Math.floor(Math.random() * 1e9);
  const letters = values.map((value, offset): DeadLetter => ({
    tenant,
    offset,
    index: -1,
    originalKey: btoa(`${service}:web-1`),
    originalValue: Buffer.from(value).toString("base64"),
    error: "the store was ill",
    errorType: "storage_rejected",
    attempts: 3,
  }));
  const group = `${GROUP}-${service}`;
  const commit = partitionCommit(
    { group, topic: TOPIC, partition: ELSEWHERE },
    { next: { ...positionAt(100), incarnation }, deadLetters: letters },
  );
  expect(await streamStoreOf(env).commit(commit)).toBe("committed");
  return letters.map(({ offset }) => `${group}/${TOPIC}/${incarnation}/${ELSEWHERE}/${offset}/-1`);
}

const replay = async (body: object, key = admin, topic = TOPIC) =>
  await postJson(`/api/v1/dlq/${topic}/replay`, body, { Authorization: `Bearer ${key}` });

async function stored(): Promise<string[]> {
  await wakeAndDrain(TOPIC, "logs");
  const response = await send(`/api/v1/logs?service=${service}&limit=1000`, {
    headers: { Authorization: `Bearer ${admin}` },
  });
  const rows: { message: string }[] = await response.json();
  return rows.map(({ message }) => message).toSorted();
}

async function ledgerLine() {
  const response = await send("/api/v1/ledger", { headers: { Authorization: `Bearer ${admin}` } });
  const { lines }: { lines: Record<string, number>[] } = await response.json();
  return lines[0];
}

describe("replayed", () => {
  it("by its id a message is stored, however often it is replayed, and all of it is accounted for", async () => {
    const [id = ""] = await bury(envelope(["a", "b"]));
    const answer = await replay({ ids: [id] });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      topic: TOPIC,
      replayed: 1,
      records: 2,
      skipped: [],
      failed: [],
      next: null,
    });
    expect(await (await replay({ ids: [id] })).json()).toMatchObject({ replayed: 1, records: 2 });
    expect(await stored()).toEqual(["a", "b"]);
    expect(await ledgerLine()).toMatchObject({ accepted: 4, stored: 2, deduplicated: 2 });
    const letter = await send(`/api/v1/dlq/${id}`, { headers: { Authorization: `Bearer ${admin}` } });
    expect(await letter.json()).toMatchObject({ replays: 2 });
  });

  it("all of a topic go, the oldest first, but for those that went before", async () => {
    const [first = ""] = await bury(envelope(["1"]), envelope(["2"]), envelope(["3"]));
    await replay({ ids: [first] });
    expect(await (await replay({ all: true })).json()).toMatchObject({ replayed: 2, next: null });
    expect(await (await replay({ all: true })).json()).toMatchObject({ replayed: 0 });
    expect(await (await replay({ all: true, again: true, dry_run: true })).json()).toMatchObject({
      replayed: 3,
    });
    expect(await stored()).toEqual(["1", "2", "3"]);
    const offsets = (await messagesWith(TOPIC, service)).map(({ offset }) => offset);
    expect(offsets).toHaveLength(3);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  });

  it("by time and reason", async () => {
    await bury(envelope(["x"]));
    const none = { error_type: "malformed_json", from: "2020-01-01T00:00:00Z" };
    expect(await (await replay(none)).json()).toMatchObject({ replayed: 0 });
    expect(await (await replay({ to: "2020-01-01T00:00:00Z" })).json()).toMatchObject({ replayed: 0 });
    expect(await (await replay({ from: "2020-01-01T00:00:00Z" }, admin, "logs.dlq")).json()).toMatchObject({
      topic: TOPIC,
      replayed: 1,
    });
  });

  it("what is bad still dies again, as a letter of its own", async () => {
    const [id = ""] = await bury(envelope(["good"]).replace('"message":"good"', '"message":7'));
    await replay({ ids: [id] });
    expect(await stored()).toEqual([]);
    const letters = await getList<{ error_type: string; tenant: string }>(`/api/v1/dlq?tenant=${tenant}`);
    expect(letters.map(({ error_type: type }) => type).toSorted()).toEqual([
      "storage_rejected",
      "wrong_type",
    ]);
    expect(await ledgerLine()).toMatchObject({ accepted: 1, stored: 0, dead: 1 });
  });
});

describe("not replayed", () => {
  it("is another tenant's, or what is not there", async () => {
    const [id = ""] = await bury(envelope(["mine"]));
    const stranger = await storeKey(`t${crypto.randomUUID()}`, ["admin", "query"]);
    for (const ids of [[id], ["a/b/0/0/0/0"], ["nonsense"]]) {
      const answer = await replay({ ids }, stranger);
      expect(await answer.json()).toMatchObject({ replayed: 0, skipped: [{ id: ids[0] }] });
    }
    expect(await (await replay({ all: true }, stranger)).json()).toMatchObject({ replayed: 0 });
    expect(await stored()).toEqual([]);
  });

  it("is anything by a key that may only read", async () => {
    const reader = await storeKey(tenant, ["query", "ingest"]);
    expect((await replay({ all: true }, reader)).status).toBe(403);
  });

  it("is what Kafka does not take: it is told, and can be replayed again", async () => {
    const [id = ""] = await bury(envelope(["later"]));
    await failKafka({
      method: "POST",
      path: `/topics/${TOPIC}`,
      times: 1_000,
      kind: "refuse",
      status: 503,
      body: '{"error_code":50302,"message":"away"}',
    });
    const answer = await replay({ ids: [id] });
    expect(answer.status).toBe(207);
    expect(await answer.json()).toMatchObject({
      replayed: 0,
      failed: [{ id, reason: "kafka_unavailable" }],
    });
    await healKafka();
    expect(await (await replay({ all: true })).json()).toMatchObject({ replayed: 1 });
    expect(await stored()).toEqual(["later"]);
  });

  it.each([
    [{}, "must name one of"],
    [{ all: true, ids: ["a"] }, "must name one of"],
    [{ from: "yesterday" }, "from"],
    [{ all: true, topic: "x" }, "topic"],
  ])("by %j: it says what is wrong", async (body, text) => {
    const answer = await replay(body);
    expect(answer.status).toBe(400);
    expect((await problemOf(answer)).detail).toContain(text);
  });

  it("from a topic that is none of ours", async () => {
    expect((await replay({ all: true }, admin, "other")).status).toBe(404);
  });
});
