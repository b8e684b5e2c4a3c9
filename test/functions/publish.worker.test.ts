// POST /kafka/publish: one event in, and where it lies; only to topics that are allowed.
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { failKafka, healKafka } from "../support/worker/kafka-control.ts";
import { drain, getList, post, postJson, problemOf, send } from "../support/worker/client.ts";
import { makeTopic, messagesWith } from "../support/worker/topic-messages.ts";

let type: string;
beforeEach(() => {
  type = `e-${crypto.randomUUID()}`;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await healKafka();
});

const publish = async (body: unknown, headers: Record<string, string> = {}) =>
  await postJson("/kafka/publish", body, headers);

const publishWith = async (settings: Record<string, string>, body: unknown) =>
  await send(
    "/kafka/publish",
    { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } },
    settings,
  );
const publishAllowing = async (topics: string, body: unknown) =>
  await publishWith({ PUBLISH_TOPICS: topics }, body);

describe("an event", () => {
  it("is answered with its place, lies there, and is stored", async () => {
    const event = { event_type: type, data: { a: [1, null] }, key: "order-7" };
    const response = await publish(event);
    expect(response.status).toBe(200);
    expect(response.headers.get("ratelimit")).not.toBeNull();
    const answer: { partition: number; offset: number } = await response.json();
    expect(answer).toEqual({
      status: "success",
      message: "Published",
      event,
      topic: "events.raw",
      partition: expect.any(Number),
      offset: expect.any(Number),
    });
    const [message, ...others] = await messagesWith("events.raw", type);
    expect(others).toEqual([]);
    expect(message).toMatchObject({ partition: answer.partition, offset: answer.offset });
    expect(message?.text.startsWith("order-7\n")).toBe(true);
    expect(JSON.parse(message?.text.split("\n")[1] ?? "")).toMatchObject({
      v: 1,
      tenant: "dev",
      signal: "events",
      indices: [0],
      entries: [event],
    });
    await drain("events.raw");
    expect(await getList(`/api/v1/events?event_type=${type}`)).toMatchObject([{ data: { a: [1, null] } }]);
  });

  it("may come as an array of one, wrapped, as a line, compressed, or as a CloudEvent", async () => {
    const event = { event_type: type, data: 1 };
    const cloud = { specversion: "1.0", type, source: "/s", id: "1", data: 1 };
    const sent = [
      await publish([event]),
      await publish({ events: [event] }),
      await post("/kafka/publish", `${JSON.stringify(event)}\n`, { "Content-Type": "application/x-ndjson" }),
      await post("/kafka/publish", gzipSync(JSON.stringify(event)), { "Content-Encoding": "gzip" }),
      await post("/kafka/publish", JSON.stringify(cloud), { "Content-Type": "application/cloudevents+json" }),
    ];
    expect(sent.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await messagesWith("events.raw", type)).toHaveLength(5);
  });

  it("that is none, or more than one, is refused, and nothing is written", async () => {
    const event = { event_type: type, data: 1 };
    const refused: [unknown, string][] = [
      [[event, event], "wrong_type"],
      [[], "wrong_type"],
      [5, "not_an_object"],
      [{ event_type: type }, "invalid_records"],
      [{ ...event, topic: 5 }, "wrong_type"],
      [{ ...event, timestamp: "2001-01-01T00:00:00Z" }, "invalid_records"],
    ];
    for (const [body, code] of refused) {
      expect(await problemOf(await publish(body)), JSON.stringify(body)).toMatchObject({ status: 400, code });
    }
    expect(await messagesWith("events.raw", type)).toEqual([]);
  });

  it("with a key that stood for another body is refused", async () => {
    const key = { "Idempotency-Key": type };
    expect((await publish({ event_type: type, data: 1 }, key)).status).toBe(200);
    expect((await publish({ event_type: type, data: 1 }, key)).status).toBe(200);
    const other = await publish({ event_type: type, data: 2 }, key);
    expect(await problemOf(other)).toMatchObject({ status: 422, code: "idempotency_conflict" });
  });

  it("that Kafka does not confirm, and that is not kept, is 503, to be sent again", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await failKafka({
      method: "POST",
      path: "/topics/",
      kind: "refuse",
      status: 503,
      times: 100,
      body: "{}",
    });
    const response = await publishWith({ SPILL: "off" }, { event_type: type, data: 1 });
    expect(response.headers.get("retry-after")).toMatch(/^[1-9]/);
    expect(await problemOf(response)).toMatchObject({ status: 503, code: "kafka_unavailable" });
  });
});

describe("a topic", () => {
  it("is the raw events topic unless others are allowed", async () => {
    const event = { event_type: type, data: 1 };
    expect((await publish({ ...event, topic: "events.raw" })).status).toBe(200);
    for (const topic of ["logs.raw", "orders", "", "events.raw,orders", "../events.raw", "EVENTS.RAW"]) {
      const refused = await publish({ ...event, topic });
      expect(await problemOf(refused), topic).toMatchObject({ status: 403, code: "topic_not_allowed" });
    }
  });

  it("of PUBLISH_TOPICS is written to, and then no other", async () => {
    const topic = `orders-${type}`;
    await makeTopic(topic);
    const event = { event_type: type, data: 1 };
    const response = await publishAllowing(`${topic}, other`, { ...event, topic });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ topic, event });
    expect(await messagesWith(topic, type)).toHaveLength(1);
    // Where the list stands, the events topic is not in it by itself.
    for (const asked of [{}, { topic: "events.raw" }, { topic: "logs.raw" }]) {
      const refused = await publishAllowing(topic, { ...event, ...asked });
      expect(await problemOf(refused)).toMatchObject({ status: 403, code: "topic_not_allowed" });
    }
  });

  it("that is allowed and not there is no fault of the client's", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await publishAllowing("nowhere", { event_type: type, data: 1, topic: "nowhere" });
    expect(await problemOf(response)).toMatchObject({ status: 503, code: "kafka_unavailable" });
  });
});
