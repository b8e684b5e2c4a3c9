// `npm run test:chaos -- --seed 1 --records 50000`: faults of every kind under load, then the count. A run that breaks a
// promise is told with its seed, cut down, and told with how to run it again; the exit code is then 1.
import { writeFileSync } from "node:fs";
import { defineCommand, runMain } from "citty";
import { Progress } from "../../bench/progress.ts";
import { watchParents } from "../../cli/dev/parent-watch.ts";
import { minimise } from "./minimise.ts";
import { formatMutations, runMutations } from "./mutations.ts";
import { ARGUMENTS, parseOptions, UsageError, type ChaosOptions } from "./options.ts";
import { formatOutage, runOutage } from "./outage.ts";
import { commandOf, formatRun, formatTable } from "./report.ts";
import { buildForRuns, runSeed, type RunResult } from "./run.ts";

const MINIMISE = { maxRuns: 12, maxMs: 15 * 60_000 };

const progress = new Progress(process.stderr);
const show = progress.show.bind(progress);

const command = defineCommand({
  meta: { name: "test:chaos", description: "Nothing lost, nothing twice, under faults of every kind." },
  args: ARGUMENTS,
  async run({ rawArgs }) {
    try {
      const options = parseOptions(rawArgs);
      await buildForRuns();
      const isGood = await act(options);
      if (!isGood) process.exitCode = 1;
    } catch (error) {
      progress.clear();
      if (!(error instanceof UsageError)) throw error;
      process.stderr.write(`test:chaos: ${error.message}\n`);
      process.exitCode = 1;
    }
  },
});

/** @returns whether every promise was kept */
async function act(options: ChaosOptions): Promise<boolean> {
  if (options.outage) {
    const result = await runOutage(options.run, options.outage, show);
    say(formatOutage(result));
    writeReport(options.report, formatOutage(result), result);
    return result.violations.length === 0;
  }
  if (options.mutations) {
    const caught = await runMutations(options.run, show);
    say(formatMutations(caught));
    writeReport(options.report, formatMutations(caught), caught);
    return caught.every(({ checks }) => checks.length > 0);
  }
  return await runSeeds(options);
}

async function runSeeds({ run, seeds, report, minimise: isMinimised }: ChaosOptions): Promise<boolean> {
  const results: RunResult[] = [];
  for (let seed = run.seed; seed < run.seed + seeds; seed++) {
    const result = await runSeed({ ...run, seed }, show);
    say(formatRun(result));
    results.push(result);
    writeReport(report, formatTable(results), results);
    if (result.violations.length === 0 || !isMinimised || run.mutation !== undefined) continue;
    const short = await minimise(result, (options) => runSeed(options, show), MINIMISE);
    if (short !== result)
      say(`cut down to ${short.acts.length} acts: ${commandOf(short.options)}\n${formatRun(short)}`);
  }
  return results.every(({ violations }) => violations.length === 0);
}

function say(text: string): void {
  progress.clear();
  process.stdout.write(text);
}

function writeReport(file: string | undefined, table: string, results: unknown): void {
  if (file === undefined) return;
  writeFileSync(file, file.endsWith(".json") ? `${JSON.stringify(results, undefined, 2)}\n` : table);
}

/** Exiting closes the channels of all that was started, which then ends itself. */
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
watchParents(() => process.exit(143));
await runMain(command);
