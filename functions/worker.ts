// What is deployed: the HTTP routes, the schedule, the Durable Objects.
import { Hono } from "hono";
import { problem } from "../lib/http/problem.ts";
import { logger } from "../lib/observability/logger.ts";
import { wakeAll } from "./consume.ts";
import { ingest } from "./ingest.ts";
import { ops } from "./ops.ts";
import { query } from "./query.ts";
import { answerError, prepare, type AppEnv } from "./request-context.ts";
import { topics } from "./topics.ts";

export { PartitionConsumer } from "./objects/partition-consumer.ts";
export { PartitionLog } from "./objects/partition-log.ts";
export { TopicDirectory } from "./objects/topic-directory.ts";
export { TransportHost } from "./objects/transport-host.ts";

const app = new Hono<AppEnv>();
app.use(prepare);
app.route("/", ops);
app.route("/", query);
app.route("/", ingest);
app.route("/", topics);
app.onError(answerError);
app.notFound((c) => {
  const requestId = c.get("requestId");
  const { pathname } = new URL(c.req.url);
  const allowed = app.routes
    .filter(({ method, path }) => method !== "ALL" && isAt(path, pathname))
    .map(({ method }) => method);
  if (allowed.length === 0)
    return problem("not_found", { detail: "There is nothing at this path.", requestId });
  const methods = [...new Set(allowed)].join(", ");
  return problem("method_not_allowed", {
    detail: `Allowed here: ${methods}.`,
    requestId,
    headers: { Allow: methods },
  });
});

/** Whether a route, with its `:parameters`, is at a path. */
function isAt(route: string, pathname: string): boolean {
  const parts = pathname.split("/");
  const wanted = route.split("/");
  return (
    wanted.length === parts.length && wanted.every((part, i) => part.startsWith(":") || part === parts[i])
  );
}

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    try {
      await wakeAll(env);
    } catch (error) {
      logger.error("schedule_failed", { message: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  },
} satisfies ExportedHandler<Env>;
