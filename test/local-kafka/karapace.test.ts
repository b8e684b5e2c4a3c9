/**
 * Karapace's REST proxy, from its own tests (tests/integration/kafka_rest_apis/test_rest.py and test_rest_consumer.py)
 * and source (src/karapace/kafka_rest_apis), mid-2026.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, BINARY_V2, Fixture, JSON_V2, V2, base64 } from "./fixture.ts";

let f: Fixture;
let nowMs = 1_700_000_000_000;
beforeAll(async () => {
  f = await Fixture.open({
    dialect: "karapace",
    maxRecordBytes: 100_000,
    topics: ["t", "bad", "meta", "seek", "groups", "auto", "json", "two"].map((name) => ({
      name,
      partitions: name === "two" ? 2 : 1,
    })),
    now: () => nowMs,
  });
});
afterAll(() => f.dispose());

const post = (path: string, body: unknown, type = BINARY_V2): Promise<Answer> =>
  f.call("POST", path, { "content-type": type }, JSON.stringify(body));
const get = (path: string, accept = "*/*"): Promise<Answer> => f.call("GET", path, { accept });
const json = (answer: Answer): unknown => JSON.parse(answer.text);

async function consumer(group: string, settings: object = {}): Promise<string> {
  const made = await post(`/consumers/${group}`, { "auto.commit.enable": "false", ...settings }, V2);
  expect(made.status).toBe(200);
  return `/${(json(made) as { base_uri: string }).base_uri}`;
}

async function reader(group: string, topic: string, settings: object = {}): Promise<string> {
  const path = await consumer(group, settings);
  const assigned = await post(`${path}/assignments`, { partitions: [{ topic, partition: 0 }] }, V2);
  expect(assigned).toMatchObject({ status: 204, text: "" });
  return path;
}

interface Read {
  key: unknown;
  value: unknown;
  offset: number;
}

async function read(path: string, accept = BINARY_V2): Promise<Read[]> {
  const answer = await get(`${path}/records?timeout=1`, accept);
  expect(answer).toMatchObject({ status: 200, type: JSON_V2 });
  return json(answer) as Read[];
}

async function committed(path: string, topic: string): Promise<number> {
  const body = encodeURIComponent(JSON.stringify({ partitions: [{ topic, partition: 0 }] }));
  const { offsets } = json(await get(`${path}/offsets?body=${body}`)) as { offsets: [{ offset: number }] };
  return offsets[0].offset;
}

