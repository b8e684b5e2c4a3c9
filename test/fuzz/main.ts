// `npm run test:fuzz -- --seed 1 --bodies 200000`: mutated bodies through every decoder, in this one process. What goes
// wrong is made short, written into test/fixtures/fuzz, and told with how to run it again; the exit code is then 1.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { defineCommand, runMain } from "citty";
import { Progress } from "../../bench/progress.ts";
import { keepCase } from "./corpus.ts";
import { readFixtures } from "./fixtures.ts";
import { fuzz, judgingOf, type Figures, type Found } from "./fuzz.ts";
import { judge } from "./judge.ts";
import { minimise } from "./minimise.ts";
import type { Bytes } from "./bodies/mutate-bytes.ts";
import { ARGUMENTS, parseOptions, UsageError, type FuzzOptions } from "./options.ts";
import { createSeeds } from "./bodies/seeds.ts";

/** dist/fuzz.mjs, so its folder's folder. */
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A fault that concerns every body is not to fill the folder. */
const MAX_KEPT = 20;
const MINIMISE = { maxTries: 2_000, maxMs: 20_000 };
const SHOW_EVERY = 50;

const command = defineCommand({
  meta: { name: "test:fuzz", description: "Mutated bodies through every decoder." },
  args: ARGUMENTS,
  async run({ rawArgs }) {
    try {
      const options = parseOptions(rawArgs);
      const progress = new Progress(process.stderr);
      const { figures, found } = await fuzz(createSeeds(readFixtures(root)), options, (done) => {
        if (done % SHOW_EVERY === 0) progress.show(done, options.bodies, `${done} bodies`);
      });
      progress.clear();
      process.stdout.write(formatFigures(figures));
      for (const one of found.slice(0, MAX_KEPT)) await report(one, options);
      if (found.length > MAX_KEPT) process.stdout.write(`… and ${found.length - MAX_KEPT} more findings.\n`);
      if (found.length > 0) process.exitCode = 1;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      process.stderr.write(`test:fuzz: ${error.message}\n`);
      process.exitCode = 1;
    }
  },
});

async function report({ body, oracle, detail, given }: Found, { seed, heavy }: FuzzOptions): Promise<void> {
  const options = judgingOf(given, body);
  const isStillWrong = async (shorter: Bytes) => {
    const { findings } = await judge({ ...given, body: shorter }, options);
    return findings.some((finding) => finding.oracle === oracle);
  };
  const short = await minimise(given.body, isStillWrong, MINIMISE);
  const file = keepCase(root, { ...given, body: short }, `${oracle}: ${detail.split("\n")[0]}`);
  process.stdout.write(
    `\n${oracle} at ${given.decoder} (body ${body}, ${given.body.length} bytes, ${short.length} when made short)\n` +
      `  ${detail.replaceAll("\n", "\n  ")}\n` +
      `  again: npm run test:fuzz -- --seed ${seed} --heavy ${heavy} --first ${body} --bodies 1\n  kept: test/fixtures/fuzz/${file}\n`,
  );
}

function formatFigures({
  bodies,
  ms,
  outcomes,
  worstCpu,
  overBytesBound,
  slowest,
  mostHeld,
  measuredMemory,
}: Figures): string {
  const { refused, taken, partly, none } = outcomes;
  const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  return [
    `${bodies} bodies in ${(ms / 1_000).toFixed(0)} s, ${((bodies / ms) * 1_000).toFixed(0)}/s`,
    `taken ${taken}, in part ${partly}, refused ${refused}, without records ${none}`,
    `CPU of reading and decoding, bodies of 1 MB and more: at most ${worstCpu.msPerMb.toFixed(0)} ms/MB (body ${worstCpu.body}); over 10 ms + 50 ms/MB: ${overBytesBound} bodies`,
    `slowest part of any body: ${slowest.part}, ${slowest.ms.toFixed(0)} ms (body ${slowest.body})`,
    `memory held for a decoded body: at most ${mb(mostHeld.bytes)} MB (body ${mostHeld.body}), of ${measuredMemory} measured`,
    "",
  ].join("\n");
}

await runMain(command);
