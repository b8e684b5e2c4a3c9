// Judging against the real database: each transition is recorded once, whatever runs beside it, and what cannot be judged
// or seen says so and ends nothing.
import { env } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alertObserver, judgedRules } from "../../functions/alert-rules.ts";
import { DEPLOYMENT } from "../../lib/alerts/rule.ts";
import { sampleStatements } from "../../lib/storage/d1-alert-samples.ts";
import { D1Alerts } from "../../lib/storage/d1-alerts.ts";
import { createD1StreamStore } from "../../lib/storage/d1-stream.ts";
import type { StoredWindow } from "../../lib/storage/storage.ts";
import { encodePartial } from "../../lib/windows/partial-codec.ts";
import { emptyPartial, fold } from "../../lib/windows/partial.ts";
import { seriesId } from "../../lib/windows/series.ts";
import { partitionCommit, positionAt } from "../contract/partition-commit.ts";
import { AlertWorld, MINUTE, T0, taken } from "../support/worker/alert-world.ts";
import { makeTopic } from "../support/worker/topic-messages.ts";

let world: AlertWorld;

beforeEach(async () => {
  world = await AlertWorld.begin();
  vi.spyOn(console, "info").mockImplementation(() => undefined);
});

afterEach(() => vi.restoreAllMocks());

