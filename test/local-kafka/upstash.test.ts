/** Upstash's Kafka REST API, from the requests that its client (@upstash/kafka 1.3.5) makes and the answers it reads. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, Fixture } from "./fixture.ts";

let f: Fixture;
const START_MS = 1_700_000_000_000;
let nowMs = START_MS;
const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
const headers = { "content-type": "application/json", authorization: basic("user:pass:word") };

beforeAll(async () => {
  f = await Fixture.open({
    dialect: "upstash",
    credentials: { username: "user", password: "pass:word" },
    topics: ["t", "other", "times", "group", "auto", "live"].map((name) => ({
      name,
      partitions: name === "t" ? 2 : 1,
    })),
    now: () => nowMs,
  });
});
afterAll(() => f.dispose());

/** What the client does: any status that is not 2xx is an error, any body is JSON. */
async function post(path: string, body?: unknown, extra: Record<string, string> = {}): Promise<unknown> {
  const answer = await send(path, body, extra);
  expect(answer.status, answer.text).toBe(200);
  return JSON.parse(answer.text);
}

const send = (path: string, body?: unknown, extra: Record<string, string> = {}): Promise<Answer> =>
  f.call("POST", path, { ...headers, ...extra }, body === undefined ? undefined : JSON.stringify(body));

async function failure(path: string, body?: unknown, extra: Record<string, string> = {}): Promise<number> {
  const answer = await send(path, body, extra);
  expect(JSON.parse(answer.text)).toEqual({
    result: "Error",
    error: expect.any(String),
    status: answer.status,
  });
  return answer.status;
}

const MANUAL = { "Kafka-Enable-Auto-Commit": "false", "Kafka-Auto-Offset-Reset": "earliest" };
const offsetsOf = (messages: unknown): number[] =>
  (messages as { offset: number }[]).map(({ offset }) => offset);

describe("authentication", () => {
  it("is Basic, and everything needs it", async () => {
    for (const authorization of [
      undefined,
      basic("user:wrong"),
      basic("user"),
      "Bearer user:pass:word",
      basic(""),
    ]) {
      const answer = await f.call("GET", "/topics", authorization === undefined ? {} : { authorization });
      expect([answer.status, JSON.parse(answer.text)]).toEqual([
        401,
        { result: "Error", error: "Unauthorized", status: 401 },
      ]);
    }
    expect((await f.call("GET", "/nothing", {})).status).toBe(401);
    expect((await f.call("GET", "/nothing", headers)).status).toBe(404);
  });

  it("is not asked for unless there are credentials", async () => {
    await f.reopen({ credentials: undefined });
    expect((await f.call("GET", "/topics")).status).toBe(200);
    await f.reopen();
    expect((await f.call("GET", "/topics")).status).toBe(401);
  });
});

describe("produce and fetch", () => {
  it("one or many, answered in order", async () => {
    expect(await post("/produce", { topic: "t", partition: 1, value: "one" })).toEqual([
      { topic: "t", partition: 1, offset: 0, timestamp: START_MS },
    ]);
    const many = [
      { topic: "other", value: "a", key: "k", headers: [{ key: "h", value: "x" }], timestamp: 1234 },
      { topic: "t", partition: 1, value: "b\u00e9" },
      { topic: "other", value: "" },
    ];
    expect(await post("/produce", many)).toEqual([
      { topic: "other", partition: 0, offset: 0, timestamp: 1234 },
      { topic: "t", partition: 1, offset: 1, timestamp: START_MS },
      { topic: "other", partition: 0, offset: 1, timestamp: START_MS },
    ]);
    expect(await post("/fetch", { topic: "other", partition: 0, offset: 0, timeout: 0 })).toEqual([
      {
        topic: "other",
        partition: 0,
        offset: 0,
        timestamp: 1234,
        key: "k",
        value: "a",
        headers: [{ key: "h", value: "x" }],
      },
      { topic: "other", partition: 0, offset: 1, timestamp: START_MS, key: "", value: "", headers: [] },
    ]);
    expect(offsetsOf(await post("/fetch", { topic: "t", partition: 1, offset: 1 }))).toEqual([1]);
  });

  it("several partitions at once, one topic an answer", async () => {
    const topicPartitionOffsets = [
      { topic: "t", partition: 0, offset: 0 },
      { topic: "t", partition: 1, offset: 0 },
      { topic: "other", partition: 0, offset: 0 },
    ];
    const found = (await post("/fetch", { topicPartitionOffsets, timeout: 0 })) as { topic: string }[];
    expect(found.map(({ topic }) => topic)).toEqual(["t", "t"]);
    expect(await post("/fetch", { topic: "t", partition: 0, offset: 0, timeout: 1 })).toEqual([]);
  });

  it("a fetch waits for what comes", async () => {
    const waiting = post("/fetch", { topic: "live", partition: 0, offset: 0, timeout: 60_000 });
    await post("/produce", { topic: "live", value: "v" });
    expect(offsetsOf(await waiting)).toEqual([0]);
  });

  it("a request with anything wrong in it stores nothing", async () => {
    const good = { topic: "t", partition: 1, value: "v" };
    expect(await failure("/produce", [good, { topic: "none", value: "v" }])).toBe(404);
    expect(await failure("/produce", [good, { topic: "t", partition: 9, value: "v" }])).toBe(404);
    expect(await failure("/produce", [good, { topic: "t", value: 1 }])).toBe(400);
    expect(await failure("/produce", "text")).toBe(400);
    expect(await failure("/fetch", {})).toBe(400);
    expect(await failure("/fetch", { topic: "t", partition: 0, offset: 99 })).toBe(400);
    expect(await failure("/fetch", { topic: "none", partition: 0, offset: 0 })).toBe(404);
    // Appends keep their order: this one's offset tells what came before it.
    expect(offsetsOf(await post("/produce", good))).toEqual([2]);
  });

  it("offsets by time are those of the first record that is no older", async () => {
    for (const timestamp of [100, 200, 300])
      await post("/produce", { topic: "times", value: "v", timestamp });
    const at = async (when: string | number): Promise<unknown> =>
      post(`/offsets/${when}`, [{ topic: "times", partition: 0 }]);
    const answer = (offset: number): object[] => [{ topic: "times", partition: 0, offset }];
    expect(await at("earliest")).toEqual(answer(0));
    expect(await at("latest")).toEqual(answer(3));
    expect(await at(100)).toEqual(answer(0));
    expect(await at(101)).toEqual(answer(1));
    expect(await at(301)).toEqual(answer(3));
    expect(await failure("/offsets/yesterday", [{ topic: "times", partition: 0 }])).toBe(400);
  });

  it("topics are names and partition counts", async () => {
    expect(JSON.parse((await f.call("GET", "/topics", headers)).text)).toMatchObject({ t: 2, other: 1 });
  });
});

