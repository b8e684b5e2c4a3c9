// Stand-ins for the four kinds of v2 proxies: each answers as its sources and documents say, quoted from
// - Redpanda (redpanda-data/redpanda, src/v/pandaproxy: rest/handlers.cc, error.cc, parsing/httpd.h)
// - Karapace (Aiven-Open/karapace, src/karapace/kafka_rest_apis: __init__.py, consumer_manager.py, error_codes.py)
// - Strimzi (strimzi/strimzi-kafka-bridge: openapi.json, HttpSourceBridgeEndpoint, HttpSinkBridgeEndpoint, HttpBridgeError)
// - Confluent (confluentinc/kafka-rest: Errors.java, resources/v2, v2/KafkaConsumerReadTask.java)
import { Buffer } from "node:buffer";
import { createRestV2, type RestV2Options } from "../../../lib/kafka/rest-v2.ts";
import type { ProduceRecord } from "../../../lib/kafka/transport.ts";

export const V2 = "application/vnd.kafka.v2+json";
export const BINARY = "application/vnd.kafka.binary.v2+json";

export interface Call {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
  json: never;
}
export type Answer = [status: number, body: string | object | undefined, contentType?: string];
export type Route = (call: Call) => Answer;
/** "METHOD path", the path as a pattern of which `*` is a segment. */
export type Routes = Record<string, Route>;

let urls = 0;

export function standIn(routes: Routes, missing: Answer) {
  const calls: Call[] = [];
  const fetcher: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const { pathname, searchParams } = new URL(request.url);
    const text = await request.text();
    const call: Call = {
      method: request.method,
      path: decodeURIComponent(pathname),
      query: searchParams,
      headers: request.headers,
      json: (text === "" ? undefined : JSON.parse(text)) as never,
    };
    calls.push(call);
    const route = Object.entries(routes).findLast(([pattern]) => {
      const [method, path = ""] = pattern.split(" ");
      return method === call.method && new RegExp(`^${path.replaceAll("*", "[^/]+")}$`).test(call.path);
    })?.[1];
    const [status, body, contentType = V2] = route ? route(call) : missing;
    const bytes = body === undefined || typeof body === "string" ? (body ?? null) : JSON.stringify(body);
    return new Response(bytes, { status, headers: { "Content-Type": contentType } });
  };
  let nowMs = 0;
  const open = (options: Partial<RestV2Options> = {}) =>
    createRestV2({
      url: `http://stand-in-${++urls}.test`,
      acksConfirmed: "all",
      fetch: fetcher,
      timing: {
        now: () => nowMs,
        random: () => 0,
        sleep: async (ms) => void (nowMs += ms),
      },
      ...options,
    });
  const sent = (pattern: RegExp) => calls.filter(({ method, path }) => pattern.test(`${method} ${path}`));
  return { open, calls, sent, fetch: fetcher, advance: (ms: number) => void (nowMs += ms) };
}

/** Seastar answers a path that is not there in a shape of its own; a parameter is looked at before the topic. */
export const redpanda = (routes: Routes = {}) =>
  standIn(
    {
      "GET /topics": () => [200, ["t"]],
      "GET /topics/*/partitions/*/records": ({ query }) =>
        query.get("offset") === String(Number.MAX_SAFE_INTEGER)
          ? [
              400,
              { error_code: 40002, message: "kafka_bad_request: offset_out_of_range" },
              "application/json",
            ]
          : [200, []],
      ...routes,
    },
    [404, '{"message": "Not found", "code": 404}', "application/json"],
  );

export const topic = (partitions: number, configs: object = { "cleanup.policy": "delete" }) => ({
  name: "t",
  configs,
  partitions: Array.from({ length: partitions }, (_, partition) => ({
    leader: 1,
    partition,
    replicas: [
      { broker: 1, in_sync: true, leader: true },
      { broker: 2, in_sync: partition !== 1, leader: false },
    ],
  })),
});

export const karapace = (routes: Routes = {}) =>
  standIn(
    {
      "GET /": () => [200, {}, "application/json"],
      "GET /topics": () => [200, ["t"]],
      "GET /topics/*": ({ path }) => [
        404,
        { error_code: 40401, message: `Topic ${path.slice(8)} not found` },
      ],
      "GET /topics/t": () => [200, topic(3)],
      ...routes,
    },
    [404, "404: Not Found", "text/plain"],
  );

