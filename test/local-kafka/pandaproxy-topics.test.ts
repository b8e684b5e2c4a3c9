/**
 * Redpanda's HTTP proxy without groups. Bodies in quotes are those its own tests expect
 * (redpanda: src/v/pandaproxy/rest/test/{produce,fetch}.cc, tests/rptest/tests/pandaproxy_test.py).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BINARY_V2, Fixture, JSON_V2, V2, base64 } from "./fixture.ts";

let f: Fixture;
beforeAll(async () => {
  const topics = ["t", "json", "keys", "mixed", "bytes", "poll", "empty"].map((name) => ({
    name,
    partitions: 1,
  }));
  f = await Fixture.open({
    topics: [...topics, { name: "three", partitions: 3 }],
    maxRequestBytes: 3_000_000,
  });
});
afterAll(() => f.dispose());

const records = (...values: string[]): string =>
  JSON.stringify({ records: values.map((value) => ({ value: base64(value), partition: 0 })) });

describe("produce and read by offset", () => {
  it("answers one entry per partition with its base offset, and reads whole batches", async () => {
    const post = (body: string) =>
      f.call("POST", "/topics/t", { "content-type": BINARY_V2, accept: V2 }, body);
    const first = await post(records("vectorized", "pandaproxy", "multibroker"));
    expect(first).toMatchObject({ status: 200, type: V2, text: '{"offsets":[{"partition":0,"offset":0}]}' });
    expect((await f.fetchRaw("t", 0, 0)).text).toBe(
      '[{"topic":"t","key":null,"value":"dmVjdG9yaXplZA==","partition":0,"offset":0},{"topic":"t","key":null,"value":"cGFuZGFwcm94eQ==","partition":0,"offset":1},{"topic":"t","key":null,"value":"bXVsdGlicm9rZXI=","partition":0,"offset":2}]',
    );
    expect((await post(records("multibatch"))).text).toBe('{"offsets":[{"partition":0,"offset":3}]}');
    const tail = '{"topic":"t","key":null,"value":"bXVsdGliYXRjaA==","partition":0,"offset":3}]';
    expect((await f.fetchRaw("t", 0, 3)).text).toBe(`[${tail}`);
    // Offset 2 lies in the first batch: all of it comes back.
    const fromTwo = await f.fetchRaw("t", 0, 2);
    expect(fromTwo.type).toBe(BINARY_V2);
    expect(JSON.parse(fromTwo.text)).toMatchObject([
      { offset: 0 },
      { offset: 1 },
      { offset: 2 },
      { offset: 3 },
    ]);
  });

  it("embeds json.v2 as it was sent, less white space", async () => {
    const body = `{"records":[{"key": null,"value":{"object": ["vectorized"]},"partition":0},
      {"value":{"b":9007199254740993, "a":"x \\" y"},"partition":0},{"key":"a","value":-1.5e3,"partition":0}]}`;
    const produced = await f.call("POST", "/topics/json", { "content-type": JSON_V2 }, body);
    expect(produced.text).toBe('{"offsets":[{"partition":0,"offset":0}]}');
    const { text, type } = await f.fetchRaw("json", 0, 1, { accept: JSON_V2 });
    expect(type).toBe(JSON_V2);
    expect(text).toBe(
      '[{"topic":"json","key":null,"value":{"object":["vectorized"]},"partition":0,"offset":0},' +
        '{"topic":"json","key":null,"value":{"b":9007199254740993,"a":"x \\" y"},"partition":0,"offset":1},' +
        '{"topic":"json","key":"a","value":-1.5e3,"partition":0,"offset":2}]',
    );
    // The bytes of a json key are its JSON: a null is four bytes, a string keeps its quotes.
    expect(await f.fetch("json", 0, 0)).toMatchObject([
      { key: base64("null") },
      { key: null },
      { key: base64('"a"') },
    ]);
  });

  it("keeps any bytes: unicode, binary, empty and missing keys and values", async () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await f.produce("bytes", [
      { key: base64("schlüssel 🔑"), value: base64(all), partition: 0 },
      { key: base64(""), value: base64(""), partition: 0 },
      { partition: 0 },
    ]);
    expect(await f.fetch("bytes", 0, 0)).toEqual([
      { topic: "bytes", key: base64("schlüssel 🔑"), value: base64(all), partition: 0, offset: 0 },
      { topic: "bytes", key: null, value: null, partition: 0, offset: 1 },
      { topic: "bytes", key: null, value: null, partition: 0, offset: 2 },
    ]);
  });

  it("cannot show bytes as JSON", async () => {
    await f.produce("mixed", [{ key: base64("pandaproxy"), value: base64('"Value"') }]);
    await f.produce("mixed", [{ value: base64("pandaproxy") }]);
    expect(await f.fetchRaw("mixed", 0, 0, { accept: JSON_V2 })).toMatchObject({
      status: 408,
      type: "application/json",
      text: '{"error_code":40801,"message":"Unable to serialize key of record at offset 0 in topic:partition mixed:0"}',
    });
    expect((await f.fetchRaw("mixed", 0, 1, { accept: JSON_V2 })).text).toBe(
      '{"error_code":40801,"message":"Unable to serialize value of record at offset 1 in topic:partition mixed:0"}',
    );
  });

  it("picks partitions: in turn without a key, by the key's hash with one", async () => {
    const first = await f.produce("three", [{ value: "" }, { value: "" }, { value: "" }]);
    expect(first.toSorted((a, b) => a.partition - b.partition)).toEqual([
      { partition: 0, offset: 0 },
      { partition: 1, offset: 0 },
      { partition: 2, offset: 0 },
    ]);
    // Java: toPositive(murmur2("foobar") = -790332482) % 3 = 0; "21" → (-973932308 & 0x7fffffff) % 3 = 0; "abc" → 479470107 % 3 = 0.
    const [keyed] = await f.produce("three", [{ key: base64("foobar"), value: "" }]);
    expect(keyed?.partition).toBe((-790332482 & 0x7fffffff) % 3);
    expect((await f.produce("three", [{ key: base64("foobar"), value: "" }]))[0]).toEqual({
      partition: keyed?.partition,
      offset: 2,
    });
  });

  it("fails only the partition that is unknown, and tells an unknown topic with HTTP 200", async () => {
    expect(await f.produce("nowhere", [{ value: "" }, { value: "", partition: 2 }])).toEqual([
      { partition: 0, error_code: 3, offset: -1 },
      { partition: 2, error_code: 3, offset: -1 },
    ]);
    expect(
      await f.produce("keys", [
        { value: "", partition: 9 },
        { value: "", partition: 0 },
        { value: "", partition: -1 },
      ]),
    ).toEqual([
      { partition: 9, error_code: 3, offset: -1 },
      { partition: 0, offset: 0 },
      { partition: -1, error_code: 3, offset: -1 },
    ]);
    expect(await f.produce("keys", [])).toEqual([]);
  });

  it("refuses a batch over 1 MiB with Kafka's number, and a body over the limit with 413", async () => {
    const half = base64("x".repeat(600_000));
    expect(
      await f.produce("keys", [
        { value: half, partition: 0 },
        { value: half, partition: 0 },
      ]),
    ).toEqual([{ partition: 0, error_code: 10, offset: -1 }]);
    const huge = await f.call("POST", "/topics/keys", { "content-type": BINARY_V2 }, "x".repeat(3_000_001));
    expect(huge).toMatchObject({ status: 413, type: "application/json" });
    expect(JSON.parse(huge.text)).toMatchObject({ error_code: 413 });
  });

  it("counts a body that does not tell its length", async () => {
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(500_000)),
    });
    const init = {
      method: "POST",
      headers: { "content-type": BINARY_V2 },
      body: endless,
      duplex: "half" as const,
    };
    const response = await f.kafka.fetch(new Request("http://kafka.test/topics/keys", init));
    expect(response.status).toBe(413);
  });
});

describe("reading at the edges", () => {
  it("answers [] at the end, and 400 beyond it or before the start", async () => {
    expect((await f.fetchRaw("empty", 0, 0)).text).toBe("[]");
    for (const offset of [1, -1]) {
      expect(await f.fetchRaw("empty", 0, offset)).toMatchObject({
        status: 400,
        text: '{"error_code":40002,"message":"offset_out_of_range"}',
      });
    }
  });

  it("answers 404 for an unknown topic or partition", async () => {
    for (const [topic, partition] of [
      ["nowhere", 0],
      ["t", 1],
      ["t", -1],
    ] as const) {
      expect(await f.fetchRaw(topic, partition, 0)).toMatchObject({
        status: 404,
        type: "application/json",
        text: '{"error_code":40402,"message":"unknown_topic_or_partition"}',
      });
    }
  });

  it("returns whole batches within max_bytes, but always one", async () => {
    for (let i = 0; i < 4; i += 1)
      await f.produce("poll", [{ value: base64("v".repeat(1000)), partition: 0 }]);
    expect(await f.fetch("poll", 0, 0, { maxBytes: 0 })).toHaveLength(1);
    expect(await f.fetch("poll", 0, 0, { maxBytes: 2500 })).toHaveLength(2);
    const [{ value } = { value: "" }] = await f.fetch("poll", 0, 0, { maxBytes: 10 });
    expect(value).toBe(base64("v".repeat(1000)));
  });

  it("a long poll ends when a record arrives, when its time is up, or when the reader leaves", async () => {
    const waiting = f.fetch("poll", 0, 4, { timeout: 60_000 });
    await f.produce("poll", [{ value: base64("now"), partition: 0 }]);
    expect(await waiting).toMatchObject([{ offset: 4, value: base64("now") }]);
    expect(await f.fetch("poll", 0, 5, { timeout: 20 })).toEqual([]);
    const leaving = new AbortController();
    const path = "/topics/poll/partitions/0/records?offset=5&timeout=60000&max_bytes=1";
    const request = new Request(`http://kafka.test${path}`, {
      headers: { accept: BINARY_V2 },
      signal: leaving.signal,
    });
    const left = f.kafka.fetch(request);
    leaving.abort();
    expect(await (await left).text()).toBe("[]");
  });
});

const produceWith = (headers: Record<string, string>) => f.call("POST", "/topics/t", headers, records("x"));

describe("checks before anything else", () => {
  it.each([
    ["no content type", { accept: V2 }],
    ["plain JSON", { "content-type": "application/json" }],
    ["the type of the other endpoints", { "content-type": V2, accept: V2 }],
  ])("415: %s", async (_name, headers) => {
    expect(await produceWith(headers)).toMatchObject({
      status: 415,
      type: "application/json",
      text: '{"error_code":415,"message":"unsupported_media_type"}',
    });
  });

  it("takes a content type with parameters, and a list of accepted types", async () => {
    const answer = await produceWith({
      "content-type": `${BINARY_V2}; charset=utf-8`,
      accept: `text/plain, ${V2};q=0.9`,
    });
    expect(answer).toMatchObject({ status: 200, type: V2 });
  });

  it("406: produce does not answer in a record format", async () => {
    expect(await produceWith({ "content-type": BINARY_V2, accept: BINARY_V2 })).toMatchObject({
      status: 406,
      type: "application/json",
      text: '{"error_code":406,"message":"not_acceptable"}',
    });
  });

  it.each(["", "*/*", V2, "application/json"])(
    "406: reading needs a record format, not '%s'",
    async (accept) => {
      expect(await f.fetchRaw("t", 0, 0, { accept })).toMatchObject({
        status: 406,
        type: "application/json",
      });
    },
  );

  it.each([
    ["/topics//partitions/0/records?max_bytes=1&timeout=5", "Missing mandatory parameter 'offset'"],
    [
      "/topics//partitions/0/records?offset=0&max_bytes=1&timeout=5",
      "Missing mandatory parameter 'topic_name'",
    ],
    ["/topics/t/partitions/0/records?offset=0&max_bytes=1", "Missing mandatory parameter 'timeout'"],
    ["/topics/t/partitions/0/records?offset=0&timeout=5", "Missing mandatory parameter 'max_bytes'"],
    ["/topics/t/partitions/0/records?offset=a&timeout=5&max_bytes=1", "Invalid parameter 'offset' got 'a'"],
    [
      "/topics/t/partitions/x/records?offset=0&timeout=5&max_bytes=1",
      "Invalid parameter 'partition_id' got 'x'",
    ],
    [
      "/topics/t/partitions/0/records?offset=0&timeout=5&max_bytes=2147483648",
      "Invalid parameter 'max_bytes' got '2147483648'",
    ],
    [
      "/topics/my%1Ftopic/partitions/0/records?offset=0&timeout=5&max_bytes=1",
      "Invalid parameter 'topic_name' got 'my␟topic'",
    ],
    [
      "/topics/my%7Ftopic/partitions/0/records?offset=0&timeout=5&max_bytes=1",
      "Invalid parameter 'topic_name' got 'my␡topic'",
    ],
    [
      "/topics/a%FFb/partitions/0/records?offset=0&timeout=5&max_bytes=1",
      "Invalid parameter 'topic_name' got 'a%FFb'",
    ],
  ])("400: %s", async (path, message) => {
    const answer = await f.call("GET", path, { accept: BINARY_V2 });
    expect(answer).toMatchObject({ status: 400, type: "application/json" });
    expect(JSON.parse(answer.text)).toEqual({ error_code: 40002, message });
  });

  it("400: control characters in the topic of a produce", async () => {
    const answer = await f.call("POST", "/topics/my%0Dtopic", { "content-type": JSON_V2 }, "");
    expect(JSON.parse(answer.text)).toEqual({
      error_code: 40002,
      message: "Invalid parameter 'topic_name' got 'my␍topic'",
    });
  });

  it.each([
    ["nothing", ""],
    ["not JSON", "{"],
    ["no records", "{}"],
    ["something after the end", '{"records":[]} x'],
    ["another member", '{"records":[],"acks":1}'],
    ["records that are no array", '{"records":{}}'],
    ["another member in a record", '{"records":[{"value":"","headers":[]}]}'],
    ["a null in the binary format", '{"records":[{"key":null,"value":""}]}'],
    ["a key that is no string", '{"records":[{"key":1}]}'],
    ["not base64", '{"records":[{"value":"a"}]}'],
    ["URL-safe base64", '{"records":[{"value":"-_=="}]}'],
    ["a fraction as partition", '{"records":[{"value":"","partition":0.5}]}'],
    ["a null as partition", '{"records":[{"value":"","partition":null}]}'],
  ])("422: %s", async (_name, body) => {
    const answer = await f.call("POST", "/topics/t", { "content-type": BINARY_V2 }, body);
    expect(answer).toMatchObject({ status: 422, type: "application/json" });
    expect(JSON.parse(answer.text)).toEqual({
      error_code: 422,
      message: expect.stringMatching(/^parse error at offset \d+$/),
    });
  });

  it("survives nesting and reads it back", async () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const body = `{"records":[{"value":${deep},"partition":0}]}`;
    const produced = await f.call("POST", "/topics/keys", { "content-type": JSON_V2 }, body);
    const { offset } = (JSON.parse(produced.text) as { offsets: [{ offset: number }] }).offsets[0];
    expect((await f.fetchRaw("keys", 0, offset, { accept: JSON_V2 })).text).toContain(deep);
  });
});

describe("the small endpoints", () => {
  it("lists topics, brokers and readiness", async () => {
    expect(await f.call("GET", "/topics")).toMatchObject({ status: 200, type: V2 });
    expect(JSON.parse((await f.call("GET", "/topics", { accept: "*/*" })).text)).toContain("three");
    expect(await f.call("GET", "/topics", { accept: "application/json" })).toMatchObject({
      status: 406,
      type: "application/json",
    });
    expect(await f.call("GET", "/brokers", { accept: V2 })).toMatchObject({
      status: 200,
      type: V2,
      text: '{"brokers":[0]}',
    });
    expect(await f.call("GET", "/status/ready")).toMatchObject({ status: 200, text: "" });
  });

  it("has Seastar's answer for what it does not serve", async () => {
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", "/topics/t"],
      ["PUT", "/topics"],
      ["POST", "/consumers/"],
    ] as const) {
      expect(await f.call(method, path)).toMatchObject({
        status: 404,
        text: '{"message": "Not found", "code": 404}',
      });
    }
  });
});
