// The harness itself: what kcat writes is read back byte for byte, survives a SIGKILL of the broker, and every listener
// and fault that suites ask for is there.
import { Connection, type SASLMechanismValue, metadataV12 } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kcatCount, kcatRead, kcatWrite } from "../support/kcat.ts";
import { type RealKafka, realKafka, startRealKafka } from "../support/real-kafka.ts";
import { type TcpFaults, startTcpFaults } from "../support/tcp-faults.ts";

describe.skipIf(!realKafka.available)(`real Kafka ${realKafka.why}`, () => {
  let kafka: RealKafka;
  let faults: TcpFaults;

  beforeAll(async () => {
    faults = await startTcpFaults();
    kafka = await startRealKafka({ advertisedPort: faults.port, sasl: true, tls: true });
    faults.forwardTo(kafka.proxiedPort!);
  });

  afterAll(async () => {
    await kafka?.close();
    await faults?.close();
  });

  it("keeps what kcat wrote across a kill, and a stop, byte for byte", async () => {
    await kafka.createTopic("kept", 2);
    const value = Buffer.from([0, 10, 32, 255, 1, 10]);
    await kcatWrite(kafka.bootstrap, "kept", 1, value, "k\ney");
    await kcatWrite(kafka.bootstrap, "kept", 0, Buffer.from("plain"));
    await kafka.kill();
    await kafka.start();
    await kcatWrite(kafka.bootstrap, "kept", 1, Buffer.from("after"));
    await kafka.stop();
    await kafka.start();
    expect(await kcatRead(kafka.bootstrap, "kept")).toEqual([
      { partition: 0, offset: 0, key: null, value: Buffer.from("plain") },
      { partition: 1, offset: 0, key: Buffer.from("k\ney"), value },
      { partition: 1, offset: 1, key: null, value: Buffer.from("after") },
    ]);
    await kafka.deleteRecords("kept", 1, 1);
    expect((await kcatRead(kafka.bootstrap, "kept", { partition: 1 })).map(({ offset }) => offset)).toEqual([
      1,
    ]);
    expect(await kcatCount(kafka.bootstrap, "kept")).toBe(2);
  });

  it("takes its user by every mechanism, and no other password", async () => {
    const enter = async (mechanism: string, password: string, tls?: string) => {
      const connection = new Connection("test", {
        sasl: {
          mechanism: mechanism as SASLMechanismValue,
          username: kafka.sasl.username,
          password,
        },
        ...(tls === undefined ? {} : { tls: { ca: tls } }),
      });
      try {
        const [host = "", port] = (tls === undefined ? kafka.sasl : kafka.tls).bootstrap.split(":");
        await connection.connect(host, Number(port));
        return (await metadataV12.api.async(connection, [], false, false)).brokers.length;
      } finally {
        await connection.close();
      }
    };
    for (const mechanism of kafka.sasl.mechanisms) {
      expect(await enter(mechanism, kafka.sasl.password)).toBe(1);
      await expect(enter(mechanism, "wrong")).rejects.toThrow("failed");
    }
    expect(await enter("SCRAM-SHA-512", kafka.sasl.password, kafka.tls.caPem)).toBe(1);
  });

  it("loses the answer to one produce request, which was carried out", async () => {
    await kafka.createTopic("faulty", 1);
    const proxied = `127.0.0.1:${faults.port}`;
    await kcatWrite(proxied, "faulty", 0, Buffer.from("passes"));
    faults.loseNextAnswer();
    await expect(kcatWrite(proxied, "faulty", 0, Buffer.from("lost"))).rejects.toThrow("Disconnected");
    await kcatWrite(proxied, "faulty", 0, Buffer.from("after"));
    const written = (await kcatRead(kafka.bootstrap, "faulty")).map(({ value }) => String(value));
    expect(written).toEqual(["passes", "lost", "after"]);
  });

  it("holds everything back while it hangs", async () => {
    await kafka.createTopic("slow", 1);
    faults.hang();
    const written = kcatWrite(`127.0.0.1:${faults.port}`, "slow", 0, Buffer.from("late"));
    expect(await kcatCount(kafka.bootstrap, "slow")).toBe(0);
    faults.heal();
    await written;
    expect(await kcatCount(kafka.bootstrap, "slow")).toBe(1);
  });
});
