// Weir's HTTP API as the commands use it: an address, a key, answers as JSON. Every failure is an ApiError whose message
// says what to do next; the key is never in it.
import { z } from "zod";
import { DEV_KEY } from "../../lib/auth/api-key.ts";
import { UsageError } from "./command.ts";

const DEFAULT_URL = "http://127.0.0.1:8787";

/** Where `npm start` answers, which goes by the same variable. */
const defaultUrl = (port: string | undefined) => (port ? `http://127.0.0.1:${port}` : DEFAULT_URL);
const TIMEOUT_MS = 30_000;

export interface ApiSettings {
  url: string;
  key: string | undefined;
  /** Where the key is from, for messages. */
  keyOrigin: string;
  isLocal: boolean;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Undefined where there was no answer. */
  readonly status: number | undefined;
  /** The problem document, where there is one. */
  readonly problem: Problem | undefined;

  constructor(message: string, status?: number, problem?: Problem, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.problem = problem;
  }

  /** The server or its Kafka is away: the same call may succeed later. */
  get isPassing(): boolean {
    return this.status === undefined || [429, 502, 503, 504].includes(this.status);
  }
}

const problemSchema = z.looseObject({
  title: z.string(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
});
export type Problem = z.output<typeof problemSchema>;

/** @throws UsageError */
export function readApiSettings(
  given: { url: string | undefined; key: string | undefined },
  environment: Record<string, string | undefined>,
): ApiSettings {
  const text = given.url ?? (environment["WEIR_URL"] || defaultUrl(environment["WEIR_PORT"]));
  const origin = given.url === undefined ? "WEIR_URL" : "--url";
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(`${origin} must be an http(s) URL, such as ${DEFAULT_URL}`);
  }
  const { hostname } = new URL(text);
  const isLocal = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  const url = text.replace(/\/+$/, "");
  if (given.key !== undefined) return { url, key: given.key, keyOrigin: "the key of --api-key", isLocal };
  if (environment["WEIR_KEY"])
    return { url, key: environment["WEIR_KEY"], keyOrigin: "the key in WEIR_KEY", isLocal };
  return isLocal
    ? { url, key: DEV_KEY, keyOrigin: "the development key", isLocal }
    : { url, key: undefined, keyOrigin: "no key", isLocal };
}

export class Api {
  readonly #settings: ApiSettings;

  constructor(settings: ApiSettings) {
    this.#settings = settings;
  }

  /** @throws ApiError */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<{ value: T; next: string | undefined }> {
    try {
      return await this.#call("GET", path, undefined, schema);
    } catch (error) {
      // A connection kept from the last call may have been closed from the other side; reading twice does no harm.
      const isBroken =
        error instanceof ApiError && error.status === undefined && error.cause instanceof TypeError;
      if (!isBroken) throw error;
      return await this.#call("GET", path, undefined, schema);
    }
  }

  /** @throws ApiError */
  async post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const { value } = await this.#call("POST", path, body, schema);
    return value;
  }

  /** @throws ApiError */
  async patch<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const { value } = await this.#call("PATCH", path, body, schema);
    return value;
  }

  /** @throws ApiError */
  async delete<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const { value } = await this.#call("DELETE", path, undefined, schema);
    return value;
  }

  /** Every row of a list, page after page. @throws ApiError */
  async list<T>(path: string, row: z.ZodType<T>): Promise<T[]> {
    const rows: T[] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const page: { value: T[]; next: string | undefined } = await this.get(next, z.array(row));
      rows.push(...page.value);
      next = page.next;
    }
    return rows;
  }

  async #call<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
  ): Promise<{ value: T; next: string | undefined }> {
    const { url, key } = this.#settings;
    const headers = new Headers({ Accept: "application/json" });
    if (key !== undefined) headers.set("Authorization", `Bearer ${key}`);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (cause) {
      throw this.#noAnswer(cause);
    }
    const json = parseJson(text);
    if (!response.ok) throw this.#refusal(response, json);
    const parsed = schema.safeParse(json);
    if (!parsed.success) throw new ApiError(`${url} answered something else than Weir does; is it one?`);
    const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    return { value: parsed.data, next };
  }

  #noAnswer(cause: unknown): ApiError {
    const { url, isLocal } = this.#settings;
    if (cause instanceof Error && cause.name === "TimeoutError")
      return new ApiError(`${url} did not answer within ${TIMEOUT_MS / 1000} s`, undefined, undefined, cause);
    // A character that no header can carry is refused before anything is sent.
    if (cause instanceof TypeError && /header/i.test(cause.message))
      return new ApiError(`${this.#settings.keyOrigin} holds a character that no header can carry`, 400);
    const mend = isLocal ? "is `npm start` running?" : "is the address right?";
    return new ApiError(
      `${url} does not answer: ${mend} (--url or WEIR_URL names another)`,
      undefined,
      undefined,
      cause,
    );
  }

  #refusal(response: Response, json: unknown): ApiError {
    const { url, keyOrigin } = this.#settings;
    const { status } = response;
    const { data: problem } = problemSchema.safeParse(json);
    if (status === 401)
      return new ApiError(
        keyOrigin === "no key"
          ? `${url} asks for a key: set WEIR_KEY, or give --api-key`
          : `${keyOrigin} is not valid at ${url}: set WEIR_KEY, or give --api-key`,
        status,
        problem,
      );
    if (status === 403 && problem)
      return new ApiError(`${keyOrigin} may not do this. ${problem.detail}`, status, problem);
    if (!problem) {
      const type = response.headers.get("content-type") ?? "no content type";
      return new ApiError(`${url} answered HTTP ${status} with ${type}; is it a Weir?`, status);
    }
    const trace = status >= 500 ? ` (request ${problem.request_id})` : "";
    return new ApiError(`${problem.detail}${trace}`, status, problem);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
