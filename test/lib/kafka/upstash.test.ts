// The upstash transport, through the package @upstash/kafka, over local-kafka's Upstash dialect; and the answers that
// upstash.com/docs/kafka/rest (restintro, restproducer) and the package's own types show.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProduceRecord } from "../../../lib/kafka/transport.ts";
import type { UpstashOptions } from "../../../lib/kafka/upstash-client.ts";
import { createUpstash } from "../../../lib/kafka/upstash.ts";
import { openLocalKafka, type LocalKafka } from "../../../local-kafka/broker.ts";
import { transportSuite } from "../../contract/transport.suite.ts";
import { createFaultyFetch } from "../../support/faulty-fetch.ts";

const credentials = { username: "weir", password: "pässwörd:€" };
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const record = (value: Uint8Array | null, rest: Partial<ProduceRecord> = {}): ProduceRecord => ({
  partition: 0,
  key: null,
  value,
  ...rest,
});

describe("upstash over local-kafka", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-upstash-"));
  let kafka: LocalKafka;
  let topics = 0;
  const open = async () => await openLocalKafka({ dataDir, dialect: "upstash", credentials, fsync: false });
  const makeTopic = async (partitions: number) => {
    const name = `topic.${++topics}`;
    await kafka.createTopic({ name, partitions });
    return name;
  };
  const faulty = createFaultyFetch(async (request) => await kafka.fetch(request));
  const transport = createUpstash({
    url: "http://kafka.test/",
    ...credentials,
    acksConfirmed: "all",
    fetch: faulty.fetch,
  });

  beforeAll(async () => {
    kafka = await open();
  });
  afterAll(async () => {
    await kafka.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  transportSuite("upstash", async () => ({
    transport,
    emptyBytes: "null",
    makeTopic,
    faults: {
      ...faulty,
      async restartBroker() {
        await kafka.close();
        kafka = await open();
      },
      trim: async (topic, partition, before) => await kafka.deleteRecords(topic, partition, before),
    },
    close: async () => undefined,
  }));

  it("keeps text byte for byte, and refuses alone what is none", async () => {
    const topic = await makeTopic(1);
    const notText = Uint8Array.of(0xff, 0xfe);
    const sent = [
      record(bytes("\uFEFFwith a byte order mark")),
      record(null),
      record(notText),
      record(bytes('{"is":"not parsed"}'), { key: bytes("") }),
      record(bytes("x"), { key: notText }),
      record(bytes("x"), { headers: [{ name: "h", value: null }] }),
      record(bytes("x"), { headers: [{ name: "h", value: notText }] }),
      record(new Uint8Array(1_000_001).fill(120)),
      record(bytes("last"), { headers: [{ name: "h", value: bytes("") }] }),
    ];
    const outcomes = await transport.produce(topic, sent);
    const codes = outcomes.map((outcome) => (outcome.ok ? outcome.offset : outcome.error.code));
    const no = "unsupported";
    expect(codes).toEqual([0, no, no, 1, no, no, no, "too_large", 2]);
    const back = await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1 << 20, waitMs: 0 });
    expect(back.map(({ value }) => value && Buffer.from(value).toString())).toEqual([
      "\uFEFFwith a byte order mark",
      '{"is":"not parsed"}',
      "last",
    ]);
    expect(back[2]!.headers).toEqual([{ name: "h", value: Buffer.alloc(0) }]);
  });

  it("refuses to write where nobody vouches for the acks", async () => {
    const topic = await makeTopic(1);
    const unvouched = createUpstash({ url: "http://kafka.test", ...credentials, fetch: faulty.fetch });
    expect(await unvouched.capabilities()).toMatchObject({ acks: "unconfirmed" });
    await expect(unvouched.produce(topic, [record(bytes("x"))])).rejects.toMatchObject({
      code: "misconfigured",
      message: expect.stringContaining("KAFKA_ACKS_CONFIRMED") as string,
    });
    expect(await transport.latestOffset(topic, 0)).toBe(0);
  });

  it("shows no secret in an error", async () => {
    const stranger = createUpstash({
      url: "http://kafka.test",
      username: "weir",
      password: "s3cret",
      fetch: faulty.fetch,
    });
    const error = (await stranger.topics().catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: "unauthorized", retryable: false });
    expect(`${String(error)} ${JSON.stringify(error)} ${error.stack}`).not.toMatch(/s3cret|d2Vpcj/);
  });
});

