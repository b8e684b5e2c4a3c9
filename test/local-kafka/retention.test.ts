/** Whole segments go by age or size, the log's start moves, and no offset is ever used again. */
import { afterEach, describe, expect, it } from "vitest";
import { Fixture, base64 } from "./fixture.ts";

let f: Fixture;
let nowMs = 0;
afterEach(() => f.dispose());

const HOUR_MS = 3_600_000;
const put = (): Promise<unknown> => f.produce("t", [{ value: base64("v".repeat(100)), partition: 0 }]);
const open = async (spec: { retentionMs?: number; retentionBytes?: number }): Promise<void> => {
  nowMs = 1_700_000_000_000;
  f = await Fixture.open({
    topics: [{ name: "t", partitions: 1, ...spec }],
    segmentBytes: 300,
    now: () => nowMs,
  });
};
const start = async (): Promise<number> => {
  for (let offset = 0; ; offset += 1) if ((await f.fetchRaw("t", 0, offset)).status === 200) return offset;
};

describe("by age", () => {
  it("drops segments whose newest record is too old", async () => {
    await open({ retentionMs: HOUR_MS });
    for (let i = 0; i < 4; i += 1) await put();
    nowMs += HOUR_MS - 1;
    for (let i = 0; i < 4; i += 1) await put();
    expect(await start()).toBe(0);
    nowMs += 2;
    // Two records a segment: offsets 0 to 3 are in the two oldest.
    expect(await start()).toBe(4);
    expect((await f.fetchRaw("t", 0, 3)).text).toBe('{"error_code":40002,"message":"offset_out_of_range"}');
    await f.reopen();
    expect(await start()).toBe(4);
    expect((await f.readAll("t", 0, 4)).map(({ offset }) => offset)).toEqual([4, 5, 6, 7]);
  });

  it("empties an idle partition without giving an offset twice, also over a restart", async () => {
    await open({ retentionMs: HOUR_MS });
    for (let i = 0; i < 3; i += 1) await put();
    nowMs += 2 * HOUR_MS;
    expect((await f.fetchRaw("t", 0, 0)).status).toBe(400);
    expect((await f.fetchRaw("t", 0, 3)).text).toBe("[]");
    await f.reopen();
    expect((await f.fetchRaw("t", 0, 3)).text).toBe("[]");
    expect(await f.produce("t", [{ value: "", partition: 0 }])).toEqual([{ partition: 0, offset: 3 }]);
  });

  it("-1 keeps everything", async () => {
    await open({ retentionMs: -1 });
    await put();
    nowMs += 10_000 * HOUR_MS;
    expect(await f.fetch("t", 0, 0)).toHaveLength(1);
  });

  it("a clock that goes back does not make records older than those before them", async () => {
    await open({ retentionMs: HOUR_MS });
    await put();
    nowMs -= 10 * HOUR_MS;
    for (let i = 0; i < 4; i += 1) await put();
    nowMs += 10 * HOUR_MS;
    expect(await f.readAll("t", 0)).toHaveLength(5);
  });
});

describe("by size", () => {
  it("drops the oldest segments while the rest is still large enough", async () => {
    await open({ retentionBytes: 700 });
    // 140 bytes a frame, two a segment.
    for (let i = 0; i < 20; i += 1) await put();
    await expect.poll(start).toBe(14);
    expect((await f.readAll("t", 0, 14)).map(({ offset }) => offset)).toEqual([14, 15, 16, 17, 18, 19]);
  });

  it("takes a new setting at open", async () => {
    await open({});
    for (let i = 0; i < 20; i += 1) await put();
    expect(await start()).toBe(0);
    await f.reopen({ topics: [{ name: "t", partitions: 1, retentionBytes: 700 }] });
    for (let i = 0; i < 3; i += 1) await put();
    await expect.poll(start).toBeGreaterThan(10);
  });
});
