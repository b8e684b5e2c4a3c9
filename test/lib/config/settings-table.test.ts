import { expect, it } from "vitest";
import { z } from "zod";
import { settingsSchema } from "../../../lib/config/settings.ts";
import { renderSettingsTable } from "../../../lib/config/settings-table.ts";

it("shows name, default, choices and description of each setting", () => {
  const schema = z.object({
    A: z.enum(["x", "y"]).default("x").describe("what | a"),
    B: z.coerce.number().int().optional().describe("what b"),
    C: z.string().default("p|q").describe("what c"),
  });
  expect(renderSettingsTable(schema).split("\n")).toEqual([
    "| setting | default | what it does |",
    "|---|---|---|",
    "| `A` | `x` | what \\| a; one of `x`, `y` |",
    "| `B` |  | what b |",
    "| `C` | `p\\|q` | what c |",
  ]);
});

it("refuses a setting that says nothing of itself", () => {
  expect(() => renderSettingsTable(z.object({ A: z.string() }))).toThrow("A has no description");
});

it("has a row for every setting", () => {
  const rows = renderSettingsTable(settingsSchema).split("\n").slice(2);
  expect(rows.map((row) => /^\| `(\w+)` \|/.exec(row)?.[1])).toEqual(Object.keys(settingsSchema.shape));
});
