/**
 * Redpanda's consumer groups (redpanda: src/v/pandaproxy/rest/test/consumer_group.cc,
 * tests/rptest/tests/pandaproxy_test.py), and what ours adds: rebalance and resuming at the committed offset.
 */
import http from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serveLocalKafka } from "../../local-kafka/server.ts";
import { type Answer, BINARY_V2, Fixture, JSON_V2, V2, type WireRecord, base64 } from "./fixture.ts";

let f: Fixture;
let nowMs = 1_700_000_000_000;
beforeEach(async () => {
  f = await Fixture.open({
    topics: [
      { name: "t", partitions: 1 },
      { name: "six", partitions: 6 },
    ],
    now: () => nowMs,
  });
});
afterEach(() => f.dispose());

const headers = { "content-type": V2, accept: V2 };
const post = (path: string, body?: object): Promise<Answer> =>
  f.call("POST", path, headers, body === undefined ? undefined : JSON.stringify(body));
const create = (group: string, name?: string): Promise<Answer> =>
  post(`/consumers/${group}`, {
    format: "binary",
    "auto.offset.reset": "earliest",
    "auto.commit.enable": "false",
    ...(name ? { name } : {}),
  });

/** Makes an instance that reads `topics`; returns the path of its URI. */
async function join(group: string, name: string, topics: string[]): Promise<string> {
  const { base_uri: uri } = JSON.parse((await create(group, name)).text) as { base_uri: string };
  const path = new URL(uri).pathname;
  expect(await post(`${path}/subscription`, { topics })).toMatchObject({ status: 204, type: V2, text: "" });
  return path;
}

async function read(path: string, accept = BINARY_V2): Promise<WireRecord[]> {
  const answer = await f.call("GET", `${path}/records?timeout=0&max_bytes=1000000`, { accept });
  expect(answer).toMatchObject({ status: 200, type: accept });
  return JSON.parse(answer.text) as WireRecord[];
}

async function committed(path: string, partitions: object[]): Promise<string> {
  const body = encodeURIComponent(JSON.stringify({ partitions }));
  const answer = await f.call("GET", `${path}/offsets?body=${body}`, headers);
  expect(answer).toMatchObject({ status: 200, type: V2 });
  return answer.text;
}

const t0 = [{ topic: "t", partition: 0 }];
const three = [1, 2, 3].map((i) => ({ value: base64(`v${i}`), partition: 0 }));
const sixRecords = Array.from({ length: 6 }, (_, partition) => ({ value: base64("v"), partition }));

