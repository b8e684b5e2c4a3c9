// Each accepted record is stored once and counted once, however it comes again (docs/decisions/0015-claims.md).
import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { batchIdentity, idAttempt, idKey } from "../../../lib/stream/identity.ts";
import { shortHash } from "../../../lib/telemetry/short-hash.ts";
import { logs, openWorld, Reading, type World } from "../../support/stream-world.ts";

let world: World;
let reading: Reading;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
});
beforeEach(async () => {
  reading = new Reading(world, await world.newTopic());
});

describe("a batch", () => {
  it("that a produce wrote twice is stored once; the copies are told as such", async () => {
    await reading.send({ batch: "b", attempt: 7, records: logs("a", "b") });
    await reading.send({ batch: "b", attempt: 7, records: logs("a", "b") });
    await reading.drainAll();
    await reading.send({ batch: "b", attempt: 7, records: logs("a", "b") });
    await reading.drainAll();
    expect(reading.stored()).toEqual(["a", "b"]);
    expect(await reading.counted()).toEqual({ stored: 2, redelivered: 4 });
  });

  it("that was accepted twice is stored once, in whichever partitions it comes, and balances", async () => {
    await reading.send({ batch: "b", attempt: 1, partition: 0, records: logs("a", "b", "c") });
    await reading.send({ batch: "b", attempt: 2, partition: 1, records: logs("a", "b", "c") });
    await reading.send({ batch: "b", attempt: 2, partition: 1, records: logs("a", "b", "c") });
    await reading.drainAll(0);
    await reading.drainAll(1);
    expect(reading.stored()).toEqual(["a", "b", "c"]);
    expect(await reading.counted()).toEqual({ stored: 3, deduplicated: 3, redelivered: 3 });
  });

  it("may be grouped anew at its retry: what was missing is stored, the rest is not", async () => {
    const all = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [i, { message: `m${i}` }]));
    const some = (keep: (i: number) => boolean) =>
      Object.fromEntries(Object.entries(all).filter(([i]) => keep(Number(i))));
    await reading.send({ batch: "b", attempt: 1, partition: 0, records: some((i) => i % 3 === 0) });
    await reading.send({ batch: "b", attempt: 1, partition: 1, records: some((i) => i % 3 === 1) });
    await reading.send({ batch: "b", attempt: 2, partition: 1, records: some((i) => i < 40) });
    await reading.send({ batch: "b", attempt: 2, partition: 0, records: some((i) => i >= 40) });
    await Promise.all([reading.drainAll(0), reading.drainAll(1)]);
    expect(reading.stored()).toEqual(
      Object.values(all)
        .map(({ message }) => message)
        .toSorted(),
    );
    const { stored, deduplicated } = await reading.counted();
    expect([stored, deduplicated]).toEqual([70, 47]);
  });

  it("is another one for another tenant, and in another epoch", async () => {
    await reading.send({ batch: "b", records: logs("a") });
    await reading.send({ batch: "b", tenant: "other", records: logs("a") });
    await reading.drainAll();
    expect(await reading.counted("other")).toEqual({ stored: 1 });
    const identities = [
      batchIdentity({ group: "g", epoch: 0 }, "t", "logs", { batch: "b", attempt: 0 }),
      batchIdentity({ group: "g", epoch: 1 }, "t", "logs", { batch: "b", attempt: 0 }),
      batchIdentity({ group: "h", epoch: 0 }, "t", "logs", { batch: "b", attempt: 0 }),
      batchIdentity({ group: "g", epoch: 0 }, "t", "metrics", { batch: "b", attempt: 0 }),
    ];
    expect(new Set(identities.map(({ key }) => key)).size).toBe(4);
  });

  it("of nobody's making has no identity: bare records are stored as often as they stand there", async () => {
    await reading.write(['{"message":"bare","id":"1"}', '{"message":"bare","id":"1"}']);
    await reading.drainAll();
    expect(reading.stored()).toEqual(["bare", "bare"]);
    expect(await reading.counted("nobody")).toEqual({ stored: 2, foreign: 2 });
    expect(reading.commits.map(({ claims }) => claims.first)).toEqual([[], []]);
  });
});

describe("a record's own id", () => {
  const own = (...ids: string[]) => Object.fromEntries(ids.map((id, i) => [i, { message: id, id }]));

  it("counts once, whatever batch brings it, also twice in one request", async () => {
    await reading.send({ batch: "one", records: own("x", "y", "x") });
    await reading.send({ batch: "two", partition: 1, records: own("y", "z") });
    await reading.drainAll(0);
    await reading.drainAll(1);
    expect(reading.stored()).toEqual(["x", "y", "z"]);
    expect(await reading.counted()).toEqual({ stored: 3, deduplicated: 2 });
  });

  it("is told a copy where its message was written twice", async () => {
    await reading.send({ batch: "one", attempt: 3, records: own("x", "y") });
    await reading.drainAll();
    await reading.send({ batch: "one", attempt: 3, records: own("x", "y") });
    await reading.send({ batch: "one", attempt: 4, records: own("x", "y") });
    await reading.drainAll();
    expect(await reading.counted()).toEqual({ stored: 2, redelivered: 2, deduplicated: 2 });
  });

  it("has one hash, and another attempt for each acceptance", () => {
    const scope = { group: "g", epoch: 0 };
    expect(idKey(scope, "t", "logs", "a")).toMatch(/^[0-9a-f]{32}$/);
    const of = (batch: string, attempt: number) => batchIdentity(scope, "t", "logs", { batch, attempt });
    const attempts = [
      idAttempt(of("a", 1), 0),
      idAttempt(of("a", 1), 1),
      idAttempt(of("a", 5), 0),
      idAttempt(of("b", 1), 0),
    ];
    expect(new Set(attempts).size).toBe(4);
    expect(attempts.every((attempt) => attempt >= 0 && attempt < 2 ** 48)).toBe(true);
  });
});

