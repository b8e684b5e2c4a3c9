// Where a Kafka REST v3 is and which cluster it stands in front of. The id is asked for once an isolate and address;
// a failure is not remembered, and no id is ever guessed.
import { z } from "zod";
import { KafkaError } from "./errors.ts";
import type { RestClient } from "./rest-http.ts";
import { fromV3Answer } from "./rest-v3-errors.ts";

const TIMEOUT_MS = 3_000;

/** Ids by address. Only strings: a promise must not cross from one request of a Worker to another. */
const known = new Map<string, string>();

const clusterList = z.object({ data: z.array(z.object({ cluster_id: z.string().min(1) })) });

/**
 * What stands before `/v3`. Confluent Cloud names its endpoint without the `/kafka` that its API has (openapi.yaml,
 * "servers": https://pkc-00000.region.provider.confluent.cloud/kafka/v3).
 */
export function v3Root(url: string): string {
  const { origin, hostname, pathname } = new URL(url);
  const path = pathname.replace(/\/+$/, "").replace(/\/v3$/, "");
  return `${origin}${path === "" && hostname.endsWith(".confluent.cloud") ? "/kafka" : path}`;
}

export interface ClusterId {
  /** @throws KafkaError `misconfigured` where it has to be configured */
  get(): Promise<string>;
  /** The proxy says that there is no such cluster: the next `get` asks again. */
  forget(): void;
}

export function createClusterId(root: string, client: RestClient, configured: string | undefined): ClusterId {
  let asking: Promise<string> | undefined;
  return {
    async get() {
      const id = configured ?? known.get(root);
      if (id !== undefined) return id;
      asking ??= discover(root, client).finally(() => (asking = undefined));
      return await asking;
    },
    forget: () => void known.delete(root),
  };
}

async function discover(root: string, client: RestClient): Promise<string> {
  const what = "asking for the cluster's id";
  const answer = await client.call({
    method: "GET",
    path: "/v3/clusters",
    accept: "application/json",
    isAnyBodyTaken: true,
    timeoutMs: TIMEOUT_MS,
  });
  // Confluent Cloud may keep the list from a key that may produce.
  if (answer.status === 404 || answer.status === 403) {
    throw new KafkaError(
      "misconfigured",
      `${what}: HTTP ${answer.status} for ${root}/v3/clusters; set KAFKA_CLUSTER_ID, and check KAFKA_REST_URL`,
    );
  }
  if (answer.status !== 200) throw fromV3Answer(answer, what);
  const parsed = clusterList.safeParse(answer.json);
  if (!parsed.success) throw new KafkaError("bad_answer", `${what}: not a list of clusters`);
  const [first, ...others] = parsed.data.data;
  if (!first || others.length > 0) {
    const count = parsed.data.data.length;
    throw new KafkaError("misconfigured", `${what}: the proxy lists ${count} clusters; set KAFKA_CLUSTER_ID`);
  }
  known.set(root, first.cluster_id);
  return first.cluster_id;
}
