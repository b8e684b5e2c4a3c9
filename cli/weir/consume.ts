// `weir consume TOPIC`: prints messages, oldest first; with -f goes on as they come, through a restart of the server.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ApiError } from "./api.ts";
import { UsageError, type Command, type Invocation } from "./command.ts";
import { printable, type Output } from "./output.ts";

/** What is shown of a topic when nothing else is said, as `tail` does. */
const DEFAULT_LIMIT = 10;
const MAX_PAGE = 1_000;
const POLL_MS = 500;
const MAX_RETRY_MS = 5_000;

const message = z.looseObject({
  partition: z.int(),
  offset: z.int(),
  timestamp: z.string().nullable(),
  key: z.string().nullable(),
  value: z.string().nullable(),
  key_encoding: z.string().optional(),
  encoding: z.string().optional(),
});
type Message = z.output<typeof message>;

/** A partition that could not be read. */
const fault = z.looseObject({ partition: z.int(), error: z.string() });
const page = z.array(z.union([message, fault]));

export const consume: Command = {
  name: "consume",
  summary: "prints a topic's messages",
  positionals: [{ name: "TOPIC", required: true }],
  options: {
    follow: {
      type: "boolean",
      short: "f",
      summary: "go on with what comes, until Ctrl-C; from the end unless --from says",
    },
    from: { type: "string", hint: "WHERE", summary: "earliest, latest, or an offset (with --partition)" },
    partition: { type: "string", short: "p", hint: "N", summary: "this partition only" },
    limit: { type: "string", short: "n", hint: "N", summary: "stop after N messages" },
  },
  notes: [
    `Without --from and -f: the newest ${DEFAULT_LIMIT}, or --limit. With --from and without --limit: all from there to the end.`,
    "A line is partition:offset, time, key and value; --json prints one JSON object for each message.",
    "",
    "  weir consume logs.raw -f                          what comes from now on",
    "  weir consume logs.raw --from earliest --json      everything there is",
    "  weir consume logs.raw -p 0 --from 120 -n 5        five messages of partition 0, from offset 120",
  ],
  async run(invocation) {
    const { args, api } = invocation;
    const request = readRequest(invocation);
    if (args.isSet("follow")) process.on("SIGINT", () => process.exit(0));
    const printer = new Printer(invocation);

    if (request.from === undefined) {
      const found: z.output<typeof page> = [];
      let path: string | undefined = request.path({ limit: String(Math.min(request.limit, MAX_PAGE)) });
      while (path !== undefined && found.length < request.limit) {
        const answer: { value: z.output<typeof page>; next: string | undefined } = await api.get(path, page);
        found.push(...answer.value);
        path = answer.next;
      }
      await printer.print(found.slice(0, request.limit).toReversed());
      return printer.exitCode;
    }

    let path = request.path({ from: request.from, limit: String(Math.min(request.limit, MAX_PAGE)) });
    let isFirst = true;
    while (printer.printed < request.limit) {
      const answer = await getThroughRestart(invocation, path, isFirst);
      isFirst = false;
      await printer.print(answer.value.slice(0, request.limit - printer.printed));
      path = answer.next ?? path;
      if (answer.value.some((one) => "offset" in one)) continue;
      if (!args.isSet("follow")) break;
      await sleep(POLL_MS);
    }
    return printer.exitCode;
  },
};

interface Request {
  /** Undefined: the newest, shown the oldest of them first. */
  from: string | undefined;
  limit: number;
  path(query: Record<string, string>): string;
}

/** @throws UsageError */
function readRequest({ args, positionals: [topic = ""] }: Invocation): Request {
  const from = args.text("from") ?? (args.isSet("follow") ? "latest" : undefined);
  const partition = args.wholeNumber("partition", 0, 999_999);
  const isOffset = from !== undefined && /^\d{1,15}$/.test(from);
  if (from !== undefined && from !== "earliest" && from !== "latest" && !isOffset)
    throw new UsageError(`--from must be earliest, latest or an offset, not ${from}`);
  const limit = args.wholeNumber("limit", 1, Number.MAX_SAFE_INTEGER);
  return {
    from,
    limit: limit ?? (from === undefined ? DEFAULT_LIMIT : Number.POSITIVE_INFINITY),
    path(query) {
      const all = new URLSearchParams(query);
      if (partition !== undefined) all.set("partition", String(partition));
      return `/api/v1/topics/${encodeURIComponent(topic)}/messages?${all.toString()}`;
    },
  };
}

/** While following, a server that is away is waited for, once it has answered at all. */
async function getThroughRestart(
  { api, args, output }: Invocation,
  path: string,
  isFirst: boolean,
): Promise<{ value: z.output<typeof page>; next: string | undefined }> {
  let isAway = false;
  for (let waitMs = POLL_MS; ; waitMs = Math.min(waitMs * 2, MAX_RETRY_MS)) {
    try {
      const answer = await api.get(path, page);
      if (isAway) output.note("weir: it answers again");
      return answer;
    } catch (error) {
      const isWorthWaiting = error instanceof ApiError && error.isPassing && args.isSet("follow") && !isFirst;
      if (!isWorthWaiting) throw error;
      if (!isAway) output.note(`weir: ${error.message}; waiting for it`);
      isAway = true;
      await sleep(waitMs);
    }
  }
}

class Printer {
  printed = 0;
  exitCode: 0 | 1 = 0;
  readonly #output: Output;
  readonly #isJson: boolean;
  readonly #faultsTold = new Set<string>();

  constructor({ output, isJson }: Invocation) {
    this.#output = output;
    this.#isJson = isJson;
  }

  async print(rows: z.output<typeof page>): Promise<void> {
    for (const row of rows) {
      if (isMessage(row)) {
        this.printed++;
        await this.#output.line(this.#isJson ? JSON.stringify(row) : this.#lineOf(row));
        continue;
      }
      this.exitCode = 1;
      const told = `weir: partition ${row.partition}: ${row.error}`;
      if (!this.#faultsTold.has(told)) this.#output.note(printable(told));
      this.#faultsTold.add(told);
    }
  }

  #lineOf({ partition, offset, timestamp, key, value, key_encoding, encoding }: Message): string {
    const place = this.#output.tint(`${partition}:${offset}`, "dim");
    const time = timestamp === null ? "" : `${this.#output.tint(timestamp, "dim")}  `;
    const shownKey = key === null ? this.#output.tint("-", "dim") : shown(key, key_encoding);
    const shownValue = value === null ? this.#output.tint("(null)", "dim") : shown(value, encoding);
    return `${place}  ${time}${shownKey}  ${shownValue}`;
  }
}

function isMessage(row: z.output<typeof page>[number]): row is Message {
  return "offset" in row;
}

function shown(text: string, encoding: string | undefined): string {
  return encoding === "base64" ? `base64:${text}` : printable(text);
}
