// Judging against the real database: each transition is recorded once, whatever runs beside it, and what was recorded is
// sent, whatever dies in between.
import { abortAllDurableObjects, createExecutionContext, env, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sendAlerts } from "../../functions/alert-delivery.ts";
import { alertObserver, judgedRules } from "../../functions/alert-rules.ts";
import { alertOwnerOf, judgeTenant, wakeAlerts, type TickResult } from "../../functions/alert-tick.ts";
import type { Alert, Notification } from "../../lib/alerts/alert.ts";
import { changedRule, mergedRule } from "../../lib/alerts/change-rule.ts";
import { ProduceLatency } from "../../lib/alerts/produce-latency.ts";
import { DEPLOYMENT, newRuleShape, samplesId, type RuleChange } from "../../lib/alerts/rule.ts";
import { sampleStatements } from "../../lib/storage/d1-alert-samples.ts";
import { D1AlertState } from "../../lib/storage/d1-alert-state.ts";
import { D1Alerts } from "../../lib/storage/d1-alerts.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import type { StoredWindow } from "../../lib/storage/storage.ts";
import { encodePartial } from "../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../lib/windows/partial.ts";
import { seriesId } from "../../lib/windows/series.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { makeTopic, messagesWith } from "../support/worker/topic-messages.ts";

const T0 = Date.parse("2026-11-21T10:00:00.000Z");
const MINUTE = 60_000;
const HOOK = "https://hooks.example.com/T0/very-secret";

let tenant: string;
let ruleId: string;
const alerts = new D1Alerts(env.DB);
const state = new D1AlertState(env.DB);

async function addRule(fields: object = {}): Promise<string> {
  const id = crypto.randomUUID().slice(0, 8);
  const rule = { name: "CPU", expr: "cpu > 80", ...fields };
  const row = { tenant, id, rule, createdAt: new Date(T0).toISOString(), createdBy: "k", isDeleted: false };
  expect(await alerts.addRule(row, 100)).toBe(true);
  return id;
}

async function addNotifier(url = HOOK): Promise<string> {
  const id = crypto.randomUUID().slice(0, 8);
  const row = { tenant, id, name: "hook", kind: "webhook", url, createdAt: "", createdBy: "k" };
  expect(await alerts.addNotifier(row, 100)).toBe(true);
  return id;
}

/** As PATCH does it. */
async function changeRule(change: RuleChange, minute: number): Promise<void> {
  const rule = (await judgedRules(env, tenant)).find(({ id }) => id === ruleId);
  if (!rule) throw new Error("no such rule");
  const merged = newRuleShape.parse(mergedRule(rule, change));
  const kept = changedRule(rule, merged, new Date(T0 + minute * MINUTE).toISOString(), "k");
  const row = { tenant, id: ruleId, rule: kept, createdAt: "", createdBy: "", isDeleted: false };
  expect(await alerts.changeRule(row, rule.revision)).toBe(true);
}

