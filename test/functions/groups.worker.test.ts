// Consumer groups through the deployed worker: pause, resume, reset beside a running reader, groups by configuration.
// The file's metrics come in while the groups change; at the end each stands in storage once.
import {
  createExecutionContext,
  env,
  runDurableObjectAlarm,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { ownedPartitions, type Owned } from "../../functions/consume.ts";
import { wakeAll } from "../../functions/schedule.ts";
import { deploymentOf } from "../../functions/deployment.ts";
import { groupStoreOf, streamStoreOf } from "../../functions/storage.ts";
import type { PartitionConsumer } from "../../functions/objects/partition-consumer.ts";
import { subscriptionsOf } from "../../functions/subscriptions.ts";
import worker from "../../functions/worker.ts";
import { ConfigError } from "../../lib/config/config.ts";
import type { PartitionId } from "../../lib/storage/storage.ts";
import { emptyCommit } from "../../lib/stream/empty-commit.ts";
import { getList, GROUP, postJson, problemOf, send } from "../support/worker/client.ts";

const ALERTING = "weir-alerting";
const PATH = "/api/v1/admin/groups";

interface Group {
  group: string;
  epoch: number;
  state: string;
  lag: number | null;
  partitions: { topic: string; partition: number; committed: number | null; lag: number | null }[];
  building: { epoch: number; state: string; messages_left: number } | null;
}

const groupOf = async (name: string): Promise<Group> => await (await send(`${PATH}/${name}`)).json();
const change = async (name: string, action: string, body: object = {}) => {
  const response = await postJson(`${PATH}/${name}/${action}`, body);
  if (response.status !== 200) throw new Error(`${action}: ${response.status} ${await response.text()}`);
  return await response.json();
};

let run: string;
let posted = 0;
const post = async (count: number) => {
  const records = Array.from({ length: count }, () => ({
    message: `m${posted++}`,
    service: run,
    host: `h${posted % 7}`,
  }));
  expect((await postJson("/api/v1/logs", records)).status).toBe(202);
};
const stored = async () => {
  const logs = await getList<{ message: string }>(`/api/v1/logs?service=${run}&limit=1000`);
  return logs.map(({ message }) => message).toSorted();
};
const sumOf = (rows: readonly { stored: number }[]) => rows.reduce((sum, row) => sum + row.stored, 0);
const all = () => Array.from({ length: posted }, (_, i) => `m${i}`).toSorted();

const ownerOf = ({ group, topic, partition }: PartitionId) =>
  env.PARTITION_CONSUMER.getByName(`${group}/${topic}/${partition}`);

/** Later than what a poke waits for. Windows that are not over yet have alarms, too; those are left. */
const SOON_MS = 150;

const runIfDue = async (one: PartitionId) => {
  const owner = ownerOf(one);
  const setMs = await runInDurableObject(owner, async (_, { storage }) => await storage.getAlarm());
  return setMs !== null && setMs < Date.now() + SOON_MS && (await runDurableObjectAlarm(owner));
};

/** Runs the alarms of all owners until none has anything to do. */
const settle = async () => {
  for (let rounds = 0; rounds < 40; rounds++) {
    let ran = 0;
    await subscriptionsOf(env, 0);
    for (const one of await ownedPartitions(env, deploymentOf(env))) if (await runIfDue(one)) ran++;
    if (ran === 0) return;
  }
  throw new Error("the owners find no rest");
};

beforeAll(() => {
  run = `s-${crypto.randomUUID()}`;
});

describe("groups", () => {
  it("are those of the settings, each with its partitions", async () => {
    await post(20);
    await wakeAll(env);
    await settle();
    const groups = await getList<Group>(PATH);
    expect(groups.map(({ group, epoch, state }) => [group, epoch, state])).toEqual([
      [GROUP, 0, "running"],
      [ALERTING, 0, "running"],
    ]);
    expect(groups.map(({ partitions }) => partitions.length)).toEqual([12, 3]);
    expect(groups[0]?.lag).toBe(0);
    expect(await stored()).toEqual(all());
    expect((await problemOf(await send(`${PATH}/weir-other`))).detail).toMatch(/weir-storage, weir-alerting/);
  });

  it("stop and go on, each for itself", async () => {
    const metric = async (name: string) =>
      expect((await postJson("/api/v1/metrics", { name, value: 1 })).status).toBe(202);
    await metric("before");
    await wakeAll(env);
    await settle();
    expect(await change(ALERTING, "pause")).toMatchObject({ state: "paused", lag: 0 });
    await metric("during");
    await wakeAll(env);
    await settle();
    expect(await groupOf(ALERTING)).toMatchObject({ state: "paused", lag: 1 });
    expect(await groupOf(GROUP)).toMatchObject({ state: "running", lag: 0 });
    // No alarm is left: only who wakes it again makes it look.
    await wakeAll(env);
    await settle();
    expect(await change(ALERTING, "resume")).toMatchObject({ state: "running" });
    await settle();
    expect(await groupOf(ALERTING)).toMatchObject({ lag: 0 });
  });

  it("build an epoch beside the one that runs, and none of the records is lost or stored twice", async () => {
    const begun = await change(GROUP, "reset", { to: "earliest" });
    expect(begun).toMatchObject({ group: GROUP, outcome: "building", epoch: 1, skipped_messages: 0 });
    expect(await stored()).toEqual(all());
    // While one is built there is no other.
    const busy = await postJson(`${PATH}/${GROUP}/reset`, { to: "latest" });
    expect((await problemOf(busy)).detail).toMatch(/being built/);
    expect(await groupOf(GROUP)).toMatchObject({ epoch: 0, building: { epoch: 1, state: "reading" } });
    const seen: number[] = [];
    for (let round = 0; round < 12; round++) {
      await post(5);
      await wakeAll(env);
      const owned = await ownedPartitions(env, deploymentOf(env));
      for (const one of owned.toSorted(() => Math.random() - 0.5)) await runIfDue(one);
      const now = await stored();
      expect(new Set(now).size).toBe(now.length);
      seen.push(now.length);
      if ((await groupOf(GROUP)).building === null) break;
    }
    // What was seen once is never out of sight.
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    await wakeAll(env);
    await settle();
    expect(await groupOf(GROUP)).toMatchObject({ epoch: 1, lag: 0, building: null });
    expect(await stored()).toEqual(all());
  });

  it("count on in the new epoch what comes twice", async () => {
    const key = { "Idempotency-Key": crypto.randomUUID() };
    const records = [{ message: `m${posted++}`, service: run, host: "h" }];
    expect((await postJson("/api/v1/logs", records, key)).status).toBe(202);
    await wakeAll(env);
    await settle();
    await change(GROUP, "replay", { to: new Date().toISOString() });
    await wakeAll(env);
    await settle();
    expect(await groupOf(GROUP)).toMatchObject({ epoch: 2, building: null });
    expect((await postJson("/api/v1/logs", records, key)).status).toBe(202);
    await wakeAll(env);
    await settle();
    expect(await stored()).toEqual(all());
  });

  it("give up what they build, and go on as they were", async () => {
    await change(GROUP, "pause");
    await change(GROUP, "reset", { to: "earliest" });
    expect(await groupOf(GROUP)).toMatchObject({ building: { epoch: 3 } });
    expect(await change(GROUP, "cancel")).toMatchObject({ epoch: 2, building: null });
    expect((await postJson(`${PATH}/${GROUP}/cancel`, {})).status).toBe(409);
    await change(GROUP, "resume");
    await post(3);
    await wakeAll(env);
    await settle();
    expect(await stored()).toEqual(all());
    expect(await groupOf(GROUP)).toMatchObject({ epoch: 2, lag: 0 });
  });

  it("take up a switch that a crash left half done", async () => {
    // Paused, so that no owner is quicker.
    await change(GROUP, "pause");
    await change(GROUP, "reset", { to: "earliest" });
    const store = groupStoreOf(env);
    expect(await store.handOver(GROUP, 4)).toBe(true);
    expect(await groupOf(GROUP)).toMatchObject({ building: { epoch: 4, state: "handing_over" } });
    await store.setPaused({ name: GROUP, isShown: true }, false);
    await post(4);
    const context = createExecutionContext();
    await worker.scheduled({ cron: "* * * * *", scheduledTime: Date.now(), noRetry: () => undefined }, env);
    await waitOnExecutionContext(context);
    await settle();
    expect(await groupOf(GROUP)).toMatchObject({ epoch: 4, building: null });
    await wakeAll(env);
    await settle();
    expect(await stored()).toEqual(all());
  });

  it("skip what they have not read, and the ledger is told", async () => {
    await change(ALERTING, "pause");
    expect((await postJson("/api/v1/metrics", { name: "skipped", value: 1 })).status).toBe(202);
    expect(await change(ALERTING, "reset", { to: "latest" })).toMatchObject({
      outcome: "skipped",
      skipped_messages: 1,
    });
    expect(await groupOf(ALERTING)).toMatchObject({ lag: 0 });
    await change(ALERTING, "resume");
    const progress = await streamStoreOf(env).progress(ALERTING);
    expect(progress.reduce((sum, one) => sum + one.expiredTotal, 0)).toBe(1);
  });

  it("that show nothing begin anew at once", async () => {
    const begun = await change(ALERTING, "reset", { to: "earliest" });
    expect(begun).toMatchObject({ outcome: "begun", epoch: 5 });
    await wakeAll(env);
    await settle();
    expect(await groupOf(ALERTING)).toMatchObject({ epoch: 5, lag: 0 });
    const positions = (await streamStoreOf(env).progress(`${ALERTING}@5`)).map(
      ({ nextOffset }) => nextOffset,
    );
    expect(Math.max(...positions)).toBeGreaterThan(0);
  });

  it("are refused what makes no sense", async () => {
    for (const body of [
      {},
      { to: "yesterday" },
      { to: [] },
      { to: [{ topic: "logs.raw", partition: 0 }] },
      { to: "latest", x: 1 },
    ])
      expect((await postJson(`${PATH}/${GROUP}/reset`, body)).status).toBe(400);
    expect((await postJson(`${PATH}/${GROUP}/replay`, { to: "latest" })).status).toBe(400);
    const beyond = { to: [{ topic: "logs.raw", partition: 0, offset: 1_000_000 }] };
    expect((await problemOf(await postJson(`${PATH}/${GROUP}/reset`, beyond))).detail).toMatch(
      /holds 0 to \d+/,
    );
    expect((await postJson(`${PATH}/weir-other/pause`, {})).status).toBe(404);
  });
});

describe("a partition that was added", () => {
  it("is read from its start, in the epoch that the group has by now", async () => {
    const { epoch } = await groupOf(GROUP);
    const one = { group: `${GROUP}@${epoch}`, topic: "logs.raw", partition: 2, signal: "logs" as const };
    const before = await streamStoreOf(env).position(one);
    await env.DB.prepare("DELETE FROM offsets WHERE group_id = ? AND topic = ? AND partition = ?")
      .bind(one.group, one.topic, one.partition)
      .run();
    await ownerOf(one).wake(one);
    await settle();
    expect(await streamStoreOf(env).position(one)).toMatchObject({ nextOffset: before?.nextOffset, epoch });
    // It was read before, and its claims tell.
    expect(await stored()).toEqual(all());
  });
});

describe("a group by configuration", () => {
  const settings = {
    CONSUMER_GROUPS:
      '[{"name":"copy","does":"storage","signals":["logs"]},{"name":"late","does":"alerting","start":"2096-01-01T00:00:00Z"}]',
  };
  const START_MS = Date.UTC(2096, 0, 1);

  const configured = { ...env, ...settings };
  /** The objects have the worker's own settings; these are lent others. */
  const drainWith = async (one: Owned) =>
    await runInDurableObject(ownerOf(one), async (object: PartitionConsumer) => {
      Object.assign(object, { env: configured });
      await object.wake(one);
      await object.alarm();
    });

  it("catches up with a full log without touching the others, and shows nothing twice", async () => {
    const before = await streamStoreOf(env).progress(GROUP);
    const subscriptions = await subscriptionsOf(configured, 0);
    const [copy] = subscriptions.filter(({ name }) => name === "weir-copy");
    expect(copy).toMatchObject({ topic: "logs.raw", group: `weir-copy@${copy?.epoch}`, isShown: false });
    const owned = await ownedPartitions(configured, deploymentOf(configured));
    for (const one of owned.filter(({ name }) => name === "weir-copy")) await drainWith(one);
    const group: Group = await (await send(`${PATH}/weir-copy`, {}, settings)).json();
    expect(group).toMatchObject({ epoch: copy?.epoch, lag: 0 });
    expect(Math.min(...group.partitions.map(({ committed }) => committed ?? 0))).toBeGreaterThan(0);
    expect(await streamStoreOf(env).progress(GROUP)).toEqual(before);
    expect(await stored()).toEqual(all());
    const counted = async (name: string) =>
      sumOf((await streamStoreOf(env).ledger(name, "dev")).filter(({ signal }) => signal === "logs"));
    // All that the storage group counted in all its epochs, it stored by itself.
    expect(await counted("weir-copy")).toBeGreaterThanOrEqual(posted);
    expect(await counted("weir-copy")).toBeLessThanOrEqual(await counted(GROUP));
  });

  it("begins at its own time", async () => {
    const topic = "metrics.raw";
    const subscription = (await subscriptionsOf(configured, 0)).find(({ name }) => name === "weir-late");
    expect(subscription).toMatchObject({ group: "weir-late", epoch: 0, startAt: { timeMs: START_MS } });
    const owned = { group: "weir-late", topic, partition: 0, signal: "metrics" as const };
    await drainWith(owned);
    const end = (await groupOf(GROUP)).partitions.find((one) => one.topic === topic && one.partition === 0);
    expect(await streamStoreOf(env).position(owned)).toMatchObject({ nextOffset: end?.committed });
  });

  it("is refused with every fault at once", () => {
    const wrong = {
      ...env,
      WINDOWS: "5x",
      CONSUMER_GROUPS: '[{"name":"storage","does":"storage"},{"name":"a","does":"b","start":"noon","x":1}]',
    };
    let error: unknown;
    try {
      deploymentOf(wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    const told = (error as ConfigError).faults
      .map(({ setting, message }) => `${setting} ${message}`)
      .join("\n");
    expect(told).toMatch(/WINDOWS .*5x/);
    expect(told).toMatch(/CONSUMER_GROUPS 0\.name: is a group that there always is/);
    expect(told).toMatch(/CONSUMER_GROUPS 1\.does/);
    expect(told).toMatch(/CONSUMER_GROUPS 1\.start: must be/);
  });
});

describe("a group that is handed over", () => {
  /** Paused, so that no owner is quicker. */
  const handOver = async (): Promise<{ before: number; epoch: number }> => {
    await change(GROUP, "pause");
    await change(GROUP, "reset", { to: "earliest" });
    const { epoch: before, building } = await groupOf(GROUP);
    const epoch = building?.epoch as number;
    expect(await groupStoreOf(env).handOver(GROUP, epoch)).toBe(true);
    await subscriptionsOf(env, 0);
    return { before, epoch };
  };
  const goOn = async () => {
    await change(GROUP, "resume");
    await wakeAll(env);
    await settle();
  };

  it("goes on with its old reader where that is given up", async () => {
    const { before } = await handOver();
    await post(3);
    expect(await change(GROUP, "cancel")).toMatchObject({ epoch: before, building: null });
    await goOn();
    expect(await groupOf(GROUP)).toMatchObject({ epoch: before, lag: 0 });
    expect(await stored()).toEqual(all());
  });

  it("switches though a topic is another one by then", async () => {
    const { before, epoch } = await handOver();
    await post(2);
    const id = { group: `${GROUP}@${epoch}`, topic: "events.raw", partition: 0 };
    const old = await streamStoreOf(env).position({
      ...id,
      group: before === 0 ? GROUP : `${GROUP}@${before}`,
    });
    const next = {
      nextOffset: 0,
      incarnation: (old?.incarnation ?? 0) + 1,
      epoch,
      mark: null,
      watermarkMs: 0,
    };
    const kept = { rawFloorDay: await streamStoreOf(env).rawFloorDay(), nowMs: Date.now() };
    expect(await streamStoreOf(env).commit(emptyCommit(id, undefined, next, kept))).toBe("committed");
    await goOn();
    await wakeAll(env);
    await settle();
    expect(await groupOf(GROUP)).toMatchObject({ epoch, lag: 0, building: null });
    expect(await stored()).toEqual(all());
  });
});
