// The rest-v3 transport and the answers of real proxies. Bodies are those of confluentinc/kafka-rest: the examples of
// api/v3/openapi.yaml, and what Errors, StreamingResponse and KafkaExceptionMapper (rest-utils) write. Long, since
// every answer is a case: what one change of the transport must still read stands in one place.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { KafkaError } from "../../../lib/kafka/errors.ts";
import { createRestV3, type RestV3Options } from "../../../lib/kafka/rest-v3.ts";
import { PRODUCE_RETRY, produceWithRetry } from "../../../lib/kafka/retry.ts";
import type { KafkaTransport, ProduceRecord } from "../../../lib/kafka/transport.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const record = (partition: number): ProduceRecord => ({ partition, key: null, value: bytes("x") });
const report = (partition: number, offset: number) => ({
  error_code: 200,
  cluster_id: "cluster-1",
  topic_name: "topic-1",
  partition_id: partition,
  offset,
  timestamp: "2021-02-05T19:14:42Z",
  key: { type: "BINARY", size: 7 },
  value: { type: "JSON", size: 15 },
});

/** A transport whose every produce is answered with these chunks. */
function answeredBy(chunks: readonly Uint8Array[], brokenBy?: unknown): KafkaTransport {
  const left = [...chunks];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next) controller.enqueue(next);
      else if (brokenBy === undefined) controller.close();
      else controller.error(brokenBy);
    },
  });
  return createRestV3({
    url: "http://kafka.test",
    clusterId: "cluster-1",
    fetch: async () => new Response(body),
  });
}

const answeredWith = (text: string) => answeredBy([bytes(text)]);

