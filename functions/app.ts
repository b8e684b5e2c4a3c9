// The HTTP routes, all of them: a part that is not mounted here answers nowhere and stands in no document.
import { Hono } from "hono";
import { problem } from "../lib/http/problem.ts";
import { OTLP_SIGNALS } from "../lib/telemetry/otlp/request.ts";
import { alerts } from "./alerts.ts";
import { clientReports } from "./client-reports.ts";
import { cors } from "./cors.ts";
import { deadLetters } from "./dead-letters.ts";
import type { Deployment } from "./deployment.ts";
import { flush } from "./flush.ts";
import { groups } from "./groups.ts";
import { ingest } from "./ingest.ts";
import { keys } from "./keys.ts";
import { ledger } from "./ledger.ts";
import { createMetricsPage } from "./metrics-page.ts";
import { createOpenApi } from "./openapi.ts";
import { ops } from "./ops.ts";
import { otlpErrors } from "./otlp.ts";
import { query } from "./query.ts";
import { replay } from "./replay.ts";
import { produceRequestEvents } from "./request-events.ts";
import { stats } from "./stats.ts";
import { requestLog } from "./request-log.ts";
import { answerError, prepare, type AppEnv } from "./request-context.ts";
import { topics } from "./topics.ts";

export const app = new Hono<AppEnv>();
// First, so that refusals and failures are seen, too.
app.use(
  requestLog({
    settings: (c) => {
      const deployment: Deployment | undefined = c.get("deployment");
      return deployment?.config;
    },
    produceEvents: produceRequestEvents,
  }),
);
for (const signal of OTLP_SIGNALS) app.use(`/v1/${signal}`, otlpErrors);
app.use(prepare);
app.use(cors);
app.route("/", ops);
app.route("/", query);
app.route("/", ingest);
app.route("/", clientReports);
app.route("/", topics);
app.route("/", keys);
app.route("/", ledger);
app.route("/", deadLetters);
app.route("/", replay);
app.route("/", groups);
app.route("/", stats);
app.route("/", alerts);
app.route("/", flush);
app.route(
  "/",
  createMetricsPage((c) => c.get("deployment").config.EDGE_FLUSH_MS),
);
app.route(
  "/",
  createOpenApi(() => app.routes),
);
app.onError(answerError);
app.notFound((c) => {
  const requestId = c.get("requestId");
  const { pathname } = new URL(c.req.url);
  const here = app.routes.filter(({ method, path }) => method !== "ALL" && isAt(path, pathname));
  // As in the document: a path that is written out goes before one with parameters.
  const writtenOut = here.filter(({ path }) => path === pathname);
  const allowed = (writtenOut.length > 0 ? writtenOut : here).map(({ method }) => method);
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
