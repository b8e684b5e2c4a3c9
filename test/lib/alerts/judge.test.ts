import { describe, expect, it } from "vitest";
import type { Alert, Notification } from "../../../lib/alerts/alert.ts";
import type { Evaluation } from "../../../lib/alerts/evaluate.ts";
import type { AlertInstance } from "../../../lib/alerts/instance.ts";
import { isEmpty, judge, TOPIC_TARGET, type JudgedRule, type Judgement } from "../../../lib/alerts/judge.ts";
import { ruleOf } from "../../../lib/alerts/rule.ts";
import type { Silence } from "../../../lib/alerts/silence.ts";

const T0 = Date.parse("2026-11-21T10:00:00.000Z");
const MINUTE = 60_000;

function ruleWith(fields: object = {}): JudgedRule {
  const stored = {
    name: "CPU",
    expr: "cpu > 80",
    annotations: { summary: "{{ labels.host }} is at {{value}}" },
  };
  const origin = { tenant: "acme", id: "r1", createdAt: "2026-11-21T09:00:00.000Z", createdBy: "key" };
  const rule = ruleOf({ ...stored, ...fields }, origin);
  if (!rule) throw new Error("no rule");
  return { ...rule, isDeleted: false };
}

/** A tenant over time: each tick is judged and recorded. */
class World {
  instances: AlertInstance[] = [];
  version = 0;
  rules = [ruleWith()];
  silences: Silence[] = [];
  notifiers = ["n1"];

  tick(minute: number, values: Record<string, number> | Evaluation | undefined): Judgement {
    const nowMs = T0 + minute * MINUTE;
    const evaluation: Evaluation | undefined =
      values === undefined || "isComplete" in values
        ? (values as Evaluation | undefined)
        : {
            observations: Object.entries(values).map(([host, value]) => ({
              labels: { host },
              value,
              isViolated: value > 80,
            })),
            isComplete: true,
          };
    const judgement = judge({
      version: this.version + 1,
      nowMs,
      rules: this.rules,
      evaluations: new Map(evaluation ? [["r1", evaluation]] : []),
      instances: this.instances,
      silences: this.silences,
      notifiers: this.notifiers,
    });
    if (!isEmpty(judgement)) this.version++;
    const key = (one: { rule: string; fingerprint: string }) => `${one.rule}/${one.fingerprint}`;
    const byKey = new Map(this.instances.map((one) => [key(one), one]));
    for (const one of judgement.forgotten) byKey.delete(key(one));
    for (const one of judgement.put) byKey.set(key(one), one);
    this.instances = [...byKey.values()];
    this.rules = this.rules.filter(({ id }) => !judgement.goneRules.includes(id));
    return judgement;
  }

  silence(from: number, to: number, matchers: Silence["matchers"]): void {
    const fields = { id: "s", author: "a", comment: "c", createdAt: "", createdBy: "" };
    this.silences = [{ ...fields, matchers, startsMs: T0 + from * MINUTE, endsMs: T0 + to * MINUTE }];
  }
}

const toldOf = ({ outbox }: Judgement) =>
  outbox
    .filter(({ target }) => target !== TOPIC_TARGET)
    .map(({ body }) => JSON.parse(body) as Notification)
    .map(
      ({ status, alerts }) =>
        `${status}: ${alerts.map(({ state, labels }) => `${labels["host"]} ${state}`).join(", ")}`,
    );

