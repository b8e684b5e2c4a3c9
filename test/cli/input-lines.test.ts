import { describe, expect, it } from "vitest";
import { readLines } from "../../cli/weir/input-lines.ts";

async function linesOf(chunks: string[], maxBytes = 5): Promise<[number, string | undefined][][]> {
  async function* input() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const groups: [number, string | undefined][][] = [];
  for await (const lines of readLines(input(), maxBytes))
    groups.push(lines.map(({ number, bytes }) => [number, bytes?.toString()]));
  return groups;
}

describe("lines", () => {
  it("come by the piece, are joined across pieces, and the last needs no end", async () => {
    expect(await linesOf(["a\nb", "c\n", "d"])).toEqual([[[1, "a"]], [[2, "bc"]], [[3, "d"]]]);
    expect(await linesOf(["a\nb\n"])).toEqual([
      [
        [1, "a"],
        [2, "b"],
      ],
    ]);
    expect(await linesOf([])).toEqual([]);
  });

  it("that are empty are left out, but count", async () => {
    expect(await linesOf(["\n\na\n\n"])).toEqual([[[3, "a"]]]);
  });

  it("that are too long are told without what was in them", async () => {
    expect(await linesOf(["12345\n123456\n12", "34", "56789\nok"])).toEqual([
      [
        [1, "12345"],
        [2, undefined],
      ],
      [[3, undefined]],
      [[4, "ok"]],
    ]);
  });
});
