// Results as a person reads them: one line for each seed, what was violated and how to run it again, and a table for
// docs/chaos.md.
import { FAULT_NAMES } from "./fault-names.ts";
import type { RunOptions, RunResult } from "./run.ts";

export function commandOf({ seed, records, storage, kafka, faults, only, mutation }: RunOptions): string {
  const flags = [`--seed ${seed}`, `--records ${records}`];
  if (storage !== "d1") flags.push(`--storage ${storage}`);
  if (kafka !== "local") flags.push(`--kafka ${kafka}`);
  if (faults.length !== FAULT_NAMES.length) flags.push(`--faults ${faults.join(",")}`);
  if (only) flags.push(`--acts ${only.join(",")}`);
  if (mutation !== undefined) flags.push(`--mutate ${mutation}`);
  return `npm run test:chaos -- ${flags.join(" ")}`;
}

export function formatRun(result: RunResult): string {
  const { options, records, answered, stored, lost, duplicated, swaps, ledger, alerts, seconds, violations } =
    result;
  const balance =
    ledger === undefined
      ? "no ledger"
      : `ledger ${ledger.difference} (−${ledger.uncertain}…0), ${ledger.deduplicated} deduplicated, ${ledger.redelivered} redelivered, ${ledger.dead} dead`;
  const lines = [
    `seed ${options.seed} (${options.storage}, ${options.kafka} Kafka): ${records} records in ${seconds.toFixed(0)} s, ` +
      `${answered} answered, ${stored} stored, ${lost} lost, ${duplicated} twice, ${swaps} swaps at an onset, ${balance}`,
    `  answers: ${pairs(result.answers)}`,
    `  faults: ${pairs(result.injected)}`,
  ];
  if (alerts)
    lines.push(
      `  ${alerts.transitions} transitions of alerts, due for ${Math.round(alerts.longestDueMs)} ms at most`,
    );
  if (result.unreached.length > 0) lines.push(`  nobody came to: ${result.unreached.join(", ")}`);
  for (const { check, count, detail } of violations) lines.push(`  ✘ ${check} (${count}): ${detail}`);
  if (violations.length > 0) lines.push(`  again: ${commandOf(options)}`);
  return `${lines.join("\n")}\n`;
}

const pairs = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");

export function formatTable(results: readonly RunResult[]): string {
  const rows = results.map((result) => {
    const { options, records, answered, lost, duplicated, ledger, seconds, injected, violations } = result;
    const cells = [
      options.seed,
      options.storage,
      options.kafka,
      records,
      pairs(injected),
      answered,
      lost,
      duplicated,
      ledger?.difference ?? "–",
      ledger === undefined ? "–" : `−${ledger.uncertain}…0`,
      seconds.toFixed(0),
      violations.length === 0 ? "kept" : violations.map(({ check }) => check).join(", "),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| seed | storage | Kafka | records | faults injected | answered | lost | twice | ledger's difference | may lie in | seconds | promises |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
