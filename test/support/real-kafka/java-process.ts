// Kafka's Java programs: one that runs to its end, and the broker, which never outlives this process. A watchdog (a
// shell that waits on a pipe from us) kills the broker and removes its data when we die without having done so.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const HEAP = ["-Xmx192m", "-Xms192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const QUIET = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];
const KEPT_OUTPUT = 8_000;

/** Resolves once the program has ended with 0. */
export async function runJava(jars: string, mainClass: string, args: string[]): Promise<void> {
  const child = spawn("java", [...HEAP, ...QUIET, "-cp", join(jars, "*"), mainClass, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  await finish(child, mainClass);
}

/** Resolves once the command has ended with 0. */
export async function runTool(command: string, args: string[]): Promise<void> {
  await finish(spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] }), command);
}

async function finish(child: ChildProcess, name: string): Promise<void> {
  const output = keepOutput(child);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${output()}`);
}

function keepOutput(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => (text = (text + chunk).slice(-KEPT_OUTPUT)));
  }
  return () => text.trim();
}

export class BrokerProcess {
  readonly #java: ChildProcess;
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #killNow = (): void => void this.#java.kill("SIGKILL");
  /** What it last printed. */
  readonly output: () => string;

  private constructor(java: ChildProcess, watchdog: ChildProcess) {
    this.#java = java;
    this.#watchdog = watchdog;
    this.output = keepOutput(java);
    process.once("exit", this.#killNow);
    java.once("exit", () => {
      process.off("exit", this.#killNow);
      this.#watchdog.kill("SIGKILL");
    });
    this.#ended = once(java, "exit");
  }

  /** `ownedDir` goes when we die. */
  static async start(jars: string, properties: string, ownedDir: string): Promise<BrokerProcess> {
    const java = spawn("java", [...HEAP, ...QUIET, "-cp", join(jars, "*"), "kafka.Kafka", properties], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    await once(java, "spawn");
    // Detached: a Ctrl-C at the terminal must not end it before it has done its work.
    const watchdog = spawn(
      "sh",
      ["-c", 'read -r _; kill -9 "$1"; sleep 1; rm -rf "$2"', "sh", String(java.pid), ownedDir],
      {
        stdio: ["pipe", "ignore", "ignore"],
        detached: true,
      },
    );
    watchdog.stdin?.on("error", () => undefined);
    return new BrokerProcess(java, watchdog);
  }

  get isRunning(): boolean {
    return this.#java.exitCode === null && this.#java.signalCode === null;
  }

  /** Rejects, with what it printed, when it ends before `ready` resolves. */
  async orEnd<T>(ready: Promise<T>): Promise<T> {
    const early = this.#ended.then(() => {
      throw new Error(`Kafka ended by itself: ${this.output()}`);
    });
    return await Promise.race([ready, early]);
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (this.isRunning) this.#java.kill(signal);
    await this.#ended;
  }
}
