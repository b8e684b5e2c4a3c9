// The process around the worker: `node dist/worker-host.mjs [JSON of WorkerHostOptions & {schedule?: boolean}]`, or
// without an argument the same by an IPC message {type:"start", options}. Ends itself, and workerd with it, on SIGTERM,
// SIGINT, when its IPC channel closes, and (status 70) when workerd dies, so that whoever started it can start another.
//
// Messages in:  start · tick (runs the schedule once, now) · ping
// Messages out: ready {url, workerdPid, migrated} · ticked {outcome} · pong · failed {message}
import { parseCron } from "./schedule.ts";
import { startWorkerHost, type WorkerHost, type WorkerHostOptions } from "./worker-runtime.ts";

export type WorkerHostProcessOptions = WorkerHostOptions & {
  /** Whether to call the scheduled handler as wrangler.toml's crons say, and once at the start. Default true. */
  schedule?: boolean;
};

export type WorkerHostRequest =
  | { type: "start"; options: WorkerHostProcessOptions }
  | { type: "tick" }
  | { type: "ping" };

export type WorkerHostReport =
  | { type: "ready"; url: string; workerdPid: number | undefined; migrated: string[] }
  | { type: "ticked"; outcome: string }
  | { type: "pong" }
  | { type: "failed"; message: string };

const disposeTimeoutMs = 4_000;
/** Of that, for the batches which the consumers have in hand. Nothing is lost where it does not do: they are repeated. */
const restTimeoutMs = 2_500;
/** As functions/consume.ts has it. */
const restCron = "rest";
const probeTimeoutMs = 10_000;
const workerdDiedStatus = 70;
const minuteMs = 60_000;

let host: WorkerHost | undefined;
let ending = false;
let ticking: Promise<string> | undefined;

function report(message: WorkerHostReport): void {
  if (process.connected) process.send?.(message);
  else if (message.type === "ready") process.stdout.write(`ready ${message.url}\n`);
}

async function start({ schedule = true, ...options }: WorkerHostProcessOptions): Promise<void> {
  try {
    host = await startWorkerHost(options);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`the worker did not start: ${message}\n`);
    report({ type: "failed", message });
    return end(1);
  }
  void host.died.then(() => {
    process.stderr.write("workerd ended unexpectedly\n");
    return end(workerdDiedStatus);
  });
  const { url, workerdPid, migrated, crons } = host;
  if (migrated.length > 0) process.stdout.write(`migrations applied: ${migrated.join(", ")}\n`);
  if (await isMisconfigured(url)) {
    const message = "a setting is wrong, and every request would be refused; the line above names it";
    process.stderr.write(`${message}\n`);
    report({ type: "failed", message });
    return end(1);
  }
  const due = crons.map((cron) => ({ cron, isDue: parseCron(cron) }));
  report({ type: "ready", url, workerdPid, migrated });
  if (schedule) {
    void tick(crons);
    scheduleNextMinute((at) => tick(due.filter(({ isDue }) => isDue(at)).map(({ cron }) => cron)));
  }
}

/** Some settings only the worker can judge, such as SCRUB_RULES. */
async function isMisconfigured(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(probeTimeoutMs) });
    if (response.ok) return false;
    const problem = (await response.json()) as { code?: unknown } | null;
    return problem?.code === "misconfigured";
  } catch {
    // Whatever else is wrong shows by itself.
    return false;
  }
}

/** Calls at the top of each minute, as Cloudflare does. */
function scheduleNextMinute(call: (at: Date) => Promise<string>): void {
  const dueMs = (Math.floor(Date.now() / minuteMs) + 1) * minuteMs;
  setTimeout(() => {
    scheduleNextMinute(call);
    void call(new Date(dueMs));
  }, dueMs - Date.now()).unref();
}

/** Runs the handler for each cron in turn; a call while one is under way joins it instead of overlapping. */
function tick(crons: string[]): Promise<string> {
  ticking ??= runCrons(crons).finally(() => (ticking = undefined));
  return ticking;
}

async function runCrons(crons: string[]): Promise<string> {
  let worst = "ok";
  for (const cron of crons) {
    const outcome = host === undefined ? "not started" : await host.runScheduled(cron).catch(String);
    if (outcome === "ok" || ending) continue;
    worst = outcome;
    process.stderr.write(`scheduled handler (${cron}): ${outcome}\n`);
  }
  return worst;
}

async function end(status: number): Promise<void> {
  if (ending) return;
  ending = true;
  // Exiting also ends workerd: Miniflare kills it from its own exit hook.
  setTimeout(() => process.exit(status), disposeTimeoutMs).unref();
  await ticking?.catch(() => {});
  if (status === 0) await rest();
  await host?.dispose().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  process.exit(status);
}

async function rest(): Promise<void> {
  const rested = host?.runScheduled(restCron).catch(() => {});
  await Promise.race([rested, new Promise((resolve) => setTimeout(resolve, restTimeoutMs).unref())]);
}

process.on("message", (message: WorkerHostRequest) => {
  switch (message.type) {
    case "start":
      void start(message.options);
      break;
    case "tick":
      // A run that is under way may have begun before what the caller wants seen: wait for it, then run anew.
      void Promise.resolve(ticking)
        .then(() => tick(host?.crons ?? []))
        .then((outcome) => report({ type: "ticked", outcome }));
      break;
    case "ping":
      void host?.probe(probeTimeoutMs).then(
        () => report({ type: "pong" }),
        () => {}, // No answer is the answer: whoever asked counts the silence.
      );
      break;
  }
});
process.on("disconnect", () => void end(0));
// The channel may have closed while Miniflare was loading, with a start message still waiting to be read.
if (process.send && !process.connected) void end(0);
process.on("SIGTERM", () => void end(0));
process.on("SIGINT", () => void end(0));
// Whoever read our lines may have died before us; that must not keep workerd from being ended.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

const [, , json] = process.argv;
if (json !== undefined) void start(JSON.parse(json) as WorkerHostProcessOptions);
