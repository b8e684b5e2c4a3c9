// Holds the README's table of settings equal to what settings.ts declares.
// WEIR_UPDATE_DOCS=1 npx vitest run --project node test/docs writes it.
import { expect, it } from "vitest";
import { settingsSchema } from "../../lib/config/settings.ts";
import { renderSettingsTable } from "../../lib/config/settings-table.ts";
import { docSectionFault } from "../support/doc-section.ts";

it("README.md's table of settings is what lib/config/settings.ts declares", () => {
  const fault = docSectionFault("README.md", "settings", renderSettingsTable(settingsSchema));
  expect(fault, "run `WEIR_UPDATE_DOCS=1 npx vitest run --project node test/docs`").toBeUndefined();
});
