// A pair made of two real transports with a network that notes who was called.
import { describe, expect, it } from "vitest";
import { pairTransports } from "../../../lib/kafka/pair-transports.ts";
import { createRestV3 } from "../../../lib/kafka/rest-v3.ts";
import { createUpstash } from "../../../lib/kafka/upstash.ts";
import type { KafkaTransport } from "../../../lib/kafka/transport.ts";

/** rest-v3 and upstash, and the hosts that were asked. */
function transports() {
  const asked: string[] = [];
  const note: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    asked.push(new URL(request.url).hostname);
    return new Response("{}", { status: 418 });
  };
  const v3 = createRestV3({ url: "http://v3", clusterId: "c", fetch: note });
  const upstash = createUpstash({ url: "http://upstash", acksConfirmed: "all", fetch: note });
  return { v3, upstash, asked };
}

const record = { partition: 0, key: null, value: Uint8Array.of(120) };

describe("a pair of transports", () => {
  it("is named after both and can what each can in its part", async () => {
    const { v3, upstash } = transports();
    expect(pairTransports(v3, upstash).name).toBe("rest-v3+upstash");
    expect(await pairTransports(v3, upstash).capabilities()).toEqual({
      reads: true,
      partitionCounts: "cluster",
      endOffsets: "exact",
      acks: "default-all",
      values: "text",
      recordHeaders: "read-write",
      createTopics: true,
      describeTopics: "settings",
      groupOffsets: false,
      deleteRecords: false,
    });
    expect(await pairTransports(upstash, v3).capabilities()).toMatchObject({
      reads: false,
      endOffsets: "probed",
      acks: "confirmed",
      recordHeaders: "write",
      createTopics: true,
      describeTopics: "settings",
    });
  });

  it("tells headers only where the writer sends and the reader shows them", async () => {
    const { v3 } = transports();
    const none: KafkaTransport = {
      ...v3,
      capabilities: async () => ({ ...(await v3.capabilities()), recordHeaders: "none" }),
    };
    const headersOf = async (writer: KafkaTransport, reader: KafkaTransport) =>
      (await pairTransports(writer, reader).capabilities()).recordHeaders;
    expect(await headersOf(none, transports().upstash)).toBe("none");
    expect(await headersOf(v3, none)).toBe("write");
    expect(await headersOf(v3, transports().upstash)).toBe("read-write");
  });

  it("asks the writer or the reader, each for what is its part", async () => {
    const { v3, upstash, asked } = transports();
    const spec = { name: "t", partitions: 1, config: {} };
    const request = { topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 0 };
    const calls: [string, string, (pair: KafkaTransport) => Promise<unknown>, string][] = [
      ["produce", "v3", (pair) => pair.produce("t", [record]), "upstash"],
      ["topics", "v3", (pair) => pair.topics(), "upstash"],
      ["partitionCount", "v3", (pair) => pair.partitionCount("t"), "upstash"],
      // Only rest-v3 can create topics and tell settings, wherever it stands.
      ["createTopic", "v3", (pair) => pair.createTopic(spec), "v3"],
      ["describeTopic", "v3", (pair) => pair.describeTopic("t"), "v3"],
      ["fetch", "upstash", (pair) => pair.fetch(request), ""],
      ["earliestOffset", "upstash", (pair) => pair.earliestOffset("t", 0), ""],
      ["latestOffset", "upstash", (pair) => pair.latestOffset("t", 0), ""],
    ];
    for (const [name, inOrder, call, swapped] of calls) {
      for (const [pair, expected] of [
        [pairTransports(v3, upstash), inOrder],
        [pairTransports(upstash, v3), swapped],
      ] as const) {
        asked.length = 0;
        await expect(call(pair), name).rejects.toMatchObject({ name: "KafkaError" });
        expect(asked, name).toEqual(expected === "" ? [] : [expected]);
      }
    }
  });

  it("takes group offsets to the reader", async () => {
    const { v3, upstash } = transports();
    const committed: unknown[] = [];
    const reader: KafkaTransport = {
      ...upstash,
      commitOffset: async (...call) => void committed.push(call),
      committedOffset: async () => 7,
    };
    const pair = pairTransports(v3, reader);
    await pair.commitOffset("g", "t", 1, 7);
    expect(committed).toEqual([["g", "t", 1, 7]]);
    expect(await pair.committedOffset("g", "t", 1)).toBe(7);
  });

  it("closes both, also when one of them fails", async () => {
    const { v3, upstash } = transports();
    const closed: string[] = [];
    const writer: KafkaTransport = {
      ...v3,
      async close() {
        closed.push("writer");
        throw new Error("stuck");
      },
    };
    const reader: KafkaTransport = { ...upstash, close: async () => void closed.push("reader") };
    await expect(pairTransports(writer, reader).close()).rejects.toThrow("stuck");
    expect(closed).toEqual(["writer", "reader"]);
  });
});
