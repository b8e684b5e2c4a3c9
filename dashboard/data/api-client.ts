// The one way this page asks the server: with the key, a deadline, and every failure as a value that says what to
// do about it. No DOM, so that it is tested over real HTTP. The key is never part of a message.

export interface Problem {
  /** What the page does: wait and try again, ask for a key, hide the panel, or show the message. */
  kind: "unreachable" | "slow" | "unauthorized" | "forbidden" | "missing" | "busy" | "failed";
  /** HTTP status, 0 where there was no answer. */
  status: number;
  code: string;
  detail: string;
  retryAfterMs?: number;
}

export type Answer<T> = { ok: true; value: T; next: string | undefined } | { ok: false; problem: Problem };

export interface Api {
  /** GET `path`; `parse` turns the JSON into what the page knows, or undefined when it is something else. */
  get<T>(
    path: string,
    parse: (json: unknown) => T | undefined,
    options?: { timeoutMs: number },
  ): Promise<Answer<T>>;
  post<T>(path: string, body: unknown, parse: (json: unknown) => T | undefined): Promise<Answer<T>>;
  /** The server's time in milliseconds, by the Date of its last answer; a viewer's clock may be wrong. */
  nowMs(): number;
}

const defaultTimeoutMs = 8_000;

/** For questions that the server puts to Kafka: one that hangs is given up there after 5 to 10 s, and told. */
export const kafkaTimeoutMs = 25_000;

/** Date has whole seconds and an answer takes time: below this the two clocks agree. */
const clockToleranceMs = 2_500;

const kinds: Record<number, Problem["kind"]> = {
  401: "unauthorized",
  403: "forbidden",
  404: "missing",
  429: "busy",
};

function problemOf(response: Response, json: unknown): Problem {
  const { code = "", detail = "", title = "" } = (json ?? {}) as Record<string, unknown>;
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return {
    kind: kinds[response.status] ?? "failed",
    status: response.status,
    code: typeof code === "string" ? code : "",
    detail: [detail, title].find((text): text is string => typeof text === "string" && text !== "") ?? "",
    ...(Number.isFinite(seconds) ? { retryAfterMs: Math.max(0, seconds) * 1000 } : {}),
  };
}

/** The address of the next page out of `Link: <…>; rel="next"` (RFC 8288), if it stays on this origin. */
export function nextPage(link: string | null, origin: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? "")?.[1];
  if (target === undefined || !URL.canParse(target, origin)) return undefined;
  const url = new URL(target, origin);
  return url.origin === new URL(origin).origin ? url.pathname + url.search : undefined;
}

export function createApi(context: {
  origin: string;
  key: () => string;
  fetch: typeof fetch;
  now: () => number;
}): Api {
  let offsetMs = 0;

  async function ask<T>(
    path: string,
    init: RequestInit,
    parse: (json: unknown) => T | undefined,
    timeoutMs = defaultTimeoutMs,
  ): Promise<Answer<T>> {
    let response: Response;
    let json: unknown;
    try {
      response = await context.fetch(new URL(path, context.origin), {
        ...init,
        headers: {
          authorization: `Bearer ${context.key()}`,
          ...(init.body ? { "content-type": "application/json" } : {}),
        },
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await response.text();
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined;
      }
    } catch (error) {
      const isSlow = error instanceof DOMException && error.name === "TimeoutError";
      const kind = isSlow ? "slow" : "unreachable";
      const detail = isSlow ? `no answer within ${timeoutMs / 1000} s` : "The server did not answer.";
      return { ok: false, problem: { kind, status: 0, code: "", detail } };
    }
    const behindMs = Date.parse(response.headers.get("date") ?? "") - context.now();
    if (Number.isFinite(behindMs)) offsetMs = Math.abs(behindMs) > clockToleranceMs ? behindMs : 0;
    if (!response.ok) return { ok: false, problem: problemOf(response, json) };
    const value = parse(json);
    if (value === undefined) {
      const detail =
        "The answer has a shape this page does not know. Reload it; server and page may differ in version.";
      return {
        ok: false,
        problem: { kind: "failed", status: response.status, code: "unknown_shape", detail },
      };
    }
    return { ok: true, value, next: nextPage(response.headers.get("link"), context.origin) };
  }

  return {
    get: (path, parse, options) => ask(path, { method: "GET" }, parse, options?.timeoutMs),
    post: (path, body, parse) => ask(path, { method: "POST", body: JSON.stringify(body) }, parse),
    nowMs: () => context.now() + offsetMs,
  };
}
