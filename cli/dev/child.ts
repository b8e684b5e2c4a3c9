// One child process kept alive: started in a process group of its own with an IPC channel, restarted with a growing
// delay when it dies, ended by closing that channel and SIGTERM, and by force after a deadline.
// Whatever is left of a dead child's group (workerd) is killed before the next one starts.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { killGroup } from "./process-identity.ts";

export type ChildOptions = {
  name: string;
  script: string;
  /** A module loaded before the script. */
  preload: string;
  /** Asked at each start. */
  args: () => string[];
  /** On top of this process's own environment; for what must not show in `ps`. */
  env?: Record<string, string>;
  /** Ending before it was ever ready is then a failed start; otherwise, and always later, it is tried again. */
  required: boolean;
  /** How long a start may take until the child's {type:"ready"}; undefined for one that sends none. */
  readyTimeoutMs: number | undefined;
  /** Sent {type:"ping"} every `everyMs` once ready; killed when no {type:"pong"} came for `silenceMs`. */
  ping?: { everyMs: number; silenceMs: number };
  onSpawn?: (process: ChildProcess) => void;
  /** At each start, with the child's own message. */
  onReady?: (message: Record<string, unknown>) => void;
  onEnd: () => void;
  onLine: (line: string) => void;
  /** What there is to say about the child, rather than by it. */
  onNote: (text: string) => void;
};

/** A required child ended, or did not get ready, at its first start. Its own lines say why. */
export class StartFailedError extends Error {
  override readonly name = "StartFailedError";
  readonly code = "start_failed";
  readonly retryable = false;
}

const firstDelayMs = 200;
const maxDelayMs = 10_000;
/** A child that lived this long starts over with the shortest delay. */
const soundMs = 60_000;
/** Something outside the group may hold the pipes open; its lines are not worth waiting for. */
const drainMs = 500;

export class Child {
  /** Settles at the first start. @throws StartFailedError where the child is required */
  readonly firstReady: Promise<void>;
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stopping = false;
  #everReady = false;
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #settleFirst: { resolve: () => void; reject: (reason: Error) => void } | undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.firstReady = new Promise((resolve, reject) => (this.#settleFirst = { resolve, reject }));
    this.firstReady.catch(() => {}); // The supervisor may be waiting for another child when this one fails.
    this.#launch();
  }

  /** Asks it to end, waits, and ends it by force when the time is up. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    const child = this.#process;
    if (!child) return;
    const timer = setTimeout(() => killChild(child), timeoutMs);
    if (child.connected) child.disconnect();
    // A child that still loads has no listener for either, and ends by the signal at once.
    child.kill("SIGTERM");
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#process) killChild(this.#process);
  }

  #launch(): void {
    const { script, preload, args, env, readyTimeoutMs, onSpawn, onLine, onNote, name } = this.#options;
    const startedMs = Date.now();
    const child = fork(script, args(), {
      detached: true,
      execArgv: ["--import", preload],
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on("line", onLine);
    }
    child.on("error", () => {}); // A send to a child that has just died: its end is what counts.

    const timers: { ready?: NodeJS.Timeout; ping?: NodeJS.Timeout } = {};
    const becomeReady = (message: Record<string, unknown>) => {
      clearTimeout(timers.ready);
      this.#everReady = true;
      this.#options.onReady?.(message);
      this.#settleFirst?.resolve();
      if (this.#options.ping) timers.ping = watchSilence(child, name, this.#options.ping, onNote);
    };
    child.on("message", (message: Record<string, unknown>) => {
      if (message["type"] === "ready") becomeReady(message);
    });
    this.#ended = (async () => {
      const how = await endOf(child);
      clearTimeout(timers.ready);
      clearInterval(timers.ping);
      this.#process = undefined;
      this.#afterEnd(how, Date.now() - startedMs);
    })();

    onSpawn?.(child);
    if (readyTimeoutMs === undefined) return becomeReady({ type: "ready" });
    timers.ready = setTimeout(() => {
      onNote(`${name} was not ready within ${readyTimeoutMs / 1_000} s; ending it`);
      killChild(child);
    }, readyTimeoutMs);
  }

  #afterEnd(how: string, livedMs: number): void {
    const { name, required, onEnd, onNote } = this.#options;
    onEnd();
    if (this.#stopping) return;
    if (required && !this.#everReady) {
      this.#stopping = true;
      this.#settleFirst?.reject(new StartFailedError(`${name} ${how}`));
      return;
    }
    if (livedMs > soundMs) this.#restarts = 0;
    const delayMs = Math.min(firstDelayMs * 2 ** this.#restarts, maxDelayMs);
    this.#restarts += 1;
    onNote(`${name} ${how}; starting it again in ${delayMs / 1_000} s`);
    this.#restartTimer = setTimeout(() => this.#launch(), delayMs);
  }
}

/**
 * Resolves when the process has ended, nothing of its group is left, and its last lines were read.
 * Not by the event `close`: Node 20 never emits it for a child whose channel this side has closed.
 */
async function endOf(child: ChildProcess): Promise<string> {
  const how = await new Promise<string>((resolve) => {
    child.once("exit", (status, signal) => resolve(`ended (${signal ?? `status ${status}`})`));
    if (child.pid === undefined) child.once("error", () => resolve("could not be started"));
  });
  killChild(child);
  const drained = [child.stdout, child.stderr].map(async (stream) => {
    if (stream && !stream.closed) await once(stream, "close");
  });
  await Promise.race([Promise.allSettled(drained), sleep(drainMs)]);
  return how;
}

function killChild(child: ChildProcess): void {
  if (child.pid !== undefined) killGroup(child.pid);
}

function watchSilence(
  child: ChildProcess,
  name: string,
  { everyMs, silenceMs }: { everyMs: number; silenceMs: number },
  onNote: (text: string) => void,
): NodeJS.Timeout {
  let heardMs = Date.now();
  let lookedMs = heardMs;
  child.on("message", (message: Record<string, unknown>) => {
    if (message["type"] === "pong") heardMs = Date.now();
  });
  return setInterval(() => {
    const nowMs = Date.now();
    // This machine slept, or this process was stopped: then nobody can have answered.
    if (nowMs - lookedMs > 2 * everyMs) heardMs = nowMs;
    lookedMs = nowMs;
    if (nowMs - heardMs > silenceMs) {
      onNote(`${name} gave no answer for ${silenceMs / 1_000} s; ending it`);
      killChild(child);
    } else if (child.connected) child.send({ type: "ping" });
  }, everyMs);
}
