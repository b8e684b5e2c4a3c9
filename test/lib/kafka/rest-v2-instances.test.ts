// Reads of the rest-v2 transport by proxies that have consumer instances only, and what each does there that could lose
// messages or report an end that is none. Sources of the answers: rest-v2-stand-ins.ts.
import { describe, expect, it } from "vitest";
import type { KafkaTransport } from "../../../lib/kafka/transport.ts";
import {
  type Answer,
  base64,
  BINARY,
  confluent,
  instances,
  karapace,
  read,
  record,
  redpanda,
  type Route,
  strimzi,
  text,
} from "./rest-v2-stand-ins.ts";

const tenValues = Array.from({ length: 10 }, (_, i) => `${i}`);

/** Reads until the proxy says that there is no more. */
async function drain(transport: KafkaTransport, from = 0): Promise<string[]> {
  const values: string[] = [];
  for (let offset = from; ;) {
    const batch = await transport.fetch(read(offset));
    if (batch.length === 0) return values;
    values.push(...batch.map(({ value }) => text(value)!));
    offset = batch.at(-1)!.offset + 1;
  }
}

/** Lets a route of the stand-in answer, or answers instead of it. */
const around =
  (route: Route | undefined, answer: (call: Parameters<Route>[0], next: () => Answer) => Answer): Route =>
  (call) =>
    answer(call, () => route!(call));

const RECORDS = "GET /consumers/*/instances/*/records";
const POSITIONS = "POST /consumers/*/instances/*/positions";
const CREATE = "POST /consumers/*";

describe("rest-v2: reading", () => {
  it("Redpanda reads by offset, and leaves out what a whole batch brings along", async () => {
    const proxy = redpanda({
      "GET /topics/t/partitions/0/records": ({ query }) =>
        query.get("max_bytes") === "1"
          ? [400, { error_code: 40002, message: "kafka_bad_request: offset_out_of_range" }]
          : [
              200,
              [3, 4].map((offset) => ({ topic: "t", key: null, value: base64("x"), partition: 0, offset })),
              BINARY,
            ],
    });
    expect(await proxy.open().fetch(read(4))).toMatchObject([{ offset: 4 }]);
    const call = proxy.sent(/records/).at(-1)!;
    expect(Object.fromEntries(call.query)).toEqual({ offset: "4", timeout: "0", max_bytes: "1048576" });
    expect(proxy.sent(/consumers/)).toEqual([]);
  });

  it.each([
    ["Karapace", karapace],
    ["Strimzi", strimzi],
    ["Confluent", confluent],
  ])("%s: one instance, assigned by hand, moved once, deleted at the end", async (name, open) => {
    const log = { start: 0, values: tenValues.slice(0, 4) };
    const { routes, made } = instances(log);
    const proxy = open(routes);
    const transport = proxy.open();
    expect(await drain(transport, 1)).toEqual(["1", "2", "3"]);
    log.values = tenValues;
    expect(await drain(transport, 4)).toEqual(["4", "5", "6", "7", "8", "9"]);
    expect(made.size).toBe(1);
    const group = "/consumers/weir.read.t.0";
    expect(proxy.sent(/consumers/).map(({ method, path }) => `${method} ${path}`)).toEqual([
      `POST ${group}`,
      `POST ${group}/instances/weir-0/assignments`,
      `POST ${group}/instances/weir-0/positions`,
      `GET ${group}/instances/weir-0/records`,
      `GET ${group}/instances/weir-0/records`,
    ]);
    expect(proxy.sent(/consumers/)[0]!.json).toEqual({
      name: "weir-0",
      format: "binary",
      "auto.offset.reset": "earliest",
      ...(name === "Strimzi" ? { "enable.auto.commit": false } : { "auto.commit.enable": "false" }),
      "fetch.min.bytes": 1,
    });
    await transport.close();
    expect(made.size).toBe(0);
  });

  it.each([
    ["absolute (Redpanda, Confluent)", "http://proxy.internal:8082/consumers/g/instances/weir-0"],
    ["absolute, inside a cluster (Strimzi)", "http://bridge.kafka.svc:8080/consumers/g/instances/weir-0"],
    ["relative (Karapace)", "consumers/g/instances/weir-0"],
  ])("goes by KAFKA_REST_URL where base_uri is %s", async (_, baseUri) => {
    const { routes } = instances({ start: 0, values: ["x"] });
    const prefixed = Object.fromEntries(
      Object.entries(routes).map(([pattern, route]) => [
        pattern.replace(" /", " /kafka/"),
        (call: Parameters<Route>[0]) => {
          const [status, body, type] = route({ ...call, path: call.path.slice("/kafka".length) });
          return [
            status,
            typeof body === "object" && "base_uri" in body ? { ...body, base_uri: baseUri } : body,
            type,
          ];
        },
      ]),
    ) as typeof routes;
    const proxy = karapace({
      ...prefixed,
      "GET /kafka/topics/t": () => [200, { name: "t", configs: {}, partitions: [{ partition: 0 }] }],
    });
    const hosts = new Set<string>();
    const transport = proxy.open({
      url: `http://${baseUri.length}.behind-a-gateway.test/kafka`,
      fetch: async (input, init) => {
        hosts.add(new URL(new Request(input).url).hostname);
        return await proxy.fetch(input, init);
      },
    });
    expect(await drain(transport)).toEqual(["x"]);
    await transport.close();
    expect([...hosts]).toEqual([`${baseUri.length}.behind-a-gateway.test`]);
    expect(proxy.calls.every(({ path }) => path.startsWith("/kafka/"))).toBe(true);
  });

  it("makes no instance for a look at the end", async () => {
    const proxy = karapace(instances({ start: 0, values: ["x"] }).routes);
    expect(await proxy.open().fetch(read(1))).toEqual([]);
    expect(proxy.sent(/consumers/)).toEqual([]);
  });

  it("waits at the end for what it was asked to", async () => {
    const proxy = karapace(instances({ start: 0, values: ["x"] }).routes);
    expect(await proxy.open().fetch(read(1, 300))).toEqual([]);
    expect(proxy.sent(/records/).map(({ query }) => query.get("timeout"))).toContain("300");
  });
});

