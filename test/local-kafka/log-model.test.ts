/** The file log against a list in memory, under any sequence of appends, reads, crashes and restarts. */
import { mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { FileLog } from "../../local-kafka/log/file-log.ts";
import type { LogRecord, RecordBatch } from "../../local-kafka/log/log.ts";

const field = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
const header = fc.record({ name: fc.string({ unit: "binary", maxLength: 10 }), value: field });
const record = fc.oneof(
  fc.record<LogRecord>({ key: field, value: field }),
  fc.record(
    {
      key: field,
      value: field,
      timestampMs: fc.nat(),
      headers: fc.array(header, { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ["key", "value"] },
  ),
);
const batch = fc.array<LogRecord>(record, { minLength: 1, maxLength: 5 });
const append = fc.record({
  do: fc.constant("append" as const),
  batches: fc.array(batch, { minLength: 1, maxLength: 4 }),
});
const read = fc.record({ do: fc.constant("read" as const), at: fc.nat(), maxBytes: fc.nat(500) });
const reopen = fc.record({ do: fc.constant("reopen" as const) });
/** At most 20 bytes: less than any frame, so it tears the last one only. */
const tear = fc.record({ do: fc.constant("tear" as const), bytes: fc.integer({ min: 1, max: 20 }) });
const step = fc.oneof(
  { weight: 6, arbitrary: append },
  { weight: 4, arbitrary: read },
  { weight: 1, arbitrary: reopen },
  { weight: 1, arbitrary: tear },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type Appended = Omit<RecordBatch, "appendedMs">;

const plain = (batches: readonly Appended[]): object[] =>
  batches.map(({ baseOffset, records }) => ({
    baseOffset,
    records: records.map(({ key, value, timestampMs, headers }) => ({
      key: key && [...key],
      value: value && [...value],
      timestampMs,
      headers: headers?.map((each) => [each.name, each.value && [...each.value]]),
    })),
  }));

class Pair {
  log: FileLog;
  readonly #dataDir: string;
  readonly #segmentBytes: number;
  #model: Appended[] = [];

  private constructor(log: FileLog, dataDir: string, segmentBytes: number) {
    this.log = log;
    this.#dataDir = dataDir;
    this.#segmentBytes = segmentBytes;
  }

  static async open(dataDir: string, segmentBytes: number): Promise<Pair> {
    const log = await FileLog.open({ dataDir, segmentBytes, fsync: false });
    await log.createTopic({ name: "t", partitions: 1, retentionMs: -1, retentionBytes: -1 });
    return new Pair(log, dataDir, segmentBytes);
  }

  get end(): number {
    const last = this.#model.at(-1);
    return last === undefined ? 0 : last.baseOffset + last.records.length;
  }

  /** What the log did, and what the model says it should have done. */
  async perform(each: Step): Promise<{ got: unknown; want: unknown }> {
    switch (each.do) {
      case "append":
        return this.#append(each.batches);
      case "read": {
        const offset = each.at % (this.end + 1);
        const found = await this.log.fetch("t", 0, offset, { maxBytes: each.maxBytes, timeoutMs: 0 });
        const due = this.#model.filter(({ baseOffset, records }) => baseOffset + records.length > offset);
        // How many fit is the log's affair; that there is one, and that they are the next ones, is not.
        return { got: plain(found), want: plain(due.slice(0, Math.max(1, found.length))) };
      }
      case "tear":
        await this.log.close();
        await this.#tearTail(each.bytes);
        break;
      case "reopen":
        await this.log.close();
    }
    this.log = await FileLog.open({ dataDir: this.#dataDir, segmentBytes: this.#segmentBytes, fsync: false });
    return { got: await this.log.bounds("t", 0), want: { start: 0, end: this.end } };
  }

  async #append(batches: LogRecord[][]): Promise<{ got: unknown; want: unknown }> {
    const got = await Promise.all(batches.map((records) => this.log.append("t", 0, records)));
    const want = batches.map((records) => {
      const baseOffset = this.end;
      this.#model.push({ baseOffset, records });
      return baseOffset;
    });
    return { got, want };
  }

  async #tearTail(bytes: number): Promise<void> {
    const topics = join(this.#dataDir, "topics");
    const dir = join(topics, (await readdir(topics))[0] ?? "", "0");
    const segments = (await readdir(dir)).filter((name) => name.endsWith(".log")).toSorted();
    const last = join(dir, segments.at(-1) ?? "");
    const { size } = await stat(last);
    if (size === 0) return;
    await truncate(last, size - bytes);
    this.#model = this.#model.slice(0, -1);
  }
}

async function run(steps: Step[], segmentBytes: number): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "local-kafka-model-"));
  const pair = await Pair.open(dataDir, segmentBytes);
  try {
    for (const each of steps) {
      const { got, want } = await pair.perform(each);
      expect(got).toEqual(want);
    }
  } finally {
    await pair.log.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

it("reads back what was appended, whatever happens in between", async () => {
  const steps = fc.array(step, { maxLength: 25 });
  await fc.assert(fc.asyncProperty(steps, fc.integer({ min: 60, max: 400 }), run), { numRuns: 60 });
}, 30_000);
