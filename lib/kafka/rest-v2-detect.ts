// Which of the v2 proxies this is, told by what it answers and never by a vendor's name: four small reads at once, on
// a topic that is there (asking for one that is not could make it, where Kafka makes topics by itself). Known once an
// isolate and URL; what failed is not remembered.
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import { fromHttpStatus, type RestAnswer, type RestClient } from "./rest-http.ts";
import { BINARY, topicPath, V2 } from "./rest-v2-records.ts";

const TIMEOUT_MS = 5_000;

export interface RestV2Proxy {
  /** Messages are read by offset (Redpanda's proxy); where not, by consumer instances. */
  readsByOffset: boolean;
  /** Partitions, replicas, settings, first and last offsets are told (all others). */
  tellsMetadata: boolean;
  /** Strimzi's bridge: takes headers and timestamps, and no message without a value. */
  isBridge: boolean;
  /** Id of the cluster where Confluent's v3 API stands beside v2: topics can be made there. */
  v3ClusterId: string | undefined;
}

const known = new Map<string, RestV2Proxy>();

/**
 * @param topic to look at; without one, any that is there
 * @throws KafkaError also `bad_answer` where nothing speaks the v2 API
 */
export async function detectProxy(client: RestClient, url: string, topic?: string): Promise<RestV2Proxy> {
  const before = known.get(url);
  if (before) return before;
  const found = await ask(client, url, topic ?? (await anyTopic(client)));
  known.set(url, found);
  return found;
}

/** What is known already; undefined before the first detection. */
export function knownProxy(url: string): RestV2Proxy | undefined {
  return known.get(url);
}

async function ask(client: RestClient, url: string, topic: string): Promise<RestV2Proxy> {
  /** `isOptional`: whoever may not see this goes on without it. */
  const get = async (path: string, accept: string, isOptional = false): Promise<RestAnswer> => {
    const answer = await client.call({
      method: "GET",
      path,
      accept,
      timeoutMs: TIMEOUT_MS,
      isAnyBodyTaken: true,
    });
    const { status } = answer;
    const isPassing = status === 408 || status === 429 || status >= 500;
    const isElsewhere = status === 401 || (status >= 300 && status < 400);
    if (isPassing || (isElsewhere && !isOptional))
      throw fromHttpStatus(answer, "asking what the proxy can do");
    return answer;
  };
  // An offset that no log reaches: the answer has no messages, and where the path is known it is an error of Kafka's.
  const beyond = `offset=${Number.MAX_SAFE_INTEGER}&timeout=0&max_bytes=1`;
  const [records, metadata, root, clusters] = await Promise.all([
    get(`${topicPath(topic)}/partitions/0/records?${beyond}`, BINARY),
    get(topicPath(topic), V2),
    get("/", V2, true),
    get("/v3/clusters", "application/json", true),
  ]);
  const isBridge = z.object({ bridge_version: z.string() }).safeParse(root.json).success;
  const readsByOffset = isFromKafka(records);
  const tellsMetadata =
    z.object({ partitions: z.array(z.unknown()) }).safeParse(metadata.json).success ||
    isFromKafka(metadata) ||
    (isBridge && errorCodeOf(metadata) === 404);
  if (!readsByOffset && !tellsMetadata) {
    if (metadata.status === 403) throw fromHttpStatus(metadata, `looking at ${topic}`);
    throw new KafkaError(
      "bad_answer",
      `${url} answers neither reads by offset nor topics (HTTP ${records.status}, ${metadata.status}); is KAFKA_REST_URL a proxy with the Kafka REST API v2?`,
    );
  }
  const listed = z.object({ data: z.array(z.object({ cluster_id: z.string() })) }).safeParse(clusters.json);
  return { readsByOffset, tellsMetadata, isBridge, v3ClusterId: listed.data?.data[0]?.cluster_id };
}

/** Error codes of five digits are the API's own (40402); a path that is not there has 404, another shape or text. */
function isFromKafka(answer: RestAnswer): boolean {
  return (errorCodeOf(answer) ?? 0) >= 10_000 || (answer.status === 200 && Array.isArray(answer.json));
}

function errorCodeOf(answer: RestAnswer): number | undefined {
  return z.object({ error_code: z.int() }).safeParse(answer.json).data?.error_code;
}

/** A topic that every cluster has once a group has committed stands for all where none is listed. */
async function anyTopic(client: RestClient): Promise<string> {
  return (await listTopics(client))[0] ?? "__consumer_offsets";
}

export async function listTopics(client: RestClient): Promise<string[]> {
  const answer = await client.call({ method: "GET", path: "/topics", accept: V2, timeoutMs: TIMEOUT_MS });
  if (answer.status !== 200) throw fromHttpStatus(answer, "listing topics");
  const parsed = z.array(z.string()).safeParse(answer.json);
  if (!parsed.success) throw new KafkaError("bad_answer", "listing topics: not a list of names");
  return parsed.data;
}
