// Topics and their messages over HTTP, against the real local-kafka; topics of this file's own, since that Kafka is shared.
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { hashSecret } from "../../lib/auth/api-key.ts";
import { drain, getList, postJson, problemOf, send } from "../support/worker/client.ts";
import { rowsOfDays } from "../support/worker/day-tables.ts";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";

interface Message {
  partition: number;
  offset: number;
  timestamp: string | null;
  key: string | null;
  value: string | null;
  encoding?: string;
  key_encoding?: string;
  error?: string;
}

afterEach(healKafka);

const uniqueName = () => `t.${crypto.randomUUID()}`;

async function makeTopic(partitions = 3, name = uniqueName()): Promise<string> {
  const made = await fetch("http://control.test/topics", {
    method: "POST",
    body: JSON.stringify({ name, partitions }),
  });
  expect(made.status).toBe(204);
  return name;
}

const pathOf = (topic: string) => `/api/v1/topics/${topic}/messages`;

async function produce(topic: string, messages: object[]): Promise<Response> {
  const response = await postJson(pathOf(topic), { messages });
  expect(response.status).toBe(200);
  return response;
}

const values = (messages: readonly Message[]) => messages.map(({ value }) => value);
const linkOf = (response: Response) => /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];

/** Every page from a path on, until there is no next one or it is empty. */
async function allPages(path: string): Promise<Message[][]> {
  const pages: Message[][] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const response: Response = await send(next);
    expect(response.status).toBe(200);
    const page: Message[] = await response.json();
    if (page.length === 0) break;
    pages.push(page);
    next = linkOf(response);
  }
  return pages;
}

