// The queue of a spillway's shard in real SQLite: order, pages bounded by what is sent, sums that agree with a count.
import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import type { NextPage } from "../../../../lib/ingest/spill/drain-spill.ts";
import { keyHash, type SpillMessage } from "../../../../lib/ingest/spill/spill-port.ts";
import { heldBytesOf, StoredQueue } from "../../../../lib/ingest/spill/stored-queue.ts";
import { message, withQueue } from "./held.ts";

const NEXT: NextPage = {
  topic: "logs.raw",
  after: 0,
  partitions: 3,
  except: new Set(),
  maxMessages: 100,
  maxSentBytes: 1_000_000,
};

const valuesOf = (queue: StoredQueue, next: Partial<NextPage> = {}) =>
  queue.page({ ...NEXT, ...next }).map(({ value }) => new TextDecoder().decode(value));

describe("pages", () => {
  it("hold the oldest of one topic, in the order of their coming", async () => {
    await withQueue((queue) => {
      queue.append([message("a", "1"), message("b", "2"), message("a", "x", { topic: "events.raw" })]);
      queue.append([message("a", "3")]);
      expect(valuesOf(queue)).toEqual(["1", "2", "3"]);
      expect(valuesOf(queue, { topic: "events.raw" })).toEqual(["x"]);
      expect(valuesOf(queue, { maxMessages: 2 })).toEqual(["1", "2"]);
      expect(valuesOf(queue, { after: queue.page(NEXT)[0]!.id })).toEqual(["2", "3"]);
      expect(queue.topics()).toEqual(["events.raw", "logs.raw"]);
    });
  });

  it("end where more would be sent than fits; what is larger by itself comes alone", async () => {
    await withQueue((queue) => {
      // 300 bytes are 400 in base64.
      queue.append(Array.from({ length: 10 }, (_, i) => message("k", String(i).repeat(300))));
      expect(valuesOf(queue, { maxSentBytes: 1_500 })).toHaveLength(3);
      expect(valuesOf(queue, { maxSentBytes: 10 })).toHaveLength(1);
    });
  });

  it("leave out the partitions that are held up", async () => {
    await withQueue((queue) => {
      const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
      queue.append(keys.map((key) => message(key, key)));
      const partitionOf = (key: string) => keyHash(new TextEncoder().encode(key)) % 3;
      expect(valuesOf(queue, { except: new Set([0, 2]) })).toEqual(
        keys.filter((key) => partitionOf(key) === 1),
      );
    });
  });

  it("give back bytes as they were, 700,000 of them, too", async () => {
    await withQueue((queue) => {
      const value = crypto.getRandomValues(new Uint8Array(65_536));
      const large = new Uint8Array(700_000).map((_, i) => value[i % value.length] ?? 0);
      const key = new Uint8Array([0, 255, 128]);
      queue.append([message("", "", { key, value: large })]);
      const [held] = queue.page(NEXT);
      expect(held!.key).toEqual(key);
      expect(Buffer.compare(held!.value, large)).toBe(0);
    });
  });
});

describe("sums", () => {
  it("agree with a count, whatever came and went", async () => {
    await withQueue((queue, store) => {
      const messages: SpillMessage[] = Array.from({ length: 60 }, (_, i) =>
        message(`k${i % 7}`, "v".repeat(i), {
          tenant: ["acme", "beta", "gamma"][i % 3]!,
          signal: i % 2 === 0 ? "logs" : "metrics",
          records: i,
          receivedMs: 5_000 - i,
        }),
      );
      queue.append(messages.slice(0, 40));
      queue.append(messages.slice(40));
      const ids = queue.page(NEXT).map(({ id }) => id);
      queue.remove(
        ids.filter((id) => id % 4 !== 0),
        0,
      );
      queue.refuse(ids.slice(-1), "too_large", "too large", 9_000);
      const left = messages.filter((_, i) => (ids[i] ?? 0) % 4 === 0);
      const sum = (of: (one: SpillMessage) => number) => left.reduce((total, one) => total + of(one), 0);
      const expected = {
        messages: left.length,
        records: sum(({ records }) => records),
        bytes: sum(heldBytesOf),
        oldestMs: Math.min(...left.slice(0, -1).map(({ receivedMs }) => receivedMs)),
        refused: 1,
      };
      expect(queue.sums()).toEqual(expected);
      expect(queue.bytes).toBe(expected.bytes);
      expect(queue.byTenant()).toHaveLength(3);
      expect(queue.byTenant().reduce((total, { records }) => total + records, 0)).toBe(expected.records);
      // Another life of the object.
      const again = new StoredQueue(store);
      expect(again.sums()).toEqual(expected);
      expect(again.bytes).toBe(expected.bytes);
      queue.remove(ids, 0);
      expect(queue.sums()).toEqual({ messages: 0, records: 0, bytes: 0, oldestMs: null, refused: 0 });
      expect(queue.byTenant()).toEqual([]);
      expect(queue.bytes).toBe(0);
    });
  });

  it("count a removal once", async () => {
    await withQueue((queue) => {
      queue.append([message("a", "1"), message("a", "2")]);
      const [first] = queue.page(NEXT);
      queue.remove([first!.id], 0);
      queue.remove([first!.id], 0);
      expect(queue.sums()).toMatchObject({ messages: 1, records: 1 });
    });
  });

  it("tell the size on disk or more", async () => {
    await withQueue((queue, store) => {
      const before = store.sql.databaseSize;
      for (let i = 0; i < 50; i++)
        queue.append(
          Array.from({ length: 100 }, (_, j) => message(`service-${i}:host-${j}`, "v".repeat(300))),
        );
      const onDisk = store.sql.databaseSize - before;
      expect(onDisk).toBeLessThan(queue.bytes * 1.05);
      expect(onDisk).toBeGreaterThan(queue.bytes * 0.6);
    });
  });
});

