// A short share of the fuzzer, and every body that it once found. `npm run test:fuzz` runs as many as one likes.
import { describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";
import { bodyMaker } from "./bodies/body-maker.ts";
import { readCorpus } from "./corpus.ts";
import { readFixtures } from "./fixtures.ts";
import { fuzz } from "./fuzz.ts";
import { HEAVY_BODIES } from "./bodies/heavy-bodies.ts";
import { judge } from "./judge.ts";
import { minimise } from "./minimise.ts";
import { encodeText } from "./bodies/mutate-bytes.ts";
import { createSeeds, EXAMPLES_MS } from "./bodies/seeds.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const seeds = createSeeds(readFixtures(root));
const QUICK = { isMemoryMeasured: false, isScrubbed: false };

describe("mutated bodies", () => {
  it("are taken or refused, in time, and what is taken comes out as it went in", async () => {
    const { figures, found } = await fuzz(seeds, { seed: 7, bodies: 2_500, first: 0, heavy: 0 }, () => {});
    expect(found.map(({ body, oracle, detail }) => ({ body, oracle, detail }))).toEqual([]);
    // A fuzzer of which nothing is taken tests the first check of each decoder, and no more.
    expect(figures.outcomes.taken).toBeGreaterThan(figures.bodies / 8);
    expect(figures.outcomes.refused).toBeGreaterThan(figures.bodies / 8);
  });

  it("are the same for the same seed and number, whatever was made before them", () => {
    const [one, other] = [bodyMaker(seeds, { heavyOneIn: 0 }), bodyMaker(seeds, { heavyOneIn: 0 })];
    one(3, 40);
    expect(one(3, 41)).toEqual(other(3, 41));
    expect(one(4, 41)).not.toEqual(other(3, 41));
  });

  it.each(
    HEAVY_BODIES.filter(({ name }) =>
      ["a large resource", "objects of other keys", "references"].includes(name),
    ),
  )("keep to their bounds near the limits: $name", async ({ decoder, headers, make }) => {
    const given = { decoder, headers, nowMs: EXAMPLES_MS, body: make() };
    expect((await judge(given, { isMemoryMeasured: true, isScrubbed: false })).findings).toEqual([]);
  });
});

describe("bodies found before", () => {
  it.each(readCorpus(root))("$file: $found", async ({ given }) => {
    expect((await judge(given, QUICK)).findings).toEqual([]);
  });
});

describe("making a body short", () => {
  it("leaves what makes it go wrong", async () => {
    const body = encodeText("a long text with ! and ? in it");
    const isStillWrong = async (bytes: Uint8Array) => {
      const text = new TextDecoder().decode(bytes);
      return text.includes("!") && text.includes("?");
    };
    const short = await minimise(body, isStillWrong, { maxTries: 1_000, maxMs: 10_000 });
    expect(new TextDecoder().decode(short)).toBe("!?");
  });
});
