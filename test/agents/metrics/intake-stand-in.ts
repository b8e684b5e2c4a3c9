// Stands in for Weir's intake, written from contracts.md and not from the agent: real HTTP, it checks what it is
// sent and answers what a test scripts. No script: 202, as the contract words it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

export interface Received {
  path: string;
  authorization: string | undefined;
  idempotencyKey: string | undefined;
  body: string;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}

export type Script = (received: Received, index: number) => Answer | "hang" | "cut";

export const accepted: Answer = {
  status: 202,
  body: { status: "queued", message: "Accepted", accepted: 1, rejected: 0, durability: "kafka", batch: "b" },
};

export function problem(
  status: number,
  code: string,
  detail: string,
  headers: Record<string, string> = {},
): Answer {
  return {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
    body: { type: "about:blank", title: code, status, code, detail, request_id: "r-1", errors: [] },
  };
}

/** What the contract lets a metrics body be; the reason when it is not. */
export function faultOf(received: Received): string | undefined {
  if (received.path !== "/api/v1/metrics") return undefined;
  if (!received.authorization?.startsWith("Bearer ")) return "no bearer";
  if (!received.idempotencyKey) return "no Idempotency-Key";
  const { metrics } = JSON.parse(received.body) as { metrics: Array<Record<string, unknown>> };
  if (!Array.isArray(metrics) || metrics.length === 0 || metrics.length > 10_000) return "metrics";
  for (const { name, value, labels, timestamp, ...rest } of metrics) {
    if (Object.keys(rest).length > 0) return "an unknown field";
    if (typeof name !== "string" || name.length === 0 || name.length > 200) return "name";
    if (!Number.isFinite(value)) return "value";
    if (typeof timestamp !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(timestamp))
      return "timestamp";
    const pairs = Object.entries(labels as Record<string, unknown>);
    if (pairs.length > 30) return "labels";
    if (pairs.some(([, text]) => typeof text !== "string" || Buffer.byteLength(text) > 1024)) return "label";
  }
  return undefined;
}

export class IntakeStandIn {
  readonly received: Received[] = [];
  script: Script = () => accepted;
  readonly #server = createServer((request, response) => void this.#handle(request, response));

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  /** Requests to the metrics endpoint. */
  get batches(): Received[] {
    return this.received.filter(({ path }) => path === "/api/v1/metrics");
  }

  get reports(): unknown[] {
    return this.received
      .filter(({ path }) => path === "/api/v1/client-reports")
      .map(({ body }): unknown => JSON.parse(body));
  }

  async untilReceived(count: number): Promise<void> {
    while (this.received.length < count) await turn();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += String(chunk);
    const { authorization, "idempotency-key": key } = request.headers;
    const received: Received = {
      path: request.url ?? "",
      authorization,
      idempotencyKey: typeof key === "string" ? key : undefined,
      body,
    };
    this.received.push(received);
    const fault = faultOf(received);
    const answer = fault ? problem(400, "malformed", fault) : this.script(received, this.received.length - 1);
    if (answer === "hang") return;
    if (answer === "cut") return void request.socket.destroy();
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(JSON.stringify(answer.body ?? {}));
  }
}
