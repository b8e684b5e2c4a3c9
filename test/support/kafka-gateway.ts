// Node's side of the workers tests: a real local-kafka behind http://kafka.test, faults on demand through
// http://control.test, and 599 for every other host, so that a test cannot reach out.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalKafka, type LocalKafka } from "../../local-kafka/broker.ts";
import { createContractKafka } from "./contract-kafka.ts";
import type { KafkaFault } from "./kafka-fault.ts";

export interface KafkaGateway {
  fetch(request: Request): Promise<Response>;
}

const SIGNALS = ["logs", "metrics", "events", "traces"];

export async function startKafkaGateway(): Promise<KafkaGateway> {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-workers-"));
  process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
  const topics = SIGNALS.map((signal) => ({ name: `${signal}.raw`, partitions: 3 }));
  const kafka = await openLocalKafka({ dataDir, topics, fsync: false });
  const contractKafka = createContractKafka();
  const faults: KafkaFault[] = [];
  /** Produce calls that came, by topic. */
  const produceCalls = new Map<string, number>();
  return {
    async fetch(incoming) {
      const { host, pathname } = new URL(incoming.url);
      // Miniflare's Request is of another realm than the one local-kafka's router knows.
      const request = new Request(incoming.url, {
        method: incoming.method,
        headers: [...incoming.headers],
        ...(incoming.body ? { body: await incoming.arrayBuffer() } : {}),
      });
      const produced =
        host === "kafka.test" && request.method === "POST" && /^\/topics\/([^/]+)$/.exec(pathname);
      if (produced) produceCalls.set(produced[1] ?? "", (produceCalls.get(produced[1] ?? "") ?? 0) + 1);
      if (host === "control.test" && pathname === "/produce-calls") return Response.json([...produceCalls]);
      if (host === "control.test" && pathname === "/topics") {
        await kafka.createTopic((await request.json()) as { name: string; partitions: number });
        return new Response(null, { status: 204 });
      }
      if (host === "kafka.test") return await answerKafka(kafka, faults, request);
      if (host === "control.test") return await control(faults, pathname, request);
      const answer = contractKafka.fetch(request);
      if (answer) return await answer;
      return new Response(`no test may reach ${host}`, { status: 599 });
    },
  };
}

async function answerKafka(kafka: LocalKafka, faults: KafkaFault[], request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const at = faults.findIndex((fault) => fault.method === request.method && pathname.includes(fault.path));
  const fault = faults[at];
  if (!fault) return await kafka.fetch(request);
  if (--fault.times === 0) faults.splice(at, 1);
  if (fault.kind === "lose-answer") await kafka.fetch(request);
  return new Response(fault.body ?? "", {
    status: fault.status ?? 503,
    headers: { "Content-Type": fault.contentType ?? "application/json" },
  });
}

async function control(faults: KafkaFault[], path: string, request: Request): Promise<Response> {
  if (path === "/faults") {
    faults.push((await request.json()) as KafkaFault);
  } else if (path === "/reset") faults.length = 0;
  else return new Response("no such control", { status: 404 });
  return new Response(null, { status: 204 });
}