/** As the group `alerting` commits it. @param limit of the rule @param revision of the rule that it is sampled for */
async function observed(
  minute: number,
  value: number,
  host = "a",
  { limit = 80, revision = 1 } = {},
): Promise<void> {
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

async function tick(minute: number, whose = tenant, bindings: Env = env): Promise<TickResult> {
  const context = createExecutionContext();
  return await judgeTenant(bindings, whose, {
    nowMs: T0 + minute * MINUTE,
    latency: new ProduceLatency(),
    context,
  });
}

async function history(): Promise<Alert[]> {
  return (await state.transitions(tenant, undefined, undefined, 1_000)).map(({ alert }) => alert as Alert);
}

interface Posted {
  url: string;
  id: string;
  body: Notification;
}

/** Sends what is due, to receivers that answer so. */
async function send(
  minute: number,
  answer: (url: string) => Response | Promise<Response>,
): Promise<Posted[]> {
  const posted: Posted[] = [];
  await sendAlerts(env, tenant, {
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

const taken = () => new Response(null, { status: 204 });

beforeEach(async () => {
  tenant = `t${crypto.randomUUID()}`;
  ruleId = await addRule();
  await makeTopic("alerts");
  vi.spyOn(console, "info").mockImplementation(() => undefined);
});

afterEach(() => vi.restoreAllMocks());

describe("a judgement", () => {
  it("records what changes, and nothing where nothing does", async () => {
    await observed(0, 90);
    expect(await tick(0)).toMatchObject({ outcome: "recorded", transitions: 1 });
    expect(await tick(1)).toMatchObject({ outcome: "unchanged", transitions: 0 });
    await observed(2, 10);
    expect(await tick(2)).toMatchObject({ outcome: "recorded", transitions: 1 });
    expect((await history()).map(({ state, value }) => [state, value])).toEqual([
      ["resolved", 10],
      ["firing", 90],
    ]);
  });

  it("is recorded once where several are made at once", async () => {
    await observed(0, 90);
    const results = await Promise.all(Array.from({ length: 6 }, () => tick(0)));
    const outcomes = results.map(({ outcome }) => outcome).toSorted();
    expect(outcomes.filter((outcome) => outcome === "recorded")).toHaveLength(1);
    expect(await history()).toHaveLength(1);
    expect(await state.due(tenant, T0, 100)).toHaveLength(1);
  });

  it("that was made from an old version is not recorded", async () => {
    await observed(0, 90);
    await tick(0);
    const changes = { put: [], forgotten: [], transitions: [], outbox: [], goneRules: [] };
    const late = { id: `${tenant}/late`, target: "topic", body: "{}" };
    const outcome = await state.record(tenant, { from: 0, to: 1 }, { ...changes, outbox: [late] }, T0);
    expect(outcome).toBe("fenced");
    expect(await state.due(tenant, T0, 100)).toHaveLength(1);
  });

  it("leaves the other rules alone where one cannot be judged", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const other = await addRule({ expr: "sum(cpu, 5m) > 1" });
    await observed(0, 90);
    const bindings = { ...env, WINDOWS: "1h" };
    expect(await tick(0, tenant, bindings)).toMatchObject({ outcome: "recorded", transitions: 1 });
    expect(warn.mock.calls.flat().join()).toMatch(
      new RegExp(`alert_rule_failed.*${other}.*no window of WINDOWS`),
    );
  });

  it("resolves the alerts of a rule that is deleted, and drops it", async () => {
    await observed(0, 90);
    await tick(0);
    expect(await alerts.deleteRule(tenant, ruleId)).toBe(true);
    await tick(1);
    expect((await history())[0]).toMatchObject({ state: "resolved", rule: ruleId, name: "CPU" });
    await tick(2);
    expect(await alerts.rules(tenant)).toEqual([]);
    expect(await tick(3)).toMatchObject({ outcome: "unchanged", hasRules: false });
  });

  describe("waits until a reader", () => {
    const places = (does: string) =>
      [0, 1, 2].map((partition) => ({ group: `weir-${does}`, topic: "metrics.raw", partition }));
    const next = positionAt(1);
    const store = createD1StreamStore(env.DB);
    const readThrough = async (does: string, ...minutes: number[]) => {
      for (const [i, minute] of minutes.entries()) {
        const place = places(does)[i];
        if (place) await store.readThrough(place, next, T0 + minute * MINUTE);
      }
    };
    let now: number;

    beforeEach(async () => {
      await makeTopic("metrics.raw");
      await alerts.deleteRule(tenant, ruleId);
      await env.DB.prepare("DELETE FROM offsets").run();
      // What is read, and what of it is kept, goes by the clock.
      now = Math.ceil((Date.now() - T0) / MINUTE);
      for (const place of [...places("alerting"), ...places("storage")])
        await store.commit(partitionCommit(place, { next, rawFloorDay: await store.rawFloorDay() }));
    });

    it("has read so far, before it tells of an absence", async () => {
      ruleId = await addRule({ expr: "absent(cpu, 10m)" });
      await observed(now - 11, 1);
      expect(await tick(now)).toMatchObject({ transitions: 0 });
      await readThrough("alerting", now - 1, now - 1, now - 2);
      expect(await tick(now)).toMatchObject({ transitions: 0 });
      await readThrough("alerting", now - 1, now - 1, now - 1);
      expect(await tick(now)).toMatchObject({ transitions: 1 });
      expect((await history())[0]).toMatchObject({ state: "firing", value: 600 });
    });

    it("has read all partitions that there are, and none that is gone", async () => {
      ruleId = await addRule({ expr: "absent(cpu, 10m)" });
      await observed(now - 11, 1);
      await env.DB.prepare("DELETE FROM offsets WHERE partition = 2").run();
      const gone = { group: "weir-alerting", topic: "metrics.raw", partition: 7 };
      await store.commit(partitionCommit(gone, { next, rawFloorDay: await store.rawFloorDay() }));
      await readThrough("alerting", now - 1, now - 1);
      expect(await tick(now)).toMatchObject({ transitions: 0 });
      const last = { group: "weir-alerting", topic: "metrics.raw", partition: 2 };
      await store.commit(partitionCommit(last, { next, rawFloorDay: await store.rawFloorDay() }));
      await readThrough("alerting", now - 1, now - 1, now - 1);
      expect(await tick(now)).toMatchObject({ transitions: 1 });
      // One more that nobody has read yet ends nothing, either.
      await env.DB.prepare("DELETE FROM offsets WHERE partition = 2").run();
      expect(await tick(now)).toMatchObject({ transitions: 0 });
    });

    it("has read a span, and goes by no less of it", async () => {
      ruleId = await addRule({ expr: "sum(cpu, 5m) > 10" });
      const place = { group: "weir-storage", topic: "metrics.raw", partition: 0 };
      const labels = { host: "a" };
      const series = seriesId(tenant, "cpu", labels);
      const windows = [9, 8, 7, 6, 5].map((ago): StoredWindow => {
        const startMs = T0 + (now - ago) * MINUTE;
        const partial = emptyPartial(0);
        const time = { ms: startMs, ns: 0 };
        fold(partial, { time, offset: 0, index: 0, value: { kind: "number", value: 5 } });
        return {
          tenant,
          name: "cpu",
          series,
          window: "1m",
          startMs,
          endMs: startMs + MINUTE,
          revision: 1,
          dueMs: null,
          state: encodePartial(partial),
        };
      });
      const day = Math.floor((T0 + now * MINUTE) / 86_400_000);
      const known = { tenant, series, name: "cpu", labels, day };
      await store.commit(
        partitionCommit(place, {
          from: next,
          next: positionAt(2),
          rawFloorDay: await store.rawFloorDay(),
          windows: { put: windows, removed: [], series: [known] },
        }),
      );
      const readUntil = async (minute: number) => {
        await readThrough("storage", 0, minute, minute);
        await store.readThrough(place, positionAt(2), T0 + minute * MINUTE);
      };
      await readUntil(now - 4);
      expect(await tick(now - 3)).toMatchObject({ transitions: 1 });
      expect((await history())[0]).toMatchObject({ state: "firing", value: 25 });
      // It stands still: first nobody knows that, then all do.
      for (const minute of [-2.5, -2, -1.5, -1, -0.5, 0]) await tick(now + minute);
      expect((await history()).map(({ state }) => state)).toEqual(["firing"]);
      await readUntil(now);
      expect(await tick(now)).toMatchObject({ transitions: 1 });
      expect((await history())[0]).toMatchObject({ state: "resolved" });
    });
  });

  it("of the deployment stays quiet on a deployment that is well", async () => {
    const result = await tick(0, DEPLOYMENT);
    expect(result).toMatchObject({ transitions: 0, hasRules: true });
  });
});

describe("a rule that is changed", () => {
  const told = async (minute: number) =>
    (await send(minute, taken)).map(
      ({ body }) => `${body.status} ${body.alerts.map(({ expr }) => expr).join()}`,
    );

  it("ends what it found before, once, and begins anew with samples of its own", async () => {
    await addNotifier();
    await observed(0, 90);
    // A spike that no judgement has seen yet.
    await observed(0.5, 85, "b");
    await tick(0);
    expect(await told(0)).toEqual(["firing cpu > 80,cpu > 80"]);
    await changeRule({ expr: "cpu > 95" }, 1);
    // Whoever read the rules before the change samples for what it asked then.
    await observed(1, 99, "c");
    const racing = await Promise.all(Array.from({ length: 5 }, () => tick(1)));
    expect(racing.filter(({ outcome }) => outcome === "recorded")).toHaveLength(1);
    expect(await told(1)).toEqual(["resolved cpu > 95,cpu > 95"]);
    expect(await tick(1.5)).toMatchObject({ transitions: 0 });
    await observed(2, 90, "a", { limit: 95, revision: 2 });
    await observed(2, 96, "b", { limit: 95, revision: 2 });
    expect(await tick(2)).toMatchObject({ transitions: 1 });
    expect(await told(2)).toEqual(["firing cpu > 95"]);
    expect(await tick(3)).toMatchObject({ outcome: "unchanged" });
    expect((await history()).map(({ state, labels }) => `${labels["host"]} ${state}`).toSorted()).toEqual([
      "a firing",
      "a resolved",
      "b firing",
      "b firing",
      "b resolved",
    ]);
  });

  it("in what it does not ask goes on with its alerts", async () => {
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    expect(await send(0, taken)).toHaveLength(1);
    await changeRule({ severity: "critical", name: "Hot", for: "30m", repeat_interval: "1m" }, 1);
    expect(await tick(1)).toMatchObject({ transitions: 0 });
    expect((await send(1, taken)).map(({ body }) => body)).toMatchObject([
      { status: "firing", severity: "critical", name: "Hot" },
    ]);
  });

  it("so that it is disabled ends its alerts, and is not looked at until it is enabled", async () => {
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    await changeRule({ enabled: false }, 1);
    expect(await tick(1)).toMatchObject({ transitions: 1 });
    expect(await told(1)).toEqual(["firing cpu > 80", "resolved cpu > 80"]);
    expect(await tick(2)).toMatchObject({ outcome: "unchanged" });
    const off = await alertObserver({ ...env });
    const record = { timestamp: "2026-11-21T10:00:00.000Z", name: "cpu", value: 90, labels: { host: "a" } };
    const rows = { metrics: [{ tenant, offset: 0, index: 0, record }], logs: [], events: [], traces: [] };
    expect(off.samplesOf(rows)).toEqual([]);
    await changeRule({ enabled: true }, 3);
    expect(await tick(3)).toMatchObject({ transitions: 0 });
    const on = await alertObserver({ ...env });
    expect(on.samplesOf(rows)).toMatchObject([{ rule: `${ruleId}@3` }]);
    await observed(4, 90, "a", { revision: 3 });
    expect(await tick(4)).toMatchObject({ transitions: 1 });
  });

  it("while it is deleted is not there", async () => {
    const [rule] = await judgedRules(env, tenant);
    await alerts.deleteRule(tenant, ruleId);
    const row = { tenant, id: ruleId, rule: {}, createdAt: "", createdBy: "", isDeleted: false };
    expect(await alerts.changeRule(row, rule?.revision ?? 0)).toBe(false);
  });
});

describe("a rule that cannot be judged", () => {
  const faultOf = async (id: string, whose = tenant) =>
    (await judgedRules(env, whose)).find((one) => one.id === id)?.fault;
  /** How often a row of this tenant's rules was written meanwhile. */
  async function writesDuring(work: () => Promise<unknown>): Promise<number> {
    const noting = vi.spyOn(D1Alerts.prototype, "noteFault");
    await work();
    const writes = noting.mock.calls.length;
    noting.mockRestore();
    return writes;
  }

  beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => undefined));

  it("says why and since when, written once, until it can be", async () => {
    const id = await addRule({ expr: "sum(cpu, 5m) > 1" });
    const hourly = { ...env, WINDOWS: "1h" };
    expect(await writesDuring(() => tick(0, tenant, hourly))).toBe(1);
    const fault = {
      message: "no window of WINDOWS divides its span; take another span",
      since: new Date(T0).toISOString(),
    };
    expect(await faultOf(id)).toEqual(fault);
    expect(await faultOf(ruleId)).toBeUndefined();
    expect(await writesDuring(() => tick(1, tenant, hourly))).toBe(0);
    expect(await faultOf(id)).toEqual(fault);
    expect(await writesDuring(() => tick(2))).toBe(1);
    expect(await faultOf(id)).toBeUndefined();
    expect(await writesDuring(() => tick(3))).toBe(0);
  });

  it("as it is on values of a histogram, says what to do", async () => {
    const id = await addRule({ expr: "latency < 5" });
    const observer = await alertObserver({ ...env });
    const see = async (value: number | null) => {
      const record = { timestamp: new Date(T0).toISOString(), name: "latency", value, labels: {} };
      const rows = { metrics: [{ tenant, offset: 0, index: 0, record }], logs: [], events: [], traces: [] };
      const samples = { alertSamples: observer.samplesOf(rows), committedAtMs: T0 };
      await env.DB.batch(sampleStatements(env.DB, samples) as D1PreparedStatement[]);
    };
    await tick(0);
    expect(await faultOf(id)).toBeUndefined();
    await see(null);
    expect(await tick(1)).toMatchObject({ transitions: 0 });
    expect((await faultOf(id))?.message).toBe(
      "latency is a histogram: use a window, such as p95(latency, 5m)",
    );
    await see(1);
    expect(await tick(2)).toMatchObject({ transitions: 1 });
    expect(await faultOf(id)).toBeUndefined();
  });

  it("says nothing of what lies behind Weir where the storage refuses", async () => {
    const failing = new Proxy(env.DB, {
      get(db, name) {
        if (name !== "prepare") return Reflect.get(db, name) as unknown;
        return (sql: string) => {
          if (sql.includes("FROM alert_samples")) throw new Error("secret-host:5432 refused");
          return db.prepare(sql);
        };
      },
    });
    await observed(0, 90);
    await tick(0, tenant, { ...env, DB: failing });
    expect((await faultOf(ruleId))?.message).toBe("the storage did not answer; it is tried again");
    expect(await tick(1)).toMatchObject({ transitions: 1 });
    expect(await faultOf(ruleId)).toBeUndefined();
  });

  it("forgets why once it is changed, and takes no fault of what it was", async () => {
    const [before] = await judgedRules(env, tenant);
    await alerts.noteFault(tenant, ruleId, 1, { message: "no", since: "2026-11-21T10:00:00.000Z" });
    expect(await faultOf(ruleId)).toBeDefined();
    await changeRule({ expr: "cpu > 90" }, 1);
    expect(await faultOf(ruleId)).toBeUndefined();
    await alerts.noteFault(tenant, ruleId, before?.revision ?? 0, { message: "old", since: "" });
    expect(await faultOf(ruleId)).toBeUndefined();
  });
});

describe("what was recorded", () => {
  it("is sent to the topic and to notifiers, and then it is gone", async () => {
    const notifier = await addNotifier();
    await observed(0, 90);
    await observed(0, 95, "b");
    await tick(0);
    const posted = await send(0, taken);
    expect(posted).toHaveLength(1);
    expect(posted[0]).toMatchObject({
      url: HOOK,
      id: `${tenant}/${ruleId}/${notifier}/1`,
      body: { status: "firing", alerts: [{ labels: { host: "a" } }, { labels: { host: "b" } }] },
    });
    const onTopic = await messagesWith("alerts", tenant);
    const ids = onTopic.map(
      ({ value }) => (JSON.parse(new TextDecoder().decode(value ?? undefined)) as Alert).id,
    );
    expect(ids.toSorted()).toEqual((await history()).map(({ id }) => id).toSorted());
    expect(await send(1, taken)).toEqual([]);
    expect((await alerts.notifiers(tenant))[0]).toMatchObject({ sentTotal: 1, lastError: null });
  });

  it("is sent again under the same id until it is taken, and tells nothing of the URL", async () => {
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line: string) => void lines.push(line));
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    const [first] = await send(0, () => new Response("no", { status: 500 }));
    // Not at once again.
    expect(await send(0, taken)).toEqual([]);
    expect((await alerts.notifiers(tenant))[0]).toMatchObject({
      sentTotal: 0,
      lastError: "it answered HTTP 500",
    });
    const [second] = await send(1, taken);
    expect(second).toEqual(first);
    expect(lines.join()).toContain("hooks.example.com");
    expect(lines.join()).not.toContain("very-secret");
  });

  it("is given up in the end, and that is shown", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    let attempts = 0;
    for (let minute = 0; minute < 200; minute++)
      attempts += (await send(minute, () => Response.error())).length;
    expect(attempts).toBe(20);
    expect((await alerts.notifiers(tenant))[0]).toMatchObject({ sentTotal: 0, droppedTotal: 1 });
  });

  describe("in great number", () => {
    const outgoing = async (target: string, minute: number, bodies: string[]) => {
      const outbox = bodies.map((body, i) => ({ id: `${tenant}/${target}/${minute}/${i}`, target, body }));
      const from = await state.version(tenant);
      const changes = { put: [], forgotten: [], transitions: [], outbox, goneRules: [] };
      const nowMs = T0 + minute * MINUTE;
      expect(await state.record(tenant, { from, to: from + 1 }, changes, nowMs)).toBe("recorded");
    };
    const body = (id: string) =>
      JSON.stringify({
        id,
        status: "firing",
        tenant,
        rule: ruleId,
        name: "CPU",
        severity: "info",
        alerts: [],
      });

    it("does not pile up for a notifier that is down, and comes in its order when that is back", async () => {
      vi.spyOn(console, "warn").mockImplementation(() => undefined);
      const notifier = await addNotifier();
      let posts = 0;
      let posted: Posted[] = [];
      for (let minute = 0; minute < 240; minute += 5) {
        await outgoing(notifier, minute, [body(String(minute))]);
        posts += (await send(minute, () => Response.error())).length;
      }
      // One at a time, however many wait.
      expect(posts).toBe(48);
      for (let minute = 240; minute <= 252; minute += 2) posted = [...posted, ...(await send(minute, taken))];
      // Those of the last two hours.
      const wanted = Array.from({ length: 25 }, (_, i) => 115 + i * 5);
      expect(posted.map((one) => Number(one.body.id))).toEqual(wanted);
      expect((await alerts.notifiers(tenant))[0]).toMatchObject({
        sentTotal: 25,
        droppedTotal: 23,
        lastError: null,
      });
    });

    it("goes to the topic in requests that Kafka takes", async () => {
      const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
      const sizes: number[] = [];
      const real = globalThis.fetch;
      vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
        const { body: sent } = init ?? {};
        if (typeof sent === "string") sizes.push(sent.length);
        else if (sent instanceof Uint8Array) sizes.push(sent.length);
        return await real(input, init);
      });
      await outgoing(
        "topic",
        0,
        Array.from({ length: 50 }, (_, i) => `${i} ${"x".repeat(36_000)}`),
      );
      await send(0, taken);
      expect(warn.mock.calls).toEqual([]);
      expect(Math.max(...sizes)).toBeGreaterThan(900_000);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000_000);
      expect(await state.due(tenant, T0 + 60 * MINUTE, 100)).toEqual([]);
    });
  });

  it("goes to the others while one notifier fails", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await addNotifier("https://down.example.com/x");
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    const answer = (url: string) => (url === HOOK ? taken() : new Response("", { status: 503 }));
    expect((await send(0, answer)).map(({ url }) => url).toSorted()).toEqual([
      "https://down.example.com/x",
      HOOK,
    ]);
    const counts = (await alerts.notifiers(tenant)).map(({ url, sentTotal }) => [url, sentTotal]);
    expect(Object.fromEntries(counts)).toEqual({ "https://down.example.com/x": 0, [HOOK]: 1 });
  });

  it("is told again after the repeat interval, and not while it is silenced", async () => {
    await addNotifier();
    await observed(0, 90);
    await tick(0);
    expect(await send(0, taken)).toHaveLength(1);
    const silence = {
      id: "s1",
      matchers: [{ name: "host", op: "=", value: "a" }],
      startsMs: T0 + 230 * MINUTE,
      endsMs: T0 + 250 * MINUTE,
      author: "me",
      comment: "moving",
      createdAt: "",
      createdBy: "k",
    };
    await alerts.addSilence(tenant, silence, T0, 10);
    const told: number[] = [];
    for (const minute of [100, 239, 240, 249, 250, 251]) {
      await observed(minute, 90);
      await tick(minute);
      if ((await send(minute, taken)).length > 0) told.push(minute);
    }
    expect(told).toEqual([250]);
  });
});

