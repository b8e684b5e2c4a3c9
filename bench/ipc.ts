// Calls between the bench and its child processes, over Node's IPC channel: one message there, one back. A child ends
// itself when the channel closes, so however the parent ends, none stays behind.
import { fork, type ChildProcess } from "node:child_process";
import { killGroup } from "../cli/dev/process-identity.ts";
import { BenchError } from "./bench-error.ts";

type Call = { id: number; name: string; argument: unknown };
type Answer = { id: number; result?: unknown; error?: string };

export type Handlers = Record<string, (argument: never) => Promise<unknown>>;

/** In a child: answers the parent's calls until the parent is gone. */
export function answerCalls(handlers: Handlers): void {
  process.on("disconnect", () => process.exit(0));
  process.on("message", ({ id, name, argument }: Call) => {
    const handler = handlers[name] as ((argument: unknown) => Promise<unknown>) | undefined;
    if (!handler) throw new TypeError(`no call ${name}`);
    handler(argument).then(
      (result) => process.send?.({ id, result } satisfies Answer),
      (error: unknown) =>
        process.send?.({
          id,
          error: error instanceof Error ? error.message : String(error),
        } satisfies Answer),
    );
  });
  process.send?.("ready");
}

export type Child = {
  /** @throws BenchError when the child fails, ends, or does not answer in time */
  call<T>(name: string, argument: unknown, timeoutMs: number): Promise<T>;
  /** Rejects when the child ends unasked: without it the run means nothing. */
  ended: Promise<never>;
  /** Ends it and whatever it started, at once. */
  kill(): void;
};

/** Starts this program once more in the given role, in a process group of its own: Ctrl-C must reach the parent alone. */
export async function startChild(
  role: string,
  env: Record<string, string>,
  readyTimeoutMs: number,
): Promise<Child> {
  const child = fork(process.argv[1] ?? "", [role], {
    detached: true,
    execArgv: [],
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  let killed = false;
  const kill = () => {
    killed = true;
    if (child.pid !== undefined) killGroup(child.pid);
  };
  process.on("exit", kill);
  child.on("error", () => {}); // A send to a child that has just ended; its end is what counts.
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", () => {
      if (!killed) reject(new BenchError("child_failed", `${role} ended unexpectedly`));
    });
  });
  ended.catch(() => {}); // It may be that nobody waits yet, or any more.

  let lastId = 0;
  const call = async <T>(name: string, argument: unknown, timeoutMs: number): Promise<T> => {
    const id = ++lastId;
    const answer = awaitMessage<Answer>(child, role, timeoutMs, (message) => message.id === id);
    child.send({ id, name, argument } satisfies Call);
    const { result, error } = await answer;
    if (error !== undefined) throw new BenchError("child_failed", `${role}: ${error}`);
    return result as T;
  };
  try {
    await awaitMessage<unknown>(child, role, readyTimeoutMs, (message) => message === "ready");
  } catch (error) {
    kill();
    throw error;
  }
  return { call, ended, kill };
}

function awaitMessage<T>(
  child: ChildProcess,
  role: string,
  timeoutMs: number,
  isWanted: (message: T) => boolean,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      act();
    };
    const fail = (what: string) => settle(() => reject(new BenchError("child_failed", `${role} ${what}`)));
    const onMessage = (message: unknown) => {
      if (isWanted(message as T)) settle(() => resolve(message as T));
    };
    const onExit = () => fail("ended unexpectedly");
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs / 1_000} s`), timeoutMs);
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
