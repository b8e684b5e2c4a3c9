// Under the shared REST client, which wants one JSON text an answer: a fetch that makes one of the reports of a produce
// call. They come as concatenated JSON and may break off; those that came before that still count.
import { z } from "zod";
import { readConcatenatedJson } from "./rest-v3-stream.ts";

/** What the answer to POST …/records is turned into. */
export const reportsAnswer = z.object({
  reports: z.array(z.unknown()),
  /** Why there may be fewer reports than records. */
  end: z.enum(["whole", "cut", "timeout", "not_json", "too_long"]),
});

export type Reports = z.infer<typeof reportsAnswer>;

export function withReportsAsOne(fetcher: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await fetcher(input, init);
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const isReports = init?.method === "POST" && pathname.endsWith("/records");
    if (!isReports || response.status !== 200) return response;
    const { values, end } = await readConcatenatedJson(response.body);
    // Nothing is known of any record: the call as a whole has failed.
    if (typeof end === "object" && values.length === 0) throw end.brokenBy;
    const one: Reports = { reports: values, end: typeof end === "object" ? breakOf(end.brokenBy) : end };
    return Response.json(one);
  };
}

function breakOf(cause: unknown): "cut" | "timeout" {
  const isTimeout = cause instanceof Error && (cause.name === "TimeoutError" || cause.name === "AbortError");
  return isTimeout ? "timeout" : "cut";
}