describe("the reports of one produce call", () => {
  const three = [report(0, 5), { error_code: 40403, message: '日本 "}{" \\' }, report(1, 0)];
  const expected = [
    { ok: true, partition: 0, offset: 5 },
    { ok: false, error: { code: "unknown_topic", message: expect.stringContaining('日本 "}{"') as string } },
    { ok: true, partition: 1, offset: 0 },
  ];
  const produced = [record(0), record(0), record(1)];

  it("are told apart in every way of concatenating them", async () => {
    const texts = [
      three.map((one) => JSON.stringify(one)).join(""),
      three.map((one) => `${JSON.stringify(one)}\r\n`).join(""),
      three.map((one) => JSON.stringify(one, null, 2)).join("\n\n"),
      ` \t${three.map((one) => JSON.stringify(one)).join(" ")}`,
    ];
    for (const text of texts) {
      expect(await answeredWith(text).produce("topic-1", produced), text).toMatchObject(expected);
    }
  });

  it("may be cut anywhere, also inside of a character or an escape", async () => {
    const whole = bytes(three.map((one) => JSON.stringify(one)).join("\r\n"));
    for (let at = 1; at < whole.length; at++) {
      const transport = answeredBy([whole.subarray(0, at), whole.subarray(at)]);
      expect(await transport.produce("topic-1", produced), `cut at ${at}`).toMatchObject(expected);
    }
    const single = answeredBy(Array.from(whole, (_, i) => whole.subarray(i, i + 1)));
    expect(await single.produce("topic-1", produced)).toMatchObject(expected);
  });

  it("leave what they do not tell unknown, when they end early", async () => {
    const unknown = { ok: false, error: { code: "bad_answer", retryable: true } };
    const first = JSON.stringify(report(0, 5));
    const ends: [string, Uint8Array[], unknown?][] = [
      ["the proxy ended it", [bytes(first)]],
      ["inside of a report", [bytes(`${first}{"error_code":200,"partition_id":0,"off`)]],
      ["a connection that broke", [bytes(first)], new TypeError("terminated")],
      ["a page of a gateway", [bytes(`${first}<html>{ color: red }</html>`)]],
      ["a report that is no object", [bytes(`${first}null`)]],
    ];
    for (const [end, chunks, brokenBy] of ends) {
      const outcomes = await answeredBy(chunks, brokenBy).produce("topic-1", [
        record(0),
        record(0),
        record(0),
      ]);
      expect(outcomes, end).toMatchObject([{ ok: true, offset: 5 }, unknown, unknown]);
    }
  });

  it("count as far as they came by the deadline", async () => {
    const late = answeredBy([bytes(JSON.stringify(report(0, 5)))], new DOMException("late", "TimeoutError"));
    expect(await late.produce("topic-1", [record(0), record(1)])).toMatchObject([
      { ok: true, offset: 5 },
      { ok: false, error: { code: "timeout", retryable: true } },
    ]);
    const silent = answeredBy([], new DOMException("late", "TimeoutError"));
    expect(await silent.produce("t", [record(0)])).toMatchObject([{ ok: false, error: { code: "timeout" } }]);
    await expect(answeredBy([], new TypeError("terminated")).produce("t", [record(0)])).rejects.toMatchObject(
      {
        code: "unreachable",
        retryable: true,
      },
    );
  });

  it("are missing for good where a partition or topic is not there, and the neighbours may be sent again", async () => {
    const waiting = (topic: Response) =>
      proxy((request) => {
        if (request.method === "GET") return topic.clone();
        const late = (controller: ReadableStreamDefaultController) =>
          controller.error(new DOMException("late", "TimeoutError"));
        return new Response(new ReadableStream({ pull: late }));
      }).transport.produce("t", [record(9), record(1)]);
    const missing = { ok: false, error: { code: "unknown_topic", retryable: false } };
    const late = { ok: false, error: { code: "timeout", retryable: true } };
    expect(await waiting(Response.json({ topic_name: "t", partitions_count: 3 }))).toMatchObject([
      missing,
      late,
    ]);
    const noTopic = { error_code: 40403, message: "This server does not host this topic-partition." };
    expect(await waiting(Response.json(noTopic, { status: 404 }))).toMatchObject([missing, missing]);
    const noAnswer = { error_code: 50003, message: "starting" };
    expect(await waiting(Response.json(noAnswer, { status: 500 }))).toMatchObject([late, late]);
  });

  it("may end in an error that stands for the record it stopped at", async () => {
    // StreamingResponse.next: a record over the limit stops the stream; those after it were not read.
    const tooLarge =
      "Bad Request: Error processing message: Produce request size is larger than allowed threshold";
    const transport = answeredWith(
      `${JSON.stringify(report(0, 5))}${JSON.stringify({ error_code: 400, message: tooLarge })}`,
    );
    expect(await transport.produce("topic-1", [record(0), record(0), record(0)])).toMatchObject([
      { ok: true, offset: 5 },
      { ok: false, error: { code: "too_large", retryable: false } },
      { ok: false, error: { code: "bad_answer", retryable: true } },
    ]);
  });

  it("never claim durability that they do not show", async () => {
    const doubtful = [
      { error_code: 200, partition_id: 0 },
      { error_code: 200, partition_id: 0, offset: null },
      { error_code: 200, partition_id: 0, offset: -1 },
      { error_code: 200, offset: 3 },
      { error_code: 200, partition_id: 1, offset: 3 },
      { partition_id: 0, offset: 3 },
      {},
    ];
    for (const one of doubtful) {
      const [outcome] = await answeredWith(JSON.stringify(one)).produce("t", [record(0)]);
      expect(outcome, JSON.stringify(one)).toMatchObject({ ok: false, error: { code: "bad_answer" } });
    }
    const tooMany = answeredWith(JSON.stringify(report(0, 1)) + JSON.stringify(report(0, 2)));
    await expect(tooMany.produce("t", [record(0)])).rejects.toMatchObject({ code: "bad_answer" });
    const page = answeredWith("<html>Welcome to nginx</html>");
    expect(await page.produce("t", [record(0)])).toMatchObject([
      { ok: false, error: { code: "bad_answer" } },
    ]);
  });

  it("are asked for again only where they failed in a way that may pass", async () => {
    const answers = [
      [
        report(0, 5),
        { error_code: 429, message: "Request rate limit exceeded" },
        { error_code: 400, message: "no" },
      ],
      [report(0, 6)],
    ];
    const sent: string[] = [];
    const transport = createRestV3({
      url: "http://kafka.test",
      clusterId: "cluster-1",
      fetch: async (_, init) => {
        sent.push(init!.body as string);
        return new Response(
          answers
            .shift()!
            .map((one) => JSON.stringify(one))
            .join(""),
        );
      },
    });
    const outcomes = await produceWithRetry(
      transport,
      "t",
      [record(0), record(0), record(0)],
      PRODUCE_RETRY,
      {
        now: () => 0,
        random: () => 0,
        sleep: async () => undefined,
      },
    );
    expect(outcomes).toMatchObject([
      { offset: 5 },
      { offset: 6 },
      { ok: false, error: { code: "rejected" } },
    ]);
    expect(sent.map((body) => body.split("\n").length)).toEqual([3, 1]);
  });
});

