// The intake as a client sees it: every refusal names record, path and reason, and the good records beside a bad one
// are stored.
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { drain, getList, post, postJson, send, problemOf } from "../support/worker/client.ts";

const service = () => `s-${crypto.randomUUID()}`;

afterEach(healKafka);

describe("accepting", () => {
  it("answers 202 with what the contract says", async () => {
    const response = await postJson("/api/v1/logs", {
      entries: [{ message: "a" }, { message: "b" }],
      agent_version: "1",
    });
    expect(response.status).toBe(202);
    const body: Record<string, unknown> = await response.json();
    expect(body).toEqual({
      status: "queued",
      message: "Accepted",
      accepted: 2,
      rejected: 0,
      durability: "kafka",
      batch: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
    });
  });

  it("makes the batch of the Idempotency-Key and the body, and refuses one that cannot be", async () => {
    const response = await postJson("/api/v1/logs", { message: "a" }, { "Idempotency-Key": "batch-1" });
    expect(await response.json()).toMatchObject({
      batch: expect.stringMatching(/^batch-1\/[0-9a-f]{32}$/),
    });
    for (const key of ["ü", "x".repeat(256)]) {
      const refused = await postJson("/api/v1/logs", { message: "a" }, { "Idempotency-Key": key });
      expect(await problemOf(refused)).toMatchObject({ status: 400, code: "invalid_header" });
    }
  });

  it("leaves the Idempotency-Key of a request without a good record to the one that is corrected", async () => {
    const key = { "Idempotency-Key": service() };
    expect((await postJson("/api/v1/logs", { message: 1 }, key)).status).toBe(400);
    expect((await postJson("/api/v1/logs", { message: "1" }, key)).status).toBe(202);
    expect((await postJson("/api/v1/logs", { message: "1" }, key)).status).toBe(202);
    const other = await postJson("/api/v1/logs", [{ message: "2" }, { message: 2 }], key);
    expect(await problemOf(other)).toMatchObject({ status: 422, code: "idempotency_conflict" });
  });

  it("lists where each record lies when asked to", async () => {
    const response = await postJson("/api/v1/logs?results=all", [
      { message: "a", service: "x" },
      { message: 1 },
    ]);
    expect(response.status).toBe(207);
    const { results }: { results: unknown[] } = await response.json();
    expect(results).toEqual([
      {
        index: 0,
        status: "ok",
        topic: "logs.raw",
        partition: expect.any(Number),
        offset: expect.any(Number),
      },
      { index: 1, status: "rejected", reason: "wrong_type", path: "message", message: "must be a text" },
    ]);
  });

  it("takes metrics at its alias, gzip and NDJSON", async () => {
    const name = service();
    expect((await postJson("/metrics", { name, value: 1 })).status).toBe(202);
    const zipped = gzipSync(JSON.stringify({ metrics: [{ name, value: 2 }] }));
    expect((await post("/api/v1/metrics", zipped, { "Content-Encoding": "gzip" })).status).toBe(202);
    const lines = `{"name":"${name}","value":3}\n\n{"name":"${name}","value":4}\n`;
    expect((await post("/api/v1/metrics", lines, { "Content-Type": "application/x-ndjson" })).status).toBe(
      202,
    );
    await drain("metrics.raw");
    const stored = await getList<{ value: number }>(`/api/v1/metrics?name=${name}`);
    expect(new Set(stored.map(({ value }) => value))).toEqual(new Set([1, 2, 3, 4]));
    expect(stored).toHaveLength(4);
  });

  it("takes CloudEvents in their three modes", async () => {
    const type = service();
    const source = `/${type}`;
    const event = { specversion: "1.0", type, source, id: "1", data: { a: 1 } };
    const structured = { "Content-Type": "application/cloudevents+json" };
    expect((await post("/api/v1/events", JSON.stringify(event), structured)).status).toBe(202);
    const batch = { "Content-Type": "application/cloudevents-batch+json" };
    expect((await post("/api/v1/events", JSON.stringify([event, { ...event, id: "2" }]), batch)).status).toBe(
      202,
    );
    const binary = {
      "ce-specversion": "1.0",
      "ce-type": type,
      "ce-source": source,
      "ce-id": "3",
      "Content-Type": "application/json",
    };
    expect((await post("/api/v1/events", '{"a":1}', binary)).status).toBe(202);
    await drain("events.raw");
    const stored = await getList<{ data: unknown; id: string }>(`/api/v1/events?event_type=${type}`);
    // Source and id are an event's identity: the first came twice, and counts once.
    expect(stored.map(({ id }) => id).toSorted()).toEqual(
      ["1", "2", "3"].map((id) => JSON.stringify([source, id])),
    );
    expect(stored.every(({ data }) => JSON.stringify(data) === '{"a":1}')).toBe(true);
  });
});

