// Pages of messages over the real local-kafka, by the transport for Redpanda's dialect (no timestamps told), and the
// order that timestamps make, from a log that is a list.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import {
  formatMessageCursor,
  parseMessageCursor,
  type MessageCursor,
} from "../../../lib/kafka/message-cursor.ts";
import { readMessagePage, type PageOptions } from "../../../lib/kafka/message-page.ts";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import type { FetchedRecord, KafkaTransport } from "../../../lib/kafka/transport.ts";
import { openLocalKafka, type LocalKafka } from "../../../local-kafka/broker.ts";

const dataDir = mkdtempSync(join(tmpdir(), "weir-message-page-"));
let kafka: LocalKafka;
beforeAll(async () => {
  // Small segments, so that old messages can be deleted.
  kafka = await openLocalKafka({ dataDir, fsync: false, segmentBytes: 200 });
});
afterAll(async () => {
  await kafka.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const transport = () =>
  createRestV2({
    url: "http://kafka.test",
    fetch: async (input, init) => await kafka.fetch(new Request(input, init)),
  });

const render = (partition: number, { offset }: FetchedRecord) => {
  const text = `${partition}:${offset}`;
  return { text, bytes: 1 };
};

const options = (topic: string, more: Partial<PageOptions> = {}): PageOptions => ({
  topic,
  partitions: [0],
  begin: { direction: "older" },
  limit: 10,
  maxBytes: 1_000_000,
  render,
  ...more,
});

let topics = 0;
async function topicOf(...counts: number[]): Promise<string> {
  const name = `page.${++topics}`;
  await kafka.createTopic({ name, partitions: counts.length });
  for (const [partition, count] of counts.entries())
    for (let i = 0; i < count; i++)
      await transport().produce(name, [{ partition, key: null, value: Buffer.from(`message ${i}`) }]);
  return name;
}

/** All pages from a beginning, each as its rows. */
async function pages(from: KafkaTransport, first: PageOptions): Promise<string[][]> {
  const all: string[][] = [];
  for (let next: PageOptions["begin"] | undefined = first.begin; next;) {
    const page = await readMessagePage(from, { ...first, begin: next });
    if (page.rows.length === 0) break;
    all.push(page.rows);
    next = page.next;
  }
  return all;
}

/** Kafka as lists of times, by partition: for the order between partitions alone. */
function timed(times: number[][]): KafkaTransport {
  const log: Pick<KafkaTransport, "fetch" | "latestOffset" | "earliestOffset"> = {
    fetch: async ({ partition, offset }) =>
      (times[partition] ?? []).flatMap((timestampMs, i) =>
        i < offset ? [] : [{ offset: i, key: null, value: null, timestampMs }],
      ),
    latestOffset: async (_, partition) => times[partition]?.length ?? 0,
    earliestOffset: async () => 0,
  };
  return log as KafkaTransport;
}

describe("a cursor", () => {
  it("comes back as it was, and nothing else is one", () => {
    const cursor: MessageCursor = {
      direction: "older",
      positions: new Map([
        [0, 12],
        [7, undefined],
      ]),
    };
    expect(parseMessageCursor(formatMessageCursor(cursor))).toEqual(cursor);
    for (const text of ["", "!", btoa("older"), btoa("older;1"), btoa("sideways;0:1"), btoa("older;0:-1")])
      expect(parseMessageCursor(text), text).toBeUndefined();
  });
});

describe("pages", () => {
  it("end at the log's start, which old messages have left", async () => {
    const topic = await topicOf(30);
    await kafka.deleteRecords(topic, 0, 17);
    const newest = await pages(transport(), options(topic));
    expect(newest).toEqual([Array.from({ length: 10 }, (_, i) => `0:${29 - i}`), ["0:19", "0:18", "0:17"]]);
  });

  it("tell that what a follower has not read is gone, and go on after it", async () => {
    const topic = await topicOf(20);
    const begin = { direction: "newer", positions: new Map([[0, 3]]) } as const;
    await kafka.deleteRecords(topic, 0, 15);
    const page = await readMessagePage(transport(), options(topic, { begin }));
    expect(page.rows).toEqual(["0:15", "0:16", "0:17", "0:18", "0:19"]);
    expect(page.faults).toMatchObject([
      {
        partition: 0,
        error: { code: "offset_out_of_range", message: expect.stringContaining("3 to 14") as string },
      },
    ]);
    expect(page.next?.positions.get(0)).toBe(20);
  });

  it("leave out partitions that were added after the first, and a follower reads them from their start", async () => {
    const topic = await topicOf(3, 3);
    const older = { direction: "older", positions: new Map([[0, 2]]) } as const;
    const both = { partitions: [0, 1] };
    expect((await readMessagePage(transport(), options(topic, { ...both, begin: older }))).rows).toEqual([
      "0:1",
      "0:0",
    ]);
    const newer = { direction: "newer", positions: new Map([[0, 3]]) } as const;
    expect((await readMessagePage(transport(), options(topic, { ...both, begin: newer }))).rows).toEqual([
      "1:0",
      "1:1",
      "1:2",
    ]);
  });

  it("hold no more bytes than they may, and miss nothing", async () => {
    const topic = await topicOf(25, 25);
    const limits = { partitions: [0, 1], limit: 100, maxBytes: 7 };
    for (const begin of [{ direction: "older" }, { direction: "newer", from: "earliest" }] as const) {
      const all = await pages(transport(), options(topic, { ...limits, begin }));
      expect(Math.max(...all.map(({ length }) => length))).toBeLessThanOrEqual(7);
      expect(new Set(all.flat()).size).toBe(50);
      expect(all.flat()).toHaveLength(50);
    }
  });

  it("come with one message at least, however long", async () => {
    const topic = await topicOf(2);
    const long = (partition: number, record: FetchedRecord) => ({
      text: render(partition, record).text,
      bytes: 99,
    });
    expect(await pages(transport(), options(topic, { render: long, maxBytes: 10 }))).toEqual([
      ["0:1"],
      ["0:0"],
    ]);
  });

  it("fail when every partition does", async () => {
    await expect(readMessagePage(transport(), options("page.nowhere"))).rejects.toMatchObject({
      code: "unknown_topic",
    });
  });

  it("are in the order of the timestamps, where all are told", async () => {
    const both = options("t", { partitions: [0, 1], limit: 4 });
    const of = async (begin: PageOptions["begin"]) =>
      await pages(
        timed([
          [10, 40, 41],
          [20, 30, 50],
        ]),
        { ...both, begin },
      );
    expect(await of({ direction: "older" })).toEqual([
      ["1:2", "0:2", "0:1", "1:1"],
      ["1:0", "0:0"],
    ]);
    expect(await of({ direction: "newer", from: "earliest" })).toEqual([
      ["0:0", "1:0", "1:1", "0:1"],
      ["0:2", "1:2"],
    ]);
  });

  it("end where a partition's next message is not known, which may be newer than the others'", async () => {
    // Four rows fit, and two of each partition are gathered: the third of partition 0 is newer than all of the other.
    const log = timed([
      [1, 100, 101, 102, 103],
      [50, 51],
    ]);
    const narrow = options("t", { partitions: [0, 1], maxBytes: 4 });
    expect((await pages(log, narrow)).flat()).toEqual(["0:4", "0:3", "0:2", "0:1", "1:1", "1:0", "0:0"]);
  });

  it("keep the place of a partition that fails", async () => {
    const topic = await topicOf(2, 2);
    const working = transport();
    let isBroken = true;
    const partly: KafkaTransport = {
      ...working,
      fetch: async (request) => {
        if (isBroken && request.partition === 1) throw new KafkaError("unavailable", "no leader");
        return await working.fetch(request);
      },
    };
    const first = await readMessagePage(
      partly,
      options(topic, { partitions: [0, 1], begin: { direction: "newer", from: "earliest" } }),
    );
    expect(first.rows).toEqual(["0:0", "0:1"]);
    expect(first.faults).toMatchObject([{ partition: 1, error: { code: "unavailable" } }]);
    isBroken = false;
    const second = await readMessagePage(partly, options(topic, { partitions: [0, 1], begin: first.next! }));
    expect(second.rows).toEqual(["1:0", "1:1"]);
  });
});
