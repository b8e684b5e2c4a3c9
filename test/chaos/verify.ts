// Compares what clients were told with what is stored, what lies in Kafka, and what the ledger says. Each check has a
// name; a run that breaks a promise says which.
import type { ProbeLog } from "./alert-probe.ts";
import type { LaneLog, SentRequest } from "./lane.ts";
import { checkLedger, type LedgerFigures } from "./verify-ledger.ts";
import { checkOrder } from "./verify-order.ts";
import { readStored } from "./stored.ts";
import type { Truth } from "./truth.ts";
import { checkAlerts, type AlertFigures } from "./verify-alerts.ts";
import { checkProcessed } from "./verify-processed.ts";
import { checkWindows } from "./verify-windows.ts";
import type { World } from "./world.ts";

export type CheckName =
  | "lost"
  | "duplicated"
  | "invented"
  | "order"
  | "ledger"
  | "dead-letters"
  | "outbox"
  | "windows"
  | "alerts"
  | "processed"
  | "answers"
  | "rest"
  | "faults";

export interface Violation {
  check: CheckName;
  count: number;
  detail: string;
}

export interface Findings {
  violations: Violation[];
  /** Records answered 2xx at least once. */
  answered: number;
  stored: number;
  lost: number;
  duplicated: number;
  /** Requests of a key that changed places at an outage's onset. */
  swaps: number;
  ledger: LedgerFigures | undefined;
  alerts: AlertFigures | undefined;
}

/** @param probe undefined: nobody made alert rules */
export async function verify(
  world: World,
  lanes: readonly LaneLog[],
  truth: Truth,
  probe?: ProbeLog,
): Promise<Findings> {
  const violations: Violation[] = [];
  const add = (check: CheckName, found: readonly string[]) => {
    if (found.length > 0)
      violations.push({ check, count: found.length, detail: found.slice(0, 5).join(" | ") });
  };
  const requests = lanes.flatMap((lane) => lane.requests);
  const foreign = truth.foreign.flatMap(({ ids }) => ids);
  const stored = await readStored(world, probe?.points);
  const known = new Set(foreign);
  for (const { ids } of requests) for (const id of ids) known.add(id);
  const answered = [...requests.flatMap(answeredIds), ...foreign];
  const lost = answered.filter((id) => !stored.has(id));
  const duplicated = [...stored]
    .filter(([, times]) => times > 1)
    .map(([id, times]) => `${id} ${times} times`);
  add("lost", lost);
  add("duplicated", duplicated);
  add(
    "invented",
    [...stored.keys()].filter((id) => !known.has(id)),
  );
  add(
    "answers",
    lanes.flatMap(({ wrong }) => wrong),
  );

  for (const topic of world.kafka.topics.keys()) await truth.keepLog(world, topic);
  const { faults, swaps } = checkOrder(requests, truth.logs, (ms) => truth.actAt(ms));
  add("order", faults);

  const rows = [...stored.values()].reduce((sum, times) => sum + times, 0);
  const dead = truth.foreign.filter(({ isDead }) => isDead).length;
  const { figures, faults: ledgerFaults } = await checkLedger(world, {
    lanes,
    rows,
    dead,
    foreign: foreign.length,
  }).catch((error: unknown) => ({ figures: undefined, faults: [String(error)] }));
  add("ledger", ledgerFaults);
  add("outbox", checkOutbox(truth, dead));
  add("processed", await checkProcessed(world, truth).catch((error: unknown) => [String(error)]));
  const alerts = probe
    ? await checkAlerts(world, truth, probe).catch((error: unknown) => ({
        figures: undefined,
        faults: [String(error)],
      }))
    : undefined;
  add("alerts", alerts?.faults ?? []);
  add("windows", await checkWindows(world, truth).catch((error: unknown) => [String(error)]));
  return {
    violations,
    answered: answered.length,
    stored: stored.size,
    lost: lost.length,
    duplicated: duplicated.length,
    swaps,
    ledger: figures,
    alerts: alerts?.figures,
  };
}

const answeredIds = ({ ids, accepted }: SentRequest): string[] =>
  ids.filter((_, i) => (accepted[i] ?? 0) > 0);

/** Each dead letter reaches its topic at least once, always under the same id. */
function checkOutbox(truth: Truth, dead: number): string[] {
  const sent = new Set<string>();
  const faults: string[] = [];
  for (const { topic, messages } of truth.logs) {
    if (!topic.endsWith(".dlq")) continue;
    for (const { value, offset } of messages) {
      const { id } = JSON.parse(value?.toString() ?? "{}") as { id?: string };
      if (id === undefined) faults.push(`${topic} at ${offset} has no id`);
      else sent.add(id);
    }
  }
  if (sent.size !== dead) faults.push(`${dead} messages are dead, ${sent.size} dead letters were sent`);
  return faults;
}
