// The load, in a process of its own: a fixed number of connections, each sending its next request when the last one was
// answered. Ends only when every answer is in, so that what was acknowledged can be compared with what arrived.
import { BenchError } from "./bench-error.ts";
import { answerCalls } from "./ipc.ts";
import { encodePost, KeepAliveConnection } from "./keep-alive-connection.ts";
import { createBodies, type BenchSignal } from "./payload.ts";
import { quantile } from "./statistics.ts";

export type LoadOptions = {
  url: string;
  path: string;
  signal: BenchSignal;
  recordsPerRequest: number;
  headers: Record<string, string>;
  connections: number;
  durationMs: number;
  /** Stands in every good answer's body. */
  answerHolds: string;
};

export type LoadResult = { requests: number; elapsedMs: number; p50Ms: number; p99Ms: number };

const BODIES = 32;
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_QUOTED_CHARS = 300;

export function runLoad(): void {
  answerCalls({ run: load });
}

async function load(options: LoadOptions): Promise<LoadResult> {
  const { url, path, headers, answerHolds } = options;
  const requests = createBodies(options.signal, BODIES, Date.now(), options.recordsPerRequest).map((body) =>
    encodePost(url, path, headers, body),
  );
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => KeepAliveConnection.open(url, ANSWER_TIMEOUT_MS)),
  );
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + options.durationMs;
  let sent = 0;

  async function drive(connection: KeepAliveConnection): Promise<void> {
    for (let sentMs = startedMs; sentMs < endMs; sentMs = performance.now()) {
      const { status, body } = await connection.send(requests[sent++ % requests.length]!);
      latenciesMs.push(performance.now() - sentMs);
      if (status !== 202 || !body.includes(answerHolds)) {
        const quoted = body.slice(0, MAX_QUOTED_CHARS);
        throw new BenchError("load_failed", `POST ${path} was answered ${status}: ${quoted}`);
      }
    }
  }

  try {
    await Promise.all(connections.map(drive));
  } finally {
    for (const connection of connections) connection.close();
  }
  const elapsedMs = performance.now() - startedMs;
  const sorted = Float64Array.from(latenciesMs).toSorted();
  return {
    requests: sorted.length,
    elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
}