describe("an error code of a record", () => {
  const codes: [number, string, object][] = [
    [400, "Bad Request: data=1 is not a base64 string.", { code: "rejected", retryable: false }],
    [40002, "Invalid topic.", { code: "rejected", retryable: false }],
    [40101, "Authentication failed", { code: "unauthorized", retryable: false }],
    [40301, "Request is not authorized", { code: "unauthorized", retryable: false }],
    [40401, "Topic t not present in metadata after 60000 ms.", { code: "unknown_topic", retryable: false }],
    [40402, "Partition not found.", { code: "unknown_topic", retryable: false }],
    [40403, "This server does not host this topic-partition.", { code: "unknown_topic", retryable: false }],
    [40404, "Leader not available.", { code: "unavailable", retryable: true }],
    [
      408,
      "Streaming connection open for longer than allowed: Connection will be closed.",
      { code: "timeout", retryable: true },
    ],
    [413, "The message is 2000000 bytes when serialized.", { code: "too_large", retryable: false }],
    [40002, "message_too_large: a batch of 3000000 bytes", { code: "too_large", retryable: false }],
    [42206, "Payload error. no schema", { code: "rejected", retryable: false }],
    [42207, "Error serializing message. ", { code: "rejected", retryable: false }],
    [
      429,
      "Request rate limit exceeded: The rate limit of requests per second has been exceeded.",
      { code: "throttled", retryable: true },
    ],
    [42901, "The throttling quota has been exceeded.", { code: "throttled", retryable: true }],
    [429005, "Request rate limit exceeded", { code: "throttled", retryable: true }],
    [500, "Internal Server Error", { code: "unavailable", retryable: true }],
    [50002, "Unexpected error", { code: "unavailable", retryable: true }],
    [
      50002,
      "The timestamp of the message is out of acceptable range.",
      { code: "rejected", retryable: false },
    ],
    [
      50003,
      "Expiring 1 record(s) for t-0:120000 ms has passed since batch creation",
      { code: "unavailable", retryable: true },
    ],
    [50302, "Broker not available", { code: "unavailable", retryable: true }],
  ];
  it.each(codes)("%i %s", async (code, message, expected) => {
    const transport = answeredWith(
      JSON.stringify({ error_code: code, message }) + JSON.stringify(report(0, 1)),
    );
    expect(await transport.produce("t", [record(0), record(0)])).toMatchObject([
      { ok: false, error: expected },
      { ok: true, offset: 1 },
    ]);
  });
});

/** A proxy that knows one cluster; what is asked of it beyond that is the listener's. */
let hosts = 0;
function proxy(
  answer: (request: Request) => Response | Promise<Response>,
  options: Partial<RestV3Options> = {},
) {
  const seen: Request[] = [];
  const transport = createRestV3({
    url: `http://proxy-${++hosts}.test`,
    clusterId: "cluster-1",
    ...options,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      seen.push(request);
      return await answer(request);
    },
  });
  return { transport, seen };
}

