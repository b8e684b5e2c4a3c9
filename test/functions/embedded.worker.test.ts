// Transport `embedded` against the contract: real Durable Objects in workerd, with faults made between them and it.
import { abortAllDurableObjects, env } from "cloudflare:test";
import { partitionLogs, topicDirectory } from "../../functions/embedded.ts";
import { createEmbedded } from "../../lib/kafka/embedded/embedded.ts";
import { systemTimer } from "../../lib/kafka/timer.ts";
import { transportSuite } from "../contract/transport.suite.ts";

type Call = (...args: unknown[]) => Promise<unknown>;

/** What a stub throws when the way to its object breaks, as Cloudflare documents it. */
const lost = () => Object.assign(new Error("Network connection lost."), { retryable: true });

transportSuite("embedded", async () => {
  let answersToLose = 0;
  let isHanging = false;
  const faulty = <T extends object>(stub: T): T =>
    new Proxy(stub, {
      get(target, name) {
        const call: Call = async (...args) => {
          if (isHanging) return await new Promise(() => undefined);
          const isLost = answersToLose > 0 && answersToLose-- > 0;
          const answer = await (Reflect.get(target, name) as Call)(...args);
          if (isLost) throw lost();
          return answer;
        };
        return call;
      },
    });
  const logs = partitionLogs(env);
  const directory = topicDirectory(env);
  const transport = createEmbedded({
    logs: { of: (topic, partition) => faulty(logs.of(topic, partition)) },
    directory: { get: () => faulty(directory.get()) },
    defaultTopics: [],
    timer: { ...systemTimer, after: (ms, act) => systemTimer.after(ms / 5, act) },
  });
  return {
    transport,
    async makeTopic(partitions) {
      const name = `t-${crypto.randomUUID()}`;
      await transport.createTopic({ name, partitions, config: {} });
      return name;
    },
    faults: {
      loseNextAnswer: async () => void answersToLose++,
      hang: async () => void (isHanging = true),
      heal: async () => void (isHanging = false),
      restartBroker: () => abortAllDurableObjects(),
      trim: (topic, partition, beforeOffset) => transport.deleteRecords(topic, partition, beforeOffset),
    },
    emptyBytes: "kept",
    close: async () => undefined,
  };
});