describe("the owner", () => {
  it("judges by alarm, whatever a notifier does, and goes on", async () => {
    const nowMinute = (Date.now() - T0) / MINUTE;
    await addNotifier();
    let asked = 0;
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      if (input !== HOOK) return await real(input, init);
      asked++;
      // A receiver that takes the connection and never answers.
      return await new Promise((_, reject) => {
        init?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
      });
    });
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await observed(nowMinute, 90);
    const owner = alertOwnerOf(env, tenant);
    await owner.wake(tenant);
    await runDurableObjectAlarm(owner);
    await expect.poll(async () => (await history()).map(({ state }) => state)).toEqual(["firing"]);
    await expect.poll(() => asked).toBe(1);
    await observed(nowMinute + 0.1, 10);
    expect(await runDurableObjectAlarm(owner)).toBe(true);
    expect((await history()).map(({ state }) => state)).toEqual(["resolved", "firing"]);
  });

  it("sends what an owner before it recorded and died over, under the same id", async () => {
    const nowMinute = (Date.now() - T0) / MINUTE;
    await addNotifier();
    const ids: (string | null)[] = [];
    let isDead = true;
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      if (input !== HOOK) return await real(input, init);
      ids.push(new Headers(init?.headers).get("webhook-id"));
      return isDead ? await new Promise<Response>(() => undefined) : taken();
    });
    await observed(nowMinute, 90);
    await alertOwnerOf(env, tenant).wake(tenant);
    await runDurableObjectAlarm(alertOwnerOf(env, tenant));
    await expect.poll(() => ids.length).toBe(1);
    await abortAllDurableObjects();
    isDead = false;
    const owner = alertOwnerOf(env, tenant);
    await owner.wake(tenant);
    await runDurableObjectAlarm(owner);
    await expect.poll(async () => (await alerts.notifiers(tenant))[0]?.sentTotal).toBe(1);
    expect(ids).toHaveLength(2);
    expect(ids[1]).toBe(ids[0]);
    expect(await history()).toHaveLength(1);
  });

  it("is woken by the cron wherever there are rules", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const nowMinute = (Date.now() - T0) / MINUTE;
    await observed(nowMinute, 90);
    await wakeAlerts(env);
    await runDurableObjectAlarm(alertOwnerOf(env, tenant));
    await expect.poll(async () => (await history()).length).toBe(1);
  });

  it("is not woken where alerting is off", async () => {
    await observed((Date.now() - T0) / MINUTE, 90);
    const off = { ...env, ALERTING: "off" };
    await wakeAlerts(off);
    expect(await runDurableObjectAlarm(alertOwnerOf(env, tenant))).toBe(false);
  });
});

