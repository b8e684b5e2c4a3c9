// The transport `native` inside workerd, in a Durable Object, against a real Kafka: the contract, the codecs that this
// runtime has, logins, and what it says of a port that is not what the settings say.
import { env, runInDurableObject } from "cloudflare:test";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNative, type NativeOptions } from "../../lib/kafka/native/native.ts";
import type { KafkaTransport } from "../../lib/kafka/transport.ts";
import { transportSuite } from "../contract/transport.suite.ts";

interface RealKafkaAddresses {
  /** Through the proxy that fails on demand. */
  proxied: string;
  sasl: { bootstrap: string; username: string; password: string };
  tls: { bootstrap: string };
}

async function control<T = null>(path: string, body: unknown = {}): Promise<T> {
  const request = { method: "POST", body: JSON.stringify(body) };
  const response = await env.REAL_KAFKA.fetch(`http://control/${path}`, request);
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.status === 204 ? (null as T) : await response.json<T>();
}

/** A client that lives in a Durable Object; each call comes to it as another event, as RPC calls would. */
function inDurableObject(name: string, options: NativeOptions): KafkaTransport {
  const stub = env.PRODUCE_HOST.getByName(`native/${name}`);
  let held: KafkaTransport | undefined;
  const call =
    (method: keyof KafkaTransport) =>
    async (...args: never[]) =>
      await runInDurableObject(stub, async () => {
        held ??= createNative(options);
        return await (held[method] as (...args: never[]) => Promise<unknown>)(...args);
      });
  return new Proxy({} as KafkaTransport, {
    get: (_, method) => (method === "name" ? "native" : call(method as keyof KafkaTransport)),
  });
}

async function makeTopic(partitions: number): Promise<string> {
  const name = `t-${crypto.randomUUID()}`;
  await control("topics", { name, partitions });
  return name;
}

const text = (value: string) => new TextEncoder().encode(value);
const available = await env.REAL_KAFKA.fetch("http://control/available", { method: "POST" });

describe.skipIf(!available.ok)("native in workerd, with a real Kafka", () => {
  let addresses: RealKafkaAddresses;

  beforeAll(async () => {
    addresses = await control<RealKafkaAddresses>("open");
  });
  afterAll(() => control("close"));

  transportSuite("native in workerd", async () => ({
    transport: inDurableObject("contract", {
      brokers: [(await control<RealKafkaAddresses>("open")).proxied],
      tls: false,
      compression: "zstd",
    }),
    makeTopic,
    faults: {
      loseNextAnswer: () => control("lose-next-answer"),
      hang: () => control("hang"),
      heal: () => control("heal"),
      restartBroker: () => control("restart"),
      trim: (topic, partition, before) => control("trim", { topic, partition, before }),
    },
    emptyBytes: "kept",
    close: async () => undefined,
  }));

  for (const compression of ["none", "gzip", "lz4", "zstd"] as const) {
    it(`writes and reads ${compression}`, async () => {
      const options = { brokers: [addresses.proxied], tls: false, compression };
      const transport = inDurableObject(compression, options);
      const topic = await makeTopic(1);
      const value = text("telemetry ".repeat(10_000));
      expect(await transport.produce(topic, [{ partition: 0, key: null, value }])).toMatchObject([
        { ok: true },
      ]);
      const [back] = await transport.fetch({ topic, partition: 0, offset: 0, maxBytes: 1, waitMs: 0 });
      expect(new TextDecoder().decode(back?.value ?? undefined)).toBe("telemetry ".repeat(10_000));
      await transport.close();
    });
  }

  for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
    it(`logs in by ${mechanism}, and says when that is refused`, async () => {
      const { bootstrap, username, password } = addresses.sasl;
      const options = { brokers: [bootstrap], tls: false, compression: "none" } as const;
      const good = inDurableObject(`good ${mechanism}`, {
        ...options,
        sasl: { mechanism, username, password },
      });
      expect(await good.topics()).toBeInstanceOf(Array);
      await good.close();
      const sasl = { mechanism, username, password: "wrong" };
      await expect(inDurableObject(`bad ${mechanism}`, { ...options, sasl }).topics()).rejects.toMatchObject({
        code: "unauthorized",
      });
    });
  }

  it.each([
    ["a port that wants TLS", false, () => addresses.tls.bootstrap],
    ["a certificate that nobody vouches for", true, () => addresses.tls.bootstrap],
    ["a port without TLS", true, () => addresses.proxied],
  ])("names KAFKA_TLS for %s", async (name, tls, address) => {
    const transport = inDurableObject(name, { brokers: [address()], tls, compression: "none" });
    await expect(transport.topics()).rejects.toMatchObject({
      name: "KafkaError",
      message: expect.stringContaining("KAFKA_TLS"),
    });
  });
});