describe("produce", () => {
  it("answers one entry per record, in order, in one media type", async () => {
    const records = [1, 0, 1].map((partition) => ({ value: base64("v"), partition }));
    const answer = await post("/topics/two", { records });
    expect(answer).toMatchObject({ status: 200, type: JSON_V2 });
    expect(json(answer)).toEqual({
      key_schema_id: null,
      value_schema_id: null,
      offsets: [
        { partition: 1, offset: 0 },
        { partition: 0, offset: 0 },
        { partition: 1, offset: 1 },
      ],
    });
    const one = await post("/topics/two/partitions/1", { records: [{ value: base64("v") }] });
    expect(json(one)).toMatchObject({ offsets: [{ partition: 1, offset: 2 }] });
  });

  it("reports a message without a value as partition 0, offset -1, and stores it all the same", async () => {
    const records = [
      { key: base64("k"), value: null, partition: 0 },
      { value: base64("after"), partition: 0 },
    ];
    expect(json(await post("/topics/t", { records }))).toMatchObject({
      offsets: [
        { partition: 0, offset: -1 },
        { partition: 0, offset: 1 },
      ],
    });
    const path = await reader("tombstones", "t");
    expect(await read(path)).toEqual([
      { topic: "t", partition: 0, offset: 0, key: base64("k"), value: null, timestamp: nowMs },
      { topic: "t", partition: 0, offset: 1, key: null, value: base64("after"), timestamp: nowMs },
    ]);
  });

  it("404 40401 for an unknown topic, 40402 for an unknown partition in the path", async () => {
    const records = [{ value: base64("v") }];
    for (const path of ["/topics/none", "/topics/none/partitions/0"]) {
      const answer = await post(path, { records });
      expect(answer.status).toBe(404);
      expect(json(answer)).toEqual({ error_code: 40401, message: "Topic none not found" });
    }
    const answer = await post("/topics/t/partitions/7", { records });
    expect([answer.status, json(answer)]).toEqual([
      404,
      { error_code: 40402, message: "Partition 7 not found" },
    ]);
  });

  it("422 with error_code 2 for the records of a partition that does not exist", async () => {
    const records = [
      { value: base64("v"), partition: 100 },
      { value: base64("v"), partition: 0 },
    ];
    const answer = await post("/topics/bad", { records });
    expect(answer.status).toBe(422);
    expect((json(answer) as { offsets: unknown }).offsets).toEqual([
      {
        error: "This request is for a topic or partition that does not exist on this broker.",
        error_code: 2,
      },
      { partition: 0, offset: 0 },
    ]);
  });

  it("422 with error_code 1 for a record that is too large", async () => {
    const answer = await post("/topics/bad", { records: [{ value: base64("x".repeat(100_001)) }] });
    expect(answer.status).toBe(422);
    expect(json(answer)).toMatchObject({
      offsets: [{ error_code: 1, error: expect.stringContaining("maximum") }],
    });
  });

  it("takes application/json, and no Content-Type, as binary", async () => {
    const path = await reader("general", "json");
    await post(`${path}/positions/end`, { partitions: [{ topic: "json", partition: 0 }] }, V2);
    const body = JSON.stringify({ records: [{ value: base64("plain") }] });
    expect((await f.call("POST", "/topics/json", { "content-type": "application/json" }, body)).status).toBe(
      200,
    );
    expect((await f.call("POST", "/topics/json", {}, body)).status).toBe(200);
    expect((await read(path)).map(({ value }) => value)).toEqual([base64("plain"), base64("plain")]);
  });

  it("json values are stored as JSON; what Python calls false is stored as nothing", async () => {
    const path = await reader("embedded", "json", { format: "json" });
    await post(`${path}/positions/end`, { partitions: [{ topic: "json", partition: 0 }] }, V2);
    const values = [{ b: 1, a: [2] }, "text", 0, false, "", [], {}];
    await post("/topics/json", { records: values.map((value) => ({ key: "k", value })) }, JSON_V2);
    const found = await read(path, JSON_V2);
    expect(found.map(({ value }) => value)).toEqual([{ b: 1, a: [2] }, "text", null, null, null, null, null]);
    expect(found[0]?.key).toBe("k");
  });

  it.each([
    [422, 422, { records: [] }],
    [422, 422, { foo: "bar" }],
    [422, 422, { records: [{ valur: "x" }] }],
    [422, 422, { records: [{ value: "AAAA", headers: [] }] }],
    [400, 400, { records: [{ value: "not base64" }] }],
    [400, 400, { records: [{ value: { a: 1 } }] }],
    [400, 400, { records: "should be an array" }],
    [400, 400, { records: ["object with value"] }],
    [400, 400, []],
    [500, 500, { records: [{ value: "AAAA", partition: "x" }] }],
  ])("%i %i for %j", async (status, code, body) => {
    const answer = await post("/topics/t", body);
    expect(answer.status).toBe(status);
    expect(json(answer)).toMatchObject({ error_code: code });
  });

  it("400 as text for a body that is not JSON", async () => {
    const headers = { "content-type": BINARY_V2 };
    expect(await f.call("POST", "/topics/t", headers, "{")).toMatchObject({
      status: 400,
      text: "Invalid request JSON body",
    });
    expect(await f.call("POST", "/topics/t", headers)).toMatchObject({
      status: 400,
      text: "Missing request JSON body",
    });
  });

  it("formats with schemas are refused: first for want of a schema, then of a registry", async () => {
    const avro = "application/vnd.kafka.avro.v2+json";
    const code = async (body: unknown): Promise<unknown> => json(await post("/topics/t", body, avro));
    expect(await code({ records: [{ value: 1 }] })).toMatchObject({ error_code: 42202 });
    expect(await code({ records: [{ key: 1 }] })).toMatchObject({ error_code: 42201 });
    expect(await code({ value_schema_id: 1, records: [{ value: 1 }] })).toMatchObject({ error_code: 40801 });
  });
});