describe("messages", () => {
  it("come back as they were written, text as text and other bytes as base64", async () => {
    const topic = await makeTopic(1);
    const binary = btoa("\u00ff\u0000\u0080");
    const written = await postJson(pathOf(topic), {
      messages: [
        { key: "ключ", value: "\ufeffwith a mark, 🚀" },
        { value: '{"a":[1,2]}' },
        { key: binary, key_encoding: "base64", value: binary, encoding: "base64" },
        { key: "gone", value: null },
      ],
    });
    expect(written.status).toBe(200);
    expect(await written.json()).toEqual({
      topic,
      written: 4,
      failed: 0,
      results: [0, 1, 2, 3].map((index) => ({ index, status: "ok", partition: 0, offset: index })),
    });
    const back = await getList<Message>(pathOf(topic));
    expect(back.map(({ offset }) => offset)).toEqual([3, 2, 1, 0]);
    expect(back).toMatchObject([
      { key: "gone", value: null },
      { key: binary, key_encoding: "base64", value: binary, encoding: "base64" },
      { key: null, value: '{"a":[1,2]}' },
      { key: "ключ", value: "\ufeffwith a mark, 🚀" },
    ]);
    expect(back[2]).not.toHaveProperty("encoding");
  });

  it("are the newest first, page after page, whatever is written meanwhile", async () => {
    const topic = await makeTopic(3);
    for (const partition of [0, 1, 2])
      await produce(
        topic,
        Array.from({ length: 20 }, (_, i) => ({ partition, value: `${partition}/${i}` })),
      );
    const first = await send(`${pathOf(topic)}?limit=25`);
    const rows: Message[] = await first.json();
    expect(rows).toHaveLength(25);
    await produce(topic, [{ value: "later", partition: 0 }]);
    const rest = await allPages(linkOf(first)!);
    expect(rest.map(({ length }) => length)).toEqual([25, 10]);
    const all = [rows, ...rest].flat();
    expect(all).toHaveLength(60);
    for (const partition of [0, 1, 2]) {
      expect(values(all.filter((one) => one.partition === partition))).toEqual(
        Array.from({ length: 20 }, (_, i) => `${partition}/${19 - i}`),
      );
    }
    expect((await getList<Message>(`${pathOf(topic)}?limit=1&partition=0`))[0]?.value).toBe("later");
  });

  it("can be followed from an end or an offset, the oldest first, with a next page always", async () => {
    const topic = await makeTopic(2);
    await produce(
      topic,
      Array.from({ length: 10 }, (_, i) => ({ value: `${i}`, partition: i % 2 })),
    );
    const pages = await allPages(`${pathOf(topic)}?from=earliest&limit=4`);
    expect(pages.map(({ length }) => length)).toEqual([4, 4, 2]);
    expect(values(pages.flat().filter(({ partition }) => partition === 0))).toEqual([
      "0",
      "2",
      "4",
      "6",
      "8",
    ]);
    expect(values(await getList(`${pathOf(topic)}?from=3&partition=1`))).toEqual(["7", "9"]);

    const latest = await send(`${pathOf(topic)}?from=latest`);
    expect(await latest.json()).toEqual([]);
    await produce(topic, [{ value: "new", partition: 1 }]);
    const followed = await send(linkOf(latest)!);
    expect(values(await followed.json())).toEqual(["new"]);
    expect(await getList(linkOf(followed)!)).toEqual([]);
  });

  it("answer at most 4 MiB at once, and lose none by it", async () => {
    const topic = await makeTopic(1);
    const big = "x".repeat(600_000);
    for (let i = 0; i < 10; i++) await produce(topic, [{ value: `${i}:${big}` }]);
    for (const query of ["", "?from=earliest"]) {
      const first = await send(`${pathOf(topic)}${query}`);
      const text = await first.text();
      expect(text.length).toBeGreaterThan(3_000_000);
      expect(text.length).toBeLessThan(4_300_000);
      const rest = await allPages(linkOf(first)!);
      const all = [JSON.parse(text) as Message[], ...rest].flat();
      const expected = Array.from({ length: 10 }, (_, i) => (query === "" ? `${9 - i}` : `${i}`));
      expect(all.map(({ value }) => value?.split(":")[0])).toEqual(expected);
    }
  });

  it("of the other partitions are shown when one cannot be read", async () => {
    const topic = await makeTopic(3);
    await produce(
      topic,
      [0, 1, 2].map((partition) => ({ partition, value: `in ${partition}` })),
    );
    await failKafka({
      method: "GET",
      path: `/topics/${topic}/partitions/1/`,
      times: 1_000,
      kind: "refuse",
      status: 503,
      body: "{}",
    });
    const response = await send(`${pathOf(topic)}?from=earliest`);
    const rows: Message[] = await response.json();
    expect(values(rows)).toEqual(["in 0", "in 2", undefined]);
    expect(rows[2]).toMatchObject({ partition: 1, error: expect.stringMatching(/^unavailable: /) as string });
    await healKafka();
    expect(values(await getList(linkOf(response)!))).toEqual(["in 1"]);
  });

  it("with a key go where the Java client would put them, the others round", async () => {
    const topic = await makeTopic(3);
    const response = await produce(topic, [
      // test/fixtures/partitioner has the same keys' places
      { key: "a", value: "1" },
      { key: "a", value: "2" },
      ...Array.from({ length: 6 }, () => ({ value: "none" })),
    ]);
    const { results } = (await response.json()) as { results: { partition: number }[] };
    expect(results[0]?.partition).toBe(results[1]?.partition);
    const round = results.slice(2).map(({ partition }) => partition);
    expect([0, 1, 2].map((place) => round.filter((one) => one === place).length)).toEqual([2, 2, 2]);
  });

  it("are refused one by one, and a request of which nothing can be written is a problem", async () => {
    const topic = await makeTopic(2);
    const response = await postJson(pathOf(topic), {
      messages: [
        { value: "good" },
        { value: 7 },
        {},
        { value: "x", surplus: 1 },
        { value: "x", partition: 2 },
        { value: "\ud800" },
        { value: "?", encoding: "base64" },
        { value: "x".repeat(700_001) },
        "text",
      ],
    });
    expect(response.status).toBe(207);
    expect(await response.json()).toMatchObject({
      written: 1,
      failed: 8,
      results: [
        { status: "ok" },
        { status: "rejected", reason: "wrong_type", path: "messages[1].value" },
        { status: "rejected", reason: "missing_field", path: "messages[2].value" },
        { status: "rejected", reason: "unknown_field", path: "messages[3].surplus" },
        { status: "rejected", reason: "unknown_topic" },
        { status: "rejected", reason: "invalid_unicode", path: "messages[5].value" },
        { status: "rejected", reason: "wrong_type", path: "messages[6].value" },
        { status: "rejected", reason: "record_too_large", path: "messages[7].value" },
        { status: "rejected", reason: "not_an_object", path: "messages[8]" },
      ],
    });
    for (const [body, code, status] of [
      [{ value: 7 }, "invalid_records", 400],
      [{ messages: [] }, "wrong_type", 400],
      [{ messages: Array.from({ length: 1_001 }, () => ({ value: "" })) }, "too_many_records", 413],
      [{ messages: [{ value: "x" }], more: 1 }, "unknown_field", 400],
    ] as const) {
      expect(await problemOf(await postJson(pathOf(topic), body))).toMatchObject({ code, status });
    }
  });

  it("more than one produce request holds are written in order", async () => {
    const topic = await makeTopic(1);
    const filling = "y".repeat(300_000);
    await produce(
      topic,
      Array.from({ length: 7 }, (_, i) => ({ value: `${i}${filling}` })),
    );
    const back = await getList<Message>(`${pathOf(topic)}?from=earliest`);
    expect(back.map(({ value }) => value?.[0])).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
    const calls: [string, number][] = await (await fetch("http://control.test/produce-calls")).json();
    // As base64 two of them fit into the megabyte that every proxy takes.
    expect(calls.find(([name]) => name === topic)?.[1]).toBe(4);
  });

  it("written to a topic that is read wake its reader", async () => {
    const message = `by hand ${crypto.randomUUID()}`;
    await produce("logs.raw", [{ key: "s:h", value: JSON.stringify({ message, service: "s" }) }]);
    await drain("logs.raw");
    expect(await rowsOfDays("logs", "tenant", "message = ?", message)).toEqual([{ tenant: "default" }]);
  });

  it("that cannot be had are told why", async () => {
    const topic = await makeTopic(2);
    await produce(topic, [{ value: "x", partition: 0 }]);
    for (const [query, status, code] of [
      ["?partition=2", 404, "unknown_topic"],
      ["?from=0", 400, "invalid_query"],
      ["?from=99&partition=0", 400, "offset_out_of_range"],
      ["?from=yesterday", 400, "invalid_query"],
      ["?limit=1001", 400, "invalid_query"],
      ["?cursor=abc", 400, "invalid_query"],
      ["?cursor=!", 400, "invalid_query"],
      ["?partition=-1", 400, "invalid_query"],
      ["?order=up", 400, "invalid_query"],
    ] as const) {
      expect(await problemOf(await send(`${pathOf(topic)}${query}`)), query).toMatchObject({ status, code });
    }
    expect(await problemOf(await send(pathOf(uniqueName())))).toMatchObject({
      status: 404,
      code: "unknown_topic",
    });
    expect(await problemOf(await postJson(pathOf(uniqueName()), { value: "x" }))).toMatchObject({
      status: 404,
      code: "unknown_topic",
    });
  });

  it("are 503 with Retry-After while Kafka is away, on both ways", async () => {
    const topic = await makeTopic(1);
    await produce(topic, [{ value: "x" }]);
    const away = { times: 1_000, kind: "refuse", status: 503, body: "{}" } as const;
    await failKafka({ method: "GET", path: topic, ...away });
    await failKafka({ method: "POST", path: topic, ...away });
    for (const response of [await send(pathOf(topic)), await postJson(pathOf(topic), { value: "x" })]) {
      expect(response.headers.get("retry-after")).toBe("2");
      expect(await problemOf(response)).toMatchObject({ status: 503, code: "kafka_unavailable" });
    }
  });
});

