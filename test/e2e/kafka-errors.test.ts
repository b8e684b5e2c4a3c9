// What an operator is told when Kafka cannot be used: one sentence in /kafka/status and in the log that says what to do,
// a 503 for the client where nothing is kept for it (SPILL=off), and never a secret.
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka } from "../../local-kafka/server.ts";
import { getJson, postLogs } from "../support/api.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { realKafka, startRealKafka, type RealKafka } from "../support/real-kafka.ts";
import { root, startWorkerProcess } from "../support/start.ts";

const fixture = (file: string) => readFileSync(join(root, "test/fixtures/self-signed", file));
const selfSigned = { key: fixture("key.pem"), cert: fixture("certificate.pem") };

const SECRET = "hunter2-S3CRET";

const endings: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).toReversed()) await end();
});

interface Status {
  kafka_producer: string;
  error?: string;
  error_code?: string;
}

async function statusWith(settings: Record<string, string>): Promise<{ status: Status; log: string }> {
  const dataDir = makeDataDir("errors");
  endings.push(() => dataDir.remove());
  const worker = await startWorkerProcess({
    port: 0,
    dataDir: dataDir.path,
    bindings: { ENVIRONMENT: "development", SPILL: "off", ...settings },
  });
  endings.push(() => worker.kill());
  const [status, response] = await Promise.all([
    getJson<Status>(worker.url, "/kafka/status"),
    postLogs(worker.url, [{ message: "m" }], 60_000),
  ]);
  expect(response.status).toBe(503);
  const answer = await response.text();
  const log = worker.output();
  for (const text of [JSON.stringify(status), answer, log]) expect(text).not.toContain(SECRET);
  return { status, log };
}

/** The error stands in the status and, word for word, in a line of the log. */
function expectTold({ status, log }: { status: Status; log: string }, code: string, told: RegExp): void {
  expect(status).toMatchObject({ error_code: code });
  expect(status.error).toMatch(told);
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  const messages = lines.map((line) => (JSON.parse(line) as { message?: string }).message ?? "");
  expect(
    messages.some((message) => told.test(message)),
    log,
  ).toBe(true);
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endings.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const html: RequestListener = (_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<html><body>Welcome to nginx!</body></html>");
};

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const port = await listen(createServer());
  await endings.pop()?.();
  return port;
}

describe("rest-v2", () => {
  it("wrong URL", async () => {
    const told = await statusWith({ KAFKA_REST_URL: `http://127.0.0.1:${await closedPort()}` });
    expectTold(told, "unreachable", /KAFKA_REST_URL/);
    expect(told.status.kafka_producer).toBe("disconnected");
  });

  it("wrong password", async () => {
    const port = await listen(
      createServer((_, response) => {
        response.writeHead(401, { "Content-Type": "application/json" });
        response.end(`{"error_code":40101,"message":"Unauthorized"}`);
      }),
    );
    const told = await statusWith({
      KAFKA_REST_URL: `http://127.0.0.1:${port}`,
      KAFKA_REST_USERNAME: "weir",
      KAFKA_REST_PASSWORD: SECRET,
    });
    expectTold(told, "unauthorized", /KAFKA_REST_USERNAME and KAFKA_REST_PASSWORD/);
  });

  it("missing topic", async () => {
    const dataDir = makeDataDir("errors-kafka");
    const kafka = await openLocalKafka({ dataDir: dataDir.path, fsync: false });
    const server = await serveLocalKafka(kafka, "127.0.0.1", 0);
    endings.push(
      () => dataDir.remove(),
      () => server.close(),
    );
    const told = await statusWith({ KAFKA_REST_URL: server.url });
    expect(told.status.kafka_producer).toBe("disconnected");
    expectTold(told, "unknown_topic", /weir topics init/);
  });

  it("a certificate that is not trusted", async () => {
    const port = await listen(createTlsServer(selfSigned, html));
    expectTold(
      await statusWith({ KAFKA_REST_URL: `https://127.0.0.1:${port}` }),
      "unreachable",
      /certificate.*KAFKA_REST_URL|KAFKA_REST_URL.*certificate/i,
    );
  });

  it("a proxy that answers HTML", async () => {
    const told = await statusWith({ KAFKA_REST_URL: `http://127.0.0.1:${await listen(createServer(html))}` });
    expectTold(told, "bad_answer", /is KAFKA_REST_URL a/);
  });
});

describe.skipIf(!realKafka.available)(`native ${realKafka.why}`, () => {
  let kafka: RealKafka;
  beforeAll(async () => {
    kafka = await startRealKafka({ sasl: true, tls: true });
  });
  afterAll(async () => {
    await kafka?.close();
  });
  const native = (brokers: string) => ({ KAFKA_TRANSPORT: "native", KAFKA_BROKERS: brokers });
  const sasl = (password: string) => ({
    KAFKA_SASL_MECHANISM: "SCRAM-SHA-256",
    KAFKA_SASL_USERNAME: kafka.sasl.username,
    KAFKA_SASL_PASSWORD: password,
  });

  it("wrong address", async () => {
    const told = await statusWith(native(`127.0.0.1:${await closedPort()}`));
    expectTold(told, "unreachable", /KAFKA_BROKERS/);
    expect(told.status.kafka_producer).toBe("disconnected");
  });

  it("wrong password", async () =>
    expectTold(
      await statusWith({ ...native(kafka.sasl.bootstrap), ...sasl(SECRET) }),
      "unauthorized",
      /KAFKA_SASL_USERNAME/,
    ));

  it("missing topic", async () =>
    expectTold(await statusWith(native(kafka.bootstrap)), "unknown_topic", /weir topics init/));

  it("a certificate that is not trusted", async () =>
    expectTold(
      await statusWith({
        ...native(kafka.tls.bootstrap),
        ...sasl(kafka.sasl.password),
        KAFKA_TLS: "true",
      }),
      "unreachable",
      /certificate|TLS/,
    ));

  it("TLS asked of a port that speaks plain, and the reverse", async () => {
    expectTold(
      await statusWith({ ...native(kafka.bootstrap), KAFKA_TLS: "true" }),
      "unreachable",
      /KAFKA_TLS/,
    );
    expectTold(await statusWith(native(kafka.tls.bootstrap)), "unreachable", /KAFKA_TLS/);
  });

  it("a proxy that answers HTML", async () =>
    expectTold(
      await statusWith(native(`127.0.0.1:${await listen(createServer(html))}`)),
      "bad_answer",
      /KAFKA_BROKERS.*not.*REST proxy|HTTP/,
    ));
});
