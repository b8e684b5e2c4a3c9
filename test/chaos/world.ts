// What a run is played in: a Kafka, the proxy before it, the chaos worker in a process of its own, and the hand on all
// of them. Whatever is killed comes back on the same port and data.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlCall } from "./worker/control-call.ts";
import { makeDataDir } from "../support/data-dir.ts";
import { freePorts } from "../support/real-kafka/ports.ts";
import type { RealPostgres } from "../support/postgres.ts";
import { devKey, root, startWorkerProcess, type WorkerProcess } from "../support/start.ts";
import { startBrokerBehindGateway, startLocalKafka, type ChaosKafka } from "./kafka.ts";
import { WINDOWS } from "./verify-windows.ts";
import { ALERT_TICK_MS } from "./alert-probe.ts";
import { startKafkaProxy, type KafkaProxy } from "./kafka-proxy.ts";

export interface WorldOptions {
  kafka: "local" | "real";
  storage: "d1" | "postgres";
  mutation: string | undefined;
}

/** A worker that catches up has one thread for that and for us. */
const CONTROL_TIMEOUT_MS = 60_000;
const API_TIMEOUT_MS = 60_000;
const AGAIN_MS = 200;

export class World {
  readonly kafka: ChaosKafka;
  readonly proxy: KafkaProxy;
  readonly url: string;
  /** The store, where it is a server of its own. */
  readonly postgres: RealPostgres | undefined;
  readonly #options: WorldOptions;
  readonly #port: number;
  readonly #token = randomUUID();
  readonly #dataDir: { path: string; remove(): void };
  #worker: WorkerProcess | undefined;
  #skewMs = 0;
  restarts = 0;

  private constructor(
    options: WorldOptions,
    port: number,
    dataDir: { path: string; remove(): void },
    kafka: ChaosKafka,
    proxy: KafkaProxy,
    postgres: RealPostgres | undefined,
  ) {
    this.#options = options;
    this.#port = port;
    this.#dataDir = dataDir;
    this.kafka = kafka;
    this.proxy = proxy;
    this.postgres = postgres;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async open(options: WorldOptions): Promise<World> {
    const dataDir = makeDataDir("chaos");
    const endings: (() => unknown)[] = [() => dataDir.remove()];
    // Also where the run is ended by a signal.
    process.once("exit", () => dataDir.remove());
    try {
      const [port = 0] = await freePorts(1);
      const kafka =
        options.kafka === "real"
          ? await startBrokerBehindGateway()
          : await startLocalKafka(join(dataDir.path, "kafka"));
      endings.push(() => kafka.close());
      const proxy = await startKafkaProxy(kafka.url);
      endings.push(() => proxy.close());
      const postgres = options.storage === "postgres" ? await openPostgres() : undefined;
      if (postgres) endings.push(() => postgres.close());
      const world = new World(options, port, dataDir, kafka, proxy, postgres);
      await world.startWorker();
      return world;
    } catch (error) {
      for (const end of endings.toReversed()) await end();
      throw error;
    }
  }

  async startWorker(settings: Record<string, string> = {}): Promise<void> {
    const { mutation, storage } = this.#options;
    this.#worker = await startWorkerProcess({
      port: this.#port,
      dataDir: this.#dataDir.path,
      ...(this.postgres && { postgresUrl: this.postgres.url }),
      scriptPath: join(root, "dist", "chaos-worker", "index.js"),
      bindings: {
        ENVIRONMENT: "development",
        KAFKA_REST_URL: this.proxy.url,
        STORAGE: storage,
        DEFAULT_TENANT: "dev",
        // Each point is a series of its own here, and an order that is given up cannot be checked.
        CARDINALITY: "off",
        HOT_KEYS: "off",
        LOG_REQUESTS: "off",
        WINDOWS,
        WINDOW_LATENESS_MS: "5000",
        LOGS_PROCESSED: "on",
        SERVICES: '{"lane-0":{"team":"chaos"}}',
        ALERT_TICK_MS: String(ALERT_TICK_MS),
        CHAOS_SKEW_MS: String(this.#skewMs),
        CHAOS_TOKEN: this.#token,
        ...(mutation === undefined ? {} : { CHAOS_MUTATE: mutation }),
        ...settings,
      },
    });
    this.restarts++;
    if (this.#skewMs !== 0) await this.control({ op: "clock", skewMs: this.#skewMs });
  }

  /** SIGKILL of the worker and of workerd under it, then a start. */
  async killWorker(settings: Record<string, string> = {}): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.kill();
    await this.startWorker(settings);
  }

  /** The worker's clock from now on, also of its later lives. */
  async shiftClock(skewMs: number): Promise<void> {
    this.#skewMs = skewMs;
    await this.control({ op: "clock", skewMs });
  }

  get isUp(): boolean {
    return this.#worker !== undefined;
  }

  get skewMs(): number {
    return this.#skewMs;
  }

  async control<T>(call: ControlCall): Promise<T> {
    const response = await fetchAgain(`${this.url}/__chaos`, {
      method: "POST",
      headers: { "x-chaos-token": this.#token },
      body: JSON.stringify(call),
      timeoutMs: CONTROL_TIMEOUT_MS,
    });
    if (response.status !== 200)
      throw new Error(`control ${call.op}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async api(path: string, init: { method?: string; body?: string } = {}): Promise<Response> {
    return await fetchAgain(`${this.url}${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${devKey}`, "Content-Type": "application/json" },
      timeoutMs: API_TIMEOUT_MS,
    });
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.api(path);
    if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Nothing fails from now on. */
  async heal(): Promise<void> {
    this.proxy.heal();
    await this.kafka.start();
    await this.postgres?.start();
    if (!this.#worker) await this.startWorker();
    await this.control({ op: "release" });
    await this.control({ op: "store" });
  }

  /** What the worker has said in this life. */
  output(): string {
    return this.#worker?.output() ?? "";
  }

  async close(): Promise<void> {
    await this.#worker?.kill();
    await this.proxy.close();
    await this.kafka.close();
    await this.postgres?.close();
    this.#dataDir.remove();
  }
}

/** @throws where there is no PostgreSQL: whoever asks looks at realPostgres.available first */
async function openPostgres(): Promise<RealPostgres> {
  // Only here: it looks around, and is loud where there is none.
  const { startPostgres } = await import("../support/postgres.ts");
  return await startPostgres();
}

interface Asked {
  method?: string;
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
}

/** What is asked here may be asked twice; a connection that was idle may just have been closed. */
async function fetchAgain(url: string, { timeoutMs, ...init }: Asked): Promise<Response> {
  for (let left = 2; ; left--) {
    try {
      return await fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const isTimeout = error instanceof Error && error.name === "TimeoutError";
      if (left === 0 || isTimeout)
        throw new Error(`${url} did not answer: ${String(error)}`, { cause: error });
      await sleep(AGAIN_MS);
    }
  }
}