describe("rest-v2: what could lose messages", () => {
  it("an answer lost in mid-read: the next read says anew where it begins", async () => {
    const { routes } = instances({ start: 0, values: tenValues });
    const proxy = karapace(routes);
    let lost = 0;
    const transport = proxy.open({
      fetch: async (input, init) => {
        const response = await proxy.fetch(input, init);
        if (new Request(input).url.includes("/records?timeout") && lost++ === 0) throw new TypeError("cut");
        return response;
      },
    });
    await expect(transport.fetch(read(3))).rejects.toMatchObject({ code: "unreachable", retryable: true });
    const before = proxy.calls.length;
    expect(await drain(transport, 3)).toEqual(tenValues.slice(3));
    const again = proxy.calls.slice(before).filter(({ path }) => path.includes("/instances/"));
    expect(again.map(({ path }) => path.split("/").at(-1))).toEqual(["positions", "records"]);
  });

  it.each([
    [500, '{"error_code":500,"message":"Failed to fetch: KafkaError"}'],
    [
      422,
      '{"error_code":422,"message":"Response exceeds the maximum number of bytes the consumer can receive"}',
    ],
    [200, '{"not":"a list"}'],
  ])("so it does after any other error (%i)", async (status, body) => {
    const { routes } = instances({ start: 0, values: tenValues });
    let failed = 0;
    const proxy = strimzi({
      ...routes,
      [RECORDS]: around(routes[RECORDS], (_, next) => {
        const answer = next();
        return failed++ === 0 ? [status, body] : answer;
      }),
    });
    const transport = proxy.open();
    await expect(transport.fetch(read(0))).rejects.toMatchObject({ name: "KafkaError" });
    expect(await drain(transport)).toEqual(tenValues);
  });

  it("Karapace cuts an answer at max_bytes and forgets what is behind the cut", async () => {
    const log = { start: 0, values: tenValues };
    const { routes } = instances(log, (found) => [200, found.slice(0, 4), BINARY]);
    const proxy = karapace(routes);
    const transport = proxy.open();
    expect((await transport.fetch(read(0))).map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
    // The instance stands at the end by now.
    expect((await transport.fetch(read(4))).map(({ offset }) => offset)).toEqual([4, 5, 6, 7]);
    log.values = [...tenValues, "10", "11"];
    // It stands behind 8 and 9, and has more to give.
    expect((await transport.fetch(read(8))).map(({ offset }) => offset)).toEqual([8, 9, 10, 11]);
  });

  it("Strimzi drops what is beyond max_bytes: it is never told any", async () => {
    const proxy = strimzi(instances({ start: 0, values: tenValues }).routes);
    await proxy.open().fetch({ ...read(0), maxBytes: 1 });
    expect(proxy.sent(/instances.*records/).map(({ query }) => query.has("max_bytes"))).toEqual([false]);
  });

  it("an end that is none (Karapace shows nothing yet): asks again while the log reaches further", async () => {
    const { routes } = instances({ start: 0, values: tenValues });
    let polls = 0;
    const proxy = karapace({
      ...routes,
      [RECORDS]: around(routes[RECORDS], (_, next) => (++polls < 4 ? [200, [], BINARY] : next())),
    });
    expect(await proxy.open().fetch(read(0))).toHaveLength(10);
    expect(polls).toBe(4);
    // Moving it again and again would begin its first read anew each time.
    expect(proxy.sent(/positions/)).toHaveLength(1);
  });

  it("says that time is up, and not that the log ends, where nothing ever comes", async () => {
    const { routes } = instances({ start: 0, values: tenValues });
    const proxy = karapace({ ...routes, [RECORDS]: () => [200, [], BINARY] });
    await expect(proxy.open().fetch(read(0))).rejects.toMatchObject({ code: "timeout", retryable: true });
  });

  it("Confluent shows nothing where one message is larger than max_bytes: asks for more", async () => {
    const { routes } = instances({ start: 0, values: ["large"] });
    const proxy = confluent({
      ...routes,
      [RECORDS]: around(routes[RECORDS], ({ query }, next) =>
        Number(query.get("max_bytes")) < 3_000_000 ? [200, [], BINARY] : next(),
      ),
    });
    expect(await proxy.open().fetch({ ...read(0), maxBytes: 1 })).toHaveLength(1);
  });

  it("takes a gap for one (a compacted log), where it has just said where to begin", async () => {
    const { routes } = instances({ start: 0, values: tenValues }, (found) => [200, found.slice(5), BINARY]);
    const [first] = await karapace(routes).open().fetch(read(0));
    expect(first!.offset).toBe(5);
  });
});

describe("rest-v2: offsets outside of the log", () => {
  const outside = { code: "offset_out_of_range", retryable: false };

  it("are told apart, where an instance would go to the start without a word", async () => {
    const proxy = karapace(instances({ start: 5, values: tenValues }).routes);
    const transport = proxy.open();
    await expect(transport.fetch(read(4))).rejects.toMatchObject(outside);
    await expect(transport.fetch(read(16))).rejects.toMatchObject(outside);
    expect(await transport.fetch(read(15))).toEqual([]);
    expect(await transport.fetch(read(5))).toHaveLength(10);
  });

  it("also where the log is cut off under a read", async () => {
    const log = { start: 0, values: tenValues };
    const { routes } = instances(log, (found) => [200, found.slice(0, 2), BINARY]);
    const transport = karapace(routes).open();
    expect(await transport.fetch(read(0))).toHaveLength(2);
    log.start = 6;
    log.values = tenValues.slice(6);
    await expect(transport.fetch(read(2))).rejects.toMatchObject(outside);
  });

  it("also where retention comes between the look at the log's start and the read", async () => {
    const log = { start: 0, values: tenValues };
    const { routes } = instances(log);
    const proxy = karapace({
      ...routes,
      [POSITIONS]: around(routes[POSITIONS], (_, next) => {
        log.start = 6;
        log.values = tenValues.slice(6);
        return next();
      }),
    });
    await expect(proxy.open().fetch(read(2))).rejects.toMatchObject(outside);
  });

  it("also where the topic was made anew", async () => {
    const log = { start: 0, values: tenValues };
    const { routes } = instances(log, (found) => [200, found.slice(0, 8), BINARY]);
    const transport = karapace(routes).open();
    await transport.fetch(read(0));
    // Its end is before the offset.
    log.start = 0;
    log.values = ["new"];
    await expect(transport.fetch(read(8))).rejects.toMatchObject(outside);
  });
});

describe("rest-v2: instances that come and go", () => {
  it("makes another where the proxy has forgotten it", async () => {
    const log = { start: 0, values: tenValues };
    const { routes, made } = instances(log, (found) => [200, found.slice(0, 5), BINARY]);
    const transport = karapace(routes).open();
    await transport.fetch(read(0));
    made.clear();
    expect((await transport.fetch(read(5)))[0]!.offset).toBe(5);
  });

  it("gives up where each call reaches another proxy, and says what to look at", async () => {
    const { routes, made } = instances({ start: 0, values: tenValues });
    const proxy = karapace({
      ...routes,
      [CREATE]: around(routes[CREATE], (_, next) => {
        const answer = next();
        made.clear();
        return answer;
      }),
    });
    await expect(proxy.open().fetch(read(0))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("sticky"),
    });
    expect(proxy.sent(/^POST .consumers.[^/]+$/)).toHaveLength(3);
  });

  it("takes another name where one is taken, and makes one free where both are: what is left over is bounded", async () => {
    const { routes, made } = instances({ start: 0, values: ["x"] });
    const proxy = karapace(routes);
    // Nobody calls close: owners that crashed.
    for (let crash = 0; crash < 20; crash++) expect(await drain(proxy.open())).toEqual(["x"]);
    expect([...made.keys()].map((name) => name.split("/").at(-1))).toEqual(["weir-0", "weir-1"]);
    expect(proxy.sent(/DELETE/)).toHaveLength(18);
  });

  it("waits until an assignment has settled (librdkafka refuses to move before)", async () => {
    const { routes } = instances({ start: 0, values: ["x"] });
    let refused = 0;
    const settling = (times: number) =>
      karapace({
        ...routes,
        [POSITIONS]: around(routes[POSITIONS], (_, next) =>
          refused++ < times ? [409, { error_code: 40903, message: "Partition t[0] is unassigned" }] : next(),
        ),
      });
    expect(await drain(settling(3).open())).toEqual(["x"]);
    refused = 0;
    await expect(settling(1_000).open().fetch(read(0))).rejects.toMatchObject({ code: "unavailable" });
  });

  it("reads one partition's messages in turns", async () => {
    const { routes } = instances({ start: 0, values: tenValues });
    const transport = karapace(routes).open();
    const all = await Promise.all([0, 5, 2].map((offset) => transport.fetch(read(offset))));
    expect(all.map((batch) => [batch[0]!.offset, batch.length])).toEqual([
      [0, 10],
      [5, 5],
      [2, 8],
    ]);
  });
});

