// One HTTP call to a REST proxy: a deadline over headers and body, at most six at once, the body always drained,
// and every failure told as a KafkaError. Shared by the REST dialects; knows none of them.
import { KafkaError, MAKE_TOPIC } from "./errors.ts";

/** Workers allow six connections at once in one invocation (developers.cloudflare.com/workers/platform/limits). */
const MAX_CONNECTIONS = 6;

/** An error message of the other side is quoted up to this length. */
const MAX_QUOTED_CHARS = 200;

export interface RestCredentials {
  username?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
}

export interface RestCall {
  method: "GET" | "POST" | "DELETE";
  path: string;
  accept: string;
  contentType?: string;
  body?: string;
  timeoutMs: number;
  /** Take an answer below 500 that is no JSON for an answer, too: its `json` is undefined. */
  isAnyBodyTaken?: boolean;
}

export interface RestAnswer {
  status: number;
  headers: Headers;
  /** Parsed body; undefined when there is none. */
  json: unknown;
}

export interface RestClient {
  /** @throws KafkaError `unreachable`, `timeout`, `bad_answer`; any HTTP status with a JSON body is an answer */
  call(call: RestCall): Promise<RestAnswer>;
}

export function createRestClient(
  baseUrl: string,
  credentials: RestCredentials,
  fetcher: typeof fetch = (input, init) => fetch(input, init),
): RestClient {
  const root = baseUrl.replace(/\/+$/, "");
  const authorization = authorizationOf(credentials);
  const slots = createSlots(MAX_CONNECTIONS);

  async function send(call: RestCall): Promise<RestAnswer> {
    const headers = new Headers({ Accept: call.accept });
    if (call.contentType !== undefined) headers.set("Content-Type", call.contentType);
    if (authorization !== undefined) headers.set("Authorization", authorization);
    const init: RequestInit = {
      method: call.method,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(call.timeoutMs),
    };
    if (call.body !== undefined) init.body = call.body;
    let response: Response;
    let text: string;
    try {
      response = await fetcher(`${root}${call.path}`, init);
      text = await response.text();
    } catch (cause) {
      throw connectionError(cause, root, call.timeoutMs);
    }
    if (text === "") return { status: response.status, headers: response.headers, json: undefined };
    try {
      return { status: response.status, headers: response.headers, json: JSON.parse(text) };
    } catch {
      if (call.isAnyBodyTaken && response.status < 500)
        return { status: response.status, headers: response.headers, json: undefined };
      throw notJson(response, root);
    }
  }

  return {
    async call(call) {
      const release = await slots.take();
      try {
        return await send(call);
      } finally {
        release();
      }
    },
  };
}

/** The KafkaError for an answer that is not a success, by its HTTP status and, where it has one, its error code. */
export function fromHttpStatus(answer: RestAnswer, what: string): KafkaError {
  const { status } = answer;
  const quoted = messageOf(answer.json);
  const message = `${what}: HTTP ${status}${quoted === "" ? "" : ` (${quoted})`}`;
  if (status === 401 || status === 403) {
    return new KafkaError(
      "unauthorized",
      `${message}; check KAFKA_REST_USERNAME and KAFKA_REST_PASSWORD, or KAFKA_REST_TOKEN, and what they may do`,
    );
  }
  if (status === 404) return new KafkaError("unknown_topic", `${message}; ${MAKE_TOPIC}`);
  // Cloudflare's own, where the origin's TLS fails (developers.cloudflare.com, "5xx errors").
  if (status === 525 || status === 526)
    return new KafkaError("unreachable", `${message}: the certificate of KAFKA_REST_URL is not trusted`);
  if (status === 408 || status === 504) return new KafkaError("timeout", message);
  if (status === 413) return new KafkaError("too_large", message);
  if (status === 429) return new KafkaError("throttled", message, retryAfter(answer.headers));
  if (status >= 500) return new KafkaError("unavailable", message, retryAfter(answer.headers));
  if (/offset.?out.?of.?range/i.test(quoted)) return new KafkaError("offset_out_of_range", message);
  return new KafkaError("rejected", message);
}

function authorizationOf({ username, password, token }: RestCredentials): string | undefined {
  if (token !== undefined) return `Bearer ${token}`;
  if (username === undefined) return undefined;
  const bytes = new TextEncoder().encode(`${username}:${password ?? ""}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function connectionError(cause: unknown, root: string, timeoutMs: number): KafkaError {
  const isTimeout = cause instanceof Error && (cause.name === "TimeoutError" || cause.name === "AbortError");
  return isTimeout
    ? new KafkaError("timeout", `no answer from ${root} within ${timeoutMs} ms`, { cause })
    : new KafkaError(
        "unreachable",
        `${root} cannot be reached; is KAFKA_REST_URL right and the proxy running?${certificateHint(root)}`,
        {
          cause,
        },
      );
}

/** Workers does not say that a certificate was the reason (measured: "internal error"). */
function certificateHint(root: string): string {
  return root.startsWith("https:") ? " Its certificate must be one that is publicly trusted." : "";
}

/** A refusal may be worded as text or HTML and is one all the same; an unknown path or a 5xx is rather a gateway's. */
function notJson(response: Response, root: string): KafkaError {
  if (response.status >= 400 && response.status < 500 && response.status !== 404) {
    return fromHttpStatus({ status: response.status, headers: response.headers, json: undefined }, root);
  }
  const type = response.headers.get("content-type") ?? "no content type";
  return new KafkaError(
    "bad_answer",
    `${root} answered HTTP ${response.status} with ${type}, not JSON; is KAFKA_REST_URL a Kafka REST proxy?`,
    retryAfter(response.headers),
  );
}

function messageOf(json: unknown): string {
  if (typeof json !== "object" || json === null || !("message" in json)) return "";
  return String(json.message).slice(0, MAX_QUOTED_CHARS);
}

/** Retry-After in its form of seconds; the form of a date is ignored, and our own backoff holds. */
function retryAfter(headers: Headers): { retryAfterMs?: number } {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}

/** Counts who is inside, first come first served. Shared between requests only inside a Durable Object: elsewhere promises cannot cross them. */
function createSlots(size: number): { take(): Promise<() => void> } {
  let free = size;
  const waiting: (() => void)[] = [];
  const release = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return {
    async take() {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return release;
    },
  };
}