describe("the ends of logs", () => {
  /** What was asked of Kafka, beside how many partitions there are. */
  async function askedBy(work: () => Promise<unknown>): Promise<string[]> {
    const asked: string[] = [];
    const real = globalThis.fetch;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const { hostname, pathname, search } = new URL(input instanceof Request ? input.url : String(input));
      const isCount = search.includes(`offset=${Number.MAX_SAFE_INTEGER}`);
      if (hostname === "kafka.test" && !isCount) asked.push(pathname);
      return await real(input, init);
    });
    await work();
    spy.mockRestore();
    return asked;
  }
  const setDefault = async (rule: object) => {
    const row = {
      tenant: DEPLOYMENT,
      id: "default-lag",
      rule,
      createdAt: "",
      createdBy: "",
      isDeleted: false,
    };
    expect(await alerts.changeDefaultRule(row, 1)).toBe(true);
  };

  it("are asked for once each, whatever rules look at the lag, and not at all where none does", async () => {
    for (const signal of ["logs", "metrics", "events", "traces"]) await makeTopic(`${signal}.raw`);
    const id = crypto.randomUUID().slice(0, 8);
    const lag = { tenant: DEPLOYMENT, id, rule: { name: "Lag", expr: "lag() > 1" } };
    await alerts.addRule({ ...lag, createdAt: "", createdBy: "", isDeleted: false }, 100);
    // A proxy that does not tell ends is searched from where readers are, which here is nowhere.
    await env.DB.prepare("DELETE FROM offsets").run();
    // What detects the proxy is asked once.
    await tick(0, DEPLOYMENT);
    const asked = await askedBy(() => tick(1, DEPLOYMENT));
    expect(asked.toSorted()).toEqual(
      ["events", "logs", "metrics", "traces"].flatMap((signal) =>
        [0, 1, 2].map((partition) => `/topics/${signal}.raw/partitions/${partition}/records`),
      ),
    );
    await alerts.deleteRule(DEPLOYMENT, id);
    await setDefault({ enabled: false, revision: 2 });
    expect(await askedBy(() => tick(2, DEPLOYMENT))).toEqual([]);
    await env.DB.prepare("DELETE FROM alert_rules WHERE tenant = ?").bind(DEPLOYMENT).run();
  });

  it("that cannot be had resolve nothing, and the rule says so", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const store = createD1StreamStore(env.DB);
    const place = { group: "weir-storage", topic: "events.raw", partition: 0 };
    await store.commit(
      partitionCommit(place, { next: positionAt(0), rawFloorDay: await store.rawFloorDay() }),
    );
    await makeTopic("events.raw");
    await setDefault({ expr: "lag(weir-storage) >= 0", revision: 2 });
    expect(await tick(0, DEPLOYMENT)).toMatchObject({ transitions: 1 });
    const away = { ...env, KAFKA_REST_URL: "http://127.0.0.1:9" };
    expect(await tick(1, DEPLOYMENT, away)).toMatchObject({ transitions: 0 });
    const lag = async () => (await judgedRules(env, DEPLOYMENT)).find(({ id }) => id === "default-lag");
    expect(await lag()).toMatchObject({
      expr: "lag(weir-storage) >= 0",
      fault: {
        message: expect.stringMatching(/^not all ends of logs/) as string,
        since: new Date(T0 + MINUTE).toISOString(),
      },
    });
    await tick(2, DEPLOYMENT);
    expect((await lag())?.fault).toBeUndefined();
    await env.DB.prepare("DELETE FROM alert_rules WHERE tenant = ?").bind(DEPLOYMENT).run();
  });
});

it("the consumer group looks at records by the rules of all tenants", async () => {
  const record = { timestamp: "2026-11-21T10:00:00.000Z", name: "cpu", value: 90, labels: { host: "a" } };
  const row = { tenant, offset: 0, index: 0, record };
  const observer = await alertObserver({ ...env });
  expect(observer.samplesOf({ metrics: [row], logs: [], events: [], traces: [] })).toMatchObject([
    { tenant, rule: ruleId, value: 90, violatedValue: 90 },
  ]);
});