describe("bad records", () => {
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  const bad: [string, string, string, { reason: string; path: string | RegExp }][] = [
    ["a wrong type", "/api/v1/logs", '{"message":5}', { reason: "wrong_type", path: "message" }],
    ["no message", "/api/v1/logs", '{"level":"INFO"}', { reason: "missing_field", path: "message" }],
    ["not an object", "/api/v1/logs", '["text"]', { reason: "not_an_object", path: "" }],
    [
      "a number beyond a float",
      "/api/v1/metrics",
      '{"name":"n","value":1e999}',
      { reason: "not_finite", path: "value" },
    ],
    [
      "NaN as a text",
      "/api/v1/metrics",
      '{"name":"n","value":"NaN"}',
      { reason: "wrong_type", path: "value" },
    ],
    [
      "an infinite label",
      "/api/v1/metrics",
      '{"name":"n","value":1,"labels":{"a":1e999}}',
      { reason: "wrong_type", path: "labels.a" },
    ],
    [
      "depth 10,000",
      "/api/v1/logs",
      `{"message":"m","attributes":${deep(10_000)}}`,
      { reason: "too_deep", path: /^attributes\.a\.a/ },
    ],
    [
      "depth 10,000 in data",
      "/api/v1/events",
      `{"event_type":"t","data":${deep(10_000)}}`,
      { reason: "too_deep", path: /^data\.a\.a/ },
    ],
    [
      "__proto__ in attributes",
      "/api/v1/logs",
      '{"message":"m","attributes":{"x":{"__proto__":{}}}}',
      { reason: "forbidden_key", path: "attributes.x.__proto__" },
    ],
    [
      "__proto__ as a field",
      "/api/v1/logs",
      '{"message":"m","__proto__":{}}',
      { reason: "forbidden_key", path: "__proto__" },
    ],
    [
      "__proto__ as a label",
      "/api/v1/metrics",
      '{"name":"n","value":1,"labels":{"__proto__":"x"}}',
      { reason: "forbidden_key", path: "labels.__proto__" },
    ],
    [
      "a lone surrogate in a text",
      "/api/v1/logs",
      String.raw`{"message":"\ud800"}`,
      { reason: "invalid_unicode", path: "message" },
    ],
    [
      "a lone surrogate in a key",
      "/api/v1/logs",
      String.raw`{"message":"m","attributes":{"\udc00":1}}`,
      { reason: "invalid_unicode", path: /^attributes/ },
    ],
    [
      "a time long ago",
      "/api/v1/logs",
      '{"message":"m","timestamp":"2001-01-01T00:00:00Z"}',
      { reason: "timestamp_out_of_range", path: "timestamp" },
    ],
    [
      "a time that is none",
      "/api/v1/logs",
      '{"message":"m","timestamp":"yesterday"}',
      { reason: "invalid_timestamp", path: "timestamp" },
    ],
    [
      "a message too long",
      "/api/v1/logs",
      `{"message":"${"x".repeat(262_145)}"}`,
      { reason: "too_long", path: "message" },
    ],
    [
      "a record too large for a message",
      "/api/v1/events",
      `{"event_type":"t","data":"${"x".repeat(700_000)}"}`,
      { reason: "record_too_large", path: "" },
    ],
    [
      "31 labels",
      "/api/v1/metrics",
      JSON.stringify({
        name: "n",
        value: 1,
        labels: Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`l${i}`, "v"])),
      }),
      { reason: "too_many_labels", path: "labels" },
    ],
    [
      "an unknown field",
      "/api/v1/metrics",
      '{"name":"n","value":1,"host":"h"}',
      { reason: "unknown_field", path: "host" },
    ],
  ];

  it.each(bad)("%s: 400 that names it", async (_, path, body, expected) => {
    const problem = await problemOf(await post(path, body));
    expect(problem).toMatchObject({ status: 400, code: "invalid_records" });
    expect(problem.errors).toHaveLength(1);
    const [error] = problem.errors;
    expect(error).toMatchObject({ index: 0, reason: expected.reason });
    if (typeof expected.path === "string") expect(error!.path).toBe(expected.path);
    else expect(error!.path).toMatch(expected.path);
    expect(error!.path.length).toBeLessThan(200);
    expect(error!.message).not.toBe("");
  });

  it("do not hurt the good ones beside them", async () => {
    const name = service();
    const good = (i: number) => ({ message: `good ${i}`, service: name });
    const [, , badBody] = bad[6]!;
    const bodies = [
      JSON.stringify(good(0)),
      badBody,
      JSON.stringify(good(2)),
      '{"message":"\\ud800"}',
      JSON.stringify(good(4)),
    ];
    const response = await post("/api/v1/logs", `[${bodies.join()}]`);
    expect(response.status).toBe(207);
    const answer: { accepted: number; rejected: number; results: { index: number; reason: string }[] } =
      await response.json();
    expect(answer).toMatchObject({ accepted: 3, rejected: 2 });
    expect(answer.results.map(({ index, reason }) => [index, reason])).toEqual([
      [1, "too_deep"],
      [3, "invalid_unicode"],
    ]);
    await drain("logs.raw");
    const stored = await getList<{ message: string }>(`/api/v1/logs?service=${name}`);
    expect(stored.map(({ message }) => message).toSorted()).toEqual(["good 0", "good 2", "good 4"]);
  });

  it("leave prototypes alone", async () => {
    await post(
      "/api/v1/logs",
      '{"message":"m","attributes":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}',
    );
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("bad requests", () => {
  const refusals: [string, () => Promise<Response>, { status: number; code: string }, RegExp][] = [
    [
      "not JSON",
      () => post("/api/v1/logs", '{"message": NaN}'),
      { status: 400, code: "malformed_json" },
      /breaks (at line|near)/,
    ],
    ["an empty body", () => post("/api/v1/logs", " "), { status: 400, code: "malformed_json" }, /empty/],
    [
      "NDJSON called JSON",
      () => post("/api/v1/logs", '{"message":"a"}\n{"message":"b"}'),
      { status: 400, code: "malformed_json" },
      /x-ndjson/,
    ],
    [
      "bytes that are not UTF-8",
      () => post("/api/v1/logs", new Uint8Array([0x22, 0xff, 0x22])),
      { status: 400, code: "invalid_utf8" },
      /UTF-8/,
    ],
    [
      "6 MB",
      () => post("/api/v1/logs", "x".repeat(6_000_000)),
      { status: 413, code: "body_too_large" },
      /5242880/,
    ],
    [
      "6 MB of unknown length",
      () => post("/api/v1/logs", stream(6_000_000)),
      { status: 413, code: "body_too_large" },
      /5242880/,
    ],
    [
      "a gzip bomb",
      () => post("/api/v1/logs", gzipSync(new Uint8Array(50_000_000)), { "Content-Encoding": "gzip" }),
      { status: 413, code: "body_too_large" },
      /decompressed/,
    ],
    [
      "10 MiB of {}",
      () => post("/api/v1/logs", gzipSync(`[${"{},".repeat(3_400_000)}{}]`), { "Content-Encoding": "gzip" }),
      { status: 413, code: "too_many_values" },
      /400000/,
    ],
    [
      "10,001 records",
      () => post("/api/v1/logs", `[${'{"message":"m"},'.repeat(10_000)}{"message":"m"}]`),
      { status: 413, code: "too_many_records" },
      /10000/,
    ],
    [
      "what is not gzip",
      () => post("/api/v1/logs", "{}", { "Content-Encoding": "gzip" }),
      { status: 400, code: "malformed_encoding" },
      /Content-Encoding/,
    ],
    [
      "an unknown encoding",
      () => post("/api/v1/logs", "{}", { "Content-Encoding": "br" }),
      { status: 415, code: "unsupported_encoding" },
      /gzip/,
    ],
    [
      "an unknown type",
      () => post("/api/v1/logs", "<a/>", { "Content-Type": "text/xml" }),
      { status: 415, code: "unsupported_media_type" },
      /application\/json/,
    ],
    [
      "a control character in the path",
      () => post("/api/v1/logs%00", "{}"),
      { status: 400, code: "malformed_path" },
      /control/,
    ],
    ["nothing there", () => send("/api/v1/nothing"), { status: 404, code: "not_found" }, /nothing/],
    [
      "a wrong method",
      () => send("/api/v1/logs", { method: "DELETE" }),
      { status: 405, code: "method_not_allowed" },
      /GET, POST|POST, GET/,
    ],
    [
      "entries that are no list",
      () => postJson("/api/v1/logs", { entries: 5 }),
      { status: 400, code: "wrong_type" },
      /array/,
    ],
  ];
  it.each(refusals)("%s", async (_, request, expected, detail) => {
    const problem = await problemOf(await request());
    expect(problem).toMatchObject(expected);
    expect(problem.detail).toMatch(detail);
  });

  it("says which methods and encodings there are", async () => {
    expect((await send("/api/v1/logs", { method: "DELETE" })).headers.get("allow")).toMatch(/POST/);
    const response = await post("/api/v1/logs", "{}", { "Content-Encoding": "br" });
    expect(response.headers.get("accept-encoding")).toBe("gzip, deflate");
  });

  function stream(bytes: number): ReadableStream<Uint8Array> {
    let left = bytes;
    return new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(Math.min(left, 65_536)).fill(32));
        left -= 65_536;
        if (left <= 0) controller.close();
      },
    });
  }
});