describe("what was sent on", () => {
  const HOUR = 3_600_000;
  const DAY = 24 * HOUR;

  it("is told by the hour, as old as the oldest of it, by the next life too", async () => {
    await withQueue((queue, store) => {
      queue.append([5_000, 3_000, 4_000, 7_000].map((receivedMs) => message("k", "v", { receivedMs })));
      const [a, b, c, d] = queue.page(NEXT).map(({ id }) => id);
      expect(queue.drained()).toEqual([]);
      queue.remove([a!, b!], 100 * HOUR);
      queue.remove([c!], 101 * HOUR - 1);
      queue.remove([d!], 101 * HOUR);
      // They are gone by now.
      queue.remove([a!, b!], 102 * HOUR);
      const told = [
        { untilMs: 101 * HOUR, oldestMs: 3_000 },
        { untilMs: 102 * HOUR, oldestMs: 7_000 },
      ];
      expect(queue.drained()).toEqual(told);
      expect(new StoredQueue(store).drained()).toEqual(told);
    });
  });

  it("is forgotten after seven days", async () => {
    await withQueue((queue) => {
      queue.append(Array.from({ length: 3 }, () => message("k", "v")));
      const [a, b, c] = queue.page(NEXT).map(({ id }) => id);
      const hours = () => queue.drained().map(({ untilMs }) => untilMs / HOUR);
      queue.remove([a!], 100 * HOUR);
      queue.remove([b!], 100 * HOUR + 7 * DAY);
      expect(hours()).toEqual([101, 269]);
      queue.remove([c!], 101 * HOUR + 7 * DAY);
      expect(hours()).toEqual([269, 270]);
    });
  });
});

describe("the refused", () => {
  it("wait no longer, are told, and come up when their time has come", async () => {
    await withQueue((queue) => {
      queue.append([
        message("a", "1", { records: 3 }),
        message("a", "2", { receivedMs: 500 }),
        message("b", "3"),
      ]);
      const [, second] = queue.page(NEXT);
      queue.refuse([second!.id], "rejected", "HTTP 422", 7_000);
      expect(valuesOf(queue)).toEqual(["1", "3"]);
      expect(queue.oldestWaitingMs).toBe(1_000);
      expect(queue.sums()).toMatchObject({ messages: 3, refused: 1, oldestMs: 1_000 });
      expect(queue.refusals()).toEqual([
        {
          topic: "logs.raw",
          tenant: "acme",
          records: 1,
          receivedMs: 500,
          code: "rejected",
          message: "HTTP 422",
        },
      ]);
      expect(queue.refusedAgainMs).toBe(7_000);
      expect(queue.refusedUntil(6_999, 10)).toEqual([]);
      expect(queue.refusedUntil(7_000, 10)).toMatchObject([{ id: second!.id, topic: "logs.raw" }]);
      queue.remove(
        queue.page(NEXT).map(({ id }) => id),
        0,
      );
      expect(queue.holds()).toBe(false);
      expect(queue.sums()).toMatchObject({ messages: 1, oldestMs: null });
    });
  });

  it("are no number of a later message's", async () => {
    await withQueue((queue) => {
      queue.append([message("a", "1")]);
      const [first] = queue.page(NEXT);
      queue.remove([first!.id], 0);
      queue.append([message("a", "2")]);
      expect(queue.page(NEXT)[0]!.id).toBeGreaterThan(first!.id);
    });
  });
});

describe("an append that fails", () => {
  it("is undone as a whole", async () => {
    await withQueue((queue) => {
      queue.append([message("a", "1")]);
      const broken = message("a", "2", { records: null as unknown as number });
      expect(() => queue.append([message("a", "fine"), broken])).toThrow(/NOT NULL/);
      expect(valuesOf(queue)).toEqual(["1"]);
      expect(queue.sums()).toMatchObject({ messages: 1, records: 1 });
      expect(queue.bytes).toBe(heldBytesOf(message("a", "1")));
    });
  });
});
