// The rest-v3 transport paired with rest-v2 as its reader, over one log: local-kafka's Confluent and Redpanda dialects
// are two apps in front of the same files, as a Confluent proxy has both versions side by side.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { pairTransports } from "../../../lib/kafka/pair-transports.ts";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import { createRestV3 } from "../../../lib/kafka/rest-v3.ts";
import { createApp, type Dialect } from "../../../local-kafka/app.ts";
import { Groups } from "../../../local-kafka/groups/groups.ts";
import { OffsetStore } from "../../../local-kafka/groups/offset-store.ts";
import { diskFiles } from "../../../local-kafka/log/durable-files.ts";
import { FileLog } from "../../../local-kafka/log/file-log.ts";
import { transportSuite } from "../../contract/transport.suite.ts";
import { createFaultyFetch } from "../../support/faulty-fetch.ts";

interface TwoVersions {
  log: FileLog;
  /** By path: /v3/… is the Confluent dialect's. */
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

async function openTwoVersions(dataDir: string): Promise<TwoVersions> {
  const files = diskFiles(false);
  const log = await FileLog.open({ dataDir, files });
  const offsets = await OffsetStore.open(dataDir, files);
  const groups = new Groups({ log, offsets, now: Date.now, sessionTimeoutMs: 10_000 });
  const appOf = (dialect: Dialect) =>
    createApp({
      dialect,
      log,
      groups,
      now: Date.now,
      maxRequestBytes: 32 * 1024 * 1024,
      advertisedUrl: undefined,
      credentials: undefined,
      deleteTopic: async (name) => await log.deleteTopic(name),
      onFault: (error) => {
        throw error;
      },
    });
  const v3 = appOf("confluent-v3");
  const v2 = appOf("redpanda");
  return {
    log,
    fetch: async (request) =>
      await (new URL(request.url).pathname.startsWith("/v3/") ? v3 : v2).fetch(request),
    async close() {
      groups.close();
      await offsets.close();
      await log.close();
    },
  };
}

describe("rest-v3", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-rest-v3-"));
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
  let topics = 0;

  transportSuite("rest-v3, read by rest-v2", async () => {
    let kafka = await openTwoVersions(dataDir);
    const faulty = createFaultyFetch(async (request) => await kafka.fetch(request));
    const options = { url: "http://kafka.test", fetch: faulty.fetch };
    return {
      transport: pairTransports(createRestV3(options), createRestV2(options)),
      emptyBytes: "null",
      async makeTopic(partitions) {
        const name = `topic.${++topics}`;
        await kafka.log.createTopic({ name, partitions, retentionMs: -1, retentionBytes: -1 });
        return name;
      },
      faults: {
        ...faulty,
        async restartBroker() {
          await kafka.close();
          kafka = await openTwoVersions(dataDir);
        },
        trim: async (topic, partition, before) => await kafka.log.deleteRecords(topic, partition, before),
      },
      close: async () => await kafka.close(),
    };
  });

  it("says where to read when it is alone", async () => {
    const transport = createRestV3({ url: "http://kafka.test", fetch: async () => Response.error() });
    expect(await transport.capabilities()).toMatchObject({ reads: false, groupOffsets: false });
    const reads = [
      transport.fetch({ topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 0 }),
      transport.earliestOffset("t", 0),
      transport.latestOffset("t", 0),
      transport.commitOffset("g", "t", 0, 1),
      transport.committedOffset("g", "t", 0),
    ];
    for (const read of reads) {
      await expect(read).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringContaining("KAFKA_READ_TRANSPORT") as string,
      });
    }
    await expect(transport.deleteRecords("t", 0, 1)).rejects.toMatchObject({ code: "unsupported" });
  });

  it("keeps bytes, headers and timestamps exact, as another dialect of the same log shows them", async () => {
    const kafka = await openTwoVersions(join(dataDir, "exact"));
    await kafka.log.createTopic({ name: "exact", partitions: 1, retentionMs: -1, retentionBytes: -1 });
    const transport = createRestV3({
      url: "http://exact.test",
      fetch: async (input, init) => await kafka.fetch(new Request(input, init)),
    });
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    const outcomes = await transport.produce("exact", [
      {
        partition: 0,
        key: every,
        value: new Uint8Array(),
        headers: [
          { name: "ü", value: every },
          { name: "ü", value: null },
          { name: "empty", value: new Uint8Array() },
        ],
        timestampMs: 1_750_000_000_123,
      },
      { partition: 0, key: null, value: null },
    ]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true]);
    const batches = await kafka.log.fetch("exact", 0, 0, { maxBytes: 1 << 20, timeoutMs: 0 });
    const [full, empty] = batches.flatMap(({ records }) => records);
    expect(Buffer.from(full!.key!).equals(every)).toBe(true);
    expect(full!.value).toHaveLength(0);
    expect(full!.timestampMs).toBe(1_750_000_000_123);
    expect(
      full!.headers!.map(({ name, value }) => [name, value && Buffer.from(value).toString("hex")]),
    ).toEqual([
      ["ü", Buffer.from(every).toString("hex")],
      ["ü", null],
      ["empty", ""],
    ]);
    expect([empty!.key, empty!.value]).toEqual([null, null]);
    await kafka.close();
  });
});
