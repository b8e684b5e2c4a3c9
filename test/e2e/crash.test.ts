// `kill -9` of local-kafka under load, and of the worker at each step of its consume loop: what was answered 202 is
// there, and what is stored is stored once.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLocalKafka, type LocalKafka } from "../../local-kafka/broker.ts";
import { serveLocalKafka, type LocalKafkaServer } from "../../local-kafka/server.ts";
import { allLogs, getJson, postLogs, readTopic, text } from "../support/api.ts";
import { devKey, root, startWeir, startWorkerProcess, until, type WorkerProcess } from "../support/start.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "weir-crash-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

describe("kill -9 of local-kafka during load", () => {
  it("loses nothing that was answered 202, and tears nothing", async () => {
    const weir = await startWeir({ dataDir, env: { WEIR_DEMO: "off" } });
    try {
      const service = "crash";
      const acknowledged = new Set<string>();
      const others: number[] = [];
      const load = new AbortController();
      const client = async (n: number) => {
        for (let i = 0; !load.signal.aborted; i++) {
          const ids = [0, 1, 2].map((part) => `${n}-${i}-${part}`);
          const entries = ids.map((id) => ({ message: id, service, host: `h${n}` }));
          const response = await postLogs(weir.url, entries).catch(() => undefined);
          if (response?.status === 202) for (const id of ids) acknowledged.add(id);
          else others.push(response?.status ?? 0);
          await response?.arrayBuffer();
        }
      };
      const clients = Array.from({ length: 10 }, (_, n) => client(n));
      for (const goal of [300, 600]) {
        await until(() => acknowledged.size >= goal, 20_000);
        const before = weir.pids().kafka!;
        process.kill(before, "SIGKILL");
        await until(() => weir.pids().kafka !== undefined && weir.pids().kafka !== before, 20_000);
      }
      const atRestart = acknowledged.size;
      await until(() => acknowledged.size >= atRestart + 300, 30_000);
      load.abort();
      await Promise.all(clients);
      // A client was never told anything but "accepted" or "send it again".
      expect(
        others.every((status) => status === 503 || status === 0),
        others.join(),
      ).toBe(true);

      // What was accepted while local-kafka was dead waits in the spillway.
      await until(async () => (await flush(weir.url)) === "success", 30_000);
      const partitions = await readTopic(weir.kafkaUrl!, "logs.raw");
      const inKafka = new Set<string>();
      for (const messages of partitions) {
        expect(messages.map(({ offset }) => offset)).toEqual(messages.map((_, i) => i));
        for (const { value } of messages) {
          const envelope = JSON.parse(text(value)) as { entries: { message: string }[] };
          for (const { message } of envelope.entries) inKafka.add(message);
        }
      }
      expect([...acknowledged].filter((id) => !inKafka.has(id))).toEqual([]);
      const missing = async () => {
        const stored = new Set((await allLogs(weir.url, service)).map(({ message }) => message));
        return [...acknowledged].filter((id) => !stored.has(id));
      };
      await until(async () => (await missing()).length === 0, 15_000);
    } finally {
      await weir.stop();
    }
  });
});

async function flush(url: string): Promise<unknown> {
  const headers = { Authorization: `Bearer ${devKey}` };
  const signal = AbortSignal.timeout(20_000);
  const response = await fetch(`${url}/kafka/flush`, { method: "POST", headers, signal });
  return ((await response.json()) as { status: unknown }).status;
}

describe("kill -9 of the worker between fetch and commit", () => {
  let kafka: LocalKafka;
  let server: LocalKafkaServer;
  let hold: Hold;
  const workers: WorkerProcess[] = [];

  beforeEach(async () => {
    const topics = ["logs", "metrics", "events"].map((signal) => ({ name: `${signal}.raw`, partitions: 3 }));
    kafka = await openLocalKafka({ dataDir: join(dataDir, "kafka"), topics, fsync: false });
    server = await serveLocalKafka(kafka, "127.0.0.1", 0);
    hold = await startHold();
    await build({
      entryPoints: [join(root, "test/e2e/worker/held-worker.ts")],
      outfile: join(dataDir, "held-worker.js"),
      bundle: true,
      format: "esm",
      target: "es2023",
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      // As cli/build.mjs has it for the worker.
      alias: { "ajv/dist/2020.js": join(root, "lib/kafka/native/ajv-stand-in.ts") },
      define: { "import.meta.url": '"file:///worker.js"' },
      logLevel: "error",
    });
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill().catch(() => undefined)));
    await server.close();
    hold.close();
  });

  const start = async () => {
    const worker = await startWorkerProcess({
      port: 0,
      dataDir,
      scriptPath: join(dataDir, "held-worker.js"),
      bindings: { ENVIRONMENT: "development", KAFKA_REST_URL: server.url, HOLD_URL: hold.url },
    });
    workers.push(worker);
    return worker;
  };

  it("at any step: nothing is lost, nothing is stored twice", async () => {
    const service = "steps";
    const sent: string[] = [];
    let worker = await start();
    for (const step of ["before-fetch", "after-fetch", "before-commit", "after-commit"]) {
      hold.at(step);
      const ids = Array.from({ length: 20 }, (_, i) => `${step} ${i}`);
      const response = await postLogs(
        worker.url,
        ids.map((message) => ({ message, service })),
      );
      expect(response.status).toBe(202);
      sent.push(...ids);
      await until(() => hold.isHolding(), 10_000);
      await worker.kill();
      workers.length = 0;
      hold.release();
      worker = await start();
      // The schedule alone finds what was left: the poke and the alarm died with the process.
      expect(await worker.tick()).toBe("ok");
      await until(async () => (await allLogs(worker.url, service)).length >= sent.length, 10_000);
    }
    expect(await worker.tick()).toBe("ok");
    await until(
      async () => (await getJson<{ lag: number }[]>(worker.url, "/api/v1/lag")).every(({ lag }) => lag === 0),
      5_000,
    );
    const stored = (await allLogs(worker.url, service)).map(({ message }) => message);
    expect(stored.toSorted()).toEqual(sent.toSorted());
  });
});

interface Hold {
  url: string;
  /** The worker stands still at this step from now on. */
  at(step: string): void;
  isHolding(): boolean;
  release(): void;
  close(): void;
}

async function startHold(): Promise<Hold> {
  let wanted: string | undefined;
  let held: ServerResponse[] = [];
  const server: Server = createServer((request, response) => {
    if (request.url === `/${wanted}`) held.push(response);
    else response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    at(step) {
      wanted = step;
    },
    isHolding: () => held.length > 0,
    release() {
      wanted = undefined;
      for (const response of held) response.end();
      held = [];
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