describe("as Redpanda", () => {
  it("one consumer's life", async () => {
    const created = await create("test_group", "test_consumer");
    expect(created).toMatchObject({ status: 200, type: V2 });
    expect(JSON.parse(created.text)).toEqual({
      instance_id: "test_consumer",
      base_uri: "http://kafka.test/consumers/test_group/instances/test_consumer",
    });
    const path = "/consumers/test_group/instances/test_consumer";
    await post(`${path}/subscription`, { topics: ["t"] });
    await f.produce("t", three);
    expect(await read(path)).toMatchObject([
      { topic: "t", offset: 0, key: null },
      { offset: 1 },
      { offset: 2 },
    ]);
    expect(await read(path)).toEqual([]);
    expect(await committed(path, t0)).toBe(
      '{"offsets":[{"topic":"t","partition":0,"offset":-1,"metadata":""}]}',
    );
    expect((await post(`${path}/offsets`, { partitions: [{ ...t0[0], offset: 1 }] })).status).toBe(204);
    expect(await committed(path, t0)).toBe(
      '{"offsets":[{"topic":"t","partition":0,"offset":1,"metadata":""}]}',
    );
    // A commit without a body stores the last offset that was read, not the next.
    expect((await post(`${path}/offsets`)).status).toBe(204);
    expect(await committed(path, t0)).toBe(
      '{"offsets":[{"topic":"t","partition":0,"offset":2,"metadata":""}]}',
    );
    expect((await f.call("DELETE", path, headers)).status).toBe(204);
    expect(await f.call("DELETE", path, headers)).toMatchObject({ status: 404, type: "application/json" });
  });

  it("makes up a name, and an absolute base_uri with the advertised address", async () => {
    await f.reopen({ advertisedUrl: "http://broker.example:18082/" });
    const created = JSON.parse((await create("g")).text) as { instance_id: string; base_uri: string };
    expect(created.base_uri).toBe(`http://broker.example:18082/consumers/g/instances/${created.instance_id}`);
  });

  it("409 for a name that is taken", async () => {
    await create("g", "a");
    const again = await create("g", "a");
    expect(again.status).toBe(409);
    expect(JSON.parse(again.text)).toEqual({
      error_code: 40902,
      message: "Consumer with specified consumer ID already exists in the specified consumer group.",
    });
  });

  it.each([
    ["another format", { format: "avro" }, "format must be 'binary' or 'json'"],
    ["latest", { "auto.offset.reset": "latest" }, "auto.offset must be earliest"],
    ["automatic commits", { "auto.commit.enable": "true" }, "auto.commit must be false"],
    [
      "control characters in the name",
      { name: "my\nconsumer" },
      "Parameter contained invalid control characters: my␊consumer",
    ],
  ])("400 for %s", async (_name, body, message) => {
    const answer = await post("/consumers/g", body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toEqual({ error_code: 40002, message });
  });

  it.each(["", "{}", "[]", '{"format":1}', '{"other":"x"}'])("422 for the body %j", async (body) => {
    expect(await f.call("POST", "/consumers/g", headers, body)).toMatchObject({
      status: 422,
      type: "application/json",
    });
  });

  it("404 40403 for every call to an instance that is not there", async () => {
    const path = "/consumers/g/instances/none";
    const answers = [
      await f.call("DELETE", path, headers),
      await post(`${path}/subscription`, { topics: ["t"] }),
      await f.call("GET", `${path}/records`, { accept: BINARY_V2 }),
      await post(`${path}/offsets`, { partitions: [] }),
      await f.call("GET", `${path}/offsets?body=${encodeURIComponent('{"partitions":[]}')}`, headers),
    ];
    for (const { status, text } of answers) {
      expect(status).toBe(404);
      expect(JSON.parse(text)).toEqual({
        error_code: 40403,
        message: "g, none, { error_code: unknown_member_id [25] }",
      });
    }
  });

  it("406 and 415 as everywhere, control characters 400", async () => {
    const path = await join("g", "a", ["t"]);
    expect(await f.call("POST", `${path}/subscription`, { accept: V2 }, "{}")).toMatchObject({ status: 415 });
    expect(
      await f.call("POST", `${path}/subscription`, { "content-type": V2, accept: BINARY_V2 }, "{}"),
    ).toMatchObject({
      status: 406,
      type: "application/json",
    });
    expect(await f.call("DELETE", path, { accept: V2 })).toMatchObject({ status: 415 });
    expect(await f.call("GET", `${path}/records`, { accept: V2 })).toMatchObject({ status: 406 });
    const answer = await f.call("DELETE", "/consumers/My%02group/instances/a", headers);
    expect(JSON.parse(answer.text)).toEqual({
      error_code: 40002,
      message: "Invalid parameter 'group_name' got 'My␂group'",
    });
    for (const [suffix, body] of [
      ["subscription", { topics: ["a\nb"] }],
      ["offsets", { partitions: [{ topic: "a\nb", partition: 0, offset: 0 }] }],
    ] as const) {
      const named = await post(`${path}/${suffix}`, body);
      expect(JSON.parse(named.text)).toEqual({
        error_code: 40002,
        message: "Parameter contained invalid control characters: a␊b",
      });
    }
  });

  it("takes the list of partitions from the body of a GET over TCP", async () => {
    const path = await join("g", "a", ["t"]);
    const server = await serveLocalKafka(f.kafka, "127.0.0.1", 0);
    try {
      const text = await new Promise<string>((resolve, reject) => {
        const body = JSON.stringify({ partitions: t0 });
        const options = { method: "GET", headers: { ...headers, "content-length": Buffer.byteLength(body) } };
        const request = http.request(`${server.url}${path}/offsets`, options, (response) => {
          let answer = "";
          response.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
          response.on("end", () => resolve(answer));
        });
        request.on("error", reject).end(body);
      });
      expect(text).toBe('{"offsets":[{"topic":"t","partition":0,"offset":-1,"metadata":""}]}');
    } finally {
      await server.close();
    }
    await f.reopen();
  });

  it("fails a json read of bytes that are not JSON", async () => {
    const path = await join("g", "a", ["t"]);
    await f.produce("t", [{ key: base64("pandaproxy"), value: base64('"Value"') }]);
    const answer = await f.call("GET", `${path}/records?timeout=0&max_bytes=1000`, { accept: JSON_V2 });
    expect(answer).toMatchObject({ status: 408 });
    expect(JSON.parse(answer.text)).toEqual({
      error_code: 40801,
      message: "Unable to serialize key of record at offset 0 in topic:partition t:0",
    });
  });
});

describe("sharing and resuming", () => {
  it("shares partitions, and moves them when instances come, leave or fall silent", async () => {
    await f.produce("six", sixRecords);
    const a = await join("g", "a", ["six"]);
    expect((await read(a)).map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 4, 5]);
    const b = await join("g", "b", ["six"]);
    await f.produce("six", sixRecords);
    // b owns 3 to 5 now, with nothing committed: it starts at the log's start.
    expect((await read(a)).map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    expect((await read(b)).map(({ partition, offset }) => [partition, offset])).toEqual([
      [3, 0],
      [3, 1],
      [4, 0],
      [4, 1],
      [5, 0],
      [5, 1],
    ]);

    await post(`${b}/offsets`, {
      partitions: [3, 4, 5].map((partition) => ({ topic: "six", partition, offset: 2 })),
    });
    await f.call("DELETE", b, headers);
    await f.produce("six", sixRecords);
    expect((await read(a)).map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
      [3, 2],
      [4, 2],
      [5, 2],
    ]);

    const c = await join("g", "c", ["six"]);
    nowMs += 9000;
    await read(a);
    nowMs += 2000;
    await f.produce("six", sixRecords);
    // 11 s without a word from c: its partitions are a's again.
    expect((await read(a)).map(({ partition }) => partition)).toEqual([0, 1, 2, 3, 3, 4, 4, 5, 5]);
    expect(await f.call("GET", `${c}/records`, { accept: BINARY_V2 })).toMatchObject({ status: 404 });
  });

  it("resumes at the committed offset, also after a restart and in the middle of a batch", async () => {
    await f.produce("t", three);
    const path = await join("g", "a", ["t"]);
    await read(path);
    await post(`${path}/offsets`, { partitions: [{ ...t0[0], offset: 1 }] });
    await f.reopen();
    const again = await join("g", "a", ["t"]);
    expect(await committed(again, t0)).toContain('"offset":1,');
    expect((await read(again)).map(({ offset }) => offset)).toEqual([1, 2]);
    const other = await join("other", "a", ["t"]);
    expect((await read(other)).map(({ offset }) => offset)).toEqual([0, 1, 2]);
  });

  it("forgets what was committed to a topic that is made anew", async () => {
    await f.produce("t", three);
    const path = await join("g", "a", ["t"]);
    await post(`${path}/offsets`, { partitions: [{ ...t0[0], offset: 3 }] });
    const { data } = JSON.parse((await f.call("GET", "/v3/clusters")).text) as {
      data: [{ cluster_id: string }];
    };
    expect((await f.call("DELETE", `/v3/clusters/${data[0].cluster_id}/topics/t`)).status).toBe(204);
    await f.kafka.createTopic({ name: "t", partitions: 1 });
    expect(await committed(path, t0)).toContain('"offset":-1');
    await f.produce("t", three);
    expect((await read(path)).map(({ offset }) => offset)).toEqual([0, 1, 2]);
  });

  it("a read waits for data, and two reads of one instance never return the same record", async () => {
    const path = await join("g", "a", ["t", "six"]);
    const wait = (): Promise<Answer> => f.call("GET", `${path}/records?timeout=100`, { accept: BINARY_V2 });
    const reads = [wait(), wait()];
    await f.produce("t", three);
    const offsets = (await Promise.all(reads)).flatMap(({ text }) =>
      (JSON.parse(text) as WireRecord[]).map(({ offset }) => offset),
    );
    expect(offsets).toEqual([0, 1, 2]);
  });

  it("a read that waits while its partition moves leaves the records to the new owner", async () => {
    const a = await join("g", "a", ["six"]);
    const waiting = f.call("GET", `${a}/records?timeout=100`, { accept: BINARY_V2 });
    // It must be waiting on all six partitions before b comes.
    await new Promise(setImmediate);
    const b = await join("g", "b", ["six"]);
    await f.produce("six", sixRecords.slice(5));
    expect((await waiting).text).toBe("[]");
    expect(await read(b)).toMatchObject([{ partition: 5, offset: 0 }]);
    expect(await read(a)).toEqual([]);
  });

  it("ignores commits to what does not exist", async () => {
    const path = await join("g", "a", ["t"]);
    const answer = await post(`${path}/offsets`, {
      partitions: [
        { topic: "none", partition: 0, offset: 1 },
        { topic: "t", partition: 7, offset: 1 },
      ],
    });
    expect(answer.status).toBe(204);
    expect(
      await committed(path, [
        { topic: "t", partition: 7 },
        { topic: "none", partition: 0 },
      ]),
    ).toBe(
      '{"offsets":[{"topic":"none","partition":0,"offset":-1,"metadata":""},{"topic":"t","partition":7,"offset":-1,"metadata":""}]}',
    );
  });
});
