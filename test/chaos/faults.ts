// What each fault does to the world while its share of the records is sent. A fault leaves the world as it may lie; the
// run heals it afterwards. What it waits for has a bound: a step that is not reached is told, and no fault of the product.
import { setTimeout as sleep } from "node:timers/promises";
import { TENANT } from "./alert-probe.ts";
import type { Random } from "../fuzz/bodies/random.ts";
import type { FaultName } from "./fault-names.ts";
import { writeForeign } from "./kafka-log.ts";
import { waitFor, type Load } from "./load.ts";
import { quiesce, resumeStopped } from "./quiesce.ts";
import type { Truth } from "./truth.ts";
import type { World } from "./world.ts";

export interface Scene {
  world: World;
  load: Load;
  truth: Truth;
  random: Random;
  /** Has this share of the act's records sent; resolves when they are, or when the time is up. */
  share(fraction: number, withinMs: number): Promise<void>;
}

export const FAULTS: Record<FaultName, (scene: Scene) => Promise<void>> = {
  async "http-5xx"({ world, random, share }) {
    world.proxy.fail({ kind: "status", statuses: [500, 502, 503, 504] }, random.between(1, 3), random);
    await share(0.6, 3_000);
  },
  async "http-429"({ world, random, share }) {
    world.proxy.fail({ kind: "status", statuses: [429], retryAfterS: 1 }, random.between(1, 3), random);
    await share(0.6, 3_000);
  },
  async hang({ world, random, share }) {
    world.proxy.fail({ kind: "hang" }, random.between(1, 4), random);
    await share(0.5, 7_000);
  },
  async reset({ world, random, share }) {
    world.proxy.fail({ kind: "reset" }, random.between(1, 3), random);
    await share(0.6, 3_000);
  },
  async "lost-answer"({ world, random, share }) {
    world.proxy.fail({ kind: "lost-answer" }, random.between(1, 3), random);
    await share(0.7, 3_000);
  },
  async partial({ world, random, share }) {
    world.proxy.fail({ kind: "partial" }, random.between(1, 2), random);
    await share(0.7, 3_000);
  },
  async "kafka-kill"({ world, random, share }) {
    await share(0.1, 1_000);
    await world.kafka.kill();
    await share(0.5, 5_000);
    await sleep(random.between(1_000, 3_500));
    await share(0.6, 2_000);
    await world.kafka.start();
    await share(1, 3_000);
  },
  async "kafka-flap"({ world, random, share }) {
    for (let i = 1; i <= 3; i++) {
      await world.kafka.kill();
      await share(0.25 * i, random.between(100, 1_500));
      await world.kafka.start();
      await share(0.25 * i + 0.1, random.between(100, 1_500));
    }
  },
  async "spill-full"({ world, share }) {
    await world.killWorker({ SPILL_MAX_BYTES: "20000" });
    await share(0.1, 1_000);
    await world.kafka.kill();
    await share(0.6, 4_000);
    await world.kafka.start();
    await share(0.8, 3_000);
    await world.killWorker();
  },
  async "worker-kill"({ world, random, share }) {
    await share(random.below(60) / 100, 2_000);
    await world.killWorker();
  },
  async "consume-kill"(scene) {
    const steps = ["before-fetch", "after-fetch", "before-commit", "after-commit", "before-mirror"];
    // A consumer that begins a life tells the cluster its position at once.
    await scene.world.control({ op: "evict", classes: ["PartitionConsumer"] });
    await killAt(scene, scene.random.pick(steps));
  },
  async "produce-kill"(scene) {
    await killAt(scene, scene.random.pick(["before-produce", "after-produce"]));
  },
  async "outbox-kill"(scene) {
    const steps = [
      "before-outbox-produce",
      "after-outbox-produce",
      "outbox-before-sent",
      "outbox-after-sent",
    ];
    await killAt(scene, scene.random.pick(steps), () => writeOthers(scene, 6));
  },
  async evict({ world, random, share }) {
    const classes = [
      "PartitionConsumer",
      "Spillway",
      "ClusterHealth",
      "QuotaBucket",
      "AcceptanceShard",
      "IdempotencyKeys",
      "AlertOwner",
    ];
    const isAway = random.oneIn(2);
    if (isAway) await world.kafka.kill();
    for (let i = 1; i <= 4; i++) {
      await share(0.15 * i, 700);
      await world.control({ op: "evict", classes: classes.filter(() => random.oneIn(2)) });
    }
    if (isAway) await world.kafka.start();
  },
  async ticks({ world, random, share }) {
    for (let i = 1; i <= 4; i++) {
      await share(0.15 * i, 500);
      await world.control({ op: "ticks", times: random.between(2, 6) });
    }
  },
  async race(scene) {
    const { world, random, share } = scene;
    await writeOthers(scene, 4);
    await world.control({ op: "race-alerts", tenant: TENANT });
    for (let i = 1; i <= 4; i++) {
      await share(0.2 * i, 500);
      await world.control({ op: "race", topic: rawTopic(random), times: 9 });
    }
  },
  async "store-before"({ world, random, share }) {
    for (let i = 1; i <= 3; i++) {
      await world.control({ op: "store", failBefore: random.between(1, 4) });
      await share(0.2 * i, 700);
    }
  },
  async "store-after"({ world, random, share }) {
    for (let i = 1; i <= 3; i++) {
      await world.control({ op: "store", failAfter: random.between(1, 4) });
      await share(0.2 * i, 700);
    }
  },
  async "store-outage"({ world, share }) {
    if (world.postgres) await world.postgres.kill();
    else await world.control({ op: "store", isAway: true });
    await share(0.6, 2_500);
  },
  async partitions({ world, random, share }) {
    const topic = rawTopic(random);
    const count = world.kafka.topics.get(topic) ?? 3;
    await share(0.3, 1_000);
    if (count < MAX_PARTITIONS) await world.kafka.grow(topic, count + 1);
    // Isolates look again after a minute.
    await world.shiftClock(world.skewMs + 61_000);
  },
  async "topic-anew"(scene) {
    const { world, load, random, truth } = scene;
    const topic = rawTopic(random);
    if (!(await load.pause(30_000))) throw new Error("requests did not come to an end while nothing failed");
    try {
      await quiesce(world, truth.remade, QUIESCE_MS);
      await truth.keepLog(world, topic);
      await world.kafka.makeAnew(topic);
    } finally {
      load.resume();
    }
    truth.remade.add(topic);
    // Some owners find a log that ends before where they stood, others one that has grown past it.
    await scene.share(0.5, 2_000);
    const isResumed = await waitFor(async () => {
      await world.control({ op: "ticks", times: 1 });
      return (await resumeStopped(world, truth.remade)) > 0;
    }, 10_000);
    if (!isResumed) truth.unreached.push(`a stop at ${topic}`);
  },
  async clock({ world, random, share }) {
    // Clocks leap ahead, and are set back a little. The horizon of dedupe is 24 h: a run stays in far less.
    const leapMs = random.oneIn(3) ? -random.between(100, 20_000) : random.between(1_000, 3 * 3_600_000);
    if (world.skewMs + leapMs < MAX_SKEW_MS) await world.shiftClock(world.skewMs + leapMs);
    await share(0.6, 1_500);
  },
  async foreign(scene) {
    await scene.share(0.4, 1_000);
    await writeOthers(scene, 12);
  },
};

