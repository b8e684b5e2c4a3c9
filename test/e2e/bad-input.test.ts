// Bad input over real sockets against real workerd: always a 4xx problem, the worker stays up, its memory bounded.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLocalKafka, type LocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka, type LocalKafkaServer } from "../../local-kafka/server.ts";
import { allLogs, postLogs } from "../support/api.ts";
import { devKey, startWorkerProcess, until, type WorkerProcess } from "../support/start.ts";

describe("bad input", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "weir-bad-input-"));
  let kafka: LocalKafka;
  let server: LocalKafkaServer;
  let worker: WorkerProcess;

  beforeAll(async () => {
    const topics = ["logs", "metrics", "events"].map((signal) => ({ name: `${signal}.raw`, partitions: 3 }));
    kafka = await openLocalKafka({ dataDir: join(dataDir, "kafka"), topics, fsync: false });
    server = await serveLocalKafka(kafka, "127.0.0.1", 0);
    worker = await startWorkerProcess({
      port: 0,
      dataDir,
      bindings: { ENVIRONMENT: "development", KAFKA_REST_URL: server.url },
    });
  });
  afterAll(async () => {
    await worker?.kill();
    await server?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const post = async (body: Uint8Array | string, headers: Record<string, string> = {}) =>
    await fetch(`${worker.url}/api/v1/logs`, {
      method: "POST",
      headers: { Authorization: `Bearer ${devKey}`, "Content-Type": "application/json", ...headers },
      body,
    });

  /** A raw request, since no client library would send it. @returns the answer's status */
  const raw = async (target: string): Promise<number> =>
    await new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(worker.url).port), "127.0.0.1");
      let answer = "";
      socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`no answer but ${JSON.stringify(answer)}`)));
      socket.on("data", (chunk) => {
        answer += chunk.toString("latin1");
        const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
        if (status === undefined) return;
        resolve(Number(status));
        socket.destroy();
      });
      socket.write(
        `POST ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${devKey}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
        "latin1",
      );
    });

  /** The most that workerd ever held in memory, MiB. */
  const peakMiB = () =>
    Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${worker.workerdPid}/status`, "utf8"))![1]) / 1024;

  it("is a 4xx, also where only a raw socket can send it", async () => {
    for (const target of ["/api/v1/logs\u0001", "/api/v1/logs%01", "/api/v1/logs%7f", "/\u0000"]) {
      expect(await raw(target), JSON.stringify(target)).toBe(400);
    }
    for (const target of ["/api/v1/logs%", "/api/v1/logs%ff"]) expect(await raw(target)).toBe(404);
  });

  it("takes no memory out of proportion", async (context) => {
    if (process.platform !== "linux") context.skip("a process's peak memory is read from /proc, on Linux");
    await (await post('{"message":"warm"}')).arrayBuffer();
    const before = peakMiB();
    const bombs: [Uint8Array, number][] = [
      [gzipSync(`[${"{},".repeat(3_495_000)}{}]`), 413],
      [gzipSync(`[${"[".repeat(5_000_000)}`), 413],
      [gzipSync(new Uint8Array(200_000_000)), 413],
      [gzipSync(`{"message":"${"x".repeat(10_000_000)}"}`), 400],
      [gzipSync(`{"message":"m","attributes":${'{"a":'.repeat(100_000)}1${"}".repeat(100_001)}`), 400],
      [gzipSync("\n".repeat(10_000_000)), 400],
    ];
    for (let round = 0; round < 3; round++) {
      for (const [i, [body, status]] of bombs.entries()) {
        const response = await post(body, { "Content-Encoding": "gzip" });
        expect(response.status, `bomb ${i}`).toBe(status);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        await response.arrayBuffer();
      }
    }
    // Four times the 10 MiB that a body may unpack to, a text of it among them, and what the collector leaves standing.
    // JSON.parse alone takes 230 MiB for the first of these.
    expect(peakMiB() - before).toBeLessThan(160);
  });

  it("leaves the worker well", async () => {
    const response = await postLogs(worker.url, [
      { message: "still here", service: "after" },
      { message: 5 },
    ]);
    expect(response.status).toBe(207);
    await until(async () => (await allLogs(worker.url, "after")).length === 1, 5_000);
  });
});
