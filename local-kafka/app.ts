/**
 * The HTTP API over a log, in one of several dialects, on one Hono app. It knows nothing of files or sockets, so that
 * another log, or another dialect, is one line here.
 */
import { type Context, Hono } from "hono";
import type { Groups } from "./groups/groups.ts";
import { answerError } from "./http/api-error.ts";
import { type Credentials, basicAuth } from "./http/basic-auth.ts";
import type { Bindings } from "./http/read-body.ts";
import type { Log } from "./log/log.ts";
import { confluentRecordRoutes } from "./routes/confluent-v3/records.ts";
import { confluentTopicDetailRoutes } from "./routes/confluent-v3/topic-details.ts";
import { confluentTopicRoutes } from "./routes/confluent-v3/topics.ts";
import { karapaceConsumerRoutes } from "./routes/karapace/consumers.ts";
import { answerKarapaceError } from "./routes/karapace/errors.ts";
import { karapaceTopicRoutes } from "./routes/karapace/topics.ts";
import { consumerRoutes } from "./routes/pandaproxy/consumers.ts";
import { topicRoutes } from "./routes/pandaproxy/topics.ts";
import { upstashConsumerRoutes } from "./routes/upstash/consumers.ts";
import { answerUpstashError } from "./routes/upstash/errors.ts";
import { upstashTopicRoutes } from "./routes/upstash/topics.ts";

export interface AppOptions {
  dialect: Dialect;
  log: Log;
  groups: Groups;
  now: () => number;
  maxRequestBytes: number;
  advertisedUrl: string | undefined;
  /** What every request must carry as HTTP Basic; nothing when undefined. */
  credentials: Credentials | undefined;
  deleteTopic: (name: string) => Promise<void>;
  /** Told about errors that are ours, not the request's. */
  onFault: (error: unknown) => void;
}

type App = Hono<{ Bindings: Bindings }>;

interface DialectParts {
  routes: (options: AppOptions) => App[];
  onError: (c: Context, error: unknown, onFault: (error: unknown) => void) => Response;
  notFound: (c: Context) => Response;
  unauthorized: 401 | 40101;
}

const DIALECTS = {
  redpanda: {
    routes: (options) => [topicRoutes(options), consumerRoutes(options), confluentTopicRoutes(options)],
    onError: answerError,
    // Seastar's words; a path or method without a route has its own shape there.
    notFound: (c) =>
      c.body('{"message": "Not found", "code": 404}', 404, { "content-type": "application/json" }),
    unauthorized: 40101,
  },
  karapace: {
    routes: (options) => [karapaceTopicRoutes(options), karapaceConsumerRoutes(options)],
    onError: answerKarapaceError,
    notFound: (c) => c.text("404: Not Found", 404),
    unauthorized: 40101,
  },
  "confluent-v3": {
    routes: (options) => [
      confluentTopicRoutes(options),
      confluentTopicDetailRoutes(options),
      confluentRecordRoutes(options),
    ],
    onError: answerError,
    notFound: (c) => c.json({ error_code: 404, message: "HTTP 404 Not Found" }, 404),
    unauthorized: 40101,
  },
  upstash: {
    routes: (options) => [upstashTopicRoutes(options), upstashConsumerRoutes(options)],
    onError: answerUpstashError,
    notFound: (c) => c.json({ result: "Error", error: "Not Found", status: 404 }, 404),
    unauthorized: 401,
  },
} satisfies Record<string, DialectParts>;

/** Whose proxy the app is. */
export type Dialect = keyof typeof DIALECTS;

export const DIALECT_NAMES = Object.keys(DIALECTS) as Dialect[];

export function createApp(options: AppOptions): App {
  const { routes, onError, notFound, unauthorized }: DialectParts = DIALECTS[options.dialect];
  const app = new Hono<{ Bindings: Bindings }>();
  app.use(basicAuth(options.credentials, unauthorized));
  for (const part of routes(options)) app.route("/", part);
  app.onError((error, c) => onError(c, error, options.onFault));
  app.notFound(notFound);
  return app;
}
