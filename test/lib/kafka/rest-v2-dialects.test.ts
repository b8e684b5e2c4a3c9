// The rest-v2 transport against what each kind of proxy answers to produces and questions, one case for each difference
// between them, side by side on purpose. Sources of the answers: rest-v2-stand-ins.ts. Reads: rest-v2-instances.test.ts.
import { describe, expect, it } from "vitest";
import type { ProduceRecord } from "../../../lib/kafka/transport.ts";
import {
  base64,
  BINARY,
  bytes,
  type Call,
  confluent,
  instances,
  karapace,
  read,
  record,
  redpanda,
  type Route,
  standIn,
  strimzi,
  text,
  topic,
  V2,
} from "./rest-v2-stand-ins.ts";

describe("rest-v2: produce answers", () => {
  it("Redpanda: one entry per partition, with its base offset", async () => {
    const proxy = redpanda({
      "POST /topics/t": () => [200, '{"offsets":[{"partition":2,"offset":70},{"partition":0,"offset":5}]}'],
    });
    expect(await proxy.open().produce("t", [record(0), record(2), record(0)])).toEqual([
      { ok: true, partition: 0, offset: 5 },
      { ok: true, partition: 2, offset: 70 },
      { ok: true, partition: 0, offset: 6 },
    ]);
  });

  it("Karapace: one entry per record", async () => {
    const proxy = karapace({
      "POST /topics/t": () => [
        200,
        '{"key_schema_id":null,"value_schema_id":null,"offsets":[{"offset":5,"partition":0},{"offset":70,"partition":2},{"offset":6,"partition":0}]}',
      ],
    });
    expect(await proxy.open().produce("t", [record(0), record(2), record(0)])).toEqual([
      { ok: true, partition: 0, offset: 5 },
      { ok: true, partition: 2, offset: 70 },
      { ok: true, partition: 0, offset: 6 },
    ]);
  });

  it("Strimzi: one entry per record, errors among them", async () => {
    const proxy = strimzi({
      "POST /topics/t": () => [
        200,
        '{"offsets":[{"partition":0,"offset":98},{"error_code":404,"message":"Topic t not present in metadata after 60000 ms."},{"error_code":500,"message":"The message is 1048670 bytes when serialized which is larger than 1048576, which is the value of the max.request.size configuration."},{"error_code":500,"message":"Expiring 1 record(s)"},{"partition":0,"offset":91}]}',
      ],
    });
    const sent = [record(0), record(1), record(0), record(2), record(0)];
    expect(await proxy.open().produce("t", sent)).toMatchObject([
      { ok: true, partition: 0, offset: 98 },
      { ok: false, error: { code: "unknown_topic", retryable: false } },
      { ok: false, error: { code: "too_large", retryable: false } },
      { ok: false, error: { code: "unavailable", retryable: true } },
      { ok: true, partition: 0, offset: 91 },
    ]);
  });

  it("Confluent: one entry per record, errors without a partition", async () => {
    const proxy = confluent({
      "POST /topics/t": () => [
        200,
        '{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50003,"error":"Not enough replicas"},{"partition":null,"offset":null,"error_code":40301,"error":"Not authorized"},{"partition":null,"offset":null,"error_code":50002,"error":"no"}],"key_schema_id":null,"value_schema_id":null}',
      ],
    });
    const sent = [record(0), record(1), record(0), record(0)];
    expect(await proxy.open().produce("t", sent)).toMatchObject([
      { ok: true, partition: 0, offset: 1 },
      { ok: false, error: { code: "unavailable", retryable: true } },
      { ok: false, error: { code: "unauthorized", retryable: false } },
      { ok: false, error: { code: "rejected", retryable: false } },
    ]);
  });
});

