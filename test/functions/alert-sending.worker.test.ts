// Sending against the real database: what was recorded is sent, to each receiver by itself and in its order, whatever
// dies in between; and the owner that judges and sends by alarm goes on, whatever a receiver does.
import { abortAllDurableObjects, env, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alertOwnerOf, wakeAlerts } from "../../functions/alert-tick.ts";
import type { Alert } from "../../lib/alerts/alert.ts";
import { AlertWorld, HOOK, MINUTE, T0, taken, type Posted } from "../support/worker/alert-world.ts";
import { messagesWith } from "../support/worker/topic-messages.ts";

let world: AlertWorld;

beforeEach(async () => {
  world = await AlertWorld.begin();
  vi.spyOn(console, "info").mockImplementation(() => undefined);
});

afterEach(() => vi.restoreAllMocks());

describe("what was recorded", () => {
  it("is sent to the topic and to notifiers, and then it is gone", async () => {
    const notifier = await world.addNotifier();
    await world.observed(0, 90);
    await world.observed(0, 95, "b");
    await world.tick(0);
    const posted = await world.send(0, taken);
    expect(posted).toHaveLength(1);
    expect(posted[0]).toMatchObject({
      url: HOOK,
      id: `${world.tenant}/${world.ruleId}/${notifier}/1`,
      body: { status: "firing", alerts: [{ labels: { host: "a" } }, { labels: { host: "b" } }] },
    });
    const onTopic = await messagesWith("alerts", world.tenant);
    const ids = onTopic.map(
      ({ value }) => (JSON.parse(new TextDecoder().decode(value ?? undefined)) as Alert).id,
    );
    expect(ids.toSorted()).toEqual((await world.history()).map(({ id }) => id).toSorted());
    expect(await world.send(1, taken)).toEqual([]);
    expect((await world.alerts.notifiers(world.tenant))[0]).toMatchObject({ sentTotal: 1, lastError: null });
  });

  it("is sent again under the same id until it is taken, and tells nothing of the URL", async () => {
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line: string) => void lines.push(line));
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    const [first] = await world.send(0, () => new Response("no", { status: 500 }));
    // Not at once again.
    expect(await world.send(0, taken)).toEqual([]);
    expect((await world.alerts.notifiers(world.tenant))[0]).toMatchObject({
      sentTotal: 0,
      lastError: "it answered HTTP 500",
    });
    const [second] = await world.send(1, taken);
    expect(second).toEqual(first);
    expect(lines.join()).toContain("hooks.example.com");
    expect(lines.join()).not.toContain("very-secret");
  });

  it("is given up in the end, and that is shown", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    let attempts = 0;
    for (let minute = 0; minute < 200; minute++)
      attempts += (await world.send(minute, () => Response.error())).length;
    expect(attempts).toBe(20);
    expect((await world.alerts.notifiers(world.tenant))[0]).toMatchObject({ sentTotal: 0, droppedTotal: 1 });
  });

  describe("in great number", () => {
    const outgoing = async (target: string, minute: number, bodies: string[]) => {
      const outbox = bodies.map((body, i) => ({
        id: `${world.tenant}/${target}/${minute}/${i}`,
        target,
        body,
      }));
      const from = await world.state.version(world.tenant);
      const changes = { put: [], forgotten: [], transitions: [], outbox, goneRules: [] };
      const nowMs = T0 + minute * MINUTE;
      expect(await world.state.record(world.tenant, { from, to: from + 1 }, changes, nowMs)).toBe("recorded");
    };
    const body = (id: string) =>
      JSON.stringify({
        id,
        status: "firing",
        tenant: world.tenant,
        rule: world.ruleId,
        name: "CPU",
        severity: "info",
        alerts: [],
      });

    it("does not pile up for a notifier that is down, and comes in its order when that is back", async () => {
      vi.spyOn(console, "warn").mockImplementation(() => undefined);
      const notifier = await world.addNotifier();
      let posts = 0;
      let posted: Posted[] = [];
      for (let minute = 0; minute < 240; minute += 5) {
        await outgoing(notifier, minute, [body(String(minute))]);
        posts += (await world.send(minute, () => Response.error())).length;
      }
      // One at a time, however many wait.
      expect(posts).toBe(48);
      for (let minute = 240; minute <= 252; minute += 2)
        posted = [...posted, ...(await world.send(minute, taken))];
      // Those of the last two hours.
      const wanted = Array.from({ length: 25 }, (_, i) => 115 + i * 5);
      expect(posted.map((one) => Number(one.body.id))).toEqual(wanted);
      expect((await world.alerts.notifiers(world.tenant))[0]).toMatchObject({
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
      await world.send(0, taken);
      expect(warn.mock.calls).toEqual([]);
      expect(Math.max(...sizes)).toBeGreaterThan(900_000);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000_000);
      expect(await world.state.due(world.tenant, T0 + 60 * MINUTE, 100)).toEqual([]);
    });
  });

  it("goes to the others while one notifier fails", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await world.addNotifier("https://down.example.com/x");
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    const answer = (url: string) => (url === HOOK ? taken() : new Response("", { status: 503 }));
    expect((await world.send(0, answer)).map(({ url }) => url).toSorted()).toEqual([
      "https://down.example.com/x",
      HOOK,
    ]);
    const counts = (await world.alerts.notifiers(world.tenant)).map(({ url, sentTotal }) => [url, sentTotal]);
    expect(Object.fromEntries(counts)).toEqual({ "https://down.example.com/x": 0, [HOOK]: 1 });
  });

  it("is told again after the repeat interval, and not while it is silenced", async () => {
    await world.addNotifier();
    await world.observed(0, 90);
    await world.tick(0);
    expect(await world.send(0, taken)).toHaveLength(1);
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
    await world.alerts.addSilence(world.tenant, silence, T0, 10);
    const told: number[] = [];
    for (const minute of [100, 239, 240, 249, 250, 251]) {
      await world.observed(minute, 90);
      await world.tick(minute);
      if ((await world.send(minute, taken)).length > 0) told.push(minute);
    }
    expect(told).toEqual([250]);
  });
});

