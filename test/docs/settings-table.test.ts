// Holds the README's table of settings equal to what settings.ts declares.
// WEIR_UPDATE_DOCS=1 npx vitest run test/docs writes it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { settingsSchema } from "../../lib/config/settings.ts";
import { renderSettingsTable } from "../../lib/config/settings-table.ts";

const README = fileURLToPath(new URL("../../README.md", import.meta.url));
const SECTION = /(<!-- settings -->\n)([\s\S]*?)(<!-- \/settings -->)/;
const HOW = "run `WEIR_UPDATE_DOCS=1 npx vitest run test/docs`";

// Skipped only where there is no README yet; the rendered table is tested in test/lib/config/settings-table.test.ts.
it.runIf(existsSync(README))("README.md's table of settings is what lib/config/settings.ts declares", () => {
  const table = `\n${renderSettingsTable(settingsSchema)}\n\n`;
  const readme = readFileSync(README, "utf8");
  const found = SECTION.exec(readme);
  expect(found, "README.md has no section between <!-- settings --> and <!-- /settings -->").not.toBeNull();
  if (process.env.WEIR_UPDATE_DOCS === "1") {
    writeFileSync(
      README,
      readme.replace(SECTION, (_, open: string, __, close: string) => `${open}${table}${close}`),
    );
    return;
  }
  // The formatter pads the columns of a table; only the text counts.
  expect(normal(found?.[2] ?? ""), `README.md's table of settings is out of date: ${HOW}`).toBe(
    normal(table),
  );
});

function normal(table: string): string {
  return table
    .split("\n")
    .map((line) =>
      line
        .replace(/ *\| */g, "|")
        .replace(/-{3,}/g, "---")
        .trim(),
    )
    .filter((line) => line !== "")
    .join("\n");
}