describe("rest-v2: an unknown topic", () => {
  const unknown = { code: "unknown_topic", retryable: false };

  it("Redpanda: 200 with error 3 and offset -1", async () => {
    const proxy = redpanda({
      "POST /topics/none": () => [200, '{"offsets":[{"partition":0,"error_code":3,"offset":-1}]}'],
      "GET /topics/none/partitions/0/records": () => [
        404,
        { error_code: 40402, message: "unknown_topic_or_partition" },
        "application/json",
      ],
    });
    const transport = proxy.open();
    expect(await transport.produce("none", [record(0)])).toMatchObject([{ ok: false, error: unknown }]);
    await expect(transport.fetch({ ...read(0), topic: "none" })).rejects.toMatchObject(unknown);
  });

  it("Karapace: 404 with 40401", async () => {
    const missing: Route = () => [404, { error_code: 40401, message: "Topic none not found" }];
    const proxy = karapace({
      "POST /topics/none": missing,
      "GET /topics/none/partitions/0/offsets": missing,
    });
    const transport = proxy.open();
    await expect(transport.produce("none", [record(0)])).rejects.toMatchObject(unknown);
    await expect(transport.fetch({ ...read(0), topic: "none" })).rejects.toMatchObject(unknown);
    await expect(transport.describeTopic("none")).rejects.toMatchObject(unknown);
  });

  it("Strimzi: an answer after a minute, which is asked for after our deadline", async () => {
    const proxy = strimzi();
    const fetcher: typeof fetch = async (input, init) => {
      if (init?.method === "POST") throw new DOMException("late", "TimeoutError");
      return await proxy.fetch(input, init);
    };
    await expect(proxy.open({ fetch: fetcher }).produce("none", [record(0)])).rejects.toMatchObject(unknown);
    // A topic that is there: the proxy is slow, that is all.
    await expect(proxy.open({ fetch: fetcher }).produce("t", [record(0)])).rejects.toMatchObject({
      code: "timeout",
      retryable: true,
    });
    // A partition that is not there holds up the others behind it, in the same request.
    expect(await proxy.open({ fetch: fetcher }).produce("t", [record(99), record(0)])).toMatchObject([
      { ok: false, error: unknown },
      { ok: false, error: { code: "timeout", retryable: true } },
    ]);
  });
});

describe("rest-v2: a partition that is not there", () => {
  it("Redpanda: 200, in its entry", async () => {
    const proxy = redpanda({
      "POST /topics/t": () => [
        200,
        '{"offsets":[{"partition":99,"error_code":3,"offset":-1},{"partition":0,"offset":4}]}',
      ],
    });
    expect(await proxy.open().produce("t", [record(0), record(99)])).toMatchObject([
      { ok: true, partition: 0, offset: 4 },
      { ok: false, error: { code: "unknown_topic", retryable: false } },
    ]);
  });

  it("Karapace: 422, error 2 for that record, the others stored", async () => {
    const proxy = karapace({
      "POST /topics/t": () => [
        422,
        '{"key_schema_id":null,"value_schema_id":null,"offsets":[{"offset":4,"partition":0},{"error":"This request is for a topic or partition that does not exist on this broker.","error_code":2},{"error":"timed out waiting to publish message","error_code":1},{"error":"There is no leader for this topic-partition as we are in the middle of a leadership election.","error_code":2}]}',
      ],
    });
    const sent = [record(0), record(99), record(1), record(2)];
    expect(await proxy.open().produce("t", sent)).toMatchObject([
      { ok: true, partition: 0, offset: 4 },
      { ok: false, error: { code: "unknown_topic", retryable: false } },
      { ok: false, error: { code: "timeout", retryable: true } },
      { ok: false, error: { code: "unavailable", retryable: true } },
    ]);
  });

  it("Karapace: 422 without entries is a refusal of all", async () => {
    const proxy = karapace({
      "POST /topics/t": () => [422, { error_code: 422, message: "Invalid request format" }],
    });
    await expect(proxy.open().produce("t", [record(0)])).rejects.toMatchObject({
      code: "rejected",
      retryable: false,
    });
  });
});

describe("rest-v2: acks", () => {
  it("Redpanda writes with all unless its operator changed it", async () => {
    const proxy = redpanda({ "POST /topics/t": () => [200, '{"offsets":[{"partition":0,"offset":0}]}'] });
    const transport = proxy.open({ acksConfirmed: undefined });
    expect((await transport.capabilities()).acks).toBe("default-all");
    expect(await transport.produce("t", [record(0)])).toMatchObject([{ ok: true }]);
  });

  it.each([
    ["Karapace", karapace],
    ["Strimzi", strimzi],
    ["Confluent", confluent],
  ])("%s does not show them: nothing is sent until somebody vouches", async (_, open) => {
    const proxy = open({ "POST /topics/t": () => [200, '{"offsets":[{"partition":0,"offset":0}]}'] });
    const transport = proxy.open({ acksConfirmed: undefined });
    expect((await transport.capabilities()).acks).toBe("unconfirmed");
    await expect(transport.produce("t", [record(0)])).rejects.toMatchObject({
      code: "misconfigured",
      retryable: false,
      message: expect.stringMatching(/acks.*KAFKA_ACKS_CONFIRMED=all/),
    });
    expect(proxy.sent(/POST/)).toEqual([]);
    const vouched = proxy.open();
    expect((await vouched.capabilities()).acks).toBe("confirmed");
    expect(await vouched.produce("t", [record(0)])).toMatchObject([{ ok: true }]);
  });

  it("Karapace with acks=0 gives itself away: nothing is claimed", async () => {
    const proxy = karapace({
      "POST /topics/t": () => [200, '{"offsets":[{"offset":-1,"partition":0}]}'],
    });
    expect(await proxy.open().produce("t", [record(0)])).toMatchObject([
      { ok: false, error: { code: "bad_answer", message: expect.stringContaining("acks=0") } },
    ]);
  });
});