describe("when Kafka fails, and there is no spillway", () => {
  const log = { message: "m" };
  const postLogs = async (body: unknown) => {
    const headers = { "Content-Type": "application/json" };
    const init = { method: "POST", body: JSON.stringify(body), headers };
    return await send("/api/v1/logs", init, { SPILL: "off" });
  };

  it("answers 503 with Retry-After, claims nothing, and does not tell clients about the cluster", async () => {
    await failKafka({
      method: "POST",
      path: "/topics/",
      times: 100,
      kind: "refuse",
      status: 503,
      body: '{"error_code":50302,"message":"secret-broker-7"}',
    });
    const response = await postLogs(log);
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 503, code: "kafka_unavailable" });
    expect(JSON.stringify(problem)).not.toMatch(/secret-broker|kafka\.test/);
  });

  it("tries again what may pass", async () => {
    await failKafka({ method: "POST", path: "/topics/", times: 2, kind: "refuse", status: 500, body: "{}" });
    expect((await postLogs(log)).status).toBe(202);
  });

  it("answers 503 too when a proxy says HTML, or refuses our credentials", async () => {
    for (const fault of [
      { status: 200, body: "<html>", contentType: "text/html" },
      { status: 401, body: '{"error_code":40101,"message":"no"}' },
    ]) {
      await failKafka({ method: "POST", path: "/topics/", times: 100, kind: "refuse", ...fault });
      expect((await postLogs(log)).status).toBe(503);
      await healKafka();
    }
  });

  it("says which records to send again when only some are durable", async () => {
    const name = service();
    const records = Array.from({ length: 30 }, (_, i) => ({ message: `${i}`, service: `${name}-${i}` }));
    await failKafka({
      method: "POST",
      path: "/topics/",
      times: 1,
      kind: "refuse",
      status: 200,
      body: '{"offsets":[{"partition":0,"error_code":29,"offset":-1},{"partition":1,"offset":5},{"partition":2,"offset":5}]}',
    });
    const response = await postLogs(records);
    expect(response.status).toBe(207);
    expect(response.headers.get("retry-after")).not.toBeNull();
    const body: {
      accepted: number;
      rejected: number;
      retry: number;
      results: { status: string; reason: string }[];
    } = await response.json();
    expect(body.accepted + body.retry).toBe(30);
    expect(body.retry).toBeGreaterThan(0);
    expect(body.results).toHaveLength(body.retry);
    expect(
      body.results.every(({ status, reason }) => status === "retry" && reason === "kafka_unavailable"),
    ).toBe(true);
  });
});

describe("a wrong setting", () => {
  it("is one topic for two signals, too", async () => {
    const response = await send("/healthz", {}, { KAFKA_TOPIC_LOGS: "metrics.raw" });
    expect(await problemOf(response)).toMatchObject({ status: 503, code: "misconfigured" });
  });

  it("stops every route, and the answer does not tell its value", async () => {
    const response = await send("/healthz", {}, { KAFKA_REST_URL: "ftp://user:hidden@example" });
    const problem = await problemOf(response);
    expect(problem).toMatchObject({ status: 503, code: "misconfigured" });
    expect(JSON.stringify(problem)).not.toMatch(/hidden/);
  });
});
