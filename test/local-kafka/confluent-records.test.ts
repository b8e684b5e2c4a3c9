/**
 * Confluent's REST API v3 beyond topics: produce, partitions, settings. From api/v3/openapi.yaml and
 * resources/v3/Produce(Batch)Action.java of confluentinc/kafka-rest.
 */
import { once } from "node:events";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveLocalKafka } from "../../local-kafka/server.ts";
import { type Answer, Fixture, base64 } from "./fixture.ts";

let f: Fixture;
let cluster: string;
const NOW_MS = 1_700_000_000_000;
const type = { "content-type": "application/json" };

beforeAll(async () => {
  f = await Fixture.open({
    dialect: "confluent-v3",
    topics: ["t", "kept", "batch", "streamed"].map((name) => ({ name, partitions: 2 })),
    maxRecordBytes: 10_000,
    now: () => NOW_MS,
  });
  const { data } = JSON.parse((await f.call("GET", "/v3/clusters")).text) as {
    data: [{ cluster_id: string }];
  };
  cluster = `/v3/clusters/${data[0].cluster_id}`;
});
afterAll(() => f.dispose());

interface Delivery {
  error_code: number;
  message?: string;
  offset?: number;
  partition_id?: number;
}

const send = (topic: string, body: string): Promise<Answer> =>
  f.call("POST", `${cluster}/topics/${topic}/records`, type, body);

/** The answers to one request, each on a line of its own. */
async function produce(topic: string, ...records: object[]): Promise<Delivery[]> {
  const answer = await send(topic, records.map((record) => JSON.stringify(record)).join(""));
  expect(answer).toMatchObject({ status: 200, type: "application/json" });
  return deliveries(answer.text);
}

const deliveries = (text: string): Delivery[] =>
  text
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Delivery);

const string = (data: string): object => ({ type: "STRING", data });

describe("records", () => {
  it("answer one object for each, in order, with what was stored where", async () => {
    const [first, second, ...rest] = await produce(
      "t",
      {
        partition_id: 1,
        key: { type: "BINARY", data: base64("foobar") },
        value: { type: "JSON", data: { foo: "bar" } },
        timestamp: "2021-02-05T19:14:42Z",
      },
      { partition_id: 1, value: string("text") },
    );
    expect(first).toEqual({
      error_code: 200,
      cluster_id: cluster.split("/").at(-1),
      topic_name: "t",
      partition_id: 1,
      offset: 0,
      timestamp: "2021-02-05T19:14:42.000Z",
      key: { type: "BINARY", size: 6 },
      value: { type: "JSON", size: 13 },
    });
    expect(second).toMatchObject({ error_code: 200, offset: 1, timestamp: new Date(NOW_MS).toISOString() });
    expect(second).not.toHaveProperty("key");
    expect(rest).toEqual([]);
  });

  it("may be parted by white space, or nothing, and hold braces in strings", async () => {
    const record = '{"partition_id":0,"value":{"type":"STRING","data":"}{\\"\\\\"}}';
    const { text } = await send("t", ` ${record}\n${record}${record} `);
    expect(deliveries(text).map(({ error_code: code }) => code)).toEqual([200, 200, 200]);
  });

  it("fail one by one, under HTTP 200", async () => {
    const results = await produce(
      "t",
      { value: { type: "BINARY", data: "no base64!" } },
      { partition_id: 7, value: string("v") },
      { partition_id: -1, value: string("v") },
      { value: string("x".repeat(10_001)) },
      { value: { type: "STRING", data: 1 } },
      { value: { type: "AVRO", data: 1 } },
      { headers: "h" },
      { partition_id: 0, value: string("good") },
    );
    expect(results.map(({ error_code: code }) => code)).toEqual([
      400, 40402, 40402, 40002, 400, 42206, 400, 200,
    ]);
    expect(await produce("none", { value: string("v") })).toEqual([
      { error_code: 40403, message: "This server does not host this topic-partition." },
    ]);
  });

  it("end with an error where the body is no JSON or is cut off", async () => {
    const good = JSON.stringify({ value: string("v") });
    expect(deliveries((await send("t", `${good}{"value":}`)).text)).toMatchObject([
      { error_code: 200 },
      { error_code: 400 },
    ]);
    expect(deliveries((await send("t", `${good}{"value":`)).text)).toMatchObject([
      { error_code: 200 },
      { error_code: 400 },
    ]);
  });

  it("415 without application/json, 404 for another cluster", async () => {
    const path = `${cluster}/topics/t/records`;
    expect((await f.call("POST", path, { "content-type": "text/plain" }, "{}")).status).toBe(415);
    expect((await f.call("POST", "/v3/clusters/other/topics/t/records", type, "{}")).status).toBe(404);
    expect((await f.call("GET", path)).status).toBe(404);
  });

  it("are answered while the request still runs", async () => {
    const server = await serveLocalKafka(f.kafka, "127.0.0.1", 0);
    const request = http.request(`${server.url}${cluster}/topics/streamed/records`, {
      method: "POST",
      headers: type,
    });
    const record = JSON.stringify({ partition_id: 0, value: string("v") });
    try {
      const arrived = once(request, "response");
      request.write(record + record.slice(0, 10));
      const [response] = (await arrived) as [http.IncomingMessage];
      const [early] = (await once(response, "data")) as [Buffer];
      expect(deliveries(early.toString())).toMatchObject([{ error_code: 200, offset: 0 }]);
      request.end(record.slice(10));
      const [late] = (await once(response, "data")) as [Buffer];
      expect(deliveries(late.toString())).toMatchObject([{ error_code: 200, offset: 1 }]);
    } finally {
      request.destroy();
      await server.close();
      await f.reopen();
    }
  });

  it("keep their bytes, headers and timestamps", async () => {
    await produce(
      "kept",
      {
        partition_id: 0,
        key: { type: "JSON", data: "k" },
        value: { type: "BINARY", data: base64(Uint8Array.of(0, 255)) },
        headers: [
          { name: "Header-1", value: base64("one") },
          { name: "none", value: null },
        ],
        timestamp: "2021-02-05T19:14:42.123+01:00",
      },
      { partition_id: 0, key: { type: "STRING", data: null }, value: { type: "BINARY" } },
    );
    const big = '{"partition_id":0,"value":{"type":"JSON","data":{"b": 9007199254740993, "a":1}}}';
    await send("kept", big);
    await f.reopen({ dialect: "redpanda" });
    expect(await f.readAll("kept", 0)).toMatchObject([
      { key: base64('"k"'), value: base64(Uint8Array.of(0, 255)) },
      { key: null, value: null },
      { value: base64('{"b":9007199254740993,"a":1}') },
    ]);
    await f.reopen({ dialect: "confluent-v3" });
  });
});