describe("rest-v2: content types", () => {
  const isExact = ({ method, headers, path }: Call): boolean => {
    const isRecords = path.endsWith("/records") || (method === "POST" && /^\/topics\/[^/]+$/.test(path));
    const accept = path.endsWith("/records") ? BINARY : V2;
    const contentType = method === "GET" ? null : isRecords ? BINARY : V2;
    return headers.get("accept") === accept && headers.get("content-type") === contentType;
  };

  it.each([
    ["Redpanda (415, 406)", redpanda],
    ["Karapace (json is read as binary, 406)", karapace],
    ["Strimzi (406)", strimzi],
    ["Confluent (415, 406)", confluent],
  ])("%s: every call names exactly one type", async (_, open) => {
    const { routes } = instances({ start: 0, values: ["a"] });
    const proxy = open({
      "POST /topics/t": () => [200, '{"offsets":[{"partition":0,"offset":0}]}'],
      ...routes,
    });
    const transport = proxy.open();
    await transport.capabilities();
    await transport.topics();
    await transport.produce("t", [record(0)]);
    await transport.fetch(read(0));
    await transport.close();
    const rest = proxy.calls.filter(({ path }) => !path.startsWith("/v3/"));
    expect(rest.filter((call) => !isExact(call)).map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });

  it("a 406 or 415 in plain JSON, and a refusal in text, are refusals", async () => {
    for (const [status, body, contentType] of [
      [406, '{"error_code":406,"message":"HTTP 406 Not Acceptable"}', "application/json"],
      [415, '{"error_code":415,"message":"HTTP 415 Unsupported Media Type"}', "application/json"],
      [400, "Invalid request JSON body", "text/plain"],
    ] as const) {
      const proxy = karapace({ "POST /topics/t": () => [status, body, contentType] });
      await expect(proxy.open().produce("t", [record(0)])).rejects.toMatchObject({
        code: "rejected",
        retryable: false,
      });
    }
    // aiohttp, before Karapace sees the request.
    const tooLarge = "Maximum request body size 1048576 exceeded, actual body size 2000000";
    const proxy = karapace({ "POST /topics/t": () => [413, tooLarge, "text/plain; charset=utf-8"] });
    await expect(proxy.open().produce("t", [record(0)])).rejects.toMatchObject({ code: "too_large" });
  });

  it("control characters in a name do not leave their segment of the path", async () => {
    const proxy = redpanda();
    await proxy
      .open()
      .produce("a/../b\n?x=1", [record(0)])
      .catch(() => undefined);
    expect(proxy.sent(/^POST/)[0]!.path).toBe("/topics/a/../b\n?x=1");
  });
});

describe("rest-v2: messages without a value", () => {
  it("Karapace reports partition 0 and offset -1: they are found by reading", async () => {
    const log = { start: 0, values: ["old", "", "x", "", ""] };
    let isSent = false;
    const { routes } = instances(log, (found) => [
      200,
      // consumer_manager.py: an empty key or value reads as null.
      found.map((one, i) => ({
        ...one,
        value: i === 1 ? base64("x") : null,
        key: i === 2 ? base64("k") : null,
      })),
      BINARY,
    ]);
    const proxy = karapace({
      ...routes,
      "GET /topics/t/partitions/0/offsets": () => [200, { beginning_offset: 0, end_offset: isSent ? 5 : 1 }],
      "POST /topics/t": () => {
        isSent = true;
        return [
          200,
          '{"key_schema_id":null,"value_schema_id":null,"offsets":[{"offset":-1,"partition":0},{"offset":2,"partition":0},{"offset":-1,"partition":0},{"offset":-1,"partition":0}]}',
        ];
      },
    });
    const sent = [record(0, null), record(0), { ...record(0, bytes("")), key: bytes("k") }, record(0, null)];
    expect(await proxy.open().produce("t", sent)).toEqual([
      { ok: true, partition: 0, offset: 1 },
      { ok: true, partition: 0, offset: 2 },
      { ok: true, partition: 0, offset: 3 },
      { ok: true, partition: 0, offset: 4 },
    ]);
    expect(proxy.sent(/POST .topics/)[0]!.json).toEqual({
      records: [
        { partition: 0 },
        { value: base64("x"), partition: 0 },
        { key: base64("k"), value: "", partition: 0 },
        { partition: 0 },
      ],
    });
  });

  it("does not take another writer's for ours", async () => {
    const { routes } = instances({ start: 0, values: ["", "x", ""] }, (found) => [
      200,
      found.map((one, i) => ({ ...one, value: null, key: base64(["theirs", "", "ours"][i]!) })),
      BINARY,
    ]);
    let asked = 0;
    const proxy = karapace({
      ...routes,
      "GET /topics/t/partitions/0/offsets": () => [
        200,
        { beginning_offset: 0, end_offset: asked++ === 0 ? 0 : 3 },
      ],
      "POST /topics/t": () => [200, '{"offsets":[{"offset":-1,"partition":0}]}'],
    });
    expect(await proxy.open().produce("t", [{ ...record(0, null), key: bytes("ours") }])).toEqual([
      { ok: true, partition: 0, offset: 2 },
    ]);
  });

  it("claims no offset that it did not find, and says that trying again is right", async () => {
    const { routes } = instances({ start: 0, values: ["other"] });
    const proxy = karapace({
      ...routes,
      "POST /topics/t": () => [200, '{"offsets":[{"offset":-1,"partition":0}]}'],
    });
    expect(await proxy.open().produce("t", [record(0, null)])).toMatchObject([
      { ok: false, error: { code: "timeout", retryable: true } },
    ]);
  });

  it("Strimzi's binary format would store a null as the bytes of `null`: it is not sent, its neighbours are", async () => {
    const proxy = strimzi({ "POST /topics/t": () => [200, '{"offsets":[{"partition":1,"offset":3}]}'] });
    expect(await proxy.open().produce("t", [record(0, null), record(1)])).toMatchObject([
      { ok: false, error: { code: "unsupported" } },
      { ok: true, partition: 1, offset: 3 },
    ]);
    expect(proxy.sent(/POST/)[0]!.json).toEqual({ records: [{ value: base64("x"), partition: 1 }] });
  });
});

describe("rest-v2: headers and timestamps", () => {
  const stamped: ProduceRecord = {
    ...record(0),
    headers: [{ name: "trace", value: bytes("ü") }],
    timestampMs: 1_591_897_790_000,
  };

  it.each([
    ["Redpanda", redpanda],
    ["Karapace", karapace],
    ["Confluent", confluent],
  ])("%s does not take them: nothing is sent", async (_, open) => {
    const proxy = open();
    const transport = proxy.open();
    expect((await transport.capabilities()).recordHeaders).toBe("none");
    expect(await transport.produce("t", [stamped])).toMatchObject([
      { ok: false, error: { code: "unsupported" } },
    ]);
    expect(proxy.sent(/POST/)).toEqual([]);
  });

  it("Strimzi takes and tells them", async () => {
    const { routes } = instances({ start: 0, values: ["x"] }, (found) => [
      200,
      found.map((one) => ({ ...one, headers: [{ key: "trace", value: base64("ü") }] })),
      BINARY,
    ]);
    const proxy = strimzi({
      ...routes,
      "POST /topics/t": () => [200, '{"offsets":[{"partition":0,"offset":0}]}'],
    });
    const transport = proxy.open();
    expect((await transport.capabilities()).recordHeaders).toBe("read-write");
    expect(await transport.produce("t", [stamped])).toEqual([{ ok: true, partition: 0, offset: 0 }]);
    expect(proxy.sent(/POST .topics/)[0]!.json).toEqual({
      records: [
        {
          value: base64("x"),
          partition: 0,
          headers: [{ key: "trace", value: base64("ü") }],
          timestamp: 1_591_897_790_000,
        },
      ],
    });
    const [back] = await transport.fetch(read(0));
    expect(back).toMatchObject({ offset: 0, timestampMs: 1_700_000_000_000 });
    expect(back!.headers!.map(({ name, value }) => [name, text(value)])).toEqual([["trace", "ü"]]);
  });
});

describe("rest-v2: topics", () => {
  it("Redpanda tells neither counts nor ends", async () => {
    expect(await redpanda().open().capabilities()).toMatchObject({
      partitionCounts: "probed",
      endOffsets: "probed",
      describeTopics: "partitions",
      createTopics: false,
    });
  });

  it.each([
    ["Karapace", karapace],
    ["Strimzi", strimzi],
    ["Confluent", confluent],
  ])("%s tells both, and its count wins over a configured one", async (_, open) => {
    const proxy = open({
      "GET /topics/t/partitions/2/offsets": () => [200, '{"beginning_offset":7,"end_offset":19}'],
    });
    const transport = proxy.open({ partitions: 12 });
    expect(await transport.capabilities()).toMatchObject({
      partitionCounts: "cluster",
      endOffsets: "exact",
      describeTopics: "replicas",
    });
    expect(await transport.partitionCount("t")).toBe(3);
    expect(await transport.earliestOffset("t", 2)).toBe(7);
    expect(await transport.latestOffset("t", 2)).toBe(19);
    expect(await transport.describeTopic("t")).toEqual({
      name: "t",
      partitions: [
        { partition: 0, replicas: 2, inSyncReplicas: 2 },
        { partition: 1, replicas: 2, inSyncReplicas: 1 },
        { partition: 2, replicas: 2, inSyncReplicas: 2 },
      ],
      config: { "cleanup.policy": "delete" },
    });
  });

  it("Confluent makes topics by its v3 API", async () => {
    const proxy = confluent({
      "POST /v3/clusters/cluster-1/topics": ({ json }) =>
        (json as { topic_name: string }).topic_name === "t"
          ? [400, '{"error_code":40002,"message":"Topic \'t\' already exists."}', "application/json"]
          : [201, { kind: "KafkaTopic" }, "application/json"],
    });
    const transport = proxy.open();
    expect((await transport.capabilities()).createTopics).toBe(true);
    const spec = { name: "new", partitions: 12, replicationFactor: 3, config: { "retention.ms": "1000" } };
    await transport.createTopic(spec);
    expect(proxy.sent(/POST .v3/)[0]!.json).toEqual({
      topic_name: "new",
      partitions_count: 12,
      replication_factor: 3,
      configs: [{ name: "retention.ms", value: "1000" }],
    });
    await expect(transport.createTopic({ ...spec, name: "t" })).rejects.toMatchObject({
      code: "topic_exists",
    });
  });

  it("Karapace and Strimzi cannot make topics with settings, and say so", async () => {
    for (const proxy of [karapace(), strimzi()]) {
      const transport = proxy.open();
      expect((await transport.capabilities()).createTopics).toBe(false);
      await expect(transport.createTopic({ name: "n", partitions: 1, config: {} })).rejects.toMatchObject({
        code: "unsupported",
      });
    }
  });
});

describe("rest-v2: detection", () => {
  it("is done once a URL, and costs later transports nothing", async () => {
    const proxy = karapace({
      "GET /topics/t/partitions/0/offsets": () => [200, '{"beginning_offset":0,"end_offset":3}'],
    });
    const url = "http://remembered.test";
    await proxy.open({ url }).latestOffset("t", 0);
    const asked = proxy.calls.length;
    await proxy.open({ url }).latestOffset("t", 0);
    expect(proxy.calls).toHaveLength(asked + 1);
  });

  it("asks once for calls at the same time", async () => {
    const proxy = karapace({
      "GET /topics/t/partitions/*/offsets": () => [200, '{"beginning_offset":0,"end_offset":3}'],
    });
    const transport = proxy.open();
    await Promise.all([0, 1, 2].map((partition) => transport.latestOffset("t", partition)));
    expect(proxy.sent(/^GET .$/)).toHaveLength(1);
  });

  it("does not remember a failure", async () => {
    let isDown = true;
    const proxy = karapace({
      "GET /topics/t": () =>
        isDown ? [500, '{"message":"Kafka node not ready","code":500}', "application/json"] : [200, topic(3)],
    });
    const url = "http://failing.test";
    await expect(proxy.open({ url }).capabilities()).rejects.toMatchObject({ code: "unavailable" });
    isDown = false;
    expect(await proxy.open({ url }).capabilities()).toMatchObject({ partitionCounts: "cluster" });
  });

  it("says of another kind of server that it is no such proxy", async () => {
    const server = standIn({ "GET /topics": () => [200, ["t"]] }, [
      404,
      "<html>nothing here</html>",
      "text/html",
    ]);
    await expect(server.open().capabilities()).rejects.toMatchObject({
      code: "bad_answer",
      message: expect.stringContaining("KAFKA_REST_URL"),
    });
  });

  it("uses a configured count while the proxy is away", async () => {
    const server = standIn({}, [503, { error_code: 50302, message: "broker_not_available" }]);
    expect(await server.open({ partitions: 12 }).partitionCount("t")).toBe(12);
    await expect(server.open().partitionCount("t")).rejects.toMatchObject({ code: "unavailable" });
  });
});
