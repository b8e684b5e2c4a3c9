/**
 * What is left after a crash: a torn tail is cut, wherever it tore; damage in front of whole frames is named and the
 * partition refused, for silence would be loss.
 */
import {
  appendFile,
  copyFile,
  mkdir,
  readFile,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openLocalKafka } from "../../local-kafka/broker.ts";
import { Fixture, base64 } from "./fixture.ts";

let f: Fixture;
afterEach(() => f.dispose());

async function partitionDir(topic: string, partition = 0): Promise<string> {
  const topics = join(f.dataDir, "topics");
  const entry = (await readdir(topics)).find((name) => name.startsWith(`${topic}@`)) ?? "";
  return join(topics, entry, String(partition));
}

async function segments(topic: string): Promise<string[]> {
  const dir = await partitionDir(topic);
  return (await readdir(dir))
    .filter((name) => name.endsWith(".log"))
    .toSorted()
    .map((name) => join(dir, name));
}

const batch = (...values: string[]): object[] =>
  values.map((value) => ({ value: base64(value), partition: 0 }));
const offsets = async (topic: string, from = 0): Promise<number[]> =>
  (await f.readAll(topic, 0, from)).map(({ offset }) => offset);

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

describe("the end of the last segment", () => {
  it("is cut wherever in the last frame it tore, and the log goes on there", async () => {
    f = await Fixture.open({ topics: [{ name: "t", partitions: 1 }] });
    await f.produce("t", batch("a", "b"));
    const [path = ""] = await segments("t");
    const before = (await stat(path)).size;
    await f.produce("t", batch("torn", "tail"));
    const whole = await readFile(path);
    for (let size = before; size < whole.byteLength; size += 1) {
      await f.kafka.close();
      await writeFile(path, whole.subarray(0, size));
      f.kafka = await openLocalKafka({ dataDir: f.dataDir, fsync: false });
      expect((await stat(path)).size, `cut at ${size}`).toBe(before);
      expect(await offsets("t")).toEqual([0, 1]);
    }
    expect(await f.produce("t", batch("next"))).toEqual([{ partition: 0, offset: 2 }]);
    expect((await f.fetch("t", 0, 2))[0]).toMatchObject({ offset: 2, value: base64("next") });
  });

  it("is cut when the last frame's bytes are wrong, or zeros follow it", async () => {
    f = await Fixture.open({ topics: [{ name: "t", partitions: 1 }] });
    await f.produce("t", batch("kept"));
    const [path = ""] = await segments("t");
    const before = (await stat(path)).size;
    await f.produce("t", batch("garbled"));
    await flipBit(path, before + 40);
    await f.reopen();
    expect((await stat(path)).size).toBe(before);
    await f.kafka.close();
    await appendFile(path, Buffer.alloc(9000));
    f.kafka = await openLocalKafka({ dataDir: f.dataDir, fsync: false });
    expect((await stat(path)).size).toBe(before);
    expect(await offsets("t")).toEqual([0]);
  });

  it("is cut although a record's value looks like a frame", async () => {
    f = await Fixture.open({
      topics: [
        { name: "t", partitions: 1 },
        { name: "other", partitions: 1 },
      ],
    });
    await f.produce("other", batch("0", "1", "2"));
    await f.produce("other", batch("a frame of another partition"));
    const [other = ""] = await segments("other");
    await f.produce("t", batch("kept"));
    const [path = ""] = await segments("t");
    const before = (await stat(path)).size;
    const frames = { value: (await readFile(other)).toString("base64"), partition: 0 };
    await f.produce("t", [frames, ...batch("more")]);
    await truncate(path, (await stat(path)).size - 1);
    await f.reopen();
    expect((await stat(path)).size).toBe(before);
    expect(await offsets("t")).toEqual([0]);
  });
});

/** The partition answers 500 and names the place, its neighbours work, and there was one warning. */
async function refused(file: string, byte: number, warnings: string[]): Promise<void> {
  const where = `${file} is damaged at byte ${byte}`;
  const answers = [
    await f.call(
      "POST",
      "/topics/t",
      { "content-type": "application/vnd.kafka.binary.v2+json" },
      JSON.stringify({ records: batch("x") }),
    ),
    await f.fetchRaw("t", 0, 0),
  ];
  for (const { status, text } of answers) {
    expect(status).toBe(500);
    expect(JSON.parse(text)).toEqual({ error_code: 50002, message: expect.stringContaining(where) });
  }
  expect(warnings).toEqual([expect.stringContaining(where)]);
  expect(await f.produce("sound", batch("x"))).toEqual([{ partition: 0, offset: expect.any(Number) }]);
}

