// A second local-kafka in Node for contract runs inside workerd, at http://contract-kafka.test: it may hang, restart and
// lose records, through http://contract-control.test, without the other tests' Kafka noticing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalKafka, type LocalKafka } from "../../local-kafka/broker.ts";
import { createFaultyFetch } from "./faulty-fetch.ts";

export interface ContractKafka {
  /** Answers for both hosts; undefined for any other. */
  fetch(request: Request): Promise<Response> | undefined;
}

export function createContractKafka(): ContractKafka {
  let opened: Promise<LocalKafka> | undefined;
  const dataDir = mkdtempSync(join(tmpdir(), "weir-contract-"));
  process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
  const open = () => (opened ??= openLocalKafka({ dataDir, fsync: false }));
  const faulty = createFaultyFetch(async (request) => await (await open()).fetch(request));

  const controls: Record<string, (kafka: LocalKafka, body: never) => Promise<void>> = {
    "/topics": (kafka, topic: { name: string; partitions: number }) => kafka.createTopic(topic),
    "/trim": (kafka, { topic, partition, before }: { topic: string; partition: number; before: number }) =>
      kafka.deleteRecords(topic, partition, before),
    "/lose-next-answer": () => faulty.loseNextAnswer(),
    "/hang": () => faulty.hang(),
    "/heal": () => faulty.heal(),
    async "/restart"(kafka) {
      await kafka.close();
      opened = undefined;
      await open();
    },
  };

  async function control(request: Request): Promise<Response> {
    const act = controls[new URL(request.url).pathname];
    if (!act) return new Response("no such control", { status: 404 });
    await act(await open(), (await request.json()) as never);
    return new Response(null, { status: 204 });
  }

  return {
    fetch(request) {
      const { host } = new URL(request.url);
      if (host === "contract-kafka.test") return faulty.fetch(request);
      return host === "contract-control.test" ? control(request) : undefined;
    },
  };
}