describe("media types", () => {
  it.each(["application/vnd.kafka.v1+json", "application/vnd.kafka+json", "application/json", "*/*"])(
    "Accept %s is fine",
    async (accept) => {
      expect(await get("/brokers", accept)).toMatchObject({
        status: 200,
        type: JSON_V2,
        text: '{"brokers":[0]}',
      });
    },
  );

  it.each(["application/octet-stream", "application/vnd.kafka+foo", "application/text", "foo/*", "*/baz"])(
    "Accept %s is 406",
    async (accept) => {
      const answer = await get("/brokers", accept);
      expect([answer.status, json(answer)]).toEqual([
        406,
        { error_code: 406, message: "HTTP 406 Not Acceptable" },
      ]);
    },
  );

  it.each([
    "application/vnd.kafka.v3+json",
    "application/vnd.kafka.json+avro",
    "application/text",
    "bar/baz",
  ])("Content-Type %s is 415", async (type) => {
    expect((await post("/topics/t", { records: [{ value: "AAAA" }] }, type)).status).toBe(415);
  });
});

describe("topics and partitions", () => {
  const partition = { partition: 0, leader: 0, replicas: [{ broker: 0, leader: true, in_sync: true }] };

  it("are described", async () => {
    expect(json(await get("/topics"))).toContain("meta");
    expect(json(await get("/topics/meta"))).toEqual({
      name: "meta",
      partitions: [partition],
      configs: expect.objectContaining({ "retention.ms": "604800000" }),
    });
    expect(json(await get("/topics/two/partitions"))).toEqual([partition, { ...partition, partition: 1 }]);
    expect(json(await get("/topics/meta/partitions/0"))).toEqual(partition);
    await post("/topics/meta", { records: Array.from({ length: 5 }, () => ({ value: base64("v") })) });
    expect(json(await get("/topics/meta/partitions/0/offsets"))).toEqual({
      beginning_offset: 0,
      end_offset: 5,
    });
  });

  it.each([
    ["/topics/none", 40403],
    ["/topics/none/partitions", 40401],
    ["/topics/none/partitions/0", 40401],
    ["/topics/none/partitions/0/offsets", 40401],
    ["/topics/meta/partitions/10", 40402],
    ["/topics/meta/partitions/10/offsets", 40402],
    ["/topics/meta/partitions/foo/offsets", 404],
  ])("404 for %s", async (path, code) => {
    const answer = await get(path);
    expect(answer.status).toBe(404);
    expect(json(answer)).toMatchObject({ error_code: code });
  });

  it("there is no read by offset", async () => {
    const path = "/topics/meta/partitions/0/records?offset=0&timeout=0&max_bytes=1000";
    expect((await get(path, BINARY_V2)).status).toBe(404);
  });
});