describe("a judgement", () => {
  it("records what changes, and nothing where nothing does", async () => {
    await world.observed(0, 90);
    expect(await world.tick(0)).toMatchObject({ outcome: "recorded", transitions: 1 });
    expect(await world.tick(1)).toMatchObject({ outcome: "unchanged", transitions: 0 });
    await world.observed(2, 10);
    expect(await world.tick(2)).toMatchObject({ outcome: "recorded", transitions: 1 });
    expect((await world.history()).map(({ state, value }) => [state, value])).toEqual([
      ["resolved", 10],
      ["firing", 90],
    ]);
  });

  it("is recorded once where several are made at once", async () => {
    await world.observed(0, 90);
    const results = await Promise.all(Array.from({ length: 6 }, () => world.tick(0)));
    const outcomes = results.map(({ outcome }) => outcome).toSorted();
    expect(outcomes.filter((outcome) => outcome === "recorded")).toHaveLength(1);
    expect(await world.history()).toHaveLength(1);
    expect(await world.state.due(world.tenant, T0, 100)).toHaveLength(1);
  });

  it("that was made from an old version is not recorded", async () => {
    await world.observed(0, 90);
    await world.tick(0);
    const changes = { put: [], forgotten: [], transitions: [], outbox: [], goneRules: [] };
    const late = { id: `${world.tenant}/late`, target: "topic", body: "{}" };
    const outcome = await world.state.record(
      world.tenant,
      { from: 0, to: 1 },
      { ...changes, outbox: [late] },
      T0,
    );
    expect(outcome).toBe("fenced");
    expect(await world.state.due(world.tenant, T0, 100)).toHaveLength(1);
  });

  it("leaves the other rules alone where one cannot be judged", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const other = await world.addRule({ expr: "sum(cpu, 5m) > 1" });
    await world.observed(0, 90);
    const bindings = { ...env, WINDOWS: "1h" };
    expect(await world.tick(0, world.tenant, bindings)).toMatchObject({
      outcome: "recorded",
      transitions: 1,
    });
    expect(warn.mock.calls.flat().join()).toMatch(
      new RegExp(`alert_rule_failed.*${other}.*no window of WINDOWS`),
    );
  });

  it("resolves the alerts of a rule that is deleted, and drops it", async () => {
    await world.observed(0, 90);
    await world.tick(0);
    expect(await world.alerts.deleteRule(world.tenant, world.ruleId)).toBe(true);
    await world.tick(1);
    expect((await world.history())[0]).toMatchObject({ state: "resolved", rule: world.ruleId, name: "CPU" });
    await world.tick(2);
    expect(await world.alerts.rules(world.tenant)).toEqual([]);
    expect(await world.tick(3)).toMatchObject({ outcome: "unchanged", hasRules: false });
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
      await world.alerts.deleteRule(world.tenant, world.ruleId);
      await env.DB.prepare("DELETE FROM offsets").run();
      // What is read, and what of it is kept, goes by the clock.
      now = Math.ceil((Date.now() - T0) / MINUTE);
      for (const place of [...places("alerting"), ...places("storage")])
        await store.commit(partitionCommit(place, { next, rawFloorDay: await store.rawFloorDay() }));
    });

    it("has read so far, before it tells of an absence", async () => {
      world.ruleId = await world.addRule({ expr: "absent(cpu, 10m)" });
      await world.observed(now - 11, 1);
      expect(await world.tick(now)).toMatchObject({ transitions: 0 });
      await readThrough("alerting", now - 1, now - 1, now - 2);
      expect(await world.tick(now)).toMatchObject({ transitions: 0 });
      await readThrough("alerting", now - 1, now - 1, now - 1);
      expect(await world.tick(now)).toMatchObject({ transitions: 1 });
      expect((await world.history())[0]).toMatchObject({ state: "firing", value: 600 });
    });

    it("has read all partitions that there are, and none that is gone", async () => {
      world.ruleId = await world.addRule({ expr: "absent(cpu, 10m)" });
      await world.observed(now - 11, 1);
      await env.DB.prepare("DELETE FROM offsets WHERE partition = 2").run();
      const gone = { group: "weir-alerting", topic: "metrics.raw", partition: 7 };
      await store.commit(partitionCommit(gone, { next, rawFloorDay: await store.rawFloorDay() }));
      await readThrough("alerting", now - 1, now - 1);
      expect(await world.tick(now)).toMatchObject({ transitions: 0 });
      const last = { group: "weir-alerting", topic: "metrics.raw", partition: 2 };
      await store.commit(partitionCommit(last, { next, rawFloorDay: await store.rawFloorDay() }));
      await readThrough("alerting", now - 1, now - 1, now - 1);
      expect(await world.tick(now)).toMatchObject({ transitions: 1 });
      // One more that nobody has read yet ends nothing, either.
      await env.DB.prepare("DELETE FROM offsets WHERE partition = 2").run();
      expect(await world.tick(now)).toMatchObject({ transitions: 0 });
    });

    it("has read a span, and goes by no less of it", async () => {
      world.ruleId = await world.addRule({ expr: "sum(cpu, 5m) > 10" });
      const place = { group: "weir-storage", topic: "metrics.raw", partition: 0 };
      const labels = { host: "a" };
      const series = seriesId(world.tenant, "cpu", labels);
      const windows = [9, 8, 7, 6, 5].map((ago): StoredWindow => {
        const startMs = T0 + (now - ago) * MINUTE;
        const partial = emptyPartial(0);
        const time = { ms: startMs, ns: 0 };
        fold(partial, { time, offset: 0, index: 0, value: { kind: "number", value: 5 } });
        return {
          tenant: world.tenant,
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
      const known = { tenant: world.tenant, series, name: "cpu", labels, day };
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
      expect(await world.tick(now - 3)).toMatchObject({ transitions: 1 });
      expect((await world.history())[0]).toMatchObject({ state: "firing", value: 25 });
      // It stands still: first nobody knows that, then all do.
      for (const minute of [-2.5, -2, -1.5, -1, -0.5, 0]) await world.tick(now + minute);
      expect((await world.history()).map(({ state }) => state)).toEqual(["firing"]);
      await readUntil(now);
      expect(await world.tick(now)).toMatchObject({ transitions: 1 });
      expect((await world.history())[0]).toMatchObject({ state: "resolved" });
    });
  });

  it("of the deployment stays quiet on a deployment that is well", async () => {
    const result = await world.tick(0, DEPLOYMENT);
    expect(result).toMatchObject({ transitions: 0, hasRules: true });
  });
});

