// One client more, whose gauges make alert rules true and false while everything fails: it sends the next value once the
// one before has been told. Beside it somebody looks what a judgement would record, and for how long nobody has.
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultName } from "./fault-names.ts";
import { note, post, type LaneLog, type SentRequest } from "./lane.ts";
import type { Load } from "./load.ts";
import { LANE_KINDS } from "./requests.ts";
import { pointOf } from "./stored.ts";
import type { Truth } from "./truth.ts";
import type { DueTransition } from "./worker/control-call.ts";
import type { World } from "./world.ts";

/** As the chaos worker has it. */
export const ALERT_TICK_MS = 2_000;
export const TENANT = "dev";

/** By their names. `level`, `window` and `spike` follow the probe's values one by one. */
export const RULES = {
  level: "chaos_gauge > 0",
  window: "last(chaos_gauge, 5m) > 0",
  spike: "chaos_spike > 0",
  count: "count(chaos_gauge, 1m) by () > 0",
  absent: "absent(chaos_nobody, 1m) for 3s",
  "never level": "chaos_gauge > 1000000",
  "never window": "max(chaos_gauge, 5m) by () > 1000000",
  "never absent": "absent(chaos_gauge, 1d)",
} as const;
export type RuleName = keyof typeof RULES;

/** Under these nobody can judge: the worker or the store is away, or its clock is not ours. */
export const UNJUDGEABLE: readonly FaultName[] = [
  "worker-kill",
  "consume-kill",
  "produce-kill",
  "outbox-kill",
  "spill-full",
  "evict",
  "store-before",
  "store-after",
  "store-outage",
  "clock",
  "partitions",
];

/** One value of the gauge, and how it went. */
export interface Flip {
  number: number;
  /** Above 0 in even ones, and of no other flip. */
  value: number;
  isAccepted: boolean;
  /** The clock leapt meanwhile: what comes to be true by the clock need not last until it is judged. */
  isShifted: boolean;
  /** All rules that follow it were seen to have told of it. */
  isTold: boolean;
}

/** A transition that was due for longer than a tick while it could be recorded. */
export interface Overdue {
  /** Its id. */
  rule: string;
  state: string;
  sinceMs: number;
  forMs: number;
  act: string;
}

export interface Told {
  id: string;
  rule: string;
  name: string;
  state: string;
  value: number;
}

export interface ProbeLog {
  lane: LaneLog;
  /** By id. */
  rules: Map<string, RuleName>;
  flips: Flip[];
  /** Ids of what was sent, by pointOf. */
  points: Map<string, string>;
  overdue: Overdue[];
  /** The longest that was seen. */
  longestDueMs: number;
  looks: number;
}

const LOOK_EVERY_MS = 400;
const TRY_AGAIN_MS = 200;
const TICK_EVERY_MS = 8_000;
const TOLD_WITHIN_MS = 60_000;
const SHIFTED_WITHIN_MS = 3_000;
/** Of a judgement, which begins within a tick, until it is recorded, on a machine that is busy with faults. */
const JUDGED_WITHIN_MS = 1_000;

export class AlertProbe {
  readonly #log: ProbeLog;
  readonly #world: World;
  readonly #load: Load;
  readonly #truth: Truth;
  readonly #running: Promise<unknown>;
  #lastStampMs = 0;
  #isEnding = false;
  #isLooking = true;

  private constructor(world: World, load: Load, truth: Truth, seed: number, rules: Map<string, RuleName>) {
    this.#world = world;
    this.#load = load;
    this.#truth = truth;
    const options = { seed, lane: LANE_KINDS.length, kind: "gauges" } as const;
    const lane = { options, requests: [], answers: new Map(), wrong: [], unanswered: 0 };
    this.#log = { lane, rules, flips: [], points: new Map(), overdue: [], longestDueMs: 0, looks: 0 };
    this.#running = Promise.all([this.#flipOn(), this.#watch()]);
  }

  /** Before all load: a rule looks at what is read some seconds after it was made, where something was read before. */
  static async begin(world: World, load: Load, truth: Truth, seed: number): Promise<AlertProbe> {
    const rules = new Map<string, RuleName>();
    for (const [name, expr] of Object.entries(RULES)) {
      const body = JSON.stringify({ name, expr, severity: "info" });
      const answer = await world.api("/api/v1/alerts/rules", { method: "POST", body });
      const made = (await answer.json()) as { id: string };
      if (answer.status !== 201)
        throw new Error(`the rule ${name}: ${answer.status} ${JSON.stringify(made)}`);
      rules.set(made.id, name as RuleName);
    }
    // The deployment's own rules are judged once the schedule has run.
    await world.control({ op: "ticks", times: 1 });
    return new AlertProbe(world, load, truth, seed, rules);
  }

  /** Its last value leaves nothing that fires. Resolves once that is told. */
  async end(): Promise<ProbeLog> {
    this.#isEnding = true;
    await this.#running;
    return this.#log;
  }

  async #flipOn(): Promise<void> {
    for (let number = 0; !this.#isEnding || number % 2 === 1 || number < 2; number++) {
      const flip: Flip = {
        number,
        value: number % 2 === 0 ? 1_000 + number : -1_000 - number,
        isAccepted: false,
        isShifted: false,
        isTold: false,
      };
      this.#log.flips.push(flip);
      const { skewMs } = this.#world;
      const isRun = await this.#load.beside(async () => await this.#send(flip));
      if (!isRun || this.#load.isOver) break;
      await this.#untilTold(flip, skewMs);
    }
    this.#isLooking = false;
  }

