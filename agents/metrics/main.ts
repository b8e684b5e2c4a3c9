// The command: options in, agent running, an exit code out (0 done, 1 not delivered, 2 wrong options). It stops on
// SIGTERM, SIGINT, and when the process that started it goes away (IPC `disconnect`).
import { hostname } from "node:os";
import { defineCommand, runMain } from "citty";
import { runAgent } from "./agent.ts";
import { systemClock } from "./clock.ts";
import { createCollector } from "./collect.ts";
import { createIntake } from "./intake.ts";
import { createLog } from "./log.ts";
import { thisMachine } from "./machine.ts";
import { type Options, parseOptions } from "./options.ts";

const requestTimeoutMs = 10_000;
const flushMs = 2_000;
/** `--once` has no later interval to try in, so its only attempt gets a request's whole deadline. */
const onceFlushMs = requestTimeoutMs;

const print = (text: string): void => void process.stderr.write(text);

/** Aborts when the process is asked to end; a second request ends it at once. */
function stopRequested(): AbortSignal {
  const stop = new AbortController();
  const request = () => (stop.signal.aborted ? process.exit(1) : stop.abort());
  process.on("SIGTERM", request);
  process.on("SIGINT", request);
  if (process.channel) process.on("disconnect", () => stop.abort());
  // Whoever started it may have gone while it was loading.
  if (process.send && !process.connected) stop.abort();
  return stop.signal;
}

function isLoopback({ hostname: name }: URL): boolean {
  return name === "localhost" || name === "[::1]" || name.startsWith("127.");
}

async function start(options: Options): Promise<number> {
  const { url, key, service, host, once } = options;
  const log = createLog(key, print);
  if (url.protocol === "http:" && !isLoopback(url))
    log.say("the key travels unencrypted: use https beyond this machine");
  if (!once) log.say(`sending to ${url.href} every ${options.intervalMs / 1000} s as ${service} on ${host}`);

  const stop = stopRequested();
  const { delivered } = await runAgent({
    collector: createCollector({ machine: thisMachine, clock: systemClock, log, labels: { service, host } }),
    intake: createIntake({ url, key, timeoutMs: requestTimeoutMs, fetch, clock: systemClock }),
    clock: systemClock,
    random: Math.random,
    log,
    intervalMs: options.intervalMs,
    flushMs: once ? onceFlushMs : flushMs,
    once,
    stop,
  });
  return once && delivered === 0 ? 1 : 0;
}

const command = defineCommand({
  meta: {
    name: "weir-metrics-agent",
    description: "Sends this machine's CPU, memory, disk and network figures to Weir",
  },
  args: {
    url: { type: "string", description: "Weir's address [WEIR_URL] (Default: http://127.0.0.1:8787)" },
    key: {
      type: "string",
      description: "API key with the scope ingest. Better set as WEIR_KEY: an option shows in `ps`",
    },
    interval: {
      type: "string",
      valueHint: "seconds",
      description: "Between samples, 1 to 3600 (Default: 5)",
    },
    service: { type: "string", valueHint: "name", description: "Label `service` (Default: host)" },
    host: { type: "string", valueHint: "name", description: "Label `host` (Default: this machine's name)" },
    once: { type: "boolean", description: "Send one sample and end: 0 delivered, 1 not" },
  },
  async run({ args }) {
    const parsed = parseOptions({ ...args }, process.env, { host: hostname() });
    if (!parsed.ok) {
      for (const fault of parsed.faults) print(`weir-metrics-agent: ${fault}\n`);
      process.exit(2);
    }
    // Not left to an idle loop: a figure that still hangs (a dead mount) would keep the process alive.
    process.exit(await start(parsed.options));
  },
});

await runMain(command);