describe("a rule that is changed", () => {
  const told = async (minute: number) =>
    (await world.send(minute, taken)).map(
      ({ body }) => `${body.status} ${body.alerts.map(({ expr }) => expr).join()}`,
    );

  it("ends what it found before, once, and begins anew with samples of its own", async () => {
    await world.addNotifier();
    await world.observed(0, 90);
    // A spike that no judgement has seen yet.
    await world.observed(0.5, 85, "b");
    await world.tick(0);
    expect(await told(0)).toEqual(["firing cpu > 80,cpu > 80"]);
    await world.changeRule({ expr: "cpu > 95" }, 1);
    // Whoever read the rules before the change samples for what it asked then.
    await world.observed(1, 99, "c");
    const racing = await Promise.all(Array.from({ length: 5 }, () => world.tick(1)));
    expect(racing.filter(({ outcome }) => outcome === "recorded")).toHaveLength(1);
    expect(await told(1)).toEqual(["resolved cpu > 95,cpu > 95"]);
    expect(await world.tick(1.5)).toMatchObject({ transitions: 0 });
    await world.observed(2, 90, "a", { limit: 95, revision: 2 });
    await world.observed(2, 96, "b", { limit: 95, revision: 2 });
    expect(await world.tick(2)).toMatchObject({ transitions: 1 });
    expect(await told(2)).toEqual(["firing cpu > 95"]);
    expect(await world.tick(3)).toMatchObject({ outcome: "unchanged" });
    expect(
      (await world.history()).map(({ state, labels }) => `${labels["host"]} ${state}`).toSorted(),
    ).toEqual(["a firing", "a resolved", "b firing", "b firing", "b resolved"]);
  });

  it("in what it does not ask goes on with its alerts", async () => {
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    expect(await world.send(0, taken)).toHaveLength(1);
    await world.changeRule({ severity: "critical", name: "Hot", for: "30m", repeat_interval: "1m" }, 1);
    expect(await world.tick(1)).toMatchObject({ transitions: 0 });
    expect((await world.send(1, taken)).map(({ body }) => body)).toMatchObject([
      { status: "firing", severity: "critical", name: "Hot" },
    ]);
  });

  it("so that it is disabled ends its alerts, and is not looked at until it is enabled", async () => {
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    await world.changeRule({ enabled: false }, 1);
    expect(await world.tick(1)).toMatchObject({ transitions: 1 });
    expect(await told(1)).toEqual(["firing cpu > 80", "resolved cpu > 80"]);
    expect(await world.tick(2)).toMatchObject({ outcome: "unchanged" });
    const off = await alertObserver({ ...env });
    const record = { timestamp: "2026-11-21T10:00:00.000Z", name: "cpu", value: 90, labels: { host: "a" } };
    const rows = {
      metrics: [{ tenant: world.tenant, offset: 0, index: 0, record }],
      logs: [],
      events: [],
      traces: [],
    };
    expect(off.samplesOf(rows)).toEqual([]);
    await world.changeRule({ enabled: true }, 3);
    expect(await world.tick(3)).toMatchObject({ transitions: 0 });
    const on = await alertObserver({ ...env });
    expect(on.samplesOf(rows)).toMatchObject([{ rule: `${world.ruleId}@3` }]);
    await world.observed(4, 90, "a", { revision: 3 });
    expect(await world.tick(4)).toMatchObject({ transitions: 1 });
  });

  it("while it is deleted is not there", async () => {
    const [rule] = await judgedRules(env, world.tenant);
    await world.alerts.deleteRule(world.tenant, world.ruleId);
    const row = {
      tenant: world.tenant,
      id: world.ruleId,
      rule: {},
      createdAt: "",
      createdBy: "",
      isDeleted: false,
    };
    expect(await world.alerts.changeRule(row, rule?.revision ?? 0)).toBe(false);
  });
});