describe("damage elsewhere", () => {
  it("in the last segment, before a whole frame, refuses that partition and leaves the file alone", async () => {
    const warnings: string[] = [];
    f = await Fixture.open({
      topics: ["t", "sound"].map((name) => ({ name, partitions: 1 })),
      onWarning: (w) => warnings.push(w),
    });
    const [path = ""] = await segments("t");
    await f.produce("t", batch("first"));
    const second = (await stat(path)).size;
    await f.produce("t", batch("second"));
    const third = (await stat(path)).size;
    await f.produce("t", batch("third"));
    const whole = await readFile(path);
    // Each byte of the middle frame in turn, its length included.
    for (let at = second; at < third; at += 1) {
      await f.kafka.close();
      await writeFile(path, whole);
      await flipBit(path, at);
      const damaged = await readFile(path);
      warnings.length = 0;
      f.kafka = await openLocalKafka({
        dataDir: f.dataDir,
        fsync: false,
        onWarning: (w) => warnings.push(w),
      });
      await refused(path, second, warnings);
      expect((await readFile(path)).equals(damaged)).toBe(true);
    }
  });

  it("in a sealed segment is found at start, or by the read that meets it", async () => {
    const warnings: string[] = [];
    f = await Fixture.open({
      topics: ["t", "sound"].map((name) => ({ name, partitions: 1 })),
      segmentBytes: 200,
      onWarning: (w) => warnings.push(w),
    });
    for (let i = 0; i < 5; i += 1) await f.produce("t", batch("v".repeat(100)));
    const [first = "", second = ""] = await segments("t");
    await flipBit(second, 50);
    expect((await f.fetchRaw("t", 0, 1)).text).toContain(`${second} is damaged at byte 0`);
    await f.reopen();
    await refused(second, 0, warnings);
    expect(first).not.toBe("");
  });

  it("a missing segment is a gap that is told, not skipped", async () => {
    const warnings: string[] = [];
    f = await Fixture.open({
      topics: ["t", "sound"].map((name) => ({ name, partitions: 1 })),
      segmentBytes: 200,
      onWarning: (w) => warnings.push(w),
    });
    for (let i = 0; i < 5; i += 1) await f.produce("t", batch("v".repeat(100)));
    const [first = "", second = ""] = await segments("t");
    await rm(second);
    await f.reopen();
    await refused(first, (await stat(first)).size, warnings);
    expect(warnings[0]).toContain("records 1 to 1 are missing");
  });

  it("a lost or foreign index is made again from the segment", async () => {
    f = await Fixture.open({ topics: [{ name: "t", partitions: 1 }], segmentBytes: 200 });
    for (let i = 0; i < 5; i += 1) await f.produce("t", batch("v".repeat(100)));
    const [first = "", second = "", third = ""] = (await segments("t")).map((path) =>
      path.replace(".log", ".index"),
    );
    await rm(first);
    await copyFile(third, second);
    await f.reopen();
    expect(await offsets("t")).toEqual([0, 1, 2, 3, 4]);
    expect(JSON.parse(await readFile(first, "utf8"))).toMatchObject({ endOffset: 1 });
  });
});

describe("topics", () => {
  it("half made or half deleted ones are gone after a restart", async () => {
    f = await Fixture.open({ topics: [{ name: "t", partitions: 2 }] });
    await mkdir(join(f.dataDir, "topics", ".making-1"));
    await mkdir(join(f.dataDir, "topics", ".deleted-2"));
    await f.reopen();
    expect((await readdir(join(f.dataDir, "topics"))).length).toBe(1);
    expect(JSON.parse((await f.call("GET", "/topics")).text)).toEqual(["t"]);
  });

  it("are made or grown at open, and keep their records", async () => {
    f = await Fixture.open({ topics: [{ name: "t", partitions: 1 }] });
    await f.produce("t", batch("a"));
    await f.reopen({
      topics: [
        { name: "t", partitions: 3 },
        { name: "new", partitions: 1 },
      ],
    });
    expect(await f.produce("t", [{ value: "", partition: 2 }])).toEqual([{ partition: 2, offset: 0 }]);
    await f.reopen({ topics: [{ name: "t", partitions: 2 }] });
    expect(await f.produce("t", [{ value: "", partition: 2 }])).toEqual([{ partition: 2, offset: 1 }]);
    expect(await offsets("t")).toEqual([0]);
  });
});
