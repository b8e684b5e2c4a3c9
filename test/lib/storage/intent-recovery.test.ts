// What becomes of an intent whose owner died, and how far a sink's memory of tokens goes.
import { describe, expect, it } from "vitest";
import { StorageError } from "../../../lib/storage/storage.ts";
import type { BlockSink } from "../../../lib/storage/intent.ts";
import { readAgain } from "../../../lib/stream/read-again.ts";
import { createMemoryLog } from "../../support/memory-log.ts";
import { OWNER_TIME_MS } from "../../support/memory-owner.ts";
import { createManifestSink, createTokenSink, type MemorySink } from "../../support/memory-sinks.ts";
import { Stage } from "../../support/stage.ts";
import { createWorld, envelope, expectWhole, partition, SETTLE_MS, staged, TOPIC } from "./intent-world.ts";

describe("an intent that was left open", () => {
  /** @returns the waiting ones' first whose step is among these */
  const only =
    (...steps: string[]) =>
    (waiting: readonly { actor: string; step: string }[]) => {
      const next = waiting.findIndex(({ actor, step }) => steps.includes(`${actor} ${step}`));
      return { next: Math.max(0, next), dies: false };
    };
  /** A block begun on partition 0 whose owner died at a step. */
  const leftOpen = async (world: ReturnType<typeof createWorld>, sink: BlockSink, deadlyStep: string) => {
    const stage = new Stage();
    const owner = world.own(staged(world, stage, "first", sink), 0);
    await stage.run([owner], ([{ step } = { step: "" }]) => ({ next: 0, dies: step === deadlyStep }));
  };

  it("keeps others from deciding on its records, and shows them nothing", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    expect(await world.own(world.storeOf(), 1)).toBe("conflict");
    expect((await world.memory.stream.ledger("g", undefined)).length).toBe(0);
    expect(world.seen()).toEqual([]);
    await world.finish();
    await expectWhole(world);
  });

  it("is finished without its messages, where its block is there", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "control.finish");
    world.log.expire(TOPIC, 0, 6);
    expect(await world.storeOf().position(partition(0))).toMatchObject({ nextOffset: 2 });
    expect(world.seen()).toHaveLength(6);
  });

  it("whose messages are gone waits for a write that may be under way, and then is given up", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    world.log.expire(TOPIC, 0, 6);
    const store = world.storeOf();
    world.clock.nowMs += SETTLE_MS - 1;
    await expect(store.position(partition(0))).rejects.toMatchObject({ code: "storage_unavailable" });
    world.clock.nowMs += 1;
    expect(await store.position(partition(0))).toBeUndefined();
    // What it had claimed is free: where another copy is left, it counts.
    await world.own(store, 1);
    expect(world.seen().toSorted()).toEqual(["a/2", "a/3", "a/4", "b/0", "c/0", "c/40", "c/8", "d/0"]);
  });

  it("whose messages are read otherwise now is never written so under the old token", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    const newer = world.storeOf({
      async readAgain(messages, nowMs) {
        const context = { signal: "logs" as const, defaultTenant: "dev", nowMs };
        const rows = await readAgain(world.log.transport, messages, context);
        for (const { record } of rows?.logs ?? []) record.level = "DEBUG";
        return rows;
      },
    });
    await expect(newer.position(partition(0))).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(world.seen()).toEqual([]);
    world.clock.nowMs += SETTLE_MS;
    expect(await newer.position(partition(0))).toBeUndefined();
    await world.finish();
    await expectWhole(world);
  });

  it("is not given up where a part of its block is there", async () => {
    const sink: MemorySink = { ...createTokenSink(10), holds: async () => "part" };
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    world.clock.nowMs += SETTLE_MS;
    const blind = world.storeOf({ readAgain: async () => undefined });
    await expect(blind.position(partition(0))).rejects.toThrow(/0 to 2 of logs.raw\/0 was written in part/);
    await world.finish();
    await expectWhole(world);
  });

  it("is written by none who came too late to it", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    const stage = new Stage();
    // It looks at the intent, and then stands still until another has given it up.
    const slow = staged(world, stage, "slow", sink).position(partition(0));
    const giveUp = async () => {
      await stage.reached("other", "gives up");
      world.clock.nowMs += SETTLE_MS;
      await world.storeOf({ readAgain: async () => undefined }).position(partition(0));
    };
    const first = only(
      "slow control.openIntent",
      "slow control.openIntent done",
      "slow sink.holds",
      "slow sink.holds done",
      "other gives up",
    );
    await stage.run([slow, giveUp()], first);
    expect(await slow).toBeUndefined();
    expect(world.seen()).toEqual([]);
    expect(stage.history.filter((step) => step.includes("sink.write"))).toEqual([]);
  });

  it("is not given up while another sets out to write it", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "sink.write");
    const intent = (await world.control.openIntent(partition(0)))!;
    expect(await world.control.retry(intent, OWNER_TIME_MS + 5)).toBe(true);
    await world.control.abandon(intent);
    const renewed = (await world.control.openIntent(partition(0)))!;
    expect(renewed).toEqual({ ...intent, triedAtMs: OWNER_TIME_MS + 5 });
    await world.control.abandon(renewed);
    expect(await world.control.openIntent(partition(0))).toBeUndefined();
    expect(await world.control.retry(intent, OWNER_TIME_MS + 6)).toBe(false);
  });

  it("is not finished by who finishes another", async () => {
    const sink = createTokenSink(10);
    const world = createWorld({ sink });
    await leftOpen(world, sink, "control.finish");
    const { block } = (await world.control.openIntent(partition(0)))!;
    await world.storeOf().position(partition(0));
    await leftOpen(world, sink, "sink.write");
    expect(await world.control.finish(block)).toBe("fenced");
    expect(await world.control.position(partition(0))).toMatchObject({ nextOffset: 2 });
    await world.finish();
    await expectWhole(world);
  });

  it("is given up at once where the sink refuses its block for good", async () => {
    const refuses = { bad: true };
    const inner = createTokenSink(10);
    const sink: MemorySink = {
      ...inner,
      async write(block) {
        if (refuses.bad) throw new StorageError("no such record", { code: "storage_rejected" });
        await inner.write(block);
      },
    };
    const world = createWorld({ sink });
    await expect(world.own(world.storeOf(), 0)).rejects.toMatchObject({ code: "storage_rejected" });
    expect(await world.control.openIntent(partition(0))).toBeUndefined();
    refuses.bad = false;
    await world.finish();
    await expectWhole(world);
  });
});

