import { describe, expect, it } from "vitest";
import { parseWindow, parseWindows, startsOf } from "../../../lib/windows/definition.ts";
import { chance, DAY } from "./samples.ts";

const MINUTE = 60_000;

const one = (text: string) => {
  const parsed = parseWindow(text);
  return parsed.ok ? parsed.value : parsed.error;
};

describe("parseWindows", () => {
  it("reads tumbling, sliding and session windows, and spells lengths in one way", () => {
    expect(parseWindows("1m, 300s,60m,5m/1m,session:30s,24h")).toEqual({
      ok: true,
      value: [
        { id: "1m", kind: "tumbling", sizeMs: MINUTE },
        { id: "5m", kind: "tumbling", sizeMs: 5 * MINUTE },
        { id: "1h", kind: "tumbling", sizeMs: 60 * MINUTE },
        { id: "5m/1m", kind: "sliding", sizeMs: 5 * MINUTE, slideMs: MINUTE },
        { id: "session:30s", kind: "session", gapMs: 30_000 },
        { id: "1d", kind: "tumbling", sizeMs: 1_440 * MINUTE },
      ],
    });
  });

  it.each([
    ["", /is no window/],
    ["5", /is no window/],
    ["0m", /is no window/],
    ["1.5m", /is no window/],
    ["2d", /is no window/],
    ["5m/1m/1s", /is no window/],
    ["7m", /a whole number of windows/],
    ["5m/2m", /divide it/],
    ["5m/5m", /shorter than the size/],
    ["1h/30s", /at most 60 times/],
    ["session:", /session window/],
    ["session:13h", /12h at most/],
    ["1m,60s", /stands twice/],
    [Array.from({ length: 17 }, (_, i) => `session:${i + 1}s`).join(), /at most 16/],
  ])("refuses %j", (text, reason) => {
    expect(parseWindows(text)).toEqual({ ok: false, error: expect.stringMatching(reason) });
  });
});

describe("startsOf", () => {
  it("counts from the epoch, the start included and the end not", () => {
    const tumbling = { id: "5m", kind: "tumbling", sizeMs: 5 * MINUTE } as const;
    expect(startsOf(tumbling, DAY)).toEqual([DAY]);
    expect(startsOf(tumbling, DAY + 5 * MINUTE - 1)).toEqual([DAY]);
    expect(startsOf(tumbling, DAY + 5 * MINUTE)).toEqual([DAY + 5 * MINUTE]);
    expect(startsOf(tumbling, -1)).toEqual([-5 * MINUTE]);
  });

  it("has every sliding window that holds the time, and no other", () => {
    const random = chance(7);
    for (const text of ["5m/1m", "1h/1m", "10m/5m", "1d/12h"]) {
      const definition = one(text);
      if (typeof definition === "string" || definition.kind !== "sliding") throw new Error(text);
      const { sizeMs, slideMs } = definition;
      for (let i = 0; i < 500; i++) {
        const ms = Math.floor((random() - 0.3) * 1e12);
        const expected: number[] = [];
        const first = Math.ceil((ms - sizeMs - slideMs) / slideMs) * slideMs;
        for (let start = first; start <= ms + slideMs; start += slideMs)
          if (start <= ms && ms < start + sizeMs) expected.push(start);
        expect(startsOf(definition, ms)).toEqual(expected);
        expect(expected).toHaveLength(sizeMs / slideMs);
      }
    }
  });
});
