// What alerts were recorded, against what the probe sent: every transition once, each with a reason, none left out and none
// later than a tick; and on the topic `alerts` each of them under one id with one content, and nothing else.
import { setTimeout as sleep } from "node:timers/promises";
import { ALERT_TICK_MS, RULES, TENANT, type Flip, type ProbeLog, type RuleName } from "./alert-probe.ts";
import { readLog } from "./kafka-log.ts";
import { readAll } from "./stored.ts";
import type { Truth } from "./truth.ts";
import type { World } from "./world.ts";

const DEPLOYMENT = "_deployment";
/** `dead_letters(5m) > 0` */
const DEAD_LETTERS = "default-dead-letters";
const DEAD_LETTERS_SPAN_MS = 300_000;
/** The deployment's rules ask Kafka and all objects. */
const DEAD_LETTERS_READ_MS = 5_000;
/** What the topic did not take is tried again after some seconds, by a clock that may be set back meanwhile. */
const SENT_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 500;
const MAX_TOLD = 5;

export type Probed = Pick<ProbeLog, "rules" | "flips">;

export interface Recorded {
  id: string;
  rule: string;
  state: string;
  labels: Record<string, string>;
  value: number;
  at: string;
}

/** Which state may come after which; undefined: after none. */
const AFTER: Record<string, readonly (string | undefined)[]> = {
  pending: [undefined, "resolved", "inactive"],
  firing: [undefined, "resolved", "inactive", "pending"],
  resolved: ["firing"],
  inactive: ["pending"],
};

export interface AlertFigures {
  transitions: number;
  /** For how long one could have been recorded and was not: longer than it, by no more than a look. */
  longestDueMs: number;
}

export async function checkAlerts(
  world: World,
  truth: Truth,
  probe: ProbeLog,
): Promise<{ figures: AlertFigures; faults: string[] }> {
  const deployments = await readDeployments(world, truth);
  const own = await readHistory(world, TENANT);
  const history = [...own, ...deployments];
  const faults = [
    ...probe.overdue.map(
      ({ rule, state, forMs, act }) =>
        `${probe.rules.get(rule) ?? rule} was due to be ${state} for ${Math.round(forMs)} ms: ${act}`,
    ),
    ...checkChains(history),
    ...checkOwn(own, probe),
    ...checkDeadLetters(deployments, world, truth),
    ...(await checkTopic(world, history)),
  ];
  if (probe.looks === 0 || !probe.flips.some(({ isTold }) => isTold))
    faults.push("no alert was ever looked at: nothing is proven");
  const figures = { transitions: history.length, longestDueMs: probe.longestDueMs };
  return { figures, faults: faults.slice(0, MAX_TOLD) };
}

/** Of the rules that the probe made. */
export function checkOwn(own: readonly Recorded[], probe: Probed): string[] {
  return [...checkReasons(own, probe), ...checkFlips(own, probe)];
}

/** Ids that never come again, and states in turn. */
export function checkChains(history: readonly Recorded[]): string[] {
  const faults: string[] = [];
  const chains = new Map<string, { n: number; one: Recorded }[]>();
  for (const one of history) {
    const [, alert = "", n = ""] = /^(.+)\/(\d+)$/.exec(one.id) ?? [];
    if (alert === "") faults.push(`${one.id} is no id of a transition`);
    chains.set(alert, [...(chains.get(alert) ?? []), { n: Number(n), one }]);
  }
  for (const chain of chains.values()) {
    let before: { n: number; one: Recorded } | undefined;
    for (const here of chain.toSorted((a, b) => a.n - b.n)) {
      const { id, state, at } = here.one;
      if (before?.n === here.n) faults.push(`${id} was recorded twice`);
      else if (!AFTER[state]?.includes(before?.one.state))
        faults.push(`${id} became ${state} at ${at}, and was ${before?.one.state} since ${before?.one.at}`);
      before = here;
    }
  }
  return faults;
}

/** Nothing fires for a condition that was never true. */
function checkReasons(own: readonly Recorded[], { rules, flips }: Probed): string[] {
  const high = new Set(flips.flatMap(({ value }) => (value > 0 ? [value] : [])));
  const isReason: Record<RuleName, (value: number) => boolean> = {
    level: (value) => high.has(value),
    window: (value) => high.has(value),
    spike: (value) => high.has(value),
    count: (value) => value > 0 && value <= flips.length,
    absent: (value) => value >= 60,
    "never level": () => false,
    "never window": () => false,
    "never absent": () => false,
  };
  return own.flatMap(({ id, rule, state, value }) => {
    const name = rules.get(rule);
    if (name === undefined) return [`${id} is of a rule that nobody made`];
    if (state === "resolved" || state === "inactive" || isReason[name](value)) return [];
    return [`${RULES[name]} is ${state} at ${value}: ${id}`];
  });
}

