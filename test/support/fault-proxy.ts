// An HTTP proxy in front of Weir for clients that retry: the first requests of each path meet the faults they were given,
// one each, the rest pass. It keeps what every client sent, byte for byte as it came, and what it was answered.
import { once } from "node:events";
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  createServer,
  request,
} from "node:http";
import type { AddressInfo } from "node:net";

/**
 * 429 and 503 are answered before Weir has seen the request, with `Retry-After: 1`; `lost` lets it through and answers
 * 503 in the place of Weir's own answer, so that what the client sends again is there already.
 */
export type Fault = 429 | 503 | "lost";

export interface Exchange {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** What the client was answered. */
  status: number;
  fault: Fault | undefined;
  /** What Weir answered, where it was asked. */
  answer: { status: number; body: string } | undefined;
}

export interface FaultProxy {
  readonly url: string;
  readonly port: number;
  /** Every exchange that is over, oldest first. */
  readonly exchanges: readonly Exchange[];
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** Where Weir listens. */
  target: string;
  /** For each path anew. */
  faults?: readonly Fault[];
}

export async function startFaultProxy({ target, faults = [] }: FaultProxyOptions): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(target);
  const exchanges: Exchange[] = [];
  const left = new Map<string, Fault[]>();

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = incoming;
    const path = url.split("?", 1)[0] ?? url;
    const queue = left.get(path) ?? [...faults];
    left.set(path, queue);
    const fault = queue.shift();
    const body = await bytesOf(incoming);
    let answer: Exchange["answer"];
    let status: number = fault === "lost" || fault === undefined ? 503 : fault;
    if (fault === undefined || fault === "lost") {
      const sent = request({
        hostname,
        port: targetPort,
        method,
        path: url,
        headers: { ...headers, connection: "close" },
      });
      sent.end(body);
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      const answered = await bytesOf(response);
      answer = { status: response.statusCode ?? 0, body: answered.toString() };
      if (fault === undefined) {
        status = answer.status;
        outgoing.writeHead(status, endToEnd(response.headers)).end(answered);
      }
    }
    if (fault !== undefined) outgoing.writeHead(status, { "Retry-After": "1" }).end();
    exchanges.push({ method, path, headers, body, status, fault, answer });
  }

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    exchanges,
    async close() {
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

/** Without the headers that speak of one connection only (RFC 9110, 7.6.1). */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const hops = new Set(["connection", "keep-alive", "transfer-encoding"]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hops.has(name)));
}
