// Runs a client as a process of its own: to its end, or as a daemon that a test ends. What it printed is part of every
// failure. Ended by its own pid, when its time is over too.
import { type ChildProcess, spawn } from "node:child_process";

export interface RunOptions {
  env?: Record<string, string>;
  /** What it reads from its standard input. */
  input?: string | Buffer;
  timeoutMs?: number;
  /** Where what it leaves behind may stand. */
  cwd?: string;
}

const RUN_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 10_000;

/** @returns what it wrote to its standard output. @throws when it does not end with 0 in time */
export async function runClient(
  command: string,
  args: readonly string[],
  { env = {}, input, timeoutMs = RUN_TIMEOUT_MS, cwd }: RunOptions = {},
): Promise<string> {
  const child = spawn(command, args, { stdio: "pipe", cwd, env: { ...process.env, ...env } });
  let output = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${complaint}\n${output}`);
  return output;
}

export interface Daemon {
  output(): string;
  /** Ends it in good order: SIGTERM, and what it still has to send is sent. */
  stop(): Promise<void>;
}

export function startDaemon(command: string, args: readonly string[], { env = {} }: RunOptions = {}): Daemon {
  const child: ChildProcess = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  // A program that is not there is told by its output.
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve()).on("error", (error) => resolve(void (output += error.message)));
  });
  return {
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), END_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
