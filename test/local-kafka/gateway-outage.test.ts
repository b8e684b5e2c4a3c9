/** A cluster that stops, hangs or loses answers behind the gateway: every request is answered in time, nothing wedges. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type LocalKafka, openClusterGateway } from "../../local-kafka/broker.ts";
import { kcatCount, kcatRead } from "../support/kcat.ts";
import { type RealKafka, realKafka, startRealKafka } from "../support/real-kafka.ts";
import { type TcpFaults, startTcpFaults } from "../support/tcp-faults.ts";
import { BINARY_V2, V2, base64 } from "./fixture.ts";

const DEADLINE_MS = 5_000;

describe.skipIf(!realKafka.available)(`gateway before a failing Kafka ${realKafka.why}`, () => {
  let kafka: RealKafka;
  let faults: TcpFaults;
  let gateway: LocalKafka;
  let topics = 0;

  beforeAll(async () => {
    faults = await startTcpFaults();
    kafka = await startRealKafka({ advertisedPort: faults.port });
    faults.forwardTo(kafka.proxiedPort!);
    const cluster = { bootstrap: [{ host: "127.0.0.1", port: faults.port }], security: {} };
    gateway = await openClusterGateway({ cluster });
  });
  beforeEach(async () => {
    faults.heal();
    await kafka.start();
  });
  afterAll(async () => {
    await gateway?.close();
    await kafka?.close();
    await faults?.close();
  });

  async function call(method: string, path: string, body?: object, type = BINARY_V2) {
    const headers = body === undefined ? { accept: type } : { accept: V2, "content-type": type };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    const began = performance.now();
    const response = await gateway.fetch(new Request(`http://kafka.test${path}`, init));
    const text = await response.text();
    return { status: response.status, text, tookMs: performance.now() - began };
  }

  async function makeTopic(): Promise<string> {
    const name = `outage.${++topics}`;
    await kafka.createTopic(name, 1);
    return name;
  }

  const produce = (topic: string, value: string) =>
    call("POST", `/topics/${topic}`, { records: [{ value: base64(value), partition: 0 }] });
  const read = (topic: string, timeout = 0) =>
    call("GET", `/topics/${topic}/partitions/0/records?offset=0&timeout=${timeout}&max_bytes=100000`);
  const everyKindOfCall = (topic: string) => [
    produce(topic, "during"),
    read(topic),
    call("GET", "/topics", undefined, V2),
    call("GET", "/v3/clusters", undefined, "application/json"),
    call("POST", `/topics/none`, { records: [{ value: base64("x") }] }),
  ];

  it("killed: 5xx in time; the first request after it is back is served", async () => {
    const topic = await makeTopic();
    expect((await produce(topic, "before")).status).toBe(200);
    const waiting = read("none-yet", 20_000);
    await kafka.kill();
    for (const answer of await Promise.all([waiting, ...everyKindOfCall(topic)])) {
      expect(answer.tookMs).toBeLessThan(DEADLINE_MS);
      if (answer.status === 200) expect(answer.text).toContain("cluster_id");
      else expect([404, 500, 503]).toContain(answer.status);
    }
    expect(await produce(topic, "x")).toMatchObject({ status: 503, text: expect.stringContaining("50302") });
    await kafka.start();
    const after = await produce(topic, "after");
    expect([after.status, after.text]).toEqual([200, '{"offsets":[{"partition":0,"offset":1}]}']);
    expect(after.tookMs).toBeLessThan(1_500);
    expect((await read(topic)).text).toContain(base64("after"));
  });

  it("killed during a wait for data: the wait ends in time", async () => {
    const topic = await makeTopic();
    expect((await read(topic)).text).toBe("[]");
    const waiting = read(topic, 60_000);
    await kafka.kill();
    const answer = await waiting;
    expect([500, 503]).toContain(answer.status);
    expect(answer.tookMs).toBeLessThan(DEADLINE_MS);
    await kafka.start();
    expect((await read(topic)).status).toBe(200);
  });

  it("silent: 5xx in time, also for appends that queue; afterwards nothing is stuck", async () => {
    const topic = await makeTopic();
    expect((await produce(topic, "before")).status).toBe(200);
    faults.hang();
    const queued = Array.from({ length: 5 }, (_, i) => produce(topic, `queued ${i}`));
    for (const answer of await Promise.all([...queued, ...everyKindOfCall(topic), read(topic, 500)])) {
      expect(answer.tookMs).toBeLessThan(DEADLINE_MS + 1_000);
      if (!answer.text.includes("cluster_id")) expect([500, 503]).toContain(answer.status);
    }
    faults.heal();
    const after = await produce(topic, "after");
    expect(after.status).toBe(200);
    expect(after.tookMs).toBeLessThan(2_500);
    const stored = await kcatRead(kafka.bootstrap, topic);
    expect(String(stored.at(-1)?.value)).toBe("after");
  });

  it("a connection that fell silent is given up with the request that waited for it", async () => {
    const topic = await makeTopic();
    expect((await produce(topic, "before")).status).toBe(200);
    faults.hang();
    await Promise.all([produce(topic, "silent"), read(topic)]);
    faults.healNewOnly();
    const after = await produce(topic, "after");
    expect(after.status).toBe(200);
    expect(after.tookMs).toBeLessThan(2_500);
  });

  it("a lost answer is an error, as the record may be there or not, and the next request is served", async () => {
    const topic = await makeTopic();
    expect((await produce(topic, "before")).status).toBe(200);
    faults.loseNextAnswer();
    expect(await produce(topic, "lost")).toMatchObject({
      status: 500,
      text: expect.stringContaining("50003"),
    });
    expect((await produce(topic, "after")).status).toBe(200);
    expect(await kcatCount(kafka.bootstrap, topic)).toBe(3);
  });

  it("starts before its cluster does, says so, and serves once it is there", async () => {
    await kafka.stop();
    const warnings: string[] = [];
    const cluster = { bootstrap: [{ host: "127.0.0.1", port: faults.port }], security: {} };
    const early = await openClusterGateway({ cluster, onWarning: (text) => warnings.push(text) });
    try {
      expect(warnings).toEqual([expect.stringContaining("cannot be reached yet")]);
      await kafka.start();
      const answer = await early.fetch(new Request("http://kafka.test/topics", { headers: { accept: V2 } }));
      expect(answer.status).toBe(200);
    } finally {
      await early.close();
    }
  });
});
