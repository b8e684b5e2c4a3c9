// G3: the ledger, asked over the API, balances; and what it says agrees with what the driver itself knows.
import { setTimeout as sleep } from "node:timers/promises";
import type { LaneLog } from "./lane.ts";
import type { World } from "./world.ts";

interface Line {
  tenant: string;
  signal: string;
  accepted: number | null;
  stored: number;
  late: number;
  dead: number;
  deduplicated: number;
  difference: number | null;
  uncertain: { lost_counts_at_most: number; unconfirmed: number };
  settled: boolean;
  balanced: boolean | null;
  redelivered: number;
  foreign: number;
}

export interface LedgerFigures {
  accepted: number;
  deduplicated: number;
  redelivered: number;
  dead: number;
  difference: number;
  /** The difference may be below 0 by so much. */
  uncertain: number;
}

export interface Known {
  lanes: readonly LaneLog[];
  /** Rows that the API tells. */
  rows: number;
  /** Messages that nobody can read, one dead letter each. */
  dead: number;
  /** Records that others wrote. */
  foreign: number;
}

/** Counts are given away some seconds after they were made, and an isolate that died is known as lost after a minute. */
const SETTLED_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 500;

export async function checkLedger(
  world: World,
  known: Known,
): Promise<{ figures: LedgerFigures | undefined; faults: string[] }> {
  const untilMs = performance.now() + SETTLED_WITHIN_MS;
  let lines: Line[];
  for (;;) {
    const answered = await world.json<{ settled: boolean; lines: Line[] }>("/api/v1/ledger");
    lines = answered.lines;
    if (answered.settled || performance.now() > untilMs) break;
    await sleep(LOOK_EVERY_MS);
  }
  const sum = (pick: (line: Line) => number | null) =>
    lines.reduce((total, line) => total + (pick(line) ?? 0), 0);
  const figures = {
    accepted: sum(({ accepted }) => accepted),
    deduplicated: sum(({ deduplicated }) => deduplicated),
    redelivered: sum(({ redelivered }) => redelivered),
    dead: sum(({ dead }) => dead),
    difference: sum(({ difference }) => difference),
    uncertain:
      sum(({ uncertain }) => uncertain.unconfirmed) +
      Math.max(0, ...lines.map(({ uncertain }) => uncertain.lost_counts_at_most)),
  };
  const faults = lines.flatMap((line) => {
    if (!line.settled) return [`${line.tenant}/${line.signal} is not settled: ${JSON.stringify(line)}`];
    if (line.balanced !== true)
      return [`${line.tenant}/${line.signal} is out of balance: ${JSON.stringify(line)}`];
    return [];
  });
  const stored = sum((line) => line.stored);
  const foreign = sum((line) => line.foreign);
  if (stored !== known.rows)
    faults.push(`the ledger tells of ${stored} stored records, the API of ${known.rows}`);
  if (figures.dead !== known.dead)
    faults.push(`the ledger tells of ${figures.dead} dead, there are ${known.dead}`);
  if (foreign !== known.foreign + known.dead)
    faults.push(`the ledger tells of ${foreign} foreign records, there are ${known.foreign + known.dead}`);
  // By the answers alone: the ledger's own count of what was accepted must agree with what clients were told.
  const told = known.lanes.flatMap(({ requests }) => requests.flatMap(({ accepted }) => accepted));
  const answered = told.reduce((total, times) => total + times, 0);
  const unanswered = known.lanes.reduce((total, lane) => total + lane.unanswered, 0);
  if (figures.accepted + figures.uncertain < answered || figures.accepted > answered + unanswered)
    faults.push(
      `clients were told of ${answered} accepted records (${unanswered} without an answer), the ledger tells of ${figures.accepted} (${figures.uncertain} uncertain)`,
    );
  return { figures, faults };
}