  async #send(flip: Flip): Promise<void> {
    const { options } = this.#log.lane;
    const idOf = (place: number) => `w${options.seed}.${options.lane}.${flip.number}.${place};`;
    // Stamped by a clock that never goes back: what is newest is so by time.
    const stampMs = Math.max(this.#lastStampMs + 2, Date.now() + this.#world.skewMs);
    this.#lastStampMs = stampMs + 1;
    const point = (name: string, value: number, afterMs: number) => ({
      name,
      value,
      labels: { from: "probe" },
      timestamp: new Date(stampMs + afterMs).toISOString(),
    });
    const points = [point("chaos_gauge", flip.value, 0)];
    // Over before anybody can have looked.
    if (flip.value > 0)
      points.push(point("chaos_spike", flip.value, 0), point("chaos_spike", -flip.value, 1));
    const records = points.map((one, place) => ({ ...one, id: idOf(place) }));
    for (const one of records) this.#log.points.set(pointOf(one), one.id);
    const request = {
      path: "/api/v1/metrics",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(records),
      ids: records.map(({ id }) => id),
    };
    const sent: SentRequest = {
      lane: options.lane,
      number: flip.number,
      ids: request.ids,
      accepted: request.ids.map(() => 0),
      startedMs: performance.now(),
      ackedMs: Infinity,
      isSpilled: false,
    };
    this.#log.lane.requests.push(sent);
    const isAccepted = () => sent.accepted.every((count) => count > 0);
    while (!isAccepted() && !this.#load.isOver) {
      if (this.#world.isUp) note(this.#log.lane, sent, request, await post(this.#world.url, request));
      if (!isAccepted()) await sleep(TRY_AGAIN_MS);
    }
    flip.isAccepted = isAccepted();
    if (flip.isAccepted) sent.ackedMs = performance.now();
  }

  async #untilTold(flip: Flip, skewMs: number): Promise<void> {
    const fromMs = performance.now();
    let tickedMs = fromMs;
    let shiftedMs: number | undefined;
    for (;;) {
      if (this.#world.skewMs !== skewMs) {
        flip.isShifted = true;
        shiftedMs ??= performance.now();
      }
      const path = `/api/v1/alerts?state=all&limit=50`;
      const told = await this.#world.json<Told[]>(path).catch(() => []);
      flip.isTold = told.length > 0 && isToldOf(flip, told, this.#log.rules);
      const nowMs = performance.now();
      if (flip.isTold || this.#load.isOver || nowMs - fromMs > TOLD_WITHIN_MS) return;
      if (shiftedMs !== undefined && nowMs - shiftedMs > SHIFTED_WITHIN_MS) return;
      // As the schedule does each minute, whatever poke was lost.
      if (nowMs - tickedMs > TICK_EVERY_MS) {
        tickedMs = nowMs;
        await this.#world.control({ op: "ticks", times: 1 }).catch(() => undefined);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Until the probe has ended. What cannot be asked is not known: a look that fails says nothing. */
  async #watch(): Promise<void> {
    const since = new Map<string, { ms: number; due: DueTransition }>();
    while (this.#isLooking) {
      await sleep(LOOK_EVERY_MS);
      if (!this.#world.isUp) continue;
      const askedMs = performance.now();
      let due: DueTransition[];
      try {
        due = await this.#world.control<DueTransition[]>({ op: "due-alerts", tenant: TENANT });
      } catch {
        continue;
      }
      this.#log.looks++;
      const answeredMs = performance.now();
      const keys = new Set(due.map(keyOf));
      for (const key of since.keys()) if (!keys.has(key)) since.delete(key);
      for (const one of due) {
        const first = since.get(keyOf(one));
        // It was due when that answer came, and still when this question was asked.
        if (first) this.#noteDue(first.ms, askedMs, one);
        else since.set(keyOf(one), { ms: answeredMs, due: one });
      }
    }
  }

  #noteDue(sinceMs: number, untilMs: number, { rule, state }: DueTransition): void {
    const forMs = this.#truth.judgedMs(sinceMs, untilMs);
    this.#log.longestDueMs = Math.max(this.#log.longestDueMs, forMs);
    if (forMs <= ALERT_TICK_MS + JUDGED_WITHIN_MS) return;
    // Once for each, however often it was looked at.
    const known = this.#log.overdue.find((one) => one.rule === rule && one.sinceMs === sinceMs);
    if (known) known.forMs = forMs;
    else this.#log.overdue.push({ rule, state, sinceMs, forMs, act: this.#truth.actAt(untilMs) });
  }
}

const keyOf = ({ rule, labels, state }: DueTransition): string => JSON.stringify([rule, labels, state]);

/** Whether what is recorded, newest first, says of this value what follows from it. */
function isToldOf({ value }: Flip, told: readonly Told[], rules: ReadonlyMap<string, RuleName>): boolean {
  const of = (name: RuleName) => told.filter(({ rule }) => rules.get(rule) === name);
  if (value < 0) return [...of("level").slice(0, 1), ...of("window").slice(0, 1)].every(isOver);
  const fired = (name: RuleName) => of(name).some((one) => one.state === "firing" && one.value === value);
  return fired("level") && fired("window") && fired("spike") && of("spike").slice(0, 1).every(isOver);
}

const isOver = ({ state }: Told): boolean => state === "resolved";