export const strimzi = (routes: Routes = {}) =>
  standIn(
    {
      "GET /": () => [200, { bridge_version: "0.33.1" }, "application/json"],
      "GET /topics": () => [200, ["t"]],
      "GET /topics/*": () => [
        404,
        { error_code: 404, message: "This server does not host this topic-partition." },
      ],
      "GET /topics/t": () => [200, topic(3, { "cleanup.policy": "delete", "leader.replication": null })],
      ...routes,
    },
    [404, { error_code: 404, message: "Not Found" }],
  );

export const confluent = (routes: Routes = {}) =>
  standIn(
    {
      "GET /": () => [200, {}],
      "GET /topics": () => [200, ["t"]],
      "GET /topics/*": () => [404, { error_code: 40401, message: "Topic not found." }],
      "GET /topics/t": () => [200, topic(3)],
      "GET /v3/clusters": () => [
        200,
        { kind: "KafkaClusterList", data: [{ kind: "KafkaCluster", cluster_id: "cluster-1" }] },
        "application/json",
      ],
      ...routes,
    },
    [404, { error_code: 404, message: "HTTP 404 Not Found" }],
  );

export const bytes = (text: string) => new Uint8Array(Buffer.from(text));
export const record = (partition: number, value: Uint8Array | null = bytes("x")): ProduceRecord => ({
  partition,
  key: null,
  value,
});
export const base64 = (text: string) => Buffer.from(text).toString("base64");
export const text = (value: Uint8Array | null) => value && Buffer.from(value).toString();

/** A topic of one partition behind consumer instances, as the three proxies that have no reads by offset keep it. */
export function instances(
  log: { start: number; values: string[] },
  answerOf = (read: object[]): Answer => [200, read, BINARY],
) {
  const made = new Map<string, { assigned: boolean; position: number }>();
  const find = ({ path }: Call) => made.get(path.split("/").slice(0, 5).join("/"));
  const gone: Answer = [404, { error_code: 40403, message: "Consumer instance not found." }];
  const end = () => log.start + log.values.length;
  const routes: Routes = {
    "GET /topics/t/partitions/0/offsets": () => [200, { beginning_offset: log.start, end_offset: end() }],
    "POST /consumers/*": ({ path, json }) => {
      const { name } = json as { name: string };
      const key = `${path}/instances/${name}`;
      if (made.has(key)) return [409, { error_code: 40902, message: `Consumer ${name} already exists` }];
      made.set(key, { assigned: false, position: 0 });
      return [200, { instance_id: name, base_uri: `consumers/${path.slice(11)}/instances/${name}` }];
    },
    "DELETE /consumers/*/instances/*": ({ path }) => (made.delete(path) ? [204, undefined] : gone),
    "POST /consumers/*/instances/*/assignments": (call) => {
      const instance = find(call);
      if (!instance) return gone;
      instance.assigned = true;
      return [204, undefined];
    },
    "POST /consumers/*/instances/*/positions": (call) => {
      const instance = find(call);
      if (!instance) return gone;
      if (!instance.assigned) return [409, { error_code: 40903, message: "Partition t[0] is unassigned" }];
      instance.position = (call.json as { offsets: { offset: number }[] }).offsets[0]!.offset;
      return [204, undefined];
    },
    "GET /consumers/*/instances/*/records": (call) => {
      const instance = find(call);
      if (!instance) return gone;
      // auto.offset.reset, without a word.
      if (instance.position < log.start || instance.position > end()) instance.position = log.start;
      const from = instance.position;
      instance.position = end();
      return answerOf(
        log.values.slice(from - log.start).map((value, i) => ({
          topic: "t",
          key: null,
          value: base64(value),
          partition: 0,
          offset: from + i,
          timestamp: 1_700_000_000_000 + from + i,
        })),
      );
    },
  };
  return { routes, made };
}

export const read = (offset: number, waitMs = 0) => ({
  topic: "t",
  partition: 0,
  offset,
  maxBytes: 1 << 20,
  waitMs,
});
