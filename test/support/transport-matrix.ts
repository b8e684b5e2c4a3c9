// Gathers what the contract runs of all transports did into one table: printed at the end, held equal to
// docs/transports.md where every run took part. WEIR_UPDATE_DOCS=1 writes it there.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import { CONTRACT_RUNS, type ContractRunName } from "../contract/transport-runs.ts";

const DOC = fileURLToPath(new URL("../../docs/transports.md", import.meta.url));
const SECTION = /(<!-- matrix -->\n)([\s\S]*?)(<!-- \/matrix -->)/;
const TITLE = "transport contract: ";
const names = Object.keys(CONTRACT_RUNS) as ContractRunName[];

/** case → run → cell */
type Matrix = Map<string, Map<string, string>>;

export default class TransportMatrix implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const matrix: Matrix = new Map();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const run = runOf(test);
        if (run === undefined) continue;
        const row = matrix.get(test.name) ?? new Map<string, string>();
        row.set(run, cellOf(test));
        matrix.set(test.name, row);
      }
    }
    const seen = names.filter((name) => [...matrix.values()].some((row) => row.has(name)));
    if (seen.length === 0) return;
    process.stdout.write(`\n${render(matrix, seen)}\n`);
    const missing = names.filter((name) => !seen.includes(name));
    if (missing.length > 0) {
      process.stdout.write(`not run: ${missing.join(" · ")}\n`);
      // A whole run has them all; a person who runs one file does not ask for the others.
      if (process.env["CI"] === "true") process.exitCode = 1;
      return;
    }
    compare(`\n${render(matrix, names)}\n\n`);
  }
}

function runOf(test: TestCase): string | undefined {
  for (let { parent } = test; parent.type === "suite"; parent = parent.parent) {
    if (parent.name.startsWith(TITLE)) return parent.name.slice(TITLE.length);
  }
  return undefined;
}

function cellOf(test: TestCase): string {
  const { state } = test.result();
  if (state === "passed") return test.meta().refused === true ? "refuses" : "✓";
  return state === "failed" ? "✗" : "skipped";
}

function render(matrix: Matrix, runs: readonly ContractRunName[]): string {
  const letters = runs.map((name) => String(names.indexOf(name) + 1));
  const legend = runs.map((name, i) => {
    const { transport, over } = CONTRACT_RUNS[name];
    return `| ${letters[i]} | \`${transport}\` | ${name} | ${over} |`;
  });
  const rows = [...matrix].map(
    ([name, cells]) => `| ${name} | ${runs.map((run) => cells.get(run) ?? "–").join(" | ")} |`,
  );
  return [
    "| | transport | run | over |",
    "|---|---|---|---|",
    ...legend,
    "",
    `| case | ${letters.join(" | ")} |`,
    `|---|${letters.map(() => "---").join("|")}|`,
    ...rows,
  ].join("\n");
}

function compare(table: string): void {
  const before = existsSync(DOC) ? readFileSync(DOC, "utf8") : "";
  const found = SECTION.exec(before);
  if (process.env["WEIR_UPDATE_DOCS"] === "1" && found) {
    writeFileSync(
      DOC,
      before.replace(SECTION, (_, open: string, __, close: string) => `${open}${table}${close}`),
    );
    return;
  }
  if (found && normal(found[2] ?? "") === normal(table)) return;
  process.stdout.write("docs/transports.md is out of date: run `WEIR_UPDATE_DOCS=1 npx vitest run`\n");
  process.exitCode = 1;
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
