// The rest-v2 transport against the real local-kafka, and against answers written from the proxies' documentation
// (docs: Redpanda HTTP proxy; the table of dialects in docs/decisions).
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import type { ProduceRecord } from "../../../lib/kafka/transport.ts";
import { openLocalKafka } from "../../../local-kafka/broker.ts";
import { transportSuite } from "../../contract/transport.suite.ts";
import { createFaultyFetch } from "../../support/faulty-fetch.ts";

describe("rest-v2", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-rest-v2-"));
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

  for (const [dialect, name] of [
    ["redpanda", "rest-v2 on Redpanda's dialect"],
    ["karapace", "rest-v2 on Karapace's dialect"],
  ] as const) {
    transportSuite(name, async () => {
      const settings = { dataDir: join(dataDir, dialect), dialect, fsync: false };
      let kafka = await openLocalKafka(settings);
      const { fetch, ...faults } = createFaultyFetch(async (request) => await kafka.fetch(request));
      let topics = 0;
      return {
        // Detection is remembered by URL.
        transport: createRestV2({ url: `http://${dialect}.test`, acksConfirmed: "all", fetch }),
        emptyBytes: "null",
        async makeTopic(partitions) {
          const topic = `topic.${++topics}`;
          await kafka.createTopic({ name: topic, partitions });
          return topic;
        },
        faults: {
          ...faults,
          async restartBroker() {
            await kafka.close();
            kafka = await openLocalKafka(settings);
          },
          trim: async (topic, partition, before) => await kafka.deleteRecords(topic, partition, before),
        },
        close: async () => await kafka.close(),
      };
    });
  }

  it("finds the start of a log whose old messages have expired", async () => {
    let nowMs = 1_000_000;
    const dir = join(dataDir, "expiring");
    const topic = { name: "old", partitions: 1, retentionMs: 60_000 };
    const expiring = await openLocalKafka({
      dataDir: dir,
      topics: [topic],
      fsync: false,
      segmentBytes: 300,
      now: () => nowMs,
    });
    const transport = createRestV2({
      url: "http://expiring.test",
      fetch: async (input, init) => await expiring.fetch(new Request(input, init)),
    });
    const write = async (count: number) => {
      for (let i = 0; i < count; i++) await transport.produce("old", [record(0)]);
    };
    await write(50);
    nowMs += 120_000;
    await write(50);
    const known = 99;
    const start = await transport.earliestOffset("old", 0, known);
    expect(start).toBeGreaterThan(0);
    const read = async (offset: number) =>
      await transport.fetch({ topic: "old", partition: 0, offset, maxBytes: 1, waitMs: 0 });
    await expect(read(start - 1)).rejects.toMatchObject({ code: "offset_out_of_range" });
    expect(await read(start)).toMatchObject([{ offset: start }]);
    // By a consumer of its own, where no message is known.
    expect(await transport.earliestOffset("old", 0)).toBe(start);
    for (const hint of [undefined, 0, start, 5_000])
      expect(await transport.latestOffset("old", 0, hint)).toBe(100);
    await expiring.close();
  });

  it("believes a configured partition count where the proxy tells none", async () => {
    const kafka = await openLocalKafka({ dataDir: join(dataDir, "counted"), fsync: false });
    await kafka.createTopic({ name: "three", partitions: 3 });
    const paths: string[] = [];
    const transport = createRestV2({
      url: "http://counted.test",
      partitions: 12,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        paths.push(new URL(request.url).pathname);
        return await kafka.fetch(request);
      },
    });
    expect((await transport.capabilities()).partitionCounts).toBe("configured");
    const asked = paths.length;
    expect(await transport.partitionCount("three")).toBe(12);
    expect(paths).toHaveLength(asked);
    await kafka.close();
  });
});

const record = (partition: number): ProduceRecord => ({ partition, key: null, value: new Uint8Array([120]) });