describe("consumers", () => {
  const seek0 = [{ topic: "seek", partition: 0 }];

  it("have a base_uri without an origin and a name that is taken once", async () => {
    const made = await post("/consumers/g", { name: "one", format: "binary" }, V2);
    expect(json(made)).toEqual({ base_uri: "consumers/g/instances/one", instance_id: "one" });
    const again = await post("/consumers/g", { name: "one" }, V2);
    expect([again.status, json(again)]).toMatchObject([409, { error_code: 40902 }]);
    for (const wrong of [{ format: "xml" }, { "fetch.min.bytes": -10 }, { "auto.offset.reset": "bar" }]) {
      const answer = await post("/consumers/g", wrong, V2);
      expect([answer.status, json(answer)]).toMatchObject([422, { error_code: 42204 }]);
    }
    expect((await f.call("DELETE", "/consumers/g/instances/one")).status).toBe(204);
    const gone = await f.call("DELETE", "/consumers/g/instances/one");
    expect([gone.status, json(gone)]).toMatchObject([404, { error_code: 40403 }]);
  });

  it("assign, seek and read from exactly there", async () => {
    const records = ["a", "b", "c"].map((value) => ({ value: base64(value) }));
    await post("/topics/seek", { records });
    const path = await consumer("seeking");
    expect(json(await get(`${path}/assignments`))).toEqual({ partitions: [] });
    const early = await post(`${path}/positions`, { offsets: [{ ...seek0[0], offset: 1 }] }, V2);
    expect([early.status, json(early)]).toMatchObject([409, { error_code: 40903 }]);
    await post(`${path}/assignments`, { partitions: seek0 }, V2);
    expect(json(await get(`${path}/assignments`))).toEqual({ partitions: seek0 });
    const moved = await post(`${path}/positions`, { offsets: [{ ...seek0[0], offset: 1 }] }, V2);
    expect(moved.status).toBe(204);
    expect((await read(path)).map(({ offset }) => offset)).toEqual([1, 2]);
    expect(await read(path)).toEqual([]);
    await post(`${path}/positions/beginning`, { partitions: seek0 }, V2);
    expect((await read(path)).map(({ offset }) => offset)).toEqual([0, 1, 2]);
    await post(`${path}/positions/beginning`, { partitions: seek0 }, V2);
    await post(`${path}/positions/end`, { partitions: seek0 }, V2);
    expect(await read(path)).toEqual([]);
    for (const offsets of [[{ ...seek0[0], offset: -1 }], seek0]) {
      const answer = await post(`${path}/positions`, { offsets }, V2);
      expect([answer.status, json(answer)]).toMatchObject([500, { error_code: 50001 }]);
    }
  });

  it("answer reads only in the format they were made for", async () => {
    const path = await reader("formats", "seek");
    for (const accept of [JSON_V2, "*/*", "application/json"]) {
      const answer = await get(`${path}/records?timeout=1`, accept);
      expect([answer.status, json(answer)]).toMatchObject([406, { error_code: 40601 }]);
    }
    const asJson = await reader("formats", "seek", { format: "json" });
    await post("/topics/seek", { records: [{ value: base64("{") }] });
    expect((await get(`${asJson}/records?timeout=1`, JSON_V2)).status).toBe(422);
  });

  it("a commit reads back one higher, and one without offsets stores what was read", async () => {
    await post("/topics/groups", { records: [1, 2, 3].map(() => ({ value: base64("v") })) });
    const path = await reader("committing", "groups");
    expect(await committed(path, "groups")).toBe(-1001);
    expect((await post(`${path}/offsets`, {}, V2)).status).toBe(204);
    expect(await committed(path, "groups")).toBe(-1001);
    const at = (topic: string, partition: number, offset: number): Promise<Answer> =>
      post(`${path}/offsets`, { offsets: [{ topic, partition, offset }] }, V2);
    expect((await at("groups", 0, 0)).status).toBe(204);
    expect(await committed(path, "groups")).toBe(1);
    const next = await reader("committing", "groups");
    expect((await read(next)).map(({ offset }) => offset)).toEqual([1, 2]);
    expect((await post(`${next}/offsets`, {}, V2)).status).toBe(204);
    expect(await committed(next, "groups")).toBe(3);
    expect(json(await at("none", 0, 0))).toMatchObject({ error_code: 40401 });
    expect(json(await at("groups", 9, 0))).toMatchObject({ error_code: 40402 });
  });

  it("commit by themselves unless told not to, and stay however long they are silent", async () => {
    await post("/topics/auto", { records: [{ value: base64("v") }, { value: base64("v") }] });
    const path = await reader("automatic", "auto", { "auto.commit.enable": true });
    expect(await read(path)).toHaveLength(2);
    expect(await committed(path, "auto")).toBe(-1001);
    nowMs += 3_600_000;
    await read(path);
    expect(await committed(path, "auto")).toBe(2);
  });

  it("subscribe or are assigned, not both", async () => {
    const path = await consumer("subscribing");
    expect((await post(`${path}/subscription`, { topics: ["seek"] }, V2)).status).toBe(204);
    expect(json(await get(`${path}/subscription`))).toEqual({ topics: ["seek"] });
    expect((await read(path)).length).toBeGreaterThanOrEqual(3);
    const both = await post(`${path}/assignments`, { partitions: seek0 }, V2);
    expect([both.status, json(both)]).toMatchObject([409, { error_code: 40903 }]);
    expect((await f.call("DELETE", `${path}/subscription`)).status).toBe(204);
    expect(json(await get(`${path}/subscription`))).toEqual({ topics: [] });
    expect((await post(`${path}/assignments`, { partitions: seek0 }, V2)).status).toBe(204);
    expect((await post(`${path}/subscription`, { topics: ["seek"] }, V2)).status).toBe(409);
    expect((await post(`${path}/subscription`, {}, V2)).status).toBe(409);
  });

  it("404 40403 when what they read does not exist", async () => {
    const path = await reader("missing", "none");
    const answer = await get(`${path}/records?timeout=1`, BINARY_V2);
    expect([answer.status, json(answer)]).toEqual([
      404,
      { error_code: 40403, message: "Unknown topic or partition" },
    ]);
    const seek = { offsets: [{ topic: "none", partition: 0, offset: 0 }] };
    expect((await post(`${path}/positions`, seek, V2)).status).toBe(409);
  });
});