describe("a judgement", () => {
  it("records each transition once, under an id that never comes again", () => {
    const world = new World();
    const states = [90, 90, 10, 90, 10].map((value, i) => world.tick(i, { a: value }).transitions);
    expect(states.map((some) => some.map(({ state }) => state))).toEqual([
      ["firing"],
      [],
      ["resolved"],
      ["firing"],
      ["resolved"],
    ]);
    const ids = states.flat().map(({ id }) => id);
    expect(new Set(ids).size).toBe(4);
    expect(ids[0]).toMatch(/^acme\/r1\/[0-9a-f]{32}\/1$/);
  });

  it("tells a notifier of all alerts of a rule at once, and the topic of each", () => {
    const world = new World();
    const first = world.tick(0, { a: 90, b: 95, c: 10 });
    expect(toldOf(first)).toEqual(["firing: a firing, b firing"]);
    const topic = first.outbox.filter(({ target }) => target === TOPIC_TARGET);
    expect(topic.map(({ id, body }) => [id, (JSON.parse(body) as Alert).state])).toEqual(
      first.transitions.map(({ id, state }) => [id, state]),
    );
    expect(first.transitions[0]?.annotations).toEqual({ summary: "a is at 90" });
    expect(toldOf(world.tick(1, { a: 10, b: 95 }))).toEqual(["resolved: a resolved"]);
  });

  it("splits what is too much for one notification", () => {
    const world = new World();
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`h${i}`, 90]));
    const ids = world
      .tick(0, many)
      .outbox.filter(({ target }) => target === "n1")
      .map(({ id }) => id);
    expect(ids).toEqual(["acme/r1/n1/1", "acme/r1/n1/1/1", "acme/r1/n1/1/2"]);
  });

  it("tells again after the repeat interval, and not before", () => {
    const world = new World();
    world.rules = [ruleWith({ repeat_interval: "1h" })];
    const told = [0, 1, 59, 60, 61, 119, 120].map((minute) => toldOf(world.tick(minute, { a: 90 })).length);
    expect(told).toEqual([1, 0, 0, 1, 0, 0, 1]);
  });

  it("tells nobody of what is silenced, and of what still fires when the silence is over", () => {
    const world = new World();
    world.silence(0, 10, [
      { name: "alertname", op: "=", value: "CPU" },
      { name: "host", op: "!=", value: "b" },
    ]);
    const first = world.tick(0, { a: 90, b: 90 });
    expect(toldOf(first)).toEqual(["firing: b firing"]);
    expect(first.transitions.map(({ silenced }) => silenced)).toEqual([true, false]);
    expect(toldOf(world.tick(9, { a: 90, b: 90 }))).toEqual([]);
    expect(toldOf(world.tick(10, { a: 90, b: 90 }))).toEqual(["firing: a firing"]);
  });

  it("tells the end of what was told, silenced or not, and of nothing else", () => {
    const world = new World();
    world.tick(0, { a: 90 });
    world.silence(1, 10, [{ name: "severity", op: "=", value: "warning" }]);
    expect(toldOf(world.tick(1, { a: 90, b: 90 }))).toEqual([]);
    expect(toldOf(world.tick(2, { a: 10, b: 10 }))).toEqual(["resolved: a resolved"]);
  });

  it("resolves what is no longer there, but not while that is uncertain", () => {
    const world = new World();
    world.tick(0, { a: 90 });
    expect(world.tick(1, { observations: [], isComplete: false }).transitions).toEqual([]);
    expect(world.tick(2, undefined).transitions).toEqual([]);
    expect(world.tick(3, {}).transitions).toMatchObject([{ state: "resolved" }]);
  });

  it("resolves the alerts of a deleted rule, and then lets it go", () => {
    const world = new World();
    world.tick(0, { a: 90 });
    world.rules = [{ ...ruleWith(), isDeleted: true }];
    const first = world.tick(1, { a: 90 });
    expect(toldOf(first)).toEqual(["resolved: a resolved"]);
    expect(first.goneRules).toEqual([]);
    const second = world.tick(2, undefined);
    expect(second).toMatchObject({ goneRules: ["r1"], transitions: [] });
    expect(world.instances).toEqual([]);
  });

  it("ends what a rule found that asked something else, once, and then begins anew", () => {
    const world = new World();
    world.tick(0, { a: 90, b: 90 });
    world.rules = [ruleWith({ revision: 2, begun: 2 })];
    // Even while nothing is known of what it asks now.
    const changed = world.tick(1, { observations: [], isComplete: false });
    expect(changed.transitions.map(({ state }) => state)).toEqual(["resolved", "resolved"]);
    expect(toldOf(changed)).toEqual(["resolved: a resolved, b resolved"]);
    const anew = world.tick(2, { a: 90 });
    expect(anew.transitions).toMatchObject([{ state: "firing", labels: { host: "a" } }]);
    expect(toldOf(anew)).toEqual(["firing: a firing"]);
    expect(world.instances).toMatchObject([{ labels: { host: "a" }, begun: 2 }]);
    expect(isEmpty(world.tick(3, { a: 90 }))).toBe(true);
    const ids = [...changed.transitions, ...anew.transitions].map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
  });

  it("ends what is pending as well, whatever the new question comes to", () => {
    const world = new World();
    world.rules = [ruleWith({ for: "5m" })];
    world.tick(0, { a: 90 });
    world.rules = [ruleWith({ for: "5m", begun: 2 })];
    expect(world.tick(1, { a: 90 }).transitions).toMatchObject([{ state: "inactive" }]);
    expect(world.tick(2, { a: 90 }).transitions).toMatchObject([{ state: "pending" }]);
    expect(world.tick(6, { a: 90 }).transitions).toEqual([]);
    expect(world.tick(7, { a: 90 }).transitions).toMatchObject([{ state: "firing" }]);
  });

  it("goes on where a rule was changed that asks the same", () => {
    const world = new World();
    world.tick(0, { a: 90 });
    world.rules = [ruleWith({ revision: 2, severity: "critical", for: "1h", repeat_interval: "1m" })];
    const later = world.tick(1, { a: 90 });
    expect(later.transitions).toEqual([]);
    expect(toldOf(later)).toEqual(["firing: a firing"]);
  });

  it("resolves the alerts of a rule that is disabled, and keeps it", () => {
    const world = new World();
    world.tick(0, { a: 90 });
    world.rules = [ruleWith({ enabled: false })];
    const first = world.tick(1, { a: 90 });
    expect(toldOf(first)).toEqual(["resolved: a resolved"]);
    expect(isEmpty(world.tick(2, { a: 90 }))).toBe(true);
    expect(world.rules).toHaveLength(1);
    expect(world.tick(62, undefined).forgotten).toHaveLength(1);
  });

  it("goes to the notifiers that the rule names", () => {
    const world = new World();
    world.notifiers = ["n1", "n2", "n3"];
    world.rules = [ruleWith({ notifiers: ["n2", "gone"] })];
    const targets = world.tick(0, { a: 90 }).outbox.map(({ target }) => target);
    expect(targets).toEqual([TOPIC_TARGET, "n2"]);
  });

  it("records nothing where nothing has changed", () => {
    const world = new World();
    expect(isEmpty(world.tick(0, { a: 10 }))).toBe(true);
    world.tick(1, { a: 90 });
    expect(isEmpty(world.tick(2, { a: 90 }))).toBe(true);
    expect(world.tick(3, { a: 91 })).toMatchObject({ put: [{ value: 91 }], transitions: [], outbox: [] });
  });
});