describe("rest-v2: commits", () => {
  // Karapace reads back one higher than what was given, and -1001 for none; Redpanda keeps what it was given. Reading it
  // back is a GET with a body in all of them, which fetch does not send, so neither is offered.
  it.each([
    ["Redpanda", redpanda],
    ["Karapace", karapace],
    ["Strimzi", strimzi],
    ["Confluent", confluent],
  ])("%s: declared not to be, and refused without a call", async (_, open) => {
    const proxy = open();
    const transport = proxy.open();
    expect((await transport.capabilities()).groupOffsets).toBe(false);
    await expect(transport.commitOffset("g", "t", 0, 1)).rejects.toMatchObject({ code: "unsupported" });
    await expect(transport.committedOffset("g", "t", 0)).rejects.toMatchObject({ code: "unsupported" });
    expect(proxy.sent(/offsets/)).toEqual([]);
    const withBody: RequestInit = { method: "GET", body: "{}" };
    expect(() => new Request("http://x.test", withBody)).toThrow(TypeError);
  });
});

describe("rest-v2: error codes", () => {
  const failing = (status: number, code: number): Answer => [
    status,
    { error_code: code, message: "as documented" },
    "application/json",
  ];
  it.each([
    [400, 40002, "rejected"],
    [401, 40101, "unauthorized"],
    [403, 40301, "unauthorized"],
    [404, 40401, "unknown_topic"],
    [404, 40402, "unknown_topic"],
    [404, 40403, "unknown_topic"],
    [408, 40801, "timeout"],
    [409, 40902, "rejected"],
    [413, 413, "too_large"],
    [500, 50001, "unavailable"],
    [500, 50002, "unavailable"],
    [500, 50003, "unavailable"],
    [501, 50101, "unavailable"],
    [503, 50301, "unavailable"],
    [503, 50302, "unavailable"],
  ])("Redpanda: %i %i is %s, of a produce and of a read", async (status, code, expected) => {
    let isFailing = false;
    const proxy = redpanda();
    const transport = proxy.open({
      fetch: async (input, init) => {
        if (!isFailing) return await proxy.fetch(input, init);
        const [, body] = failing(status, code);
        return Response.json(body, { status });
      },
    });
    await transport.capabilities();
    isFailing = true;
    await expect(transport.produce("t", [record(0)])).rejects.toMatchObject({ code: expected });
    await expect(transport.fetch(read(0))).rejects.toMatchObject({ code: expected });
  });
});