describe("upstash and the answers of a service", () => {
  function against(
    answer: (request: Request) => Response | Promise<Response>,
    options: Partial<UpstashOptions> = {},
  ) {
    const seen: Request[] = [];
    const transport = createUpstash({
      url: "http://service.test",
      acksConfirmed: "all",
      ...options,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        seen.push(request.clone());
        return await answer(request);
      },
    });
    return { transport, seen };
  }

  const refusal = (status: number, error: string, headers: Record<string, string> = {}) =>
    Response.json({ result: "Error", error, status }, { status, headers });
  const page = (status: number, headers: Record<string, string> = {}) =>
    new Response("<html></html>", { status, headers: { "Content-Type": "text/html", ...headers } });

  const answers: [string, () => Response, object][] = [
    ["401", () => refusal(401, "Unauthorized"), { code: "unauthorized", retryable: false }],
    [
      "404 topic",
      () => refusal(404, "UNKNOWN_TOPIC_OR_PARTITION"),
      { code: "unknown_topic", retryable: false },
    ],
    [
      "400 topic",
      () => refusal(400, "This server does not host this topic-partition."),
      { code: "unknown_topic" },
    ],
    [
      "400 range",
      () => refusal(400, "offset_out_of_range: 7"),
      { code: "offset_out_of_range", retryable: false },
    ],
    ["400 size", () => refusal(400, "message_too_large"), { code: "too_large", retryable: false }],
    ["400", () => refusal(400, "Invalid JSON in the request body"), { code: "rejected", retryable: false }],
    [
      "429",
      () => refusal(429, "Quota exceeded", { "Retry-After": "2" }),
      { code: "throttled", retryAfterMs: 2_000 },
    ],
    ["429 page", () => page(429, { "Retry-After": "2" }), { code: "throttled", retryAfterMs: 2_000 }],
    ["500", () => refusal(500, "Internal Server Error"), { code: "unavailable", retryable: true }],
    ["502 page", () => page(502), { code: "bad_answer", retryable: true }],
    ["200 page", () => page(200), { code: "bad_answer", retryable: true }],
    ["200 of another kind", () => Response.json({ ok: true }), { code: "bad_answer", retryable: true }],
  ];
  it.each(answers)("%s, asked once", async (_, answer, expected) => {
    const { transport, seen } = against(answer);
    const calls = [
      transport.fetch({ topic: "t", partition: 0, offset: 0, maxBytes: 1, waitMs: 0 }),
      transport.latestOffset("t", 0),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ name: "KafkaError", ...expected });
    expect(seen).toHaveLength(2);
  });

  it("asks in the package's words", async () => {
    const { transport, seen } = against(
      () => Response.json([{ topic: "cities", partition: 1, offset: 5, timestamp: 1_637_745_834_756 }]),
      credentials,
    );
    const sent = record(bytes("Istanbul"), {
      partition: 1,
      key: bytes("city"),
      headers: [{ name: "expire", value: bytes("1637745834756") }],
      timestampMs: 1_637_745_834_756,
    });
    expect(await transport.produce("cities", [sent])).toEqual([{ ok: true, partition: 1, offset: 5 }]);
    expect(seen[0]!.url).toBe("http://service.test/produce");
    expect(seen[0]!.headers.get("authorization")).toBe(
      `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`,
    );
    expect(await seen[0]!.json()).toEqual([
      {
        topic: "cities",
        partition: 1,
        key: "city",
        value: "Istanbul",
        headers: [{ key: "expire", value: "1637745834756" }],
        timestamp: 1_637_745_834_756,
      },
    ]);
  });

  it("never claims durability that the answer does not show", async () => {
    const two = [record(bytes("a")), record(bytes("b"))];
    for (const body of [[], [{ partition: 0, offset: 1 }], [{}, {}], { offsets: [] }]) {
      const { transport } = against(() => Response.json(body));
      await expect(transport.produce("t", two), JSON.stringify(body)).rejects.toMatchObject({
        code: "bad_answer",
      });
    }
    const { transport } = against(() =>
      Response.json([
        { partition: 1, offset: 1 },
        { partition: 0, offset: 1 },
      ]),
    );
    expect(await transport.produce("t", two)).toMatchObject([
      { ok: false, error: { code: "bad_answer" } },
      { ok: true, offset: 1 },
    ]);
  });

  it("still says what it refused itself when the call fails", async () => {
    const { transport } = against(() => refusal(503, "Unavailable"));
    expect(await transport.produce("t", [record(null), record(bytes("x"))])).toMatchObject([
      { ok: false, error: { code: "unsupported", retryable: false } },
      { ok: false, error: { code: "unavailable", retryable: true } },
    ]);
  });
});
