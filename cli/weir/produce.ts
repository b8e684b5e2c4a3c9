// `weir produce TOPIC`: writes a message, or each line of stdin, in order. What was refused is told by its line; when
// Kafka is away it stops there, so that no later line comes before an earlier one.
import { Buffer, isUtf8 } from "node:buffer";
import { z } from "zod";
import { MAX_MESSAGE_VALUE_BYTES } from "../../lib/telemetry/limits.ts";
import { ApiError } from "./api.ts";
import { UsageError, type Command, type Invocation } from "./command.ts";
import { readLines, type Line } from "./input-lines.ts";
import { count, printable } from "./output.ts";

/** One request's; the server takes 1,000 messages and 5 MiB. */
const MAX_MESSAGES = 500;
const MAX_REQUEST_BYTES = 1_000_000;
/** Shorter ones end before anybody wonders. */
const PROGRESS_AFTER_MS = 1_000;

const result = z.looseObject({
  index: z.int(),
  status: z.enum(["ok", "rejected", "retry"]),
  partition: z.int().optional(),
  offset: z.int().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
const answer = z.looseObject({ results: z.array(result) });
/** A problem of single messages: `errors` when each is at fault itself, `results` when Kafka refused them. */
const refusal = z.looseObject({
  errors: z.array(z.looseObject({ index: z.int(), reason: z.string(), message: z.string() })).default([]),
  results: z.array(result).optional(),
});
type Result = z.output<typeof result>;

export const produce: Command = {
  name: "produce",
  summary: "writes messages to a topic: MESSAGE, or each line of stdin",
  positionals: [
    { name: "TOPIC", required: true },
    { name: "MESSAGE", required: false },
  ],
  options: {
    key: {
      type: "string",
      short: "k",
      hint: "KEY",
      summary: "their key; decides the partition as the Java client does",
    },
    partition: { type: "string", short: "p", hint: "N", summary: "their partition" },
    header: {
      type: "string",
      short: "H",
      multiple: true,
      hint: "NAME=VALUE",
      summary: "a header; repeatable",
    },
  },
  notes: [
    "Empty lines are left out. Exit code 1 when a message was refused.",
    "",
    `  weir produce events.raw '{"event_type":"order","data":{"id":1}}' -k customer-7`,
    "  weir produce events.raw < events.ndjson",
  ],
  async run(invocation) {
    const { positionals, output, isJson } = invocation;
    const [topic = "", message] = positionals;
    const writer = new Writer(invocation, `/api/v1/topics/${encodeURIComponent(topic)}/messages`);
    if (message !== undefined) {
      const [only] = await writer.write([{ number: 1, bytes: Buffer.from(message) }]);
      if (only?.status === "ok" && !isJson)
        await output.line(`${topic}: partition ${only.partition}, offset ${only.offset}`);
      return writer.refused > 0 ? 1 : 0;
    }
    if (process.stdin.isTTY) output.note("weir: reading lines from the terminal; Ctrl-D ends");
    const startedMs = performance.now();
    for await (const lines of readLines(process.stdin, MAX_MESSAGE_VALUE_BYTES)) {
      for (const batch of batchesOf(lines)) await writer.write(batch);
      if (performance.now() - startedMs > PROGRESS_AFTER_MS)
        output.progress(`${count(writer.written, "message")} written`);
    }
    output.progress("");
    const all = writer.written + writer.refused;
    if (!isJson) {
      const share = writer.refused > 0 ? `${writer.written.toLocaleString("en-US")} of ` : "";
      await output.line(`${share}${count(all, "message")} written to ${topic}`);
    }
    return writer.refused > 0 ? 1 : 0;
  },
};

class Writer {
  written = 0;
  refused = 0;
  readonly #invocation: Invocation;
  readonly #path: string;
  readonly #common: object;

  /** @throws UsageError */
  constructor(invocation: Invocation, path: string) {
    const { args } = invocation;
    this.#invocation = invocation;
    this.#path = path;
    const partition = args.wholeNumber("partition", 0, 999_999);
    const key = args.text("key");
    const headers = args.list("header").map(parseHeader);
    this.#common = {
      ...(key === undefined ? {} : { key }),
      ...(partition === undefined ? {} : { partition }),
      ...(headers.length > 0 ? { headers } : {}),
    };
  }

  /** @throws ApiError where nothing of the lines is known to be written, or Kafka is away */
  async write(lines: readonly Line[]): Promise<Result[]> {
    const sent = lines.filter((line): line is Line & { bytes: Buffer } => line.bytes !== undefined);
    for (const { number, bytes } of lines) {
      if (bytes === undefined)
        await this.#refuse(number, "record_too_large", `is larger than ${MAX_MESSAGE_VALUE_BYTES} bytes`);
    }
    if (sent.length === 0) return [];
    const results = await this.#send(sent);
    let away: Result | undefined;
    for (const [i, { number }] of sent.entries()) {
      const one = results[i];
      if (one?.status === "ok") {
        this.written++;
        if (this.#invocation.isJson)
          await this.#invocation.output.line(
            JSON.stringify({ line: number, status: "ok", partition: one.partition, offset: one.offset }),
          );
        continue;
      }
      if (one?.status === "retry") away ??= one;
      await this.#refuse(number, one?.reason ?? "unknown", one?.message ?? "nothing is known of it");
    }
    if (away) throw this.#stopped(sent[0]?.number ?? 1, away.message ?? "Kafka is away");
    return results;
  }

  async #send(lines: readonly (Line & { bytes: Buffer })[]): Promise<Result[]> {
    const messages = lines.map(({ bytes }) => ({
      ...this.#common,
      ...(isUtf8(bytes)
        ? { value: bytes.toString() }
        : { value: bytes.toString("base64"), encoding: "base64" }),
    }));
    try {
      return (await this.#invocation.api.post(this.#path, { messages }, answer)).results;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { data } = refusal.safeParse(error.problem);
      const isOfMessages = data?.results !== undefined || error.problem?.code === "invalid_records";
      if (error.isPassing) throw this.#stopped(lines[0]?.number ?? 1, error.message);
      if (!data || !isOfMessages) throw error;
      return lines.map((_, index): Result => {
        const found = data.results?.[index] ?? data.errors.find((one) => one.index === index);
        return { reason: "invalid_records", message: "is refused", ...found, index, status: "rejected" };
      });
    }
  }

  /** For a single message there is no line to tell, and nothing else that was written. */
  #stopped(line: number, message: string): ApiError {
    if (this.#invocation.positionals.length > 1) return new ApiError(message);
    const before =
      this.written > 0 ? `${count(this.written, "message")} written, then stopped` : "nothing written";
    return new ApiError(
      `${message}\n${before}: send again from line ${line}; what was tried may be there twice`,
    );
  }

  async #refuse(line: number, reason: string, message: string): Promise<void> {
    this.refused++;
    const { output, isJson, positionals } = this.#invocation;
    if (isJson) await output.line(JSON.stringify({ line, status: "rejected", reason, message }));
    else
      output.note(
        printable(`weir: ${positionals.length > 1 ? "the message" : `line ${line}`}: ${message} (${reason})`),
      );
  }
}

function parseHeader(text: string): { name: string; value: string } {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--header must be NAME=VALUE, not ${text}`);
  return { name: text.slice(0, at), value: text.slice(at + 1) };
}

function* batchesOf(lines: readonly Line[]): Generator<Line[]> {
  let batch: Line[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = line.bytes?.length ?? 0;
    if (batch.length >= MAX_MESSAGES || (batch.length > 0 && bytes + size > MAX_REQUEST_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(line);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
