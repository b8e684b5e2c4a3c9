/** Records deleted by request: the log starts at exactly that offset, at once and after every restart. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fixture, base64 } from "./fixture.ts";

describe("deleteRecords", () => {
  let fixture: Fixture;

  beforeEach(async () => {
    fixture = await Fixture.open({ topics: [{ name: "t", partitions: 1 }], segmentBytes: 400 });
  });
  afterEach(() => fixture.dispose());

  const produce = (...values: string[]) =>
    fixture.produce(
      "t",
      values.map((value) => ({ partition: 0, value: base64(value) })),
    );
  const offsets = async (from: number) => (await fixture.fetch("t", 0, from)).map(({ offset }) => offset);

  it("moves the start into the middle of a batch, durably, and appends go on", async () => {
    await produce("0", "1", "2", "3", "4");
    await fixture.kafka.deleteRecords("t", 0, 3);
    for (const reopen of [false, true, true]) {
      if (reopen) await fixture.reopen();
      expect(await offsets(3)).toEqual([3, 4]);
      expect((await fixture.fetchRaw("t", 0, 2)).text).toContain("offset_out_of_range");
    }
    expect(await produce("5")).toMatchObject([{ offset: 5 }]);
    expect((await fixture.readAll("t", 0, 3)).map(({ offset }) => offset)).toEqual([3, 4, 5]);
  });

  it("takes whole segments away, and all records at the log's end", async () => {
    for (let i = 0; i < 20; i++) await produce("x".repeat(100));
    const [topic = ""] = await readdir(join(fixture.dataDir, "topics"));
    const segments = async () =>
      (await readdir(join(fixture.dataDir, "topics", topic, "0"))).filter((name) => name.endsWith(".log"));
    const before = await segments();
    await fixture.kafka.deleteRecords("t", 0, 20);
    expect(before.length).toBeGreaterThan(3);
    expect(await segments()).toHaveLength(1);
    await fixture.reopen();
    expect(await offsets(20)).toEqual([]);
    expect(await produce("next")).toMatchObject([{ offset: 20 }]);
    expect(await offsets(20)).toEqual([20]);
  });

  it("refuses an offset beyond the end and an unknown partition; one below the start changes nothing", async () => {
    await produce("0", "1");
    await fixture.kafka.deleteRecords("t", 0, 1);
    await fixture.kafka.deleteRecords("t", 0, 0);
    expect(await offsets(1)).toEqual([1]);
    await expect(fixture.kafka.deleteRecords("t", 0, 3)).rejects.toMatchObject({
      code: "offset_out_of_range",
    });
    const unknown = { code: "unknown_topic_or_partition" };
    await expect(fixture.kafka.deleteRecords("t", 1, 0)).rejects.toMatchObject(unknown);
    await expect(fixture.kafka.deleteRecords("none", 0, 0)).rejects.toMatchObject(unknown);
  });
});
