// Serves the built page and plausible answers of the public API: for looking at the page in every state, and for tests
// over real HTTP. That the answers are the API's is proved by fixture-server.test.ts, against its shapes. Figures are a function of time, so two runs look alike.
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { deadLetters, kafkaStatus, ledger } from "./pipeline-answers.ts";

export const scenarios = [
  "normal",
  "fleet",
  "empty",
  "failing",
  "unauthorized",
  "query-only",
  "behind",
  "outage",
  "recovering",
  "dead-letters",
  "unbalanced",
] as const;
export type Scenario = (typeof scenarios)[number];

export interface FixtureServer {
  readonly origin: string;
  scenario: Scenario;
  /** Every API request: method, path with query. */
  readonly asked: string[];
  close(): Promise<void>;
}

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".map": "application/json",
};

const intervalMs = 5_000;

function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  response.writeHead(status, {
    "content-type": "application/problem+json",
    ...(status === 503 ? { "retry-after": "2" } : {}),
  });
  response.end(
    JSON.stringify({ type: "about:blank", title: code, status, code, detail, request_id: "r-1", errors: [] }),
  );
}

/** A wave with some roughness between 0 and 1, different for every seed. */
function wave(atMs: number, seed: number): number {
  const t = atMs / 1000 + seed * 977;
  const rough = Math.abs(Math.sin(t * 12.9898 + seed) * 43758.5453) % 1;
  return 0.5 + 0.28 * Math.sin(t / 140) + 0.12 * Math.sin(t / 31) + 0.1 * (rough - 0.5);
}

function fromMs(from: string | null, nowMs: number): number {
  const relative = /^-(\d+)([smh])$/.exec(from ?? "");
  if (relative)
    return (
      nowMs - Number(relative[1]) * { s: 1_000, m: 60_000, h: 3_600_000 }[relative[2] as "s" | "m" | "h"]
    );
  return from ? Date.parse(from) : nowMs - 900_000;
}

type Value = (atMs: number, seed: number) => number;

const figures: Record<string, { value: Value; extra?: Array<Record<string, string>> }> = {
  cpu_usage_percent: { value: (at, seed) => 8 + 52 * wave(at, seed) ** 2 },
  memory_usage_percent: { value: (at, seed) => 41 + 9 * wave(at / 8, seed + 3) + seed * 6 },
  disk_usage_percent: {
    value: (_, seed) => 34 + ((seed * 29) % 63),
    extra: [{ mount: "/" }, { mount: "/var/lib/data" }],
  },
  disk_used_bytes: {
    value: (_, seed) => 48e9 + seed * 170e9,
    extra: [{ mount: "/" }, { mount: "/var/lib/data" }],
  },
  network_receive_bytes_per_second: {
    value: (at, seed) => 2.4e6 * wave(at, seed + 5) ** 3,
    extra: [{ interface: "eth0" }, { interface: "wg0" }],
  },
  network_transmit_bytes_per_second: {
    value: (at, seed) => 6.1e5 * wave(at, seed + 9) ** 2,
    extra: [{ interface: "eth0" }, { interface: "wg0" }],
  },
};

function metrics(url: URL, hosts: string[], nowMs: number): unknown[] {
  const figure = figures[url.searchParams.get("name") ?? ""];
  if (!figure) return [];
  const start = fromMs(url.searchParams.get("from"), nowMs);
  const points: Array<{ name: string | null; value: number; labels: object; timestamp: string }> = [];
  for (let at = Math.floor(nowMs / intervalMs) * intervalMs; at >= start; at -= intervalMs) {
    hosts.forEach((host, index) => {
      // One host was away for a while: a gap to be seen.
      if (index === 1 && nowMs - at > 300_000 && nowMs - at < 420_000) return;
      for (const [place, extra] of (figure.extra ?? [{}]).entries()) {
        points.push({
          name: url.searchParams.get("name"),
          value: figure.value(at + index * 400, index * 2 + place),
          labels: { service: "host", host, ...extra },
          timestamp: new Date(at + index * 400).toISOString(),
        });
      }
    });
  }
  return points;
}

const sampleLogs: Array<[level: string, service: string, message: string, attributes: object]> = [
  ["INFO", "checkout", "order placed", { order_id: "o-48213", items: 3, total: 82.4 }],
  ["DEBUG", "catalog", "cache miss for product 1183", { key: "product:1183", took_ms: 4 }],
  ["WARN", "payments", "retrying charge after 502 from the bank's gateway (attempt 2 of 5)", { attempt: 2 }],
  [
    "INFO",
    "web",
    "GET /products/1183 200 in 41 ms",
    { method: "GET", status: 200, trace_id: "4bf92f3577b34da6" },
  ],
  [
    "ERROR",
    "payments",
    "charge failed: <b>card_declined</b> & no markup of mine is run",
    { code: "card_declined" },
  ],
  ["INFO", "worker", "drained partition 2 of logs.raw up to offset 18 204", { partition: 2 }],
  [
    "FATAL",
    "search",
    "index is corrupt; stopping: java.lang.IllegalStateException: checksum of segment _7f.cfs does not match its footer",
    {},
  ],
  ["TRACE", "catalog", "enter loadProduct", {}],
];