describe("records:batch", () => {
  const batch = (entries: unknown): Promise<Answer> =>
    f.call("POST", `${cluster}/topics/batch/records:batch`, type, JSON.stringify({ entries }));

  it("207 with those that were stored and those that were not", async () => {
    const answer = await batch([
      { id: "a", partition_id: 0, value: string("v") },
      { id: "b", partition_id: 9, value: string("v") },
      { id: "c", partition_id: 0, value: { type: "JSON", data: [1] } },
    ]);
    expect(answer.status).toBe(207);
    expect(JSON.parse(answer.text)).toMatchObject({
      successes: [
        { id: "a", partition_id: 0, offset: 0 },
        { id: "c", offset: 1, value: { type: "JSON", size: 3 } },
      ],
      failures: [{ id: "b", error_code: 40402 }],
    });
  });

  it.each([
    ["no entries", []],
    ["eleven entries", Array.from({ length: 11 }, (_, i) => ({ id: `e${i}`, value: string("v") }))],
    [
      "an id twice",
      [
        { id: "a", value: string("v") },
        { id: "a", value: string("v") },
      ],
    ],
  ])("422 for %s", async (_name, entries) => {
    const answer = await batch(entries);
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([422, { error_code: 42208 }]);
  });

  it("ten entries are fine; 400 for an entry without an id", async () => {
    expect(
      (await batch(Array.from({ length: 10 }, (_, i) => ({ id: `e${i}`, value: string("v") })))).status,
    ).toBe(207);
    expect((await batch([{ value: string("v") }])).status).toBe(400);
  });
});

describe("a topic's", () => {
  it("partitions are listed", async () => {
    const list = JSON.parse((await f.call("GET", `${cluster}/topics/t/partitions`)).text) as {
      data: object[];
    };
    expect(list).toMatchObject({
      kind: "KafkaPartitionList",
      data: [
        { kind: "KafkaPartition", topic_name: "t", partition_id: 0 },
        { kind: "KafkaPartition", topic_name: "t", partition_id: 1 },
      ],
    });
    const one = await f.call("GET", `${cluster}/topics/t/partitions/1`);
    expect(JSON.parse(one.text)).toEqual(list.data[1]);
    expect((await f.call("GET", `${cluster}/topics/t/partitions/2`)).status).toBe(404);
    expect((await f.call("GET", `${cluster}/topics/none/partitions`)).status).toBe(404);
  });

  it("settings are listed and altered, all or none", async () => {
    const retention = async (): Promise<unknown> =>
      JSON.parse((await f.call("GET", `${cluster}/topics/t/configs/retention.ms`)).text);
    const alter = async (body: object): Promise<number> =>
      (await f.call("POST", `${cluster}/topics/t/configs:alter`, type, JSON.stringify(body))).status;
    expect(await retention()).toMatchObject({
      kind: "KafkaTopicConfig",
      value: "604800000",
      is_default: true,
    });
    expect(await alter({ data: [{ name: "retention.ms", value: "60000" }] })).toBe(204);
    await f.reopen();
    expect(await retention()).toMatchObject({ value: "60000", is_default: false });
    expect(
      await alter({
        data: [
          { name: "retention.ms", operation: "DELETE" },
          { name: "unknown", value: "1" },
        ],
      }),
    ).toBe(400);
    expect(await retention()).toMatchObject({ value: "60000" });
    expect(await alter({ data: [{ name: "retention.ms", operation: "DELETE" }], validate_only: true })).toBe(
      204,
    );
    expect(await retention()).toMatchObject({ value: "60000" });
    expect(await alter({ data: [{ name: "retention.ms", operation: "DELETE" }] })).toBe(204);
    expect(await retention()).toMatchObject({ value: "604800000" });
    const list = JSON.parse((await f.call("GET", `${cluster}/topics/t/configs`)).text) as { data: unknown[] };
    expect(list.data).toContainEqual(expect.objectContaining({ name: "cleanup.policy", value: "delete" }));
  });
});
