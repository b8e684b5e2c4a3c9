// A transport held by Durable Objects, with batching, against the contract: every call goes through the hosts.
import { env, runInDurableObject } from "cloudflare:test";
import { createHosted } from "../../lib/kafka/hosted.ts";
import { transportSuite } from "../contract/transport.suite.ts";

const SHARDS = 3;
const SETTINGS = { KAFKA_REST_URL: "http://contract-kafka.test", KAFKA_LINGER_MS: "5" };

async function control(path: string, body: unknown = {}): Promise<void> {
  const { status } = await fetch(`http://contract-control.test/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  if (status !== 204) throw new Error(`${path}: HTTP ${status}`);
}

transportSuite("rest-v2 through a host that batches", async () => {
  const host = (shard: number) => env.PRODUCE_HOST.getByName(`contract/${shard}`);
  for (let shard = 0; shard < SHARDS; shard++)
    await runInDurableObject(
      host(shard),
      (object) => void Object.assign(object, { env: { ...env, ...SETTINGS } }),
    );
  return {
    transport: createHosted({ name: "rest-v2", shards: SHARDS, host }),
    async makeTopic(partitions) {
      const name = `t-${crypto.randomUUID()}`;
      await control("topics", { name, partitions });
      return name;
    },
    faults: {
      loseNextAnswer: () => control("lose-next-answer"),
      hang: () => control("hang"),
      heal: () => control("heal"),
      restartBroker: () => control("restart"),
      trim: (topic, partition, before) => control("trim", { topic, partition, before }),
    },
    emptyBytes: "null",
    close: async () => undefined,
  };
});