function logs(limit: number, nowMs: number): unknown[] {
  const newest = Math.floor(nowMs / 1_700);
  return Array.from({ length: limit }, (_, index) => {
    const [level, service, message, attributes] =
      sampleLogs[(newest - index) % sampleLogs.length] ?? sampleLogs[0]!;
    return {
      timestamp: new Date((newest - index) * 1_700 + (((newest - index) * 37) % 1000)).toISOString(),
      level,
      message,
      service,
      host: `web-${((newest - index) % 3) + 1}`,
      attributes,
    };
  });
}

function lag(scenario: Scenario, nowMs: number): unknown[] {
  if (scenario === "empty") return [];
  return ["logs.raw", "metrics.raw", "events.raw", "traces.raw"].flatMap((topic, index) =>
    [0, 1, 2].map((partition) => {
      const end = Math.floor((nowMs / 1000 - 1.795e9) * (4 - index) * 1.7);
      const stuck = scenario === "behind" && topic === "events.raw" && partition === 1;
      const behind = scenario === "behind" ? [12_040, 2_300, 410, 0][index]! : (partition * 7 + index) % 3;
      return {
        group: "weir",
        topic,
        partition,
        committed: end - behind,
        end,
        lag: behind,
        records: end * 12,
        dead_letters: 0,
        expired: 0,
        updated_at: new Date(nowMs).toISOString(),
        ...(stuck ? { error: "storage_unavailable: D1 answered 'database is locked'" } : {}),
      };
    }),
  );
}

export async function startFixtureServer(
  options: { assets?: string; scenario?: Scenario; port?: number } = {},
): Promise<FixtureServer> {
  const { assets = "dist/dashboard" } = options;
  const asked: string[] = [];
  const sent: unknown[] = [];
  const server = createServer(
    (request, response) => void answer(request.method ?? "", request.url ?? "/", request, response),
  );

  const fixture: FixtureServer = {
    scenario: options.scenario ?? "normal",
    asked,
    get origin() {
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  async function answer(
    method: string,
    target: string,
    request: AsyncIterable<Buffer>,
    response: ServerResponse,
  ): Promise<void> {
    const url = new URL(target, "http://fixture");
    if (!url.pathname.startsWith("/api/") && !url.pathname.startsWith("/kafka/"))
      return serveAsset(url.pathname, response);
    asked.push(`${method} ${target}`);
    const { scenario } = fixture;
    if (scenario === "unauthorized") return problem(response, 401, "unauthorized", "unknown key");
    if (scenario === "failing") return problem(response, 503, "storage_unavailable", "D1 does not answer");
    const operatorOnly = url.pathname === "/api/v1/lag" || url.pathname === "/kafka/status";
    if (scenario === "query-only" && operatorOnly)
      return problem(response, 403, "forbidden", "needs the scope operator");
    const nowMs = Date.now();
    const hosts =
      scenario === "fleet" || scenario === "behind"
        ? ["web-1", "web-2", "db-primary.internal", "worker-7"]
        : ["meadow"];
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (method === "POST") {
      let text = "";
      for await (const chunk of request) text += String(chunk);
      sent.unshift({
        timestamp: new Date(nowMs).toISOString(),
        attributes: {},
        ...(JSON.parse(text) as object),
      });
      return reply(202, {
        status: "queued",
        message: "Accepted",
        accepted: 1,
        rejected: 0,
        durability: "kafka",
        batch: "b",
      });
    }
    if (url.pathname === "/api/v1/metrics") {
      const points = scenario === "empty" ? [] : metrics(url, hosts, nowMs);
      const limit = Number(url.searchParams.get("limit") ?? 100);
      const start = Number(url.searchParams.get("cursor") ?? 0);
      if (start + limit < points.length) {
        url.searchParams.set("cursor", String(start + limit));
        response.setHeader("link", `<${url.pathname}${url.search}>; rel="next"`);
      }
      return reply(200, points.slice(start, start + limit));
    }
    if (url.pathname === "/api/v1/logs") {
      const limit = Number(url.searchParams.get("limit") ?? 100);
      return reply(200, [...sent, ...(scenario === "empty" ? [] : logs(limit, nowMs))].slice(0, limit));
    }
    if (url.pathname === "/api/v1/lag") return reply(200, lag(scenario, nowMs));
    if (url.pathname === "/kafka/status") return reply(200, kafkaStatus(scenario));
    if (url.pathname === "/api/v1/ledger") return reply(200, ledger(scenario));
    if (url.pathname === "/api/v1/dlq") {
      const limit = Number(url.searchParams.get("limit") ?? 100);
      const letters = deadLetters(scenario, nowMs);
      if (letters.length > limit)
        response.setHeader("link", `<${url.pathname}?limit=${limit}&cursor=x>; rel="next"`);
      return reply(200, letters.slice(0, limit));
    }
    return problem(response, 404, "not_found", "no such endpoint");
  }

  /** With the headers that `_headers` gives every file, as Workers static assets would. */
  async function serveAsset(path: string, response: ServerResponse): Promise<void> {
    try {
      const rules = await readFile(join(assets, "_headers"), "utf8");
      const headers = Object.fromEntries(
        [...rules.matchAll(/^\s+([\w-]+):\s*(.+)$/gm)].map(([, name = "", value = ""]) => [name, value]),
      );
      const name = normalize(path === "/" ? "/index.html" : path);
      const bytes = await readFile(join(assets, name));
      response.writeHead(200, {
        "content-type": types[extname(name)] ?? "application/octet-stream",
        ...headers,
      });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  return fixture;
}
