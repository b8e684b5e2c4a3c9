/** The command line: what stands for what, and that a wrong one is refused in words that help. */
import { describe, expect, it } from "vitest";
import { parseSettings } from "../../local-kafka/settings.ts";

const cluster = (args: string[], env: NodeJS.ProcessEnv = {}) => {
  const { log } = parseSettings(["--bootstrap", "a:9092", ...args], env);
  return "cluster" in log ? log.cluster : undefined;
};

describe("settings", () => {
  it("without a cluster: the development topics, in files, on loopback", () => {
    const settings = parseSettings([], {});
    expect(settings).toMatchObject({ host: "127.0.0.1", port: 18_082, log: { dataDir: ".weir/kafka" } });
    expect(settings.topics.map(({ name }) => name)).toContain("logs.raw");
  });

  it("with a cluster: no topics but those asked for", () => {
    expect(parseSettings(["--bootstrap", "a:1"], {}).topics).toEqual([]);
    expect(parseSettings(["--bootstrap", "a:1", "--topic", "t:3"], {}).topics).toEqual([
      { name: "t", partitions: 3 },
    ]);
    expect(cluster(["--bootstrap", "a:1, b.example:2,[::1]:3"])?.bootstrap).toEqual([
      { host: "a", port: 1 },
      { host: "b.example", port: 2 },
      { host: "::1", port: 3 },
    ]);
  });

  it("passwords come from the environment, too", () => {
    const sasl = ["--sasl-mechanism", "SCRAM-SHA-512", "--sasl-username", "u"];
    expect(cluster(sasl, { KAFKA_SASL_PASSWORD: "s" })?.security.sasl).toEqual({
      mechanism: "SCRAM-SHA-512",
      username: "u",
      password: "s",
    });
    expect(parseSettings(["--username", "u"], { LOCAL_KAFKA_PASSWORD: "p" }).credentials).toEqual({
      username: "u",
      password: "p",
    });
  });

  it.each([
    [["--host", "0.0.0.0"], "--host 0.0.0.0 can be reached from outside: give --username and --password"],
    [["--host", "kafka.example"], "can be reached from outside"],
    [["--username", "u"], "--username and --password go together"],
    [["--tls"], "give --bootstrap"],
    [["--bootstrap", "host"], "is not host:port"],
    [["--bootstrap", "a:1", "--sasl-mechanism", "GSSAPI", "--sasl-username", "u"], "must be one of PLAIN"],
    [["--bootstrap", "a:1", "--sasl-mechanism", "PLAIN", "--sasl-username", "u"], "KAFKA_SASL_PASSWORD"],
    [["--bootstrap", "a:1", "--tls-ca", "/no/such/file"], "--tls-ca /no/such/file cannot be read"],
    [["--http-tls-cert", "x"], "--http-tls-cert and --http-tls-key go together"],
    [["--dialect", "kafka"], "is none of redpanda"],
    [["--nonsense"], "nonsense"],
  ])("%j is refused", (args, words) => {
    expect(() => parseSettings(args, {})).toThrow(words);
  });

  it("another address than loopback is taken with credentials", () => {
    expect(parseSettings(["--host", "0.0.0.0", "--username", "u", "--password", "p"], {}).host).toBe(
      "0.0.0.0",
    );
    for (const host of ["localhost", "::1", "127.1.2.3"]) {
      expect(parseSettings(["--host", host], {}).host).toBe(host);
    }
  });
});
