// Runs all of Weir on this machine: local-kafka, the worker, and an agent that posts this machine's own metrics.
// Promises: whichever process of it dies, either that one comes back or nothing of the whole stays; one supervisor a
// data folder. No Miniflare in here: it takes the signals and does not notice when workerd is gone.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Child, StartFailedError, type ChildOptions } from "./child.ts";
import { watchParents } from "./parent-watch.ts";
import { isPortFree } from "./port-check.ts";
import { FolderInUseError, RunFile } from "./run-file.ts";
import { readStartSettings, type StartSettings } from "./start-settings.ts";
import { Terminal } from "./terminal.ts";

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 5_000;
const agentIntervalSeconds = 5;
/** A terminal's Ctrl-C reaches us twice, by the process group and passed on by npm; that is one request. */
const sameRequestMs = 400;

/** Runs until it is told to end; does not return. `root` is the project's folder. */
export async function runSupervisor({ root }: { root: string }): Promise<never> {
  const terminal = new Terminal();
  const read = readStartSettings(root, process.env);
  if ("faults" in read) {
    for (const { setting, message } of read.faults) terminal.error(`${setting}: ${message}`);
    terminal.error("Nothing was started. Set these in the environment or in .dev.vars and try again.");
    process.exit(1);
  }
  const supervisor = new Supervisor(root, read.settings, terminal);
  try {
    await supervisor.run();
  } catch (error) {
    await supervisor.stop();
    terminal.error(explain(error, read.settings));
    process.exit(1);
  }
  return new Promise<never>(() => {});
}

function explain(error: unknown, settings: StartSettings): string {
  if (error instanceof FolderInUseError) {
    return `Weir already runs on ${settings.dataDir} (process ${error.pid}). End that one, or give this one another folder by WEIR_DATA.`;
  }
  if (error instanceof StartFailedError)
    return `Nothing runs now: ${error.message}; its last lines above say why.`;
  if (error instanceof PortTakenError) return error.message;
  if (!(error instanceof Error)) return String(error);
  // The system's own errors (a folder that cannot be written) say what is wrong; anything else is a fault of ours.
  return "syscall" in error ? error.message : (error.stack ?? error.message);
}

class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  readonly code = "port_taken";
  readonly retryable = false;
}

class Supervisor {
  readonly #root: string;
  readonly #settings: StartSettings;
  readonly #terminal: Terminal;
  /** In the order in which they start, which is the reverse of that in which they end. */
  readonly #children: Child[] = [];
  #runFile: RunFile | undefined;
  #stopping: Promise<void> | undefined;
  #firstAskedMs: number | undefined;

  constructor(root: string, settings: StartSettings, terminal: Terminal) {
    this.#root = root;
    this.#settings = settings;
    this.#terminal = terminal;
  }

