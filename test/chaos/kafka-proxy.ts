// An HTTP proxy between Weir and Kafka's REST API that fails as proxies and networks do: refuses, hangs, resets, loses
// answers behind the write, and takes some of a request's messages only. Chance comes from the act's own seed.
import { once } from "node:events";
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Random } from "../fuzz/bodies/random.ts";

export type ProxyFault =
  | { kind: "status"; statuses: readonly number[]; retryAfterS?: number }
  | { kind: "hang" }
  | { kind: "reset" }
  | { kind: "lost-answer" }
  | { kind: "partial" };

export interface KafkaProxy {
  readonly url: string;
  /** One request in `oneIn` meets the fault until `heal`. */
  fail(fault: ProxyFault, oneIn: number, random: Random): void;
  /** What hangs is cut; nothing fails from now on. */
  heal(): void;
  /** Requests that met a fault so far. */
  injected(): number;
  close(): Promise<void>;
}

interface Passed {
  status: number;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export async function startKafkaProxy(target: string): Promise<KafkaProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  let active: { fault: ProxyFault; oneIn: number; random: Random } | undefined;
  let injected = 0;
  const hanging = new Set<ServerResponse>();

  async function forward(incoming: IncomingMessage, body: Buffer): Promise<Passed> {
    const { method, url: path, headers } = incoming;
    const { "transfer-encoding": _, ...kept } = headers;
    const sent = httpRequest({
      agent,
      hostname,
      port,
      method,
      path,
      headers: { ...kept, "content-length": body.length, connection: "keep-alive" },
    });
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await bytesOf(answer) };
  }

  function pass(outgoing: ServerResponse, { status, headers, body }: Passed): void {
    const { connection: _, "keep-alive": __, "transfer-encoding": ___, ...kept } = headers;
    outgoing.writeHead(status, { ...kept, "content-length": body.length }).end(body);
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bytesOf(incoming);
    const isHit = active !== undefined && active.random.oneIn(active.oneIn);
    if (!active || !isHit) return pass(outgoing, await forward(incoming, body));
    injected++;
    const { fault, random } = active;
    switch (fault.kind) {
      case "status": {
        const headers = fault.retryAfterS === undefined ? {} : { "retry-after": String(fault.retryAfterS) };
        outgoing
          .writeHead(random.pick(fault.statuses), { ...headers, "content-type": "text/plain" })
          .end("no");
        return;
      }
      case "hang":
        hanging.add(outgoing);
        return;
      case "reset":
        outgoing.destroy();
        return;
      case "lost-answer":
        await forward(incoming, body);
        if (random.oneIn(2)) outgoing.destroy();
        else outgoing.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
        return;
      case "partial":
        return pass(outgoing, await forwardInPart(incoming, body, random));
    }
  }

  /**
   * The messages of some partitions fail with a code of Kafka's own, half of the time although they were written
   * (REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND); answered as Redpanda does, one entry for each partition.
   */
  async function forwardInPart(incoming: IncomingMessage, body: Buffer, random: Random): Promise<Passed> {
    if (incoming.method !== "POST" || !/^\/topics\/[^/]+$/.test(incoming.url ?? ""))
      return await forward(incoming, body);
    const { records } = JSON.parse(body.toString()) as { records: { partition: number }[] };
    const partitions = [...new Set(records.map(({ partition }) => partition))].toSorted((a, b) => a - b);
    const failing = new Set(partitions.filter(() => random.oneIn(2)));
    if (failing.size === 0) failing.add(random.pick(partitions));
    const isWritten = random.oneIn(2);
    const code = isWritten ? random.pick([7, 20]) : random.pick([6, 19, 5]);
    const written = isWritten ? records : records.filter(({ partition }) => !failing.has(partition));
    const answered =
      written.length === 0
        ? {
            status: 200,
            headers: { "content-type": incoming.headers.accept ?? "" },
            body: Buffer.from('{"offsets":[]}'),
          }
        : await forward(incoming, Buffer.from(JSON.stringify({ records: written })));
    if (answered.status !== 200) return answered;
    const { offsets } = JSON.parse(answered.body.toString()) as { offsets: { partition: number }[] };
    const entries = partitions.map((partition) =>
      failing.has(partition)
        ? { partition, error_code: code, offset: -1 }
        : offsets.find((entry) => entry.partition === partition),
    );
    return { ...answered, body: Buffer.from(JSON.stringify({ offsets: entries })) };
  }

  const server = createServer((incoming, outgoing) => {
    outgoing.on("close", () => hanging.delete(outgoing));
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.keepAliveTimeout = 65_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fail(fault, oneIn, random) {
      active = { fault, oneIn, random };
    },
    heal() {
      active = undefined;
      for (const outgoing of hanging) outgoing.destroy();
    },
    injected: () => injected,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
