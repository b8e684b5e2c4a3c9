// A tenant of its own with one rule, whose alerts are judged and sent against the real database. What is observed, when
// it is judged and how receivers answer, each test says itself; time goes by minutes from T0.
import { createExecutionContext, env } from "cloudflare:test";
import { sendAlerts } from "../../../functions/alert-delivery.ts";
import { judgedRules } from "../../../functions/alert-rules.ts";
import { judgeTenant, type TickResult } from "../../../functions/alert-tick.ts";
import type { Alert, Notification } from "../../../lib/alerts/alert.ts";
import { changedRule, mergedRule } from "../../../lib/alerts/change-rule.ts";
import { ProduceLatency } from "../../../lib/alerts/produce-latency.ts";
import { newRuleShape, samplesId, type RuleChange } from "../../../lib/alerts/rule.ts";
import { sampleStatements } from "../../../lib/storage/d1-alert-samples.ts";
import { D1AlertState } from "../../../lib/storage/d1-alert-state.ts";
import { D1Alerts } from "../../../lib/storage/d1-alerts.ts";
import { makeTopic } from "./topic-messages.ts";

export const T0 = Date.parse("2026-11-21T10:00:00.000Z");
export const MINUTE = 60_000;
export const HOOK = "https://hooks.example.com/T0/very-secret";

export interface Posted {
  url: string;
  id: string;
  body: Notification;
}

export const taken = () => new Response(null, { status: 204 });

export class AlertWorld {
  readonly alerts = new D1Alerts(env.DB);
  readonly state = new D1AlertState(env.DB);
  readonly tenant = `t${crypto.randomUUID()}`;
  /** What is changed and observed. */
  ruleId = "";

  /** With a rule, and the topic of alerts. */
  static async begin(): Promise<AlertWorld> {
    const world = new AlertWorld();
    world.ruleId = await world.addRule();
    await makeTopic("alerts");
    return world;
  }

  async addRule(fields: object = {}): Promise<string> {
    const { tenant } = this;
    const id = crypto.randomUUID().slice(0, 8);
    const rule = { name: "CPU", expr: "cpu > 80", ...fields };
    const row = { tenant, id, rule, createdAt: new Date(T0).toISOString(), createdBy: "k", isDeleted: false };
    if (!(await this.alerts.addRule(row, 100))) throw new Error("the rule was not added");
    return id;
  }

  async addNotifier(url = HOOK): Promise<string> {
    const { tenant } = this;
    const id = crypto.randomUUID().slice(0, 8);
    const row = { tenant, id, name: "hook", kind: "webhook", url, createdAt: "", createdBy: "k" };
    if (!(await this.alerts.addNotifier(row, 100))) throw new Error("the notifier was not added");
    return id;
  }

  /** As PATCH does it. */
  async changeRule(change: RuleChange, minute: number): Promise<void> {
    const { tenant, ruleId } = this;
    const rule = (await judgedRules(env, tenant)).find(({ id }) => id === ruleId);
    if (!rule) throw new Error("no such rule");
    const merged = newRuleShape.parse(mergedRule(rule, change));
    const kept = changedRule(rule, merged, new Date(T0 + minute * MINUTE).toISOString(), "k");
    const row = { tenant, id: ruleId, rule: kept, createdAt: "", createdBy: "", isDeleted: false };
    if (!(await this.alerts.changeRule(row, rule.revision))) throw new Error("the rule was not changed");
  }

  /** As the group `alerting` commits it. @param limit of the rule @param revision of the rule that it is sampled for */
  async observed(
    minute: number,
    value: number,
    host = "a",
    { limit = 80, revision = 1 } = {},
  ): Promise<void> {
    const { tenant, ruleId } = this;
    const time = `${T0 + minute * MINUTE}000000`;
    const isViolated = value > limit;
    const sample = {
      tenant,
      rule: samplesId({ id: ruleId, sampled: revision }),
      series: host.padEnd(32, "0"),
      name: "cpu",
      labels: { host },
      time,
      value,
      violatedTime: isViolated ? time : null,
      violatedValue: isViolated ? value : null,
    };
    await env.DB.batch(
      sampleStatements(env.DB, { alertSamples: [sample], committedAtMs: T0 }) as D1PreparedStatement[],
    );
  }

  async tick(minute: number, whose = this.tenant, bindings: Env = env): Promise<TickResult> {
    const context = createExecutionContext();
    return await judgeTenant(bindings, whose, {
      nowMs: T0 + minute * MINUTE,
      latency: new ProduceLatency(),
      context,
    });
  }

  async history(): Promise<Alert[]> {
    const transitions = await this.state.transitions(this.tenant, undefined, undefined, 1_000);
    return transitions.map(({ alert }) => alert as Alert);
  }

  /** Sends what is due, to receivers that answer so. */
  async send(minute: number, answer: (url: string) => Response | Promise<Response>): Promise<Posted[]> {
    const posted: Posted[] = [];
    await sendAlerts(env, this.tenant, {
      async fetch(url, init) {
        const id = (init.headers as Record<string, string>)["webhook-id"] ?? "";
        posted.push({ url, id, body: JSON.parse(init.body as string) as Notification });
        return await answer(url);
      },
      now: () => T0 + minute * MINUTE,
      random: () => 0.5,
    });
    return posted;
  }
}
