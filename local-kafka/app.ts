/**
 * The HTTP API over a log: Redpanda's proxy and Confluent's topics, on one Hono app. It knows nothing of files or
 * sockets, so that another log, or another dialect, is one line here.
 */
import { Hono } from "hono";
import type { Groups } from "./groups/groups.ts";
import { answerError } from "./http/api-error.ts";
import type { Bindings } from "./http/read-body.ts";
import type { Log } from "./log/log.ts";
import { confluentTopicRoutes } from "./routes/confluent-v3/topics.ts";
import { consumerRoutes } from "./routes/pandaproxy/consumers.ts";
import { topicRoutes } from "./routes/pandaproxy/topics.ts";

export interface AppOptions {
  log: Log;
  groups: Groups;
  maxRequestBytes: number;
  advertisedUrl: string | undefined;
  deleteTopic: (name: string) => Promise<void>;
  /** Told about errors that are ours, not the request's. */
  onFault: (error: unknown) => void;
}

export function createApp(options: AppOptions): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  for (const routes of [topicRoutes(options), consumerRoutes(options), confluentTopicRoutes(options)]) {
    app.route("/", routes);
  }
  app.onError((error, c) => answerError(c, error, options.onFault));
  // Seastar's words; a path or method without a route has its own shape there.
  app.notFound((c) =>
    c.body('{"message": "Not found", "code": 404}', 404, { "content-type": "application/json" }),
  );
  return app;
}