describe("rest-v2 and the answers of proxies", () => {
  const servers: (() => void)[] = [];
  afterEach(() => {
    for (const close of servers.splice(0)) close();
  });

  async function against(listener: RequestListener, credentials = {}) {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return createRestV2({ url: `http://127.0.0.1:${port}/`, ...credentials });
  }

  /** What tells Redpanda's proxy (parse errors of src/v/pandaproxy/error.cc; Seastar's words for a missing path). */
  const asRedpanda =
    (listener: RequestListener): RequestListener =>
    (request, response) => {
      if (request.method === "POST" || !request.url?.startsWith("/topics/"))
        return listener(request, response);
      const [status, body]: [number, string] = request.url.includes(`offset=${Number.MAX_SAFE_INTEGER}&`)
        ? [400, '{"error_code":40002,"message":"offset_out_of_range"}']
        : [404, '{"message": "Not found", "code": 404}'];
      response.writeHead(status, { "Content-Type": "application/json" }).end(body);
    };

  const answering = async (status: number, body: string, headers: Record<string, string> = {}) =>
    await against((_, response) => {
      response.writeHead(status, { "Content-Type": "application/vnd.kafka.v2+json", ...headers }).end(body);
    });

  const producing = async (status: number, body: string) =>
    await against(
      asRedpanda((request, response) => {
        const isProduce = request.method === "POST";
        response
          .writeHead(isProduce ? status : 404, { "Content-Type": "application/vnd.kafka.v2+json" })
          .end(isProduce ? body : '{"message": "Not found", "code": 404}');
      }),
    );

  it("reads one base offset per partition (Redpanda), in whatever order", async () => {
    const transport = await producing(
      200,
      '{"offsets":[{"partition":2,"offset":70},{"partition":0,"offset":5}]}',
    );
    expect(await transport.produce("t", [record(0), record(2), record(0), record(0)])).toEqual([
      { ok: true, partition: 0, offset: 5 },
      { ok: true, partition: 2, offset: 70 },
      { ok: true, partition: 0, offset: 6 },
      { ok: true, partition: 0, offset: 7 },
    ]);
  });

  it("reads one offset per record (Karapace, Confluent, Strimzi)", async () => {
    const transport = await producing(
      200,
      '{"offsets":[{"partition":0,"offset":5},{"partition":0,"offset":6},{"partition":2,"offset":70}],"key_schema_id":null}',
    );
    expect(await transport.produce("t", [record(0), record(0), record(2)])).toEqual([
      { ok: true, partition: 0, offset: 5 },
      { ok: true, partition: 0, offset: 6 },
      { ok: true, partition: 2, offset: 70 },
    ]);
  });

  it("takes HTTP 200 with an error code for the failure it is", async () => {
    const transport = await producing(
      200,
      '{"offsets":[{"partition":0,"error_code":3,"offset":-1},{"partition":1,"error_code":6,"offset":-1},{"partition":2,"offset":9}]}',
    );
    expect(await transport.produce("t", [record(0), record(1), record(2)])).toMatchObject([
      { ok: false, error: { code: "unknown_topic", retryable: false } },
      { ok: false, error: { code: "unavailable", retryable: true } },
      { ok: true, offset: 9 },
    ]);
  });

  it("never claims durability that the answer does not show", async () => {
    for (const body of [
      "{}",
      '{"offsets":[]}',
      '{"offsets":[{"partition":0,"offset":1},{"partition":0,"offset":2},{"partition":0,"offset":3}]}',
      "[]",
      '{"offsets":null}',
    ]) {
      const transport = await producing(200, body);
      await expect(transport.produce("t", [record(0), record(0)]), body).rejects.toMatchObject({
        code: "bad_answer",
      });
    }
    const unsure = await producing(200, '{"offsets":[{"partition":0,"offset":null}]}');
    expect(await unsure.produce("t", [record(0)])).toMatchObject([
      { ok: false, error: { code: "bad_answer" } },
    ]);
  });

  const statuses: [number, string, Record<string, string>, object][] = [
    [401, '{"error_code":40101,"message":"Unauthorized"}', {}, { code: "unauthorized", retryable: false }],
    [403, '{"error_code":40301,"message":"no"}', {}, { code: "unauthorized", retryable: false }],
    [
      401,
      "<html>Sign in</html>",
      { "Content-Type": "text/html" },
      { code: "unauthorized", retryable: false },
    ],
    [404, '{"error_code":40402,"message":"unknown_topic_or_partition"}', {}, { code: "unknown_topic" }],
    [408, '{"error_code":40801,"message":"timed out"}', {}, { code: "timeout", retryable: true }],
    [413, '{"error_code":41301,"message":"big"}', {}, { code: "too_large", retryable: false }],
    [
      429,
      '{"error_code":42901,"message":"slow"}',
      { "Retry-After": "3" },
      { code: "throttled", retryAfterMs: 3_000 },
    ],
    [
      429,
      "<html>slow</html>",
      { "Retry-After": "3", "Content-Type": "text/html" },
      { code: "throttled", retryAfterMs: 3_000 },
    ],
    [
      400,
      '{"error_code":40002,"message":"offset_out_of_range"}',
      {},
      { code: "offset_out_of_range", retryable: false },
    ],
    [422, '{"error_code":42201,"message":"schema"}', {}, { code: "rejected", retryable: false }],
    [500, '{"error_code":50003,"message":"kafka"}', {}, { code: "unavailable", retryable: true }],
    [
      503,
      '{"error_code":50302,"message":"broker"}',
      { "Retry-After": "0" },
      { code: "unavailable", retryAfterMs: 0 },
    ],
    [
      200,
      "<html>Welcome to nginx</html>",
      { "Content-Type": "text/html" },
      { code: "bad_answer", retryable: true },
    ],
    [
      502,
      "<html>Bad gateway</html>",
      { "Content-Type": "text/html" },
      { code: "bad_answer", retryable: true },
    ],
    [302, "", { Location: "https://login.example/" }, { code: "rejected", retryable: false }],
  ];
  it.each(statuses)("HTTP %i %s", async (status, body, headers, expected) => {
    const transport = await answering(status, body, headers);
    await expect(transport.produce("t", [record(0)])).rejects.toMatchObject(expected);
    await expect(
      transport.fetch({ topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 0 }),
    ).rejects.toMatchObject(expected);
  });

  it("says what to do when nothing listens, and when the answer breaks off", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const nobody = createRestV2({ url: `http://127.0.0.1:${port}` });
    await expect(nobody.topics()).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("KAFKA_REST_URL"),
    });
    const broken = await against((_, response) => {
      response.writeHead(200, { "Content-Length": "100" }).write("[1,");
      response.destroy();
    });
    await expect(broken.topics()).rejects.toMatchObject({ code: "unreachable", retryable: true });
  });

  it("gives up on a proxy that does not answer", async () => {
    const hanging = await against(() => undefined);
    // The deadline of a read is what it may wait plus a margin; a signal that is already due stands for it here.
    const timeout = AbortSignal.timeout;
    AbortSignal.timeout = () => timeout.call(AbortSignal, 30);
    try {
      await expect(hanging.topics()).rejects.toMatchObject({ code: "timeout", retryable: true });
    } finally {
      AbortSignal.timeout = timeout;
    }
  });

  it("sends its credentials, and never shows them in an error", async () => {
    const seen: (string | undefined)[] = [];
    const listener: RequestListener = (request, response) => {
      seen.push(request.headers.authorization);
      response
        .writeHead(401, { "Content-Type": "application/json" })
        .end('{"error_code":40101,"message":"Unauthorized"}');
    };
    const basic = await against(listener, { username: "weir", password: "s3cret:ü" });
    const bearer = await against(listener, { token: "t0ken" });
    for (const transport of [basic, bearer]) {
      const error: unknown = await transport.topics().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(KafkaError);
      const shown = `${String(error)} ${JSON.stringify(error)} ${(error as Error).stack}`;
      expect(shown).not.toMatch(/s3cret|t0ken|d2Vpcj/);
      expect(shown).toMatch(/KAFKA_REST_PASSWORD/);
    }
    expect(seen).toEqual([`Basic ${Buffer.from("weir:s3cret:ü").toString("base64")}`, "Bearer t0ken"]);
  });

  it("uses at most six connections at once", async () => {
    let open = 0;
    let most = 0;
    const transport = await against((_, response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open--;
        response.writeHead(200, { "Content-Type": "application/json" }).end("[]");
      }, 5);
    });
    await Promise.all(Array.from({ length: 40 }, () => transport.topics()));
    expect(most).toBe(6);
  });
});
