// One request to Weir's intake → one outcome, a value. Every request has a deadline, redirects are not followed
// (the key would go along), and no more of an answer is read than a problem needs.
import { after, type Clock } from "./clock.ts";
import type { Batch } from "./queue.ts";

export type Outcome =
  | { kind: "accepted"; rejected: Array<{ path: string; reason: string; message: string }> }
  /** `afterMs` is the server's Retry-After. */
  | { kind: "retry"; trouble: string; afterMs?: number }
  | { kind: "refused"; status: number; code: string; detail: string };

export interface Intake {
  send(batch: Batch, kill: AbortSignal): Promise<Outcome>;
  /** Tells the server what the agent had to drop. */
  report(droppedMetrics: number, kill: AbortSignal): Promise<Outcome>;
}

const maxAnswerBytes = 1024 * 1024;

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Retry-After as seconds or as a date (RFC 9110, 10.2.3) → milliseconds from `nowMs`. */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  const afterMs = Number.isNaN(seconds) ? Date.parse(header) - nowMs : seconds * 1000;
  return Number.isFinite(afterMs) ? Math.max(0, afterMs) : undefined;
}

async function readJson(response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Only the code: an error's message may quote the request. */
function describeFailure(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === "TimeoutError")
    return `no answer within ${timeoutMs / 1000} s`;
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return (isObject(cause) && textOf(cause["code"])) || "the connection failed";
}

/** A multi-status answer: one record to be sent again means the whole body again, under its key (contracts.md). */
function outcomeOfMultiStatus(answer: unknown, afterMs: number | undefined): Outcome {
  const list = isObject(answer) && Array.isArray(answer["results"]) ? (answer["results"] as unknown[]) : [];
  const results = list.filter(isObject);
  if (results.some(({ status }) => status === "retry")) {
    const trouble = "the server could not make every metric durable";
    return { kind: "retry", trouble, ...(afterMs === undefined ? {} : { afterMs }) };
  }
  const rejected = results
    .filter(({ status }) => status === "rejected")
    .map(({ path, reason, message }) => ({
      path: textOf(path),
      reason: textOf(reason),
      message: textOf(message),
    }));
  return { kind: "accepted", rejected };
}

export function createIntake(context: {
  url: URL;
  key: string;
  timeoutMs: number;
  fetch: typeof fetch;
  clock: Clock;
}): Intake {
  const base = context.url.href.endsWith("/") ? context.url.href : `${context.url.href}/`;

  async function post(
    path: string,
    body: string,
    headers: Record<string, string>,
    kill: AbortSignal,
  ): Promise<Outcome> {
    // One deadline for the headers and the body alike: an answer that trickles is no answer. Made by hand, because
    // AbortSignal.any keeps a reference on the long-lived `kill` for every request on Node 20.
    const request = new AbortController();
    const answered = new AbortController();
    const onKill = () => request.abort();
    kill.addEventListener("abort", onKill, { once: true });
    if (kill.aborted) onKill();
    void after(context.clock, context.timeoutMs, answered.signal, () => {
      request.abort(new DOMException("deadline", "TimeoutError"));
    });
    try {
      const response = await context.fetch(new URL(path, base), {
        method: "POST",
        headers: { authorization: `Bearer ${context.key}`, "content-type": "application/json", ...headers },
        body,
        redirect: "manual",
        signal: request.signal,
      });
      const { status } = response;
      const afterMs = parseRetryAfter(response.headers.get("retry-after"), context.clock.now());
      const answer = await readJson(response);
      if (status === 207) return outcomeOfMultiStatus(answer, afterMs);
      if (status === 202) return { kind: "accepted", rejected: [] };
      const problem: Json = isObject(answer) ? answer : {};
      if (status === 429 || status >= 500) {
        const trouble = `${status} ${textOf(problem["code"])}`.trim();
        return { kind: "retry", trouble, ...(afterMs === undefined ? {} : { afterMs }) };
      }
      return { kind: "refused", status, code: textOf(problem["code"]), detail: textOf(problem["detail"]) };
    } catch (error) {
      return { kind: "retry", trouble: describeFailure(error, context.timeoutMs) };
    } finally {
      answered.abort();
      kill.removeEventListener("abort", onKill);
    }
  }

  return {
    send: (batch, kill) =>
      post("api/v1/metrics", batch.body, { "idempotency-key": batch.idempotencyKey }, kill),
    report: (quantity, kill) => {
      const discarded = [{ reason: "queue_overflow", signal: "metrics", quantity }];
      return post("api/v1/client-reports", JSON.stringify({ discarded }), {}, kill);
    },
  };
}