describe("an answer to a whole request", () => {
  // openapi.yaml, TooManyRequestsErrorResponse.
  const dosFilterPage =
    '<html><head><meta http-equiv="Content-Type" content="text/html;charset=utf-8"/><title>Error 429 Too Many Requests</title></head><body><h2>HTTP ERROR 429 Too Many Requests</h2></body></html>';
  const html = { "Content-Type": "text/html" };

  it("says how long to wait, in each form", async () => {
    const inTenSeconds = new Date(Date.now() + 10_000).toUTCString();
    const headers: [Record<string, string>, number | undefined, number?][] = [
      [{ "Retry-After": "3" }, 3_000],
      [{ "Retry-After": inTenSeconds }, 10_000, 1_500],
      [{ "Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
      [{ "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7" }, 7_000],
      [{ "Retry-After": "1", "X-RateLimit-Reset": "7" }, 1_000],
      [{ "Retry-After": "soon" }, undefined],
      [{}, undefined],
    ];
    for (const [sent, waitMs, leewayMs = 0] of headers) {
      for (const body of [dosFilterPage, '{"error_code":429,"message":"Too Many Requests"}', ""]) {
        const { transport } = proxy(() => new Response(body, { status: 429, headers: { ...html, ...sent } }));
        const error = (await transport
          .produce("t", [record(0)])
          .catch((thrown: unknown) => thrown)) as KafkaError;
        expect(error).toMatchObject({ name: "KafkaError", code: "throttled", retryable: true });
        if (waitMs === undefined) expect(error.retryAfterMs).toBeUndefined();
        else
          expect(Math.abs(error.retryAfterMs! - waitMs), JSON.stringify(sent)).toBeLessThanOrEqual(leewayMs);
      }
    }
  });

  const statuses: [number, string, object][] = [
    [
      401,
      '{"error_code":40101,"message":"Authentication failed"}',
      { code: "unauthorized", retryable: false },
    ],
    [401, "<html>Sign in</html>", { code: "unauthorized", retryable: false }],
    [
      403,
      '{"error_code":40301,"message":"Request is not authorized"}',
      { code: "unauthorized", retryable: false },
    ],
    [
      404,
      '{"error_code":40403,"message":"This server does not host this topic-partition."}',
      { code: "unknown_topic", retryable: false },
    ],
    [
      404,
      '{"error_code":404,"message":"Cluster cluster-1 cannot be found."}',
      { code: "misconfigured", message: expect.stringContaining("KAFKA_CLUSTER_ID") as string },
    ],
    [
      404,
      "<html>nginx</html>",
      { code: "bad_answer", message: expect.stringContaining("KAFKA_REST_URL") as string },
    ],
    [
      413,
      '{"error_code":413,"message":"The request included a message larger than the maximum message size the server can accept."}',
      { code: "too_large", retryable: false },
    ],
    [
      415,
      '{"error_code":415,"message":"HTTP 415 Unsupported Media Type"}',
      { code: "rejected", retryable: false },
    ],
    [
      422,
      '{"error_code":422,"message":"Payload error. Request body is empty. Data is required."}',
      { code: "rejected", retryable: false },
    ],
    [500, '{"error_code":50003,"message":"retriable"}', { code: "unavailable", retryable: true }],
    [502, "<html>Bad gateway</html>", { code: "bad_answer", retryable: true }],
    [302, "", { code: "bad_answer" }],
  ];
  it.each(statuses)("HTTP %i %s", async (status, body, expected) => {
    const { transport } = proxy(() => new Response(body, { status }));
    await expect(transport.produce("t", [record(0)])).rejects.toMatchObject(expected);
    await expect(transport.partitionCount("t")).rejects.toMatchObject(expected);
  });

  it("says that a topic exists, and what is wrong with one", async () => {
    // openapi.yaml, BadRequestErrorResponse_CreateTopic.
    const spec = { name: "my-topic", partitions: 3, replicationFactor: 2, config: { "retention.ms": "1" } };
    const refusing = (message: string) =>
      proxy(() => Response.json({ error_code: 40002, message }, { status: 400 })).transport.createTopic(spec);
    await expect(refusing("Topic 'my-topic' already exists.")).rejects.toMatchObject({
      code: "topic_exists",
    });
    await expect(refusing("Replication factor: 2 larger than available brokers: 1.")).rejects.toMatchObject({
      code: "rejected",
      message: expect.stringContaining("available brokers") as string,
    });
    const { transport, seen } = proxy(() => Response.json({}, { status: 201 }));
    await transport.createTopic(spec);
    expect(await seen[0]!.json()).toEqual({
      topic_name: "my-topic",
      partitions_count: 3,
      replication_factor: 2,
      configs: [{ name: "retention.ms", value: "1" }],
    });
  });
});

describe("a request", () => {
  it("holds the records as the specification words them", async () => {
    const { transport, seen } = proxy(() => new Response(""));
    await transport.produce("topic 1", [
      {
        partition: 1,
        key: bytes("foobar"),
        value: bytes("{}"),
        headers: [{ name: "Header-1", value: bytes("Header-1") }],
        timestampMs: Date.UTC(2021, 1, 5, 19, 14, 42),
      },
      { partition: 2, key: null, value: null },
    ]);
    expect(new URL(seen[0]!.url).pathname).toBe("/v3/clusters/cluster-1/topics/topic%201/records");
    expect(seen[0]!.headers.get("content-type")).toBe("application/json");
    const lines = (await seen[0]!.text()).split("\n").map((line): unknown => JSON.parse(line));
    expect(lines).toEqual([
      {
        partition_id: 1,
        headers: [{ name: "Header-1", value: "SGVhZGVyLTE=" }],
        key: { type: "BINARY", data: "Zm9vYmFy" },
        value: { type: "BINARY", data: "e30=" },
        timestamp: "2021-02-05T19:14:42.000Z",
      },
      { partition_id: 2 },
    ]);
  });

  it("goes to where the API is", async () => {
    const pathOf = async (url: string) => {
      const { transport, seen } = proxy(() => Response.json({ data: [] }), { url });
      await transport.topics();
      return seen[0]!.url;
    };
    const rest = "/v3/clusters/cluster-1/topics";
    expect(await pathOf("https://pkc-1.eu.gcp.confluent.cloud:443")).toBe(
      `https://pkc-1.eu.gcp.confluent.cloud/kafka${rest}`,
    );
    expect(await pathOf("https://pkc-1.eu.gcp.confluent.cloud/kafka/v3/")).toBe(
      `https://pkc-1.eu.gcp.confluent.cloud/kafka${rest}`,
    );
    expect(await pathOf("http://proxy:8082/")).toBe(`http://proxy:8082${rest}`);
    expect(await pathOf("http://server:8090/kafka")).toBe(`http://server:8090/kafka${rest}`);
  });

  it("carries credentials, and no error shows them", async () => {
    for (const [credentials, sent] of [
      [{ username: "key", password: "s3cret:ü" }, `Basic ${Buffer.from("key:s3cret:ü").toString("base64")}`],
      [{ token: "t0ken" }, "Bearer t0ken"],
    ] as const) {
      const { transport, seen } = proxy(
        () => Response.json({ error_code: 40101, message: "no" }, { status: 401 }),
        credentials,
      );
      const error = (await transport.topics().catch((thrown: unknown) => thrown)) as KafkaError;
      expect(seen[0]!.headers.get("authorization")).toBe(sent);
      expect(`${String(error)} ${JSON.stringify(error)} ${error.stack}`).not.toMatch(/s3cret|t0ken|a2V5/);
      expect(error.message).toMatch(/KAFKA_REST_PASSWORD/);
    }
  });

  it("waits where six are under way", async () => {
    let open = 0;
    let most = 0;
    const { transport } = proxy(async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      return new Response(JSON.stringify(report(0, 1)));
    });
    await Promise.all(Array.from({ length: 30 }, () => transport.produce("t", [record(0)])));
    expect(most).toBe(6);
  });

  it("says which acks there are", async () => {
    expect(await proxy(() => new Response()).transport.capabilities()).toMatchObject({ acks: "default-all" });
    const vouched = proxy(() => new Response(), { acksConfirmed: "all" });
    expect(await vouched.transport.capabilities()).toMatchObject({ acks: "confirmed" });
  });
});

describe("the cluster's id", () => {
  const listing = (...ids: string[]) =>
    Response.json({ kind: "KafkaClusterList", data: ids.map((id) => ({ cluster_id: id })) });
  const isList = (request: Request) => new URL(request.url).pathname === "/v3/clusters";
  const asked = (seen: Request[]) => seen.filter(isList).length;

  it("is asked for once an address", async () => {
    const url = "http://one-cluster.test";
    const answer = (request: Request) =>
      isList(request) ? listing("lkc-1") : Response.json({ data: [{ topic_name: "t" }] });
    const first = proxy(answer, { url, clusterId: undefined });
    await Promise.all([first.transport.topics(), first.transport.topics()]);
    const second = proxy(answer, { url: `${url}/`, clusterId: undefined });
    expect(await second.transport.topics()).toEqual(["t"]);
    expect([asked(first.seen), asked(second.seen)]).toEqual([1, 0]);
    expect(second.seen[0]!.url).toBe(`${url}/v3/clusters/lkc-1/topics`);
  });

  it("must be configured where the proxy does not tell one", async () => {
    const answers: [string, () => Response][] = [
      ["none", () => listing()],
      ["two", () => listing("lkc-1", "lkc-2")],
      ["404", () => Response.json({ error_code: 404, message: "HTTP 404 Not Found" }, { status: 404 })],
      ["403", () => Response.json({ error_code: 40301, message: "no" }, { status: 403 })],
    ];
    for (const [name, answer] of answers) {
      const { transport } = proxy(answer, { clusterId: undefined });
      await expect(transport.topics(), name).rejects.toMatchObject({
        code: "misconfigured",
        retryable: false,
        message: expect.stringContaining("KAFKA_CLUSTER_ID") as string,
      });
    }
    const stranger = proxy(
      () => Response.json({ error_code: 401, message: "Unauthorized" }, { status: 401 }),
      { clusterId: undefined },
    );
    await expect(stranger.transport.topics()).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("is asked for again after a failure, and when the proxy does not know it any more", async () => {
    const answers = [
      () =>
        Response.json(
          { error_code: 503, message: "starting" },
          { status: 503, headers: { "Retry-After": "1" } },
        ),
      () => listing("old"),
      () => Response.json({ error_code: 404, message: "Cluster old cannot be found." }, { status: 404 }),
      () => listing("new"),
      () => Response.json({ data: [{ topic_name: "t" }] }),
    ];
    const { transport, seen } = proxy(() => answers.shift()!(), { clusterId: undefined });
    await expect(transport.topics()).rejects.toMatchObject({ code: "unavailable", retryAfterMs: 1_000 });
    await expect(transport.topics()).rejects.toMatchObject({ code: "misconfigured" });
    expect(await transport.topics()).toEqual(["t"]);
    expect(new URL(seen.at(-1)!.url).pathname).toBe("/v3/clusters/new/topics");
  });
});

describe("over a socket", () => {
  const servers: (() => void)[] = [];
  afterEach(() => {
    for (const close of servers.splice(0)) close();
  });
  async function against(listener: RequestListener): Promise<KafkaTransport> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return createRestV3({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      clusterId: "c",
    });
  }

  it("keeps the reports that came before the connection broke", async () => {
    const transport = await against((_, response) => {
      response.writeHead(200, { "Content-Type": "application/json" });
      response.write(JSON.stringify(report(0, 5)), () => response.destroy());
    });
    expect(await transport.produce("t", [record(0), record(0)])).toMatchObject([
      { ok: true, offset: 5 },
      { ok: false, error: { code: "bad_answer", retryable: true } },
    ]);
  });
});
