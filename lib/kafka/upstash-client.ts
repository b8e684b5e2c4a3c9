// The client @upstash/kafka (1.3.5) over the REST client that the other dialects use. What is asked and how it is worded
// is the package's; the calls under it are not, because its own try anything again five times over 15 s and more (a
// produce that was given up would write again later), cannot be aborted, take no `fetch`, spoil a password that is not
// Latin-1, and lose the HTTP status where the body is no JSON.
import { Kafka } from "@upstash/kafka";
import { z } from "zod";
import { KafkaError, type KafkaErrorCode } from "./errors.ts";
import { createRestClient, fromHttpStatus, type RestAnswer, type RestCredentials } from "./rest-http.ts";

const JSON_TYPE = "application/json";

export interface UpstashOptions extends RestCredentials {
  url: string;
  /** KAFKA_ACKS_CONFIRMED: somebody vouches for what the service does. */
  acksConfirmed?: "all" | undefined;
  fetch?: typeof fetch;
}

/** What the package's producer, consumer and admin call with. */
interface WireRequest {
  path: string[];
  body?: unknown;
}

/** Makes a client for one call: `what` is for its errors, and the deadline is that call's own. */
export type UpstashClient = (what: string, timeoutMs: number) => Kafka;

export function createUpstashClient(options: UpstashOptions): UpstashClient {
  const rest = createRestClient(options.url, options, options.fetch);

  return (what, timeoutMs) => {
    const call = async (method: "GET" | "POST", { path, body }: WireRequest): Promise<unknown> => {
      const answer = await rest.call({
        method,
        path: `/${path.join("/")}`,
        accept: JSON_TYPE,
        ...(body !== undefined && { contentType: JSON_TYPE, body: JSON.stringify(body) }),
        timeoutMs,
      });
      if (answer.status !== 200) throw fromUpstashAnswer(answer, what);
      return answer.json;
    };
    // Its credentials stay unused: they would only lie about.
    const kafka = new Kafka({ url: options.url, username: "", password: "" });
    if (!("client" in kafka))
      throw new Error("this version of @upstash/kafka keeps its HTTP client elsewhere");
    Reflect.set(kafka, "client", {
      get: async (request: WireRequest) => await call("GET", request),
      post: async (request: WireRequest) => await call("POST", request),
    });
    return kafka;
  };
}

const errorBody = z.object({ error: z.string() });

/** The service worded Kafka's errors as text, under a status that stands for several. */
const BY_TEXT: readonly (readonly [RegExp, KafkaErrorCode])[] = [
  [/offset.{0,40}out.?of.?range/i, "offset_out_of_range"],
  [/too.?large|larger than/i, "too_large"],
  [/unknown.?topic|does not host this topic/i, "unknown_topic"],
];

/** Errors are `{result, error, status}` (upstash.com/docs/kafka/rest/restintro). */
function fromUpstashAnswer(answer: RestAnswer, what: string): KafkaError {
  const said = errorBody.safeParse(answer.json).data?.error ?? "";
  const byStatus = fromHttpStatus({ ...answer, json: { message: said } }, what);
  const isRefusal = answer.status === 400 || answer.status === 404 || answer.status === 422;
  const code = isRefusal ? BY_TEXT.find(([pattern]) => pattern.test(said))?.[1] : undefined;
  return code === undefined ? byStatus : new KafkaError(code, byStatus.message);
}
