/** The HTTP APIs in front of a real Kafka: what each dialect writes is in the cluster byte for byte, as kcat sees it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Dialect } from "../../local-kafka/app.ts";
import { type ClusterGatewayOptions, type LocalKafka, openClusterGateway } from "../../local-kafka/broker.ts";
import { kcatRead, kcatWrite } from "../support/kcat.ts";
import { type RealKafka, realKafka, startRealKafka } from "../support/real-kafka.ts";
import { BINARY_V2, V2, base64 } from "./fixture.ts";

describe.skipIf(!realKafka.available)(`gateway before a real Kafka ${realKafka.why}`, () => {
  let kafka: RealKafka;
  const gateways: LocalKafka[] = [];
  let topics = 0;

  beforeAll(async () => {
    kafka = await startRealKafka({ sasl: true, tls: true });
  });
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await kafka?.close();
  });

  const addressOf = (bootstrap: string) => {
    const [host = "", port] = bootstrap.split(":");
    return [{ host, port: Number(port) }];
  };

  async function open(dialect: Dialect, options: Partial<ClusterGatewayOptions> = {}) {
    const cluster = { bootstrap: addressOf(kafka.bootstrap), security: {} };
    const gateway = await openClusterGateway({ dialect, cluster, ...options });
    gateways.push(gateway);
    return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
      const init =
        body === undefined
          ? { method, headers }
          : { method, headers, body: typeof body === "string" ? body : JSON.stringify(body) };
      const response = await gateway.fetch(new Request(`http://kafka.test${path}`, init));
      const text = await response.text();
      return { status: response.status, text, headers: response.headers };
    };
  }

  async function makeTopic(partitions = 2): Promise<string> {
    const name = `gateway.${++topics}`;
    await kafka.createTopic(name, partitions);
    return name;
  }

  const binary = Buffer.from([0, 255, 10, 34, 92]);
  const expectStored = async (topic: string, expected: [Buffer | null, Buffer | null][]) => {
    const stored = await kcatRead(kafka.bootstrap, topic);
    expect(stored.map(({ key, value }) => [key, value])).toEqual(expected);
  };

  it("Redpanda's: produce, read by offset, out of range, unknown", async () => {
    const call = await open("redpanda");
    const topic = await makeTopic();
    const records = [
      { key: base64("k"), value: base64(binary), partition: 1 },
      { key: base64("k"), partition: 1 },
    ];
    const answer = await call("POST", `/topics/${topic}`, { records }, { "content-type": BINARY_V2 });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      200,
      { offsets: [{ partition: 1, offset: 0 }] },
    ]);
    await expectStored(topic, [
      [Buffer.from("k"), binary],
      [Buffer.from("k"), null],
    ]);
    const read = (path: string, offset: number) =>
      call("GET", `/topics/${path}/records?offset=${offset}&timeout=0&max_bytes=1000000`, undefined, {
        accept: BINARY_V2,
      });
    expect(JSON.parse((await read(`${topic}/partitions/1`, 0)).text)).toEqual([
      { topic, key: base64("k"), value: base64(binary), partition: 1, offset: 0 },
      { topic, key: base64("k"), value: null, partition: 1, offset: 1 },
    ]);
    expect((await read(`${topic}/partitions/1`, 2)).text).toBe("[]");
    expect(JSON.parse((await read(`${topic}/partitions/1`, 3)).text)).toMatchObject({ error_code: 40002 });
    expect(JSON.parse((await read("none/partitions/0", 0)).text)).toMatchObject({ error_code: 40402 });
    const missing = await call(
      "POST",
      "/topics/none",
      { records: [{ value: "" }] },
      { "content-type": BINARY_V2 },
    );
    expect(JSON.parse(missing.text)).toMatchObject({ offsets: [{ error_code: 3, offset: -1 }] });
    expect(JSON.parse((await call("GET", "/topics")).text)).toContain(topic);
  });

  it("Redpanda's: a wait for data ends with it; batches of other producers are read whatever packs them", async () => {
    const call = await open("redpanda");
    const topic = await makeTopic(1);
    const path = `/topics/${topic}/partitions/0/records?offset=0&timeout=20000&max_bytes=100000`;
    const waiting = call("GET", path, undefined, { accept: BINARY_V2 });
    await kcatWrite(kafka.bootstrap, topic, 0, Buffer.from("late"));
    expect(JSON.parse((await waiting).text)).toMatchObject([{ value: base64("late") }]);
    const text = "x".repeat(5_000);
    for (const codec of ["gzip", "snappy", "lz4"]) {
      await kcatWrite(kafka.bootstrap, topic, 0, Buffer.from(codec + text), undefined, codec);
    }
    const back = await call("GET", path.replace("offset=0", "offset=1"), undefined, { accept: BINARY_V2 });
    const values = (JSON.parse(back.text) as { value: string }[]).map(({ value }) => value);
    expect(values).toEqual(["gzip", "snappy", "lz4"].map((codec) => base64(codec + text)));
  });

  it("Redpanda's: group offsets are the cluster's own", async () => {
    const topic = await makeTopic(2);
    const records = [0, 1, 2].map((i) => ({ value: base64(`${i}`), partition: 1 }));
    const json = { "content-type": V2 };
    const consume = async (expected: string[]) => {
      const call = await open("redpanda");
      await call("POST", `/topics/${topic}`, { records }, { "content-type": BINARY_V2 });
      const path = `/consumers/g-${topic}/instances/i`;
      await call("POST", `/consumers/g-${topic}`, { name: "i", format: "binary" }, json);
      await call("POST", `${path}/subscription`, { topics: [topic] }, json);
      const read = await call("GET", `${path}/records?timeout=100`, undefined, { accept: BINARY_V2 });
      const found = (JSON.parse(read.text) as { value: string }[]).map(({ value }) => value);
      expect(found).toEqual(expected.map(base64));
      return (body: object) => call("POST", `${path}/offsets`, body, json);
    };
    const commit = await consume(["0", "1", "2"]);
    expect((await commit({ partitions: [{ topic, partition: 1, offset: 2 }] })).status).toBe(204);
    // Another gateway knows nothing but what the cluster keeps.
    await consume(["2", "0", "1", "2"]);
  });

  it("Karapace's: produce, assign, seek, read", async () => {
    const call = await open("karapace");
    const topic = await makeTopic();
    const type = { "content-type": BINARY_V2, accept: BINARY_V2 };
    const records = ["", binary, "c"].map((value) => ({
      key: base64("key"),
      value: base64(value),
      partition: 0,
    }));
    const answer = await call("POST", `/topics/${topic}`, { records }, type);
    expect(JSON.parse(answer.text)).toMatchObject({
      offsets: [{}, { offset: 1 }, { offset: 2, partition: 0 }],
    });
    await expectStored(
      topic,
      ["", binary, "c"].map((value) => [Buffer.from("key"), Buffer.from(value)]),
    );
    const path = "/consumers/kg/instances/i";
    await call("POST", "/consumers/kg", { name: "i", format: "binary" }, { "content-type": V2 });
    await call(
      "POST",
      `${path}/assignments`,
      { partitions: [{ topic, partition: 0 }] },
      { "content-type": V2 },
    );
    const seek = { offsets: [{ topic, partition: 0, offset: 1 }] };
    expect((await call("POST", `${path}/positions`, seek, { "content-type": V2 })).status).toBe(204);
    const read = await call("GET", `${path}/records?timeout=1000`, undefined, { accept: BINARY_V2 });
    expect(JSON.parse(read.text)).toMatchObject([
      { value: base64(binary), offset: 1 },
      { value: base64("c") },
    ]);
    const offsets = await call("GET", `/topics/${topic}/partitions/0/offsets`);
    expect(JSON.parse(offsets.text)).toEqual({ beginning_offset: 0, end_offset: 3 });
  });

  it("Confluent's v3: topics, settings, records with headers; Upstash's reads those", async () => {
    const v3 = await open("confluent-v3");
    const clusters = JSON.parse((await v3("GET", "/v3/clusters")).text) as { data: [{ cluster_id: string }] };
    const base = `/v3/clusters/${clusters.data[0].cluster_id}/topics`;
    const topic = `gateway.${++topics}`;
    const configs = [{ name: "retention.ms", value: "3600000" }];
    const spec = { topic_name: topic, partitions_count: 3, configs };
    expect((await v3("POST", base, spec)).status).toBe(201);
    expect((await v3("POST", base, spec)).status).toBe(400);
    const config = JSON.parse((await v3("GET", `${base}/${topic}/configs/retention.ms`)).text) as object;
    expect(config).toMatchObject({ value: "3600000" });
    const record = {
      partition_id: 2,
      headers: [{ name: "h", value: base64("ü") }],
      key: { type: "BINARY", data: base64("k") },
      value: { type: "BINARY", data: base64("text") },
      timestamp: "2026-01-02T03:04:05.678Z",
    };
    const answer = await v3("POST", `${base}/${topic}/records`, record, {
      "content-type": "application/json",
    });
    expect(JSON.parse(answer.text)).toMatchObject({ error_code: 200, partition_id: 2, offset: 0 });
    await expectStored(topic, [[Buffer.from("k"), Buffer.from("text")]]);
    const upstash = await open("upstash");
    const found = await upstash("POST", "/fetch", { topic, partition: 2, offset: 0 });
    expect(JSON.parse(found.text)).toMatchObject([
      { key: "k", value: "text", timestamp: 1_767_323_045_678, headers: [{ key: "h", value: "ü" }] },
    ]);
    expect((await v3("DELETE", `${base}/${topic}`)).status).toBe(204);
    expect((await v3("GET", `${base}/${topic}`)).status).toBe(404);
  });

  it("Upstash's: produce in order, offsets, consume and commit by itself", async () => {
    const call = await open("upstash");
    const topic = await makeTopic(1);
    const messages = ["1", "2", "3"].map((value) => ({ topic, value }));
    expect(JSON.parse((await call("POST", "/produce", messages)).text)).toMatchObject([
      { offset: 0 },
      { offset: 1 },
      { offset: 2 },
    ]);
    await expectStored(
      topic,
      messages.map(({ value }) => [null, Buffer.from(value)]),
    );
    const headers = { "kafka-auto-offset-reset": "earliest" };
    const consumed = await call("POST", "/consume/ug/i", { topic, timeout: 1000 }, headers);
    expect(JSON.parse(consumed.text)).toMatchObject([{ value: "1" }, { value: "2" }, { value: "3" }]);
    await call("POST", "/delete-consumer/ug/i");
    const latest = await call("POST", "/offsets/latest", { topic, partition: 0 });
    expect(JSON.parse(latest.text)).toMatchObject([{ offset: 3 }]);
    const again = await open("upstash");
    const rest = await again("POST", "/consume/ug/i", { topic, timeout: 10 }, headers);
    expect(JSON.parse(rest.text)).toEqual([]);
  });

  it("many appends at once to one partition have offsets of their own, and a refused one fails alone", async () => {
    const call = await open("confluent-v3");
    // Small enough that what arrives together is refused together.
    const topic = `gateway.${++topics}`;
    await kafka.createTopic(topic, 1, { "max.message.bytes": "5000" });
    const huge = "x".repeat(6_000);
    const values = Array.from({ length: 300 }, (_, i) => (i === 150 ? huge : `value ${i}`));
    const { data } = JSON.parse((await call("GET", "/v3/clusters")).text) as {
      data: [{ cluster_id: string }];
    };
    const body = values.map((each) => JSON.stringify({ value: { type: "STRING", data: each } })).join("\n");
    const answer = await call("POST", `/v3/clusters/${data[0].cluster_id}/topics/${topic}/records`, body, {
      "content-type": "application/json",
    });
    const receipts = answer.text
      .split("\r\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { error_code: number; offset?: number });
    expect(receipts[150]?.error_code).not.toBe(200);
    expect(receipts.flatMap(({ offset }) => offset ?? [])).toEqual(Array.from({ length: 299 }, (_, i) => i));
    const stored = await kcatRead(kafka.bootstrap, topic);
    expect(stored.map(({ value }) => String(value))).toEqual(values.filter((value) => value !== huge));
  });

  it("logs in by every mechanism, over TLS, too; a wrong password is one clear error without it", async () => {
    const { username, password, mechanisms } = kafka.sasl;
    const secured = (mechanism: string, secret: string, tls = false): Partial<ClusterGatewayOptions> => ({
      cluster: {
        bootstrap: addressOf(tls ? kafka.tls.bootstrap : kafka.sasl.bootstrap),
        security: {
          sasl: { mechanism: mechanism as "PLAIN", username, password: secret },
          ...(tls ? { tls: { ca: kafka.tls.caPem } } : {}),
        },
      },
    });
    const topic = await makeTopic();
    for (const mechanism of mechanisms) {
      const call = await open("redpanda", secured(mechanism, password));
      expect(JSON.parse((await call("GET", "/topics")).text)).toContain(topic);
      const wrong = await open("redpanda", secured(mechanism, "not-the-password")).catch(
        (error: unknown) => error,
      );
      expect(wrong).toMatchObject({ code: "sasl_authentication_failed" });
      expect(String(wrong)).toContain("password");
      expect(String(wrong)).not.toContain("not-the-password");
    }
    const overTls = await open("redpanda", secured("SCRAM-SHA-512", password, true));
    expect(JSON.parse((await overTls("GET", "/topics")).text)).toContain(topic);
  });

  it("asks every dialect's clients for the gateway's credentials", async () => {
    const credentials = { username: "u", password: "p:w" };
    for (const dialect of ["redpanda", "karapace", "confluent-v3", "upstash"] as const) {
      const call = await open(dialect, { credentials });
      const path = dialect === "confluent-v3" ? "/v3/clusters" : "/topics";
      const refused = await call("GET", path);
      expect([dialect, refused.status]).toEqual([dialect, 401]);
      expect(refused.headers.get("www-authenticate")).toContain("Basic");
      const authorization = `Basic ${Buffer.from("u:p:w").toString("base64")}`;
      expect((await call("GET", path, undefined, { authorization })).status).toBe(200);
    }
  });
});