const MAX_PARTITIONS = 6;
const MAX_SKEW_MS = 10 * 3_600_000;
const QUIESCE_MS = 60_000;
const HELD_WITHIN_MS = 4_000;

const rawTopic = (random: Random): string => `${random.pick(["logs", "metrics", "events", "traces"])}.raw`;

/** Has whoever comes to the step stand there, and kills the worker then. */
async function killAt(scene: Scene, step: string, meanwhile?: () => Promise<void>): Promise<void> {
  const { world, share, truth } = scene;
  await share(0.2, 1_000);
  await world.control({ op: "hold", step });
  await meanwhile?.();
  // Somebody must have a reason to come: requests, and the schedule.
  const sharing = share(0.7, HELD_WITHIN_MS);
  await world.control({ op: "ticks", times: 1 });
  const isHeld = await waitFor(async () => {
    const { at } = await world.control<{ at: string | null }>({ op: "held" });
    return at === step;
  }, HELD_WITHIN_MS);
  if (!isHeld) truth.unreached.push(step);
  await world.killWorker();
  await sharing;
}

/** What other producers write: records without an envelope, and what no one can read. */
async function writeOthers({ world, random, truth }: Scene, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const signal = random.pick(["logs", "events"] as const);
    const topic = `${signal}.raw`;
    const partition = random.below(world.kafka.topics.get(topic) ?? 3);
    const isGood = random.oneIn(2);
    const ids = isGood ? Array.from({ length: random.between(1, 3) }, () => truth.nextForeignId()) : [];
    const records = ids.map((id) =>
      signal === "logs" ? { message: id, service: "others" } : { event_type: "chaos", data: { id } },
    );
    const junk = random.pick(['{"message":', "not JSON", '{"nothing":"known"}', '[{"message":7}]']);
    const value = isGood ? JSON.stringify(records.length === 1 ? records[0] : records) : junk;
    truth.foreign.push({ topic, ids, isDead: !isGood });
    await writeForeign(world.kafka.url, topic, partition, Buffer.from(value));
  }
}