  /** Resolves when all is ready. @throws FolderInUseError, PortTakenError, StartFailedError */
  async run(): Promise<void> {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => this.#askedToStop());
    // These follow from a Ctrl-C too, once npm has gone; they ask for an end, never for haste.
    process.on("SIGHUP", () => this.#end());
    watchParents(() => this.#end());

    const { runFile, reaped } = await RunFile.claim(this.#settings.dataDir);
    this.#runFile = runFile;
    if (reaped.length > 0)
      this.#terminal.note(`ended what an earlier run had left behind: ${reaped.join(", ")}`);
    await this.#requireFree("WEIR_PORT", this.#settings.port);
    if (this.#settings.localKafka) await this.#requireFree("WEIR_KAFKA_PORT", this.#settings.localKafka.port);

    this.#terminal.spin("starting");
    const { localKafka } = this.#settings;
    const kafka = localKafka ? this.#startKafka(localKafka) : Promise.resolve(undefined);
    const [kafkaUrl, url] = await Promise.all([kafka, this.#startWorker(kafka)]);
    this.#terminal.ready(this.#settings, { url, kafkaUrl, tookMs: performance.now() });
    this.#startAgent(url);
  }

  /** Ends all of it, the worker before the Kafka it may still be writing to. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#terminal.spin(undefined);
      for (const child of this.#children.toReversed()) await child.stop(stopTimeoutMs);
      this.#runFile?.release();
    })();
    return this.#stopping;
  }

  /** A second request, such as another Ctrl-C, ends all at once. */
  #askedToStop(): void {
    const nowMs = performance.now();
    this.#firstAskedMs ??= nowMs;
    if (nowMs - this.#firstAskedMs <= sameRequestMs) return this.#end();
    for (const child of this.#children) child.kill();
    this.#runFile?.release();
    process.exit(1);
  }

  #end(): void {
    if (this.#stopping) return;
    this.#terminal.line("weir", "stopping …");
    void this.stop().then(() => process.exit(0));
  }

  async #requireFree(setting: string, port: number): Promise<void> {
    if (await isPortFree(port)) return;
    throw new PortTakenError(
      `Port ${port} is taken by another program. End that one, or set ${setting} to a free port: ${setting}=${port + 1} npm start`,
    );
  }

  async #startKafka({ port }: { port: number }): Promise<string> {
    let url = `http://127.0.0.1:${port}`;
    const dataDir = join(this.#settings.dataDir, "kafka");
    const child = this.#supervise("kafka", {
      script: join(this.#root, "dist", "local-kafka.mjs"),
      // A restart takes the port that the first start was given: the worker knows that one.
      args: () => ["--host", "127.0.0.1", "--port", new URL(url).port, "--data", dataDir],
      required: true,
      readyTimeoutMs,
      onReady: (message) => (url = String(message["url"])),
    });
    await child.firstReady;
    return url;
  }

  /** The process loads Miniflare (1 s) while Kafka gets ready, and is told what to run after that. */
  async #startWorker(kafka: Promise<string | undefined>): Promise<string> {
    let url = `http://127.0.0.1:${this.#settings.port}`;
    const { bindings, dataDir } = this.#settings;
    const child = this.#supervise("worker", {
      script: join(this.#root, "dist", "worker-host.mjs"),
      args: () => [],
      required: true,
      readyTimeoutMs,
      ping: { everyMs: 5_000, silenceMs: 40_000 },
      // By message, not by argument: bindings hold secrets, and arguments show in `ps`.
      onSpawn: (process) => {
        const start = (kafkaUrl: string | undefined) => {
          const settings = kafkaUrl === undefined ? bindings : { ...bindings, KAFKA_REST_URL: kafkaUrl };
          const options = { root: this.#root, port: Number(new URL(url).port), dataDir, bindings: settings };
          if (process.connected) process.send({ type: "start", options });
        };
        kafka.then(start, () => {}); // Without its Kafka nothing starts; run() says so.
      },
      onReady: (message) => {
        url = String(message["url"]);
        const { workerdPid } = message;
        if (typeof workerdPid === "number") this.#runFile?.set("workerd", workerdPid, false);
      },
    });
    await child.firstReady;
    return url;
  }

  #startAgent(url: string): void {
    const { agentKey } = this.#settings;
    if (agentKey === undefined) return;
    this.#supervise("agent", {
      script: join(this.#root, "dist", "metrics-agent.mjs"),
      args: () => ["--url", url, "--interval", String(agentIntervalSeconds)],
      env: { WEIR_KEY: agentKey },
      required: false,
      readyTimeoutMs: undefined,
    });
  }

  #supervise(
    name: string,
    options: Omit<ChildOptions, "name" | "preload" | "onLine" | "onNote" | "onEnd">,
  ): Child {
    const child = new Child({
      ...options,
      name,
      preload: pathToFileURL(join(this.#root, "dist", "follow-parent.mjs")).href,
      onSpawn: (process) => {
        if (process.pid !== undefined) this.#runFile?.set(name, process.pid, true);
        options.onSpawn?.(process);
      },
      onEnd: () => this.#runFile?.delete(name),
      onLine: (line) => this.#terminal.line(name, line),
      onNote: (text) => this.#terminal.note(text),
    });
    this.#children.push(child);
    return child;
  }
}
