import { describe, expect, it } from "vitest";
import { parseDeadLetters, showLine } from "../../dashboard/data/dead-letters.ts";
import { deadLetters } from "./pipeline-answers.ts";

describe("dead letters", () => {
  it("are read with what there is to do about each", () => {
    const nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    const letters = parseDeadLetters(deadLetters("dead-letters", nowMs))!;
    expect(letters[0]).toEqual({
      id: "weir/events.raw/1/0/90412/-1",
      tenant: "orchard",
      topic: "events.raw",
      reason: "malformed_json",
      error: expect.stringContaining("no JSON") as string,
      atMs: nowMs - 4_350_000,
    });
    expect(showLine(letters[0]!.id)).toBe("weir dlq show weir/events.raw/1/0/90412/-1");
  });

  it("lose only the odd entry", () => {
    const good = deadLetters("dead-letters", 0)[0]!;
    expect(
      parseDeadLetters([null, { ...good, id: "" }, { ...good, dlq_timestamp: "soon" }, good]),
    ).toHaveLength(1);
    expect(parseDeadLetters({})).toBeUndefined();
  });

  it("have a command that a shell takes as it is, whatever the group is called", () => {
    expect(showLine("my group's/logs.raw/1/0/1/0")).toBe(
      String.raw`weir dlq show 'my group'\''s/logs.raw/1/0/1/0'`,
    );
    expect(showLine("$(id)/logs.raw/1/0/1/0")).toBe("weir dlq show '$(id)/logs.raw/1/0/1/0'");
  });
});