/** Each value that was above is told once by each rule that follows it. */
function checkFlips(own: readonly Recorded[], { rules, flips }: Probed): string[] {
  const faults: string[] = [];
  for (const name of ["level", "window", "spike"] as const) {
    const times = new Map<number, number>();
    for (const { rule, state, value } of own)
      if (rules.get(rule) === name && state === "firing") times.set(value, (times.get(value) ?? 0) + 1);
    for (const { number, value, isAccepted, isShifted } of flips) {
      if (value < 0 || !isAccepted || isShifted) continue;
      const fired = times.get(value) ?? 0;
      if (fired !== 1) faults.push(`${RULES[name]} fired ${fired} times at ${value} (flip ${number})`);
    }
  }
  const untold = flips.filter(({ isAccepted, isShifted, isTold }) => isAccepted && !isShifted && !isTold);
  faults.push(...untold.map(({ value }: Flip) => `nobody told of ${value}`));
  return faults;
}

/** With the one rule of the deployment of which the driver knows whether it was true: the last of them may be new. */
async function readDeployments(world: World, truth: Truth): Promise<Recorded[]> {
  const untilMs = performance.now() + 2 * ALERT_TICK_MS + DEAD_LETTERS_READ_MS;
  for (;;) {
    const deployments = await readHistory(world, DEPLOYMENT);
    const isKnown = deadOf(truth) === 0 || deployments.some(isOfDeadLetters);
    if (isKnown || performance.now() > untilMs) return deployments;
    await sleep(LOOK_EVERY_MS);
  }
}

function checkDeadLetters(deployments: readonly Recorded[], world: World, truth: Truth): string[] {
  const dead = deadOf(truth);
  const fired = deployments.filter(isOfDeadLetters);
  const faults = fired
    .filter(({ value }) => value <= 0 || value > dead)
    .map(({ id, value }) => `${id} fires at ${value} of ${dead} dead letters`);
  // By a clock that leapt they may have been too old at once.
  if (dead > 0 && fired.length === 0 && Math.abs(world.skewMs) < DEAD_LETTERS_SPAN_MS / 2)
    faults.push(`${dead} dead letters, and no alert of them`);
  return faults;
}

const isOfDeadLetters = ({ rule, state }: Recorded): boolean => rule === DEAD_LETTERS && state === "firing";

const deadOf = ({ foreign }: Truth): number => foreign.filter(({ isDead }) => isDead).length;

async function checkTopic(world: World, history: readonly Recorded[]): Promise<string[]> {
  const untilMs = performance.now() + SENT_WITHIN_MS;
  for (;;) {
    const partitions = world.kafka.topics.get("alerts") ?? 3;
    const messages = await readLog(world.kafka.url, "alerts", partitions);
    const faults: string[] = [];
    const sent = new Map<string, string>();
    for (const { value, offset, partition } of messages) {
      const text = JSON.stringify(JSON.parse(value?.toString() ?? "null"));
      const { id = `none at ${partition}/${offset}` } = (JSON.parse(text) ?? {}) as { id?: string };
      if ((sent.get(id) ?? text) !== text) faults.push(`${id} was sent with two contents`);
      sent.set(id, text);
    }
    const missing = history.filter(({ id }) => !sent.has(id));
    if (missing.length > 0 && performance.now() < untilMs) {
      await sleep(LOOK_EVERY_MS);
      continue;
    }
    faults.push(...missing.map(({ id }) => `${id} is not on the topic`));
    // What was recorded while we looked is no invention.
    const now = [...(await readHistory(world, TENANT)), ...(await readHistory(world, DEPLOYMENT))];
    const recorded = new Map(now.map((one) => [one.id, JSON.stringify(one)]));
    for (const [id, text] of sent)
      if (recorded.get(id) !== text)
        faults.push(`${id} is on the topic ${recorded.has(id) ? "as another" : "and was not recorded"}`);
    return faults;
  }
}

async function readHistory(world: World, tenant: string): Promise<Recorded[]> {
  return await readAll<Recorded>(world, `/api/v1/alerts?state=all&limit=1000&tenant=${tenant}`);
}