describe("the bounds of a sink", () => {
  /** A write of partition 0 that arrives late: after its repetition by another owner and so many further blocks. */
  const lateWrite = async (remembered: number, blocksBetween: number) => {
    const log = createMemoryLog();
    log.append(TOPIC, 0, envelope("late", [0]));
    for (let i = 0; i < blocksBetween; i++) log.append(TOPIC, 1, envelope(`other ${i}`, [0]));
    const sink = createTokenSink(remembered);
    const world = createWorld({ sink, log });
    const stage = new Stage();
    const slow = world.own(staged(world, stage, "slow", sink), 0);
    const others = async () => {
      await stage.reached("others", "start");
      await world.own(world.storeOf(), 0);
      await world.own(world.storeOf(), 1, 1);
    };
    await stage.run([slow, others()], (waiting) => {
      const isAtWrite = waiting.some(({ step }) => step === "sink.write");
      return {
        next: waiting.findIndex(({ actor }) => actor === (isAtWrite ? "others" : "slow")) + 2,
        dies: false,
      };
    });
    return world.seen().filter((message) => message === "late/0").length;
  };

  it("a write later than all the tokens it remembers is there twice, and up to there once", async () => {
    expect(await lateWrite(4, 3)).toBe(1);
    expect(await lateWrite(4, 4)).toBe(2);
  });

  it("a repetition after any number of blocks is there once, since it looks first", async () => {
    const sink = createTokenSink(1);
    const world = createWorld({ sink });
    const stage = new Stage();
    const owner = world.own(staged(world, stage, "first", sink), 0);
    await stage.run([owner], ([{ step } = { step: "" }]) => ({ next: 0, dies: step === "sink.write done" }));
    for (let i = 0; i < 5; i++) world.log.append(TOPIC, 2, envelope(`other ${i}`, [0]));
    await world.own(world.storeOf(), 2, 1);
    await world.own(world.storeOf(), 0);
    expect(world.seen().filter((message) => message === "a/0")).toHaveLength(1);
  });

  it("an object that no manifest names is never counted", async () => {
    let dies = true;
    const sink = createManifestSink(async () => {
      if (dies) throw new Error("died between object and manifest");
    });
    const world = createWorld({ sink });
    await expect(world.own(world.storeOf(), 0)).rejects.toThrow(/died between/);
    dies = false;
    await world.finish();
    expect(sink.orphans()).toBe(1);
    await expectWhole(world);
  });
});
