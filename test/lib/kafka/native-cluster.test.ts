// What the contract does not ask of `native`, against a real Kafka: logins and TLS, other people's batches, the bytes as
// another client sees them, and that a lost answer or a broker's absence neither doubles nor loses a record.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { KafkaError } from "../../../lib/kafka/errors.ts";
import { createNative, type NativeOptions } from "../../../lib/kafka/native/native.ts";
import type { KafkaTransport, ProduceRecord } from "../../../lib/kafka/transport.ts";
import { kcatRead } from "../../support/kcat.ts";
import { realKafka, startRealKafka, type RealKafka } from "../../support/real-kafka.ts";
import { startTcpFaults, type TcpFaults } from "../../support/tcp-faults.ts";

const text = (value: string) => new Uint8Array(Buffer.from(value));
const record = (value: string | null, partition = 0): ProduceRecord => ({
  partition,
  key: null,
  value: value === null ? null : text(value),
});

describe.skipIf(!realKafka.available)(`native, with a real Kafka ${realKafka.why}`, () => {
  let kafka: RealKafka;
  let faults: TcpFaults;

  beforeAll(async () => {
    faults = await startTcpFaults();
    kafka = await startRealKafka({ advertisedPort: faults.port, sasl: true, tls: true });
    faults.forwardTo(kafka.proxiedPort ?? 0);
  });
  afterAll(async () => {
    await kafka?.close();
    await faults?.close();
  });

  function connect(options: Partial<NativeOptions> = {}): KafkaTransport {
    const plain: NativeOptions = { brokers: [kafka.bootstrap], tls: false, compression: "none" };
    const transport = createNative({ ...plain, ...options });
    onTestFinished(() => transport.close());
    return transport;
  }

  async function makeTopic(partitions = 1, config: Record<string, string> = {}): Promise<string> {
    const name = `t-${randomUUID()}`;
    await kafka.createTopic(name, partitions, config);
    return name;
  }

  async function failure(transport: KafkaTransport): Promise<KafkaError> {
    const error = await transport.topics().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof KafkaError)) throw new Error(`no KafkaError but ${String(error)}`);
    return error;
  }

  describe("logs in", () => {
    for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
      it(`by ${mechanism}`, async () => {
        const { bootstrap, username, password } = kafka.sasl;
        const topic = await makeTopic();
        const transport = connect({ brokers: [bootstrap], sasl: { mechanism, username, password } });
        expect(await transport.produce(topic, [record("in")])).toEqual([
          { ok: true, partition: 0, offset: 0 },
        ]);
      });

      it(`and says that ${mechanism} was refused, without a secret`, async () => {
        const { bootstrap, username } = kafka.sasl;
        const password = "wrong-and-secret";
        const error = await failure(
          connect({ brokers: [bootstrap], sasl: { mechanism, username, password } }),
        );
        expect(error).toMatchObject({ code: "unauthorized", retryable: false });
        expect(error.message).toContain("KAFKA_SASL_PASSWORD");
        expect(error.message).not.toContain(password);
        expect(error.message).not.toContain(username + " ");
      });
    }

    it("over TLS", async () => {
      const { username, password } = kafka.sasl;
      const { bootstrap, caPem } = kafka.tls;
      const topic = await makeTopic();
      const sasl = { mechanism: "SCRAM-SHA-512", username, password } as const;
      const transport = connect({ brokers: [bootstrap], tls: true, tlsCaPem: caPem, sasl });
      expect(await transport.produce(topic, [record("safe")])).toEqual([
        { ok: true, partition: 0, offset: 0 },
      ]);
      const [back] = await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 0 });
      expect(Buffer.from(back?.value ?? []).toString()).toBe("safe");
    });
  });

  describe("says what to mend", () => {
    it("when the certificate is not trusted", async () => {
      const error = await failure(connect({ brokers: [kafka.tls.bootstrap], tls: true }));
      expect(error).toMatchObject({ code: "misconfigured", retryable: false });
      expect(error.message).toContain("KAFKA_TLS");
    });

    it("when the port wants TLS", async () => {
      const error = await failure(connect({ brokers: [kafka.tls.bootstrap] }));
      expect(error.code).toBe("unreachable");
      expect(error.message).toContain("KAFKA_TLS");
    });

    it("when the port wants TLS, and a login was to be the first", async () => {
      const { username, password } = kafka.sasl;
      const sasl = { mechanism: "PLAIN", username, password } as const;
      const error = await failure(connect({ brokers: [kafka.tls.bootstrap], sasl }));
      expect(error.code).toBe("unreachable");
      expect(error.message).toContain("KAFKA_TLS");
    });

    it("when the port does not speak TLS", async () => {
      const error = await failure(connect({ tls: true }));
      expect(error.code).toBe("unreachable");
      expect(error.message).toContain("KAFKA_TLS");
    });

    it("when the port wants a login", async () => {
      const error = await failure(connect({ brokers: [kafka.sasl.bootstrap] }));
      expect(error.code).toBe("unreachable");
      expect(error.message).toContain("KAFKA_SASL_MECHANISM");
    });

    it("when the port takes no login", async () => {
      const sasl = { mechanism: "PLAIN", username: "somebody", password: "secret" } as const;
      const error = await failure(connect({ sasl }));
      expect(error).toMatchObject({ code: "misconfigured", retryable: false });
      expect(error.message).toContain("KAFKA_SASL_MECHANISM");
    });
  });

  describe("reads what another client wrote", () => {
    for (const codec of ["none", "gzip", "snappy", "lz4"]) {
      it(`with ${codec}`, async () => {
        const topic = await makeTopic();
        const lines = Array.from({ length: 500 }, (_, i) => `${i} ${"abcdefgh".repeat(i % 40)}`);
        writeLines(kafka.bootstrap, topic, codec, lines);
        expect(await readTexts(connect(), topic)).toEqual(lines);
        const tail = await connect().fetch({ topic, partition: 0, offset: 498, maxBytes: 1, waitMs: 0 });
        expect(tail.map(({ offset }) => offset)).toEqual([498, 499]);
      });
    }

    it("with zstd, or names the codec that this Node does not have", async () => {
      const topic = await makeTopic();
      // Short ones librdkafka sends as they are.
      const lines = ["one ".repeat(100), "two ".repeat(100)];
      writeLines(kafka.bootstrap, topic, "zstd", lines);
      const read = readTexts(connect(), topic);
      if ("zstdDecompressSync" in (await import("node:zlib"))) expect(await read).toEqual(lines);
      else
        await expect(read).rejects.toMatchObject({
          code: "unsupported",
          message: expect.stringContaining("zstd"),
        });
    });
  });

  for (const compression of ["none", "gzip", "lz4"] as const) {
    it(`writes with ${compression} what another client reads byte for byte`, async () => {
      const topic = await makeTopic();
      const every = Uint8Array.from({ length: 256 }, (_, i) => i);
      const long = text("telemetry ".repeat(20_000));
      const pairs: [Uint8Array | null, Uint8Array | null][] = [
        [every, every],
        [null, new Uint8Array()],
        [new Uint8Array(), null],
        [text("ключ"), long],
      ];
      const outcomes = await connect({ compression }).produce(
        topic,
        pairs.map(([key, value]) => ({ partition: 0, key, value })),
      );
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      const seen = await kcatRead(kafka.bootstrap, topic);
      expect(seen.map(({ key, value }) => [key, value])).toEqual(
        pairs.map((pair) => pair.map((bytes) => bytes && Buffer.from(bytes))),
      );
    });
  }

  it("writes a record once though the answer is lost, under load too", async () => {
    const topic = await makeTopic(3);
    const transport = connect({ brokers: [`127.0.0.1:${faults.port}`] });
    const wanted = new Map<number, string[]>([0, 1, 2].map((partition) => [partition, []]));
    for (let round = 0; round < 5; round++) {
      faults.loseNextAnswer();
      const calls = Array.from({ length: 30 }, async (_, i) => {
        const value = `${round}:${i}`;
        wanted.get(i % 3)?.push(value);
        return await transport.produce(topic, [record(value, i % 3)]);
      });
      const outcomes = (await Promise.all(calls)).flat();
      expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    }
    for (const [partition, values] of wanted) {
      const seen = await kcatRead(kafka.bootstrap, topic, { partition });
      expect(seen.map(({ value }) => value?.toString())).toEqual(values);
    }
  });

  it("skips what was compacted away, and does not take it for the end", async () => {
    const topic = await makeTopic(1, {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.01",
      "max.compaction.lag.ms": "100",
    });
    const transport = connect();
    const write = async (key: string, value: string) =>
      await transport.produce(topic, [{ partition: 0, key: text(key), value: text(value) }]);
    for (let i = 0; i < 20; i++) await write("same", `${i}`);
    // The first offsets are gone once the cleaner has passed; each write rolls the segment that is old enough.
    await expect
      .poll(
        async () => {
          await write("other", "x");
          const [first] = await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 0 });
          return first?.offset;
        },
        { timeout: 60_000, interval: 500 },
      )
      .toBeGreaterThanOrEqual(19);
  });

  it("steps over the markers of transactions", async () => {
    const topic = await makeTopic();
    for (const value of ["first", "second"]) {
      const args = ["-P", "-b", kafka.bootstrap, "-t", topic, "-p", "0", "-X", `transactional.id=${topic}`];
      execFileSync("kcat", args, { input: value, timeout: 30_000, stdio: "pipe" });
    }
    // Offsets: record, marker, record, marker. A read of one batch at 1 finds a marker alone.
    const read = async (offset: number) =>
      (await connect().fetch({ topic, partition: 0, offset, maxBytes: 1, waitMs: 0 })).map(
        (one) => one.offset,
      );
    expect(await read(0)).toEqual([0]);
    expect(await read(1)).toEqual([2]);
    expect(await read(3)).toEqual([]);
  });

  it("waits for a record and gets it when it comes, while other calls go on", async () => {
    const topic = await makeTopic();
    const transport = connect();
    const began = performance.now();
    const waiting = transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 20_000 });
    await expect.poll(() => transport.latestOffset(topic, 0)).toBe(0);
    await transport.produce(topic, [record("at last")]);
    expect((await waiting).map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(["at last"]);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("stays within six connections, however many calls wait", async () => {
    const topic = await makeTopic(12);
    const open = new Set<Socket>();
    let most = 0;
    const count = (message: unknown) => {
      const { socket } = message as { socket: Socket };
      most = Math.max(most, open.add(socket).size);
      socket.once("close", () => open.delete(socket));
    };
    subscribe("net.client.socket", count);
    onTestFinished(() => void unsubscribe("net.client.socket", count));
    const transport = connect();
    const reads = Array.from({ length: 12 }, (_, partition) =>
      transport.fetch({ topic, partition, offset: 0, maxBytes: 1, waitMs: 500 }),
    );
    const others = Array.from({ length: 50 }, (_, i) => transport.produce(topic, [record(`${i}`, i % 12)]));
    expect((await Promise.all(others)).flat().every(({ ok }) => ok)).toBe(true);
    await Promise.all(reads);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(6);
  });

  it("comes back by itself within a second of the broker", async () => {
    const topic = await makeTopic();
    const transport = connect();
    await transport.produce(topic, [record("before")]);
    await kafka.kill();
    const away = await transport.produce(topic, [record("away")]);
    expect(away).toMatchObject([{ ok: false, error: { code: "unreachable", retryable: true } }]);
    const stopped = new AbortController();
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!stopped.signal.aborted) await transport.produce(topic, [record("load")]);
      }),
    );
    try {
      await kafka.start();
      const began = performance.now();
      await expect.poll(() => transport.latestOffset(topic, 0), { interval: 10 }).toBeGreaterThan(0);
      const [outcome] = await transport.produce(topic, [record("after")]);
      expect(outcome).toMatchObject({ ok: true });
      expect(performance.now() - began).toBeLessThan(2_000);
    } finally {
      stopped.abort();
      await load;
    }
  });

  function writeLines(bootstrap: string, topic: string, codec: string, lines: string[]): void {
    const args = ["-P", "-b", bootstrap, "-t", topic, "-p", "0", "-z", codec, "-X", "linger.ms=200"];
    execFileSync("kcat", args, { input: lines.join("\n"), timeout: 30_000 });
  }

  async function readTexts(transport: KafkaTransport, topic: string): Promise<string[]> {
    const texts: string[] = [];
    for (let offset = 0; ;) {
      const records = await transport.fetch({ topic, partition: 0, offset, maxBytes: 1 << 20, waitMs: 0 });
      const last = records.at(-1);
      if (!last) return texts;
      texts.push(...records.map(({ value }) => Buffer.from(value ?? []).toString()));
      offset = last.offset + 1;
    }
  }
});
