// The rest-v2 transport against the real local-kafka, and against answers written from the proxies' documentation
// (docs: Redpanda HTTP proxy; the table of dialects in docs/decisions).
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { createRestV2 } from "../../../lib/kafka/rest-v2.ts";
import type { ProduceRecord } from "../../../lib/kafka/transport.ts";
import { openLocalKafka, type LocalKafka } from "../../../local-kafka/broker.ts";
import { transportSuite } from "../../contract/transport.suite.ts";

describe("rest-v2", () => {
  let kafka: LocalKafka;
  const dataDir = mkdtempSync(join(tmpdir(), "weir-rest-v2-"));
  let topics = 0;

  beforeAll(async () => {
    kafka = await openLocalKafka({ dataDir, fsync: false });
  });
  afterAll(async () => {
    await kafka.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const overLocalKafka = (partitions?: number) =>
    createRestV2({
      url: "http://kafka.test",
      partitions,
      fetch: async (input, init) => await kafka.fetch(new Request(input, init)),
    });

  transportSuite("rest-v2 over local-kafka, Redpanda's dialect", () => ({
    transport: overLocalKafka(),
    readsEmptyAsNull: true,
    async makeTopic(partitions) {
      const name = `topic.${++topics}`;
      await kafka.createTopic({ name, partitions });
      return name;
    },
  }));

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
      url: "http://kafka.test",
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

  it("believes a configured partition count without asking", async () => {
    const transport = overLocalKafka(12);
    expect(await transport.partitionCount("whatever")).toBe(12);
    expect(transport.capabilities.partitionCounts).toBe("configured");
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

  const answering = async (status: number, body: string, headers: Record<string, string> = {}) =>
    await against((_, response) => {
      response.writeHead(status, { "Content-Type": "application/vnd.kafka.v2+json", ...headers }).end(body);
    });

  it("reads one base offset per partition (Redpanda), in whatever order", async () => {
    const transport = await answering(
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
    const transport = await answering(
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
    const transport = await answering(
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
      const transport = await answering(200, body);
      await expect(transport.produce("t", [record(0), record(0)]), body).rejects.toMatchObject({
        code: "bad_answer",
      });
    }
    const unsure = await answering(200, '{"offsets":[{"partition":0,"offset":null}]}');
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
