/** Group commit, and what a disk that fails may and may not lead to. */
import { EventEmitter, once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestDisk } from "./failing-disk.ts";
import { type Answer, BINARY_V2, Fixture, base64 } from "./fixture.ts";

let f: Fixture;
let disk: TestDisk;
beforeEach(async () => {
  disk = new TestDisk();
  f = await Fixture.open({ topics: [{ name: "t", partitions: 2 }], files: disk });
});
afterEach(async () => {
  disk.failSync = disk.failTruncate = disk.failWrite = disk.beforeSync = undefined;
  await f.dispose();
});

const post = (value: string, partition = 0): Promise<Answer> =>
  f.call(
    "POST",
    "/topics/t",
    { "content-type": BINARY_V2 },
    JSON.stringify({ records: [{ value: base64(value), partition }] }),
  );
const values = async (): Promise<string[]> =>
  (await f.readAll("t", 0)).map(({ value }) => Buffer.from(value as string, "base64").toString());

describe("group commit", () => {
  it("serves many requests with few flushes, each answered with its own offset", async () => {
    const before = disk.syncs;
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => post(`v${i}`)));
    expect(disk.syncs - before).toBeLessThanOrEqual(3);
    const offsets = answers.map(
      ({ text }) => (JSON.parse(text) as { offsets: [{ offset: number }] }).offsets[0].offset,
    );
    expect(offsets.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    const stored = await values();
    for (const [i, offset] of offsets.entries()) expect(stored[offset]).toBe(`v${i}`);
  });

  it("answers nobody, and shows nobody the record, before the flush is over", async () => {
    const gate = new EventEmitter();
    const opened = disk.syncs;
    disk.beforeSync = async () => {
      await once(gate, "open");
    };
    let answered = false;
    const waiting = post("v").then((answer) => {
      answered = true;
      return answer;
    });
    while (disk.syncs === opened) await new Promise(setImmediate);
    expect(await f.fetch("t", 0, 0)).toEqual([]);
    expect(answered).toBe(false);
    disk.beforeSync = undefined;
    gate.emit("open");
    expect((await waiting).status).toBe(200);
    expect(await values()).toEqual(["v"]);
  });

  it("closing waits for the flush under way, and for the one after it", async () => {
    const gate = new EventEmitter();
    const opened = disk.syncs;
    disk.beforeSync = async () => {
      await once(gate, "open");
    };
    const first = post("first");
    while (disk.syncs === opened) await new Promise(setImmediate);
    const second = post("second");
    // The second must be waiting for its turn.
    for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
    const closing = f.reopen();
    disk.beforeSync = undefined;
    gate.emit("open");
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
    await closing;
    expect(await values()).toEqual(["first", "second"]);
    await f.kafka.close();
    expect(await post("late")).toMatchObject({ status: 503 });
  });
});

describe("a failing disk", () => {
  it.each([
    [
      "a flush that fails",
      () => (disk.failSync = Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" })),
    ],
    [
      "a full disk",
      () =>
        (disk.failWrite = Object.assign(new Error("ENOSPC: no space left on device, write"), {
          code: "ENOSPC",
        })),
    ],
  ])(
    "%s: every waiting produce is 500, nothing of it is ever readable, and the log goes on later",
    async (_name, fail) => {
      await post("before");
      const error = fail();
      const answers = await Promise.all(["a", "b", "c"].map((value) => post(value)));
      for (const { status, text } of answers) {
        expect(status).toBe(500);
        expect(JSON.parse(text)).toEqual({
          error_code: 50002,
          message: `kafka_storage_error: ${error.message}`,
        });
      }
      expect(await values()).toEqual(["before"]);
      disk.failSync = disk.failWrite = undefined;
      expect((await post("after")).text).toContain('"offset":1');
      await f.reopen();
      expect(await values()).toEqual(["before", "after"]);
    },
  );

  it("goes on failing while the leftovers of a failed write cannot be cut off", async () => {
    disk.failSync = disk.failTruncate = new Error("EIO");
    expect((await post("a")).status).toBe(500);
    disk.failSync = undefined;
    expect((await post("b")).status).toBe(500);
    disk.failTruncate = undefined;
    expect((await post("c")).text).toContain('"offset":0');
    await f.reopen();
    expect(await values()).toEqual(["c"]);
  });

  it("fails only its own entry when another partition's records are stored", async () => {
    const first = disk.syncs;
    disk.beforeSync = async () => {
      disk.failSync = disk.syncs === first + 1 ? new Error("EIO") : undefined;
    };
    const records = [0, 1].map((partition) => ({ value: base64("v"), partition }));
    const offsets = await f.produce("t", records);
    expect(new Set(offsets.map(({ error_code }) => error_code))).toEqual(new Set([56, undefined]));
  });

  it("a commit that cannot be stored is 500", async () => {
    const v2 = { "content-type": "application/vnd.kafka.v2+json" };
    await f.call("POST", "/consumers/g", v2, '{"name":"a"}');
    disk.failWrite = new Error("ENOSPC");
    const commit = '{"partitions":[{"topic":"t","partition":0,"offset":0}]}';
    expect(await f.call("POST", "/consumers/g/instances/a/offsets", v2, commit)).toMatchObject({
      status: 500,
    });
    disk.failWrite = undefined;
    expect(await f.call("POST", "/consumers/g/instances/a/offsets", v2, commit)).toMatchObject({
      status: 204,
    });
  });
});