describe("topics", () => {
  interface Row {
    name: string;
    managed: boolean;
    present: boolean;
    partitions: number | null;
  }

  it("are listed: the deployment's, those that are missing too, and then the others, marked", async () => {
    const other = await makeTopic(1);
    const rows = await getList<Row>("/api/v1/topics?limit=1000");
    expect(rows[0]).toMatchObject({ name: "logs.raw", managed: true, present: true, partitions: 3 });
    expect(rows[1]).toMatchObject({
      name: "logs.processed",
      managed: true,
      present: false,
      partitions: null,
    });
    expect(rows.filter(({ managed }) => managed)).toHaveLength(17);
    expect(rows.find(({ name }) => name === other)).toMatchObject({ managed: false, present: true });

    const paged: Row[] = [];
    for (let next: string | undefined = "/api/v1/topics?limit=15"; next !== undefined;) {
      const response: Response = await send(next);
      const page: Row[] = await response.json();
      paged.push(...page);
      next = linkOf(response);
    }
    expect(paged.filter(({ managed }) => managed)).toHaveLength(17);
    expect(new Set(paged.map(({ name }) => name)).size).toBe(paged.length);
    expect(paged.map(({ name }) => name)).toContain(other);
  });

  it("are described with their offsets and what they should be", async () => {
    const described = await send("/api/v1/admin/topics/events.raw");
    expect(await described.json()).toMatchObject({
      name: "events.raw",
      partitions: [0, 1, 2].map((partition) => ({ partition, start: 0 })),
      wanted: { partitions: 3, replication_factor: null, config: { "retention.ms": "604800000" } },
    });
    const topic = await makeTopic(2);
    await produce(
      topic,
      Array.from({ length: 5 }, () => ({ value: "x", partition: 1 })),
    );
    expect(await (await send(`/api/v1/admin/topics/${topic}`)).json()).toMatchObject({
      state: "unmanaged",
      wanted: null,
      partitions: [
        { partition: 0, start: 0, end: 0, messages: 0 },
        { partition: 1, start: 0, end: 5, messages: 5 },
      ],
    });
    const missing = await problemOf(await send("/api/v1/admin/topics/events.late"));
    expect(missing).toMatchObject({ status: 404, code: "unknown_topic" });
    expect(missing.detail).toContain("weir topics init");
  });

  const kafkaWithout = { TOPIC_TEMPLATE: `${crypto.randomUUID()}.{signal}.{stage}` };

  it("that the transport cannot make are told, with the commands that make them", async () => {
    await failKafka({ method: "GET", path: "/v3", times: 1_000, kind: "refuse", status: 404, body: "{}" });
    // What a proxy can do is asked once by its address, so this one is another.
    const settings = { ...kafkaWithout, KAFKA_REST_URL: "http://kafka.test:80" };
    const response = await send("/api/v1/admin/topics/init", { method: "POST" }, settings);
    const body: { missing: object[]; commands: { tool: string; command: string }[] } = await response
      .clone()
      .json();
    expect(await problemOf(response)).toMatchObject({ status: 501, code: "unsupported" });
    expect(body.missing.length).toBeGreaterThanOrEqual(16);
    expect(body.missing[0]).toMatchObject({ partitions: 3, config: { "compression.type": "lz4" } });
    expect(body.commands[0]?.command).toMatch(/^rpk topic create \S+\.logs\.raw .*--partitions 3/);
  });

  it("are made where the transport can, once, and what exists is left alone", async () => {
    const prefix = crypto.randomUUID();
    const settings = { TOPIC_TEMPLATE: `${prefix}.{signal}.{stage}` };
    await makeTopic(5, `${prefix}.logs.raw`);
    await makeTopic(2, `${prefix}.logs.processed`);
    const init = async () => {
      const response = await send("/api/v1/admin/topics/init", { method: "POST" }, settings);
      expect(response.status).toBe(200);
      const rows: { name: string; result: string; drift?: object[] }[] = await response.json();
      return rows;
    };
    const drifted = [
      {
        name: `${prefix}.logs.raw`,
        result: "drifted",
        drift: [{ setting: "partitions", wanted: "3", found: "5", harmless: true }],
      },
      {
        name: `${prefix}.logs.processed`,
        result: "drifted",
        drift: [{ setting: "partitions", wanted: "3", found: "2", harmless: false }],
      },
    ];
    const first = await init();
    expect(first.slice(0, 2)).toEqual(drifted);
    expect(first.slice(2).map(({ result }) => result)).toEqual(Array.from({ length: 15 }, () => "created"));
    const second = await init();
    expect(second.slice(0, 2)).toEqual(drifted);
    expect(second.slice(2).map(({ result }) => result)).toEqual(Array.from({ length: 15 }, () => "exists"));

    const plans: { name: string; state: string; partitions: number }[] = await (
      await send("/api/v1/admin/topics", {}, settings)
    ).json();
    expect(plans).toHaveLength(17);
    expect(plans.slice(0, 3)).toMatchObject([
      { state: "drifted", partitions: 5 },
      { state: "drifted", partitions: 2 },
      {
        state: "ok",
        partitions: 3,
        drift: [],
        unknown: expect.arrayContaining(["retention.ms"]) as string[],
      },
    ]);
  });
});

describe("an operator's key", () => {
  it("is needed for all of it", async () => {
    const id = crypto.randomUUID().replaceAll("-", "");
    const secret = "s".repeat(32);
    await env.DB.prepare(
      "INSERT INTO api_keys (id, tenant, name, secret_sha256, scopes, created_at) VALUES (?, 'acme', 'test', ?, ?, '2026-01-01')",
    )
      .bind(id, hashSecret(secret), '["ingest","query","admin"]')
      .run();
    const Authorization = `Bearer weir_${id}_${secret}`;
    for (const [method, path] of [
      ["GET", "/api/v1/topics"],
      ["GET", pathOf("logs.raw")],
      ["POST", pathOf("logs.raw")],
      ["GET", "/api/v1/admin/topics"],
      ["GET", "/api/v1/admin/topics/logs.raw"],
      ["POST", "/api/v1/admin/topics/init"],
    ] as const) {
      const response = await send(path, { method, headers: { Authorization } });
      expect(await problemOf(response), path).toMatchObject({ status: 403, code: "forbidden" });
      expect((await send(path, { method, headers: { Authorization: "" } })).status).toBe(401);
    }
  });
});
