// Leaves out one mechanism after the other and tells which checks noticed. A mechanism that nobody misses has no proof.
import type { FaultName } from "./fault-names.ts";
import { FAULTS_FOR, MUTATION_NAMES, type MutationName } from "./mutation-names.ts";
import { runSeed, type OnProgress, type RunOptions } from "./run.ts";
import type { CheckName } from "./verify.ts";

export interface Caught {
  mutation: MutationName;
  faults: readonly FaultName[];
  checks: CheckName[];
  /** The first violation's own words. */
  detail: string;
}

export async function runMutations(
  options: RunOptions,
  onProgress: OnProgress,
  mutations: readonly MutationName[] = MUTATION_NAMES,
): Promise<Caught[]> {
  const caught: Caught[] = [];
  for (const mutation of mutations) {
    const faults = FAULTS_FOR[mutation];
    const { violations } = await runSeed(
      { ...options, mutation, faults, only: undefined },
      (done, of, what) => onProgress(done, of, `without ${mutation}: ${what}`),
    );
    const checks = [...new Set(violations.map(({ check }) => check))];
    caught.push({ mutation, faults, checks, detail: violations[0]?.detail.slice(0, 200) ?? "" });
  }
  return caught;
}

export function formatMutations(caught: readonly Caught[]): string {
  const rows = caught.map(
    ({ mutation, faults, checks, detail }) =>
      `| ${mutation} | ${faults.join(", ")} | ${checks.join(", ") || "**nobody**"} | ${detail.replaceAll("|", "\\|")} |`,
  );
  return ["| left out | under | caught by | first words |", "|---|---|---|---|", ...rows, ""].join("\n");
}
