// Gathers what the contract runs of all transports did into one table: printed at the end, held equal to
// docs/transports.md where every run took part. WEIR_UPDATE_DOCS=1 writes it there.
import type { Reporter, TestCase, TestModule } from "vitest/node";
import { CONTRACT_RUNS, type ContractRunName } from "../contract/transport-runs.ts";
import { docSectionFault } from "./doc-section.ts";

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
    const fault = docSectionFault("docs/transports.md", "matrix", render(matrix, names));
    if (fault === undefined) return;
    process.stdout.write(`${fault}: run \`WEIR_UPDATE_DOCS=1 npx vitest run\`\n`);
    process.exitCode = 1;
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
