// Reads what a real Kafka holds with kcat, a client (librdkafka) that shares no code with ours. Byte for byte: null and
// empty, text and binary are told apart. Without kcat the suites that need it are skipped, except in CI, where it throws.
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export interface KcatRecord {
  partition: number;
  offset: number;
  key: Buffer | null;
  value: Buffer | null;
}

export const hasKcat: boolean = (process.env.PATH ?? "").split(delimiter).some((dir) => {
  try {
    accessSync(join(dir, "kcat"), constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** Every record from the start of the topic (or of one partition) to its end now, by partition and offset. */
export async function kcatRead(
  bootstrap: string,
  topic: string,
  { partition }: { partition?: number } = {},
): Promise<KcatRecord[]> {
  // %K and %S are lengths, -1 for null; with them no separator can be mistaken for data.
  const args = [
    "-C",
    "-b",
    bootstrap,
    "-t",
    topic,
    "-o",
    "beginning",
    "-e",
    "-q",
    "-f",
    "%p %o %K %S\n%k%s\n",
  ];
  const output = await kcat(partition === undefined ? args : [...args, "-p", String(partition)]);
  const records: KcatRecord[] = [];
  for (let at = 0; at < output.length;) {
    const end = output.indexOf(10, at);
    const [from, offset, keyLength, valueLength] = output.toString("latin1", at, end).split(" ").map(Number);
    if (from === undefined || offset === undefined || keyLength === undefined || valueLength === undefined) {
      throw new Error("kcat printed something else than was asked for");
    }
    const valueAt = end + 1 + Math.max(0, keyLength);
    const next = valueAt + Math.max(0, valueLength);
    records.push({
      partition: from,
      offset,
      key: keyLength < 0 ? null : output.subarray(end + 1, valueAt),
      value: valueLength < 0 ? null : output.subarray(valueAt, next),
    });
    at = next + 1;
  }
  return records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
}

/** How many records the topic holds now. */
export async function kcatCount(bootstrap: string, topic: string): Promise<number> {
  return (await kcatRead(bootstrap, topic)).length;
}

/** Produces one record with acks=all. */
export async function kcatWrite(
  bootstrap: string,
  topic: string,
  partition: number,
  value: Buffer,
  key?: string,
  compression = "none",
): Promise<void> {
  const args = [
    "-P",
    "-b",
    bootstrap,
    "-t",
    topic,
    "-p",
    String(partition),
    "-X",
    "acks=all",
    "-z",
    compression,
  ];
  // A delimiter that no value holds: one record, whatever is in it.
  await kcat([...args, "-D", "\u0001END\u0001", ...(key === undefined ? [] : ["-k", key])], value);
}

async function kcat(args: string[], input?: Buffer): Promise<Buffer> {
  const child = spawn("kcat", [...args, "-X", "socket.timeout.ms=10000"], { stdio: "pipe" });
  const chunks: Buffer[] = [];
  let complaint = "";
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  clearTimeout(timer);
  if (code !== 0) throw new Error(`kcat ended with ${code}: ${complaint.trim()}`);
  return Buffer.concat(chunks);
}