describe("the owner", () => {
  it("judges by alarm, whatever a notifier does, and goes on", async () => {
    const nowMinute = (Date.now() - T0) / MINUTE;
    await world.addNotifier();
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
    await world.observed(nowMinute, 90);
    const owner = alertOwnerOf(env, world.tenant);
    await owner.wake(world.tenant);
    await runDurableObjectAlarm(owner);
    await expect.poll(async () => (await world.history()).map(({ state }) => state)).toEqual(["firing"]);
    await expect.poll(() => asked).toBe(1);
    await world.observed(nowMinute + 0.1, 10);
    expect(await runDurableObjectAlarm(owner)).toBe(true);
    expect((await world.history()).map(({ state }) => state)).toEqual(["resolved", "firing"]);
  });

  it("sends what an owner before it recorded and died over, under the same id", async () => {
    const nowMinute = (Date.now() - T0) / MINUTE;
    await world.addNotifier();
    const ids: (string | null)[] = [];
    let isDead = true;
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      if (input !== HOOK) return await real(input, init);
      ids.push(new Headers(init?.headers).get("webhook-id"));
      return isDead ? await new Promise<Response>(() => undefined) : taken();
    });
    await world.observed(nowMinute, 90);
    await alertOwnerOf(env, world.tenant).wake(world.tenant);
    await runDurableObjectAlarm(alertOwnerOf(env, world.tenant));
    await expect.poll(() => ids.length).toBe(1);
    await abortAllDurableObjects();
    isDead = false;
    const owner = alertOwnerOf(env, world.tenant);
    await owner.wake(world.tenant);
    await runDurableObjectAlarm(owner);
    await expect.poll(async () => (await world.alerts.notifiers(world.tenant))[0]?.sentTotal).toBe(1);
    expect(ids).toHaveLength(2);
    expect(ids[1]).toBe(ids[0]);
    expect(await world.history()).toHaveLength(1);
  });

  it("is woken by the cron wherever there are rules", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const nowMinute = (Date.now() - T0) / MINUTE;
    await world.observed(nowMinute, 90);
    await wakeAlerts(env);
    await runDurableObjectAlarm(alertOwnerOf(env, world.tenant));
    await expect.poll(async () => (await world.history()).length).toBe(1);
  });

  it("is not woken where alerting is off", async () => {
    await world.observed((Date.now() - T0) / MINUTE, 90);
    const off = { ...env, ALERTING: "off" };
    await wakeAlerts(off);
    expect(await runDurableObjectAlarm(alertOwnerOf(env, world.tenant))).toBe(false);
  });
});