describe("a dead record", () => {
  const mixed = { 0: { message: "good" }, 1: { message: 5 }, 2: "no record" };

  it("is dead once, though its message was written twice, and once more at a second acceptance", async () => {
    await reading.send({ batch: "b", attempt: 1, records: mixed });
    await reading.drainAll();
    await reading.send({ batch: "b", attempt: 1, records: mixed });
    await reading.drainAll();
    expect(await reading.counted()).toEqual({ stored: 1, dead: 2, redelivered: 3 });
    await reading.send({ batch: "b", attempt: 2, partition: 1, records: mixed });
    await reading.drainAll(1);
    expect(await reading.counted()).toEqual({ stored: 1, dead: 4, redelivered: 3, deduplicated: 1 });
    expect(reading.memory.tables.deadLetters.size).toBe(4);
  });

  it("counts when it is replayed: it has claimed nothing", async () => {
    await reading.send({ batch: "b", attempt: 1, records: mixed });
    await reading.drainAll();
    await reading.send({ batch: "b", attempt: 9, records: { 1: { message: "mended" } } });
    await reading.drainAll();
    expect(reading.stored()).toEqual(["good", "mended"]);
    expect(await reading.counted()).toEqual({ stored: 2, dead: 2 });
  });

  it("leaves a row to be sent to the topic of dead letters, in the form of the contract", async () => {
    await reading.send({ batch: "b", records: { 0: { message: "good" }, 4: { message: 5 } } });
    await reading.drainAll();
    const [entry, ...others] = await reading.store.outbox(reading.source(), 10);
    expect(others).toEqual([]);
    expect(entry).toMatchObject({ id: `g/${reading.topic}/0/0/0/1`, topic: "logs.dlq", key: null });
    expect(JSON.parse(entry?.value ?? "")).toEqual({
      id: entry?.id,
      original_topic: reading.topic,
      original_partition: 0,
      original_offset: 0,
      original_key: null,
      original_value: btoa('{"message":5}'),
      original_encoding: "base64",
      original_message: { message: 5 },
      error: "message must be a text",
      error_type: "wrong_type",
      attempt: 1,
      timestamp: "2026-11-21T10:00:00.000Z",
      dlq_timestamp: "2026-11-21T10:00:00.000Z",
      partition: 0,
      offset: 0,
      index: 1,
      group: "g",
    });
  });

  it("of a message that cannot be read is one, and nobody's", async () => {
    await reading.write(["no JSON"]);
    await reading.drainAll();
    expect(await reading.counted("nobody")).toEqual({ dead: 1, foreign: 1 });
    expect([...reading.memory.tables.deadLetters.values()]).toMatchObject([{ letter: { index: -1 } }]);
  });
});

describe("a conflict", () => {
  it("that comes between planning and committing has the batch planned anew, as often as it comes", async () => {
    await reading.send({ batch: "b", attempt: 1, partition: 0, records: logs("a", "b", "c", "d") });
    await reading.send({ batch: "b", attempt: 2, partition: 1, records: { 0: { message: "a" } } });
    await reading.send({ batch: "b", attempt: 3, partition: 1, records: { 1: { message: "b" } } });
    // Another owner commits a message of the same batch each time that this one has made its plan.
    let others = 0;
    const store = {
      ...reading.store,
      commit: async (commit: Parameters<typeof reading.store.commit>[0]) => {
        const hasRows = commit.rows.logs.length > 0;
        if (commit.partition === 0 && hasRows && others++ < 2) {
          const position = await reading.store.position(reading.source(1));
          const cut = { ...reading.deps, transport: onlyMessage(position?.nextOffset ?? 0) };
          await reading.drain(1, undefined, cut);
        }
        return await reading.store.commit(commit);
      },
    };
    const onlyMessage = (offset: number) => ({
      ...world.transport,
      fetch: async (request: Parameters<typeof world.transport.fetch>[0]) =>
        (await world.transport.fetch(request)).filter((message) => message.offset === offset),
    });
    const result = await reading.drain(0, undefined, { ...reading.deps, store });
    expect(result).toMatchObject({ state: "caught-up", records: 2 });
    expect(reading.stored()).toEqual(["a", "b", "c", "d"]);
    expect(await reading.counted()).toEqual({ stored: 4, deduplicated: 2 });
  });
});

describe("the hash", () => {
  it("is SHA-256, of whatever length and letters", () => {
    for (let length = 0; length < 1_200; length += length < 140 ? 1 : 97) {
      for (const letter of ["a", "é", "\0"]) {
        const text = letter.repeat(length);
        const digest = createHash("sha256").update(text).digest("hex");
        expect(shortHash(text)).toEqual({
          key: digest.slice(0, 32),
          number48: Number.parseInt(digest.slice(32, 44), 16),
        });
      }
    }
  });
});
