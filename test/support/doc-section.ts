// A part of a document that is generated: between `<!-- name -->` and `<!-- /name -->`. Held equal to what it is made of, or
// written where WEIR_UPDATE_DOCS=1.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * @param doc from the project's top: `README.md`
 * @returns why the document is not as it should be; undefined where it is, or has just been written
 */
export function docSectionFault(doc: string, name: string, table: string): string | undefined {
  const path = fileURLToPath(new URL(`../../${doc}`, import.meta.url));
  const section = new RegExp(`(<!-- ${name} -->\\n)([\\s\\S]*?)(<!-- /${name} -->)`);
  const before = readFileSync(path, "utf8");
  const found = section.exec(before);
  if (!found) return `${doc} has no section between <!-- ${name} --> and <!-- /${name} -->`;
  if (normal(found[2] ?? "") === normal(table)) return undefined;
  if (process.env["WEIR_UPDATE_DOCS"] !== "1")
    return `${doc}: what stands between <!-- ${name} --> and <!-- /${name} --> is out of date`;
  writeFileSync(
    path,
    before.replace(section, (_, open: string, __, close: string) => `${open}\n${table}\n\n${close}`),
  );
  return undefined;
}

/** The formatter pads the columns of a table; only the text counts. */
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
