// The stub Kafka: a process that answers as Redpanda's HTTP proxy does (one base offset for each partition), keeps
// nothing and counts every record. Reads are always at the log's end, so Weir's consumers are woken and find nothing.
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerCalls } from "./ipc.ts";
import { countRecords, faultOf, readProduceRequest } from "./sink-count.ts";

/** Asked from the parent: everything since the last time. */
export type SinkCounts = { records: number; produceRequests: number; reads: number; faults: string[] };

const NOT_HERE = { status: 404, json: '{"error_code":404,"message":"not here"}' };
const READ = /^\/topics\/[^/?]+\/partitions\/\d+\/records\?/;
const PRODUCED = /^\/topics\/[^/?]+$/;
/** One request in this many is decoded in full. */
const SAMPLE_EVERY = 64;
const MAX_FAULTS = 5;
const NO_COUNTS: SinkCounts = { records: 0, produceRequests: 0, reads: 0, faults: [] };

export async function runSink(): Promise<void> {
  let counts = structuredClone(NO_COUNTS);
  const nextOffsets = new Map<string, number>();

  function produce(topicPath: string, body: Buffer): string {
    const messages = readProduceRequest(body);
    const baseOffsets = new Map<number, number>();
    for (const message of messages) {
      counts.records += countRecords(message.value);
      const log = `${topicPath}/${message.partition}`;
      const offset = nextOffsets.get(log) ?? 0;
      nextOffsets.set(log, offset + 1);
      if (!baseOffsets.has(message.partition)) baseOffsets.set(message.partition, offset);
      const fault = counts.produceRequests % SAMPLE_EVERY === 0 ? faultOf(message) : undefined;
      if (fault !== undefined && counts.faults.length < MAX_FAULTS) counts.faults.push(fault);
    }
    counts.produceRequests++;
    const offsets = Array.from(baseOffsets, ([partition, offset]) => ({ partition, offset }));
    return JSON.stringify({ offsets });
  }

  function answer(request: IncomingMessage, body: Buffer): { status: number; json: string } {
    const path = request.url ?? "";
    if (request.method === "GET") {
      // Reading messages is all that Redpanda's proxy has to GET: by the rest of its answers it is known.
      if (!READ.test(path)) return NOT_HERE;
      counts.reads++;
      return { status: 200, json: "[]" };
    }
    if (PRODUCED.test(path)) return { status: 200, json: produce(path, body) };
    if (path !== "/raw") return NOT_HERE;
    counts.records += countRecords(body);
    counts.produceRequests++;
    return { status: 200, json: '{"offsets":[{"partition":0,"offset":0}]}' };
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      try {
        const { status, json } = answer(request, Buffer.concat(chunks));
        send(response, status, json);
      } catch (error) {
        counts.faults.push(`unreadable: ${String(error)}`);
        send(response, 422, '{"error_code":422,"message":"unreadable"}');
      }
    });
  });
  // A connection closed while a worker picks it for its next request would look like a broken Kafka.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  answerCalls({
    async url() {
      return `http://127.0.0.1:${port}`;
    },
    async takeCounts() {
      const taken = counts;
      counts = structuredClone(NO_COUNTS);
      return taken;
    },
  });
}

function send(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, {
    "Content-Type": "application/vnd.kafka.v2+json",
    "Content-Length": Buffer.byteLength(json),
  });
  response.end(json);
}