describe("a rule that cannot be judged", () => {
  const faultOf = async (id: string, whose = world.tenant) =>
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
    const id = await world.addRule({ expr: "sum(cpu, 5m) > 1" });
    const hourly = { ...env, WINDOWS: "1h" };
    expect(await writesDuring(() => world.tick(0, world.tenant, hourly))).toBe(1);
    const fault = {
      message: "no window of WINDOWS divides its span; take another span",
      since: new Date(T0).toISOString(),
    };
    expect(await faultOf(id)).toEqual(fault);
    expect(await faultOf(world.ruleId)).toBeUndefined();
    expect(await writesDuring(() => world.tick(1, world.tenant, hourly))).toBe(0);
    expect(await faultOf(id)).toEqual(fault);
    expect(await writesDuring(() => world.tick(2))).toBe(1);
    expect(await faultOf(id)).toBeUndefined();
    expect(await writesDuring(() => world.tick(3))).toBe(0);
  });

  it("as it is on values of a histogram, says what to do", async () => {
    const id = await world.addRule({ expr: "latency < 5" });
    const observer = await alertObserver({ ...env });
    const see = async (value: number | null) => {
      const record = { timestamp: new Date(T0).toISOString(), name: "latency", value, labels: {} };
      const rows = {
        metrics: [{ tenant: world.tenant, offset: 0, index: 0, record }],
        logs: [],
        events: [],
        traces: [],
      };
      const samples = { alertSamples: observer.samplesOf(rows), committedAtMs: T0 };
      await env.DB.batch(sampleStatements(env.DB, samples) as D1PreparedStatement[]);
    };
    await world.tick(0);
    expect(await faultOf(id)).toBeUndefined();
    await see(null);
    expect(await world.tick(1)).toMatchObject({ transitions: 0 });
    expect((await faultOf(id))?.message).toBe(
      "latency is a histogram: use a window, such as p95(latency, 5m)",
    );
    await see(1);
    expect(await world.tick(2)).toMatchObject({ transitions: 1 });
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
    await world.observed(0, 90);
    await world.tick(0, world.tenant, { ...env, DB: failing });
    expect((await faultOf(world.ruleId))?.message).toBe("the storage did not answer; it is tried again");
    expect(await world.tick(1)).toMatchObject({ transitions: 1 });
    expect(await faultOf(world.ruleId)).toBeUndefined();
  });

  it("forgets why once it is changed, and takes no fault of what it was", async () => {
    const [before] = await judgedRules(env, world.tenant);
    await world.alerts.noteFault(world.tenant, world.ruleId, 1, {
      message: "no",
      since: "2026-11-21T10:00:00.000Z",
    });
    expect(await faultOf(world.ruleId)).toBeDefined();
    await world.changeRule({ expr: "cpu > 90" }, 1);
    expect(await faultOf(world.ruleId)).toBeUndefined();
    await world.alerts.noteFault(world.tenant, world.ruleId, before?.revision ?? 0, {
      message: "old",
      since: "",
    });
    expect(await faultOf(world.ruleId)).toBeUndefined();
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
    expect(await world.alerts.changeDefaultRule(row, 1)).toBe(true);
  };

  it("are asked for once each, whatever rules look at the lag, and not at all where none does", async () => {
    for (const signal of ["logs", "metrics", "events", "traces"]) await makeTopic(`${signal}.raw`);
    // What detects the proxy is asked once.
    await world.tick(0, DEPLOYMENT);
    // A proxy that does not tell ends is searched, by so many questions as there are messages of other tests.
    const byOne = await askedBy(() => world.tick(1, DEPLOYMENT));
    expect([...new Set(byOne)].toSorted()).toEqual(
      ["events", "logs", "metrics", "traces"].flatMap((signal) =>
        [0, 1, 2].map((partition) => `/topics/${signal}.raw/partitions/${partition}/records`),
      ),
    );
    const id = crypto.randomUUID().slice(0, 8);
    const lag = { tenant: DEPLOYMENT, id, rule: { name: "Lag", expr: "lag() > 1" } };
    await world.alerts.addRule({ ...lag, createdAt: "", createdBy: "", isDeleted: false }, 100);
    const byTwo = await askedBy(() => world.tick(1, DEPLOYMENT));
    expect(byTwo.toSorted()).toEqual(byOne.toSorted());
    await world.alerts.deleteRule(DEPLOYMENT, id);
    await setDefault({ enabled: false, revision: 2 });
    expect(await askedBy(() => world.tick(2, DEPLOYMENT))).toEqual([]);
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
    expect(await world.tick(0, DEPLOYMENT)).toMatchObject({ transitions: 1 });
    const away = { ...env, KAFKA_REST_URL: "http://127.0.0.1:9" };
    expect(await world.tick(1, DEPLOYMENT, away)).toMatchObject({ transitions: 0 });
    const lag = async () => (await judgedRules(env, DEPLOYMENT)).find(({ id }) => id === "default-lag");
    expect(await lag()).toMatchObject({
      expr: "lag(weir-storage) >= 0",
      fault: {
        message: expect.stringMatching(/^not all ends of logs/) as string,
        since: new Date(T0 + MINUTE).toISOString(),
      },
    });
    await world.tick(2, DEPLOYMENT);
    expect((await lag())?.fault).toBeUndefined();
    await env.DB.prepare("DELETE FROM alert_rules WHERE tenant = ?").bind(DEPLOYMENT).run();
  });
});

it("the consumer group looks at records by the rules of all tenants", async () => {
  const record = { timestamp: "2026-11-21T10:00:00.000Z", name: "cpu", value: 90, labels: { host: "a" } };
  const row = { tenant: world.tenant, offset: 0, index: 0, record };
  const observer = await alertObserver({ ...env });
  expect(observer.samplesOf({ metrics: [row], logs: [], events: [], traces: [] })).toMatchObject([
    { tenant: world.tenant, rule: world.ruleId, value: 90, violatedValue: 90 },
  ]);
});
