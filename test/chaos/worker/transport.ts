// Stands in the place of functions/transport.ts in the chaos bundle: a transport that stands still before and after it
// writes, and, where asked for, says of some messages that they are written when they are not.
import { openTransport as deployedTransport } from "../../../functions/transport.ts";
import type { Deployment } from "../../../functions/deployment.ts";
import type { KafkaTransport, ProduceOutcome, ProduceRecord } from "../../../lib/kafka/transport.ts";
import { mutationOf, pass } from "./hooks.ts";

export * from "../../../functions/transport.ts";

/** One message in so many is dropped. */
const DROP_ONE_IN = 25;
let produced = 0;

export function openTransport(env: Env, deployment: Deployment): KafkaTransport {
  const transport = deployedTransport(env, deployment);
  const isDropping = mutationOf(env) === "drop-envelope";
  const changed: Partial<KafkaTransport> = {
    async produce(topic, records) {
      const who = topic.endsWith(".raw") ? "produce" : "outbox-produce";
      await pass(`before-${who}`);
      const outcomes = isDropping
        ? await produceButSome(transport, topic, records)
        : await transport.produce(topic, records);
      await pass(`after-${who}`);
      return outcomes;
    },
    // A consumer asks for them when it is about to tell the cluster its position, whether it can or not.
    async capabilities() {
      await pass("before-mirror");
      return await transport.capabilities();
    },
  };
  return new Proxy(transport, {
    get(target, name) {
      const value: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function produceButSome(
  transport: KafkaTransport,
  topic: string,
  records: readonly ProduceRecord[],
): Promise<ProduceOutcome[]> {
  const isDropped = records.map(() => topic.endsWith(".raw") && ++produced % DROP_ONE_IN === 0);
  const sent = records.filter((_, i) => !isDropped[i]);
  const outcomes = sent.length === 0 ? [] : await transport.produce(topic, sent);
  let next = 0;
  return records.map(({ partition }, i) =>
    isDropped[i] ? { ok: true, partition, offset: 0 } : (outcomes[next++] as ProduceOutcome),
  );
}
