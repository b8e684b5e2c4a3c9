/** Topics over Confluent's v3 shape (https://docs.confluent.io/platform/current/kafka-rest/api.html). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, Fixture, base64 } from "./fixture.ts";

let f: Fixture;
let clusterId: string;
const type = { "content-type": "application/json" };
const create = (body: unknown): Promise<Answer> =>
  f.call("POST", `/v3/clusters/${clusterId}/topics`, type, JSON.stringify(body));

beforeAll(async () => {
  f = await Fixture.open();
  const { data } = JSON.parse((await f.call("GET", "/v3/clusters")).text) as {
    data: [{ cluster_id: string }];
  };
  clusterId = data[0].cluster_id;
});
afterAll(() => f.dispose());

describe("clusters", () => {
  it("there is one, whose id stays", async () => {
    expect(clusterId).toMatch(/^[\w-]{22}$/);
    await f.reopen();
    expect(JSON.parse((await f.call("GET", `/v3/clusters/${clusterId}`)).text)).toMatchObject({
      kind: "KafkaCluster",
      cluster_id: clusterId,
    });
  });

  it("another is 404", async () => {
    for (const path of ["", "/topics", "/topics/t"]) {
      const answer = await f.call("GET", `/v3/clusters/other${path}`);
      expect(answer.status).toBe(404);
      expect(JSON.parse(answer.text)).toEqual({ error_code: 404, message: "Cluster other cannot be found." });
    }
  });
});

describe("topics", () => {
  it("are made, described, listed and kept", async () => {
    const configs = [
      { name: "retention.ms", value: "60000" },
      { name: "cleanup.policy", value: "delete" },
      { name: "compression.type", value: "lz4" },
    ];
    const made = await create({ topic_name: "made", partitions_count: 2, replication_factor: 1, configs });
    expect(made).toMatchObject({ status: 201, type: "application/json" });
    const description = {
      kind: "KafkaTopic",
      cluster_id: clusterId,
      topic_name: "made",
      is_internal: false,
      replication_factor: 1,
      partitions_count: 2,
    };
    expect(JSON.parse(made.text)).toMatchObject(description);
    await f.reopen();
    const path = `/v3/clusters/${clusterId}/topics`;
    expect(JSON.parse((await f.call("GET", `${path}/made`)).text)).toMatchObject(description);
    expect(JSON.parse((await f.call("GET", path)).text)).toMatchObject({
      kind: "KafkaTopicList",
      data: [description],
    });
    expect(await f.produce("made", [{ value: "", partition: 1 }])).toEqual([{ partition: 1, offset: 0 }]);
  });

  it("exist once", async () => {
    await create({ topic_name: "once" });
    const again = await create({ topic_name: "once" });
    expect(again.status).toBe(400);
    expect(JSON.parse(again.text)).toEqual({ error_code: 40002, message: "Topic 'once' already exists." });
    const many = await Promise.all(Array.from({ length: 5 }, () => create({ topic_name: "race" })));
    expect(many.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(1);
  });

  it.each([
    ["a name with a slash", { topic_name: "a/b" }, 40002],
    ["..", { topic_name: ".." }, 40002],
    ["no partitions", { topic_name: "x", partitions_count: 0 }, 40002],
    ["too many partitions", { topic_name: "x", partitions_count: 1001 }, 40002],
    ["replicas", { topic_name: "x", replication_factor: 3 }, 40002],
    ["compaction", { topic_name: "x", configs: [{ name: "cleanup.policy", value: "compact" }] }, 40002],
    [
      "a retention that is no number",
      { topic_name: "x", configs: [{ name: "retention.ms", value: "7d" }] },
      40002,
    ],
    [
      "an unknown setting",
      { topic_name: "x", configs: [{ name: "min.insync.replicas", value: "2" }] },
      40002,
    ],
    ["no name", {}, 400],
    ["no object", [], 400],
  ])("400 for %s", async (_name, body, code) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toEqual({ error_code: code, message: expect.any(String) });
  });

  it("made anew begin at 0, and what was read of the old one is gone", async () => {
    await create({ topic_name: "again" });
    await f.produce("again", [
      { value: base64("old"), partition: 0 },
      { value: base64("old"), partition: 0 },
    ]);
    const waiting = f.fetchRaw("again", 0, 2, { timeout: 60_000 });
    const path = `/v3/clusters/${clusterId}/topics/again`;
    // The poll must be waiting before its topic goes.
    await new Promise(setImmediate);
    expect(await f.call("DELETE", path)).toMatchObject({ status: 204, text: "" });
    expect(await waiting).toMatchObject({ status: 404 });
    expect(await f.fetchRaw("again", 0, 0)).toMatchObject({ status: 404 });
    const gone = await f.call("DELETE", path);
    expect(JSON.parse(gone.text)).toEqual({
      error_code: 40403,
      message: "This server does not host this topic-partition.",
    });
    await create({ topic_name: "again" });
    expect((await f.fetchRaw("again", 0, 1)).status).toBe(400);
    await f.reopen();
    expect(await f.produce("again", [{ value: base64("new"), partition: 0 }])).toEqual([
      { partition: 0, offset: 0 },
    ]);
    expect(await f.readAll("again", 0)).toMatchObject([{ value: base64("new") }]);
  });
});
