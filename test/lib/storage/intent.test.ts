// The contract of a store over intents, and its blocks under crashes at every step and owners in each other's way.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createIntentStore, type BlockSink } from "../../../lib/storage/intent.ts";
import { createMemoryIntentControl } from "../../../lib/storage/memory-intents.ts";
import { createMemoryStore } from "../../../lib/storage/memory.ts";
import { intentControlSuite } from "../../contract/intent-control.suite.ts";
import { partitionCommit, positionAt } from "../../contract/partition-commit.ts";
import { storageSuite } from "../../contract/storage.suite.ts";
import { createManifestSink, createTokenSink, type MemorySink } from "../../support/memory-sinks.ts";
import { Stage } from "../../support/stage.ts";
import { createWorld, expectWhole, SETTLE_MS, staged } from "./intent-world.ts";

/** The contract, with the rows in a second store in memory: a block is a group there, and so is there once. */
storageSuite("intents over memory", async () => {
  const memory = createMemoryStore();
  const blocks = createMemoryStore();
  const sink: BlockSink = {
    async write({ token, topic, partition: number, toOffset, incarnation, epoch, rows }) {
      const next = positionAt(toOffset, { incarnation, epoch });
      await blocks.stream.commit(
        partitionCommit({ group: token, topic, partition: number }, { next, rows, committedAtMs: 0 }),
      );
    },
    async holds({ token }) {
      return (await blocks.stream.progress(token)).length > 0 ? "whole" : "none";
    },
    async rehearse({ rows }) {
      const id = { group: "", topic: "", partition: 0 };
      await blocks.stream.rehearse(partitionCommit(id, { rows }));
    },
  };
  const { deadLetters, deadLetter } = memory.query;
  return {
    stream: createIntentStore({
      control: createMemoryIntentControl(memory),
      sink,
      readAgain: async () => undefined,
      now: () => 0,
      settleMs: SETTLE_MS,
    }),
    query: { ...blocks.query, deadLetters, deadLetter },
    refused: [],
  };
});

intentControlSuite("memory", async () => createMemoryIntentControl(createMemoryStore()));

const SINKS: [string, () => MemorySink][] = [
  ["a sink that knows tokens", () => createTokenSink(1_000)],
  ["a sink with a manifest", () => createManifestSink()],
];

describe.each(SINKS)("an intent's block in %s", (_, createSink) => {
  it("is there once, at whatever step its owner dies", async () => {
    let steps = Infinity;
    for (let deadly = 0; deadly < steps; deadly++) {
      const sink = createSink();
      const world = createWorld({ sink });
      const stage = new Stage();
      let step = 0;
      await stage.run([world.own(staged(world, stage, "first", sink), 0)], () => ({
        next: 0,
        dies: step++ === deadly,
      }));
      if (!stage.history.at(-1)?.endsWith("†")) steps = step;
      await world.finish();
      await expectWhole(world);
    }
    // The end was reached, by way of every call that a healthy owner makes.
    expect(steps).toBeGreaterThan(20);
    expect(steps).toBeLessThan(Infinity);
  });

  it("is there once, however owners get in each other's way and die", async () => {
    const turns = fc.array(fc.record({ next: fc.nat(5), dies: fc.integer({ min: 0, max: 19 }) }), {
      minLength: 20,
      maxLength: 150,
    });
    await fc.assert(
      fc.asyncProperty(
        turns,
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 }),
        async (script, sizes) => {
          const sink = createSink();
          const world = createWorld({ sink });
          const stage = new Stage();
          const owners = sizes.map((size, i) =>
            world.own(staged(world, stage, `owner ${i}`, sink), i % 2, size),
          );
          let turn = 0;
          await stage.run(owners, () => {
            const { next, dies } = script[turn++] ?? { next: turn, dies: 1 };
            return { next, dies: dies === 0 };
          });
          await world.finish();
          await expectWhole(world);
        },
      ),
      { numRuns: 100 },
    );
  });
});