describe("consumers", () => {
  const at0 = { topic: "group", partition: 0 };

  it("consume, commit, and go on from there", async () => {
    await post(
      "/produce",
      [1, 2, 3].map((i) => ({ topic: "group", value: `v${i}` })),
    );
    expect(offsetsOf(await post("/consume/g/i", { topic: "group", timeout: 1 }, MANUAL))).toEqual([0, 1, 2]);
    expect(await post("/consume/g/i", { topics: ["group"], timeout: 1 }, MANUAL)).toEqual([]);
    expect(await post("/committed/g/i", [at0])).toEqual([{ ...at0, offset: -1 }]);
    expect(await post("/commit/g/i", { ...at0, offset: 1 })).toBeInstanceOf(Object);
    expect(await post("/committed/g/i", [at0])).toEqual([{ ...at0, offset: 1 }]);
    expect(await post("/commit/g/i")).toBeInstanceOf(Object);
    expect(await post("/committed/g/i", at0)).toEqual([{ ...at0, offset: 3 }]);
    await post("/commit/g/i", [{ ...at0, offset: 2 }]);
    expect(JSON.parse((await f.call("GET", "/consumers", headers)).text)).toEqual([
      { name: "g", instances: [{ name: "i", topics: [{ topic: "group", partitions: [0] }] }] },
    ]);
    expect(await post("/delete-consumer/g/i")).toBeInstanceOf(Object);
    expect(await failure("/delete-consumer/g/i")).toBe(404);
    expect(await failure("/commit/g/i")).toBe(404);
    expect(offsetsOf(await post("/consume/g/again", { topic: "group", timeout: 1 }, MANUAL))).toEqual([2]);
  });

  it("start at the log's end and commit by themselves, unless the headers say otherwise", async () => {
    await post("/produce", { topic: "auto", value: "before" });
    expect(await post("/consume/a/i", { topic: "auto", timeout: 1 })).toEqual([]);
    await post("/produce", { topic: "auto", value: "after" });
    expect(offsetsOf(await post("/consume/a/i", { topic: "auto", timeout: 1 }))).toEqual([1]);
    const committed = (): Promise<unknown> => post("/committed/a/i", [{ topic: "auto", partition: 0 }]);
    await post("/consume/a/i", { topic: "auto", timeout: 1 });
    expect(offsetsOf(await committed())).toEqual([-1]);
    nowMs += 5000;
    await post("/consume/a/i", { topic: "auto", timeout: 1 });
    expect(offsetsOf(await committed())).toEqual([2]);
    const none = { "Kafka-Auto-Offset-Reset": "none" };
    expect(await failure("/consume/n/i", { topic: "auto", timeout: 1 }, none)).toBe(400);
  });

  it.each([{ "Kafka-Auto-Offset-Reset": "middle" }, { "Kafka-Enable-Auto-Commit": "yes" }])(
    "400 for %j",
    async (wrong) => {
      expect(await failure("/consume/w/i", { topic: "t" }, wrong as Record<string, string>)).toBe(400);
    },
  );

  it("404 for a topic that is not there, 400 for none", async () => {
    expect(await failure("/consume/w/i", { topic: "none" })).toBe(404);
    expect(await failure("/consume/w/i", {})).toBe(400);
  });
});
