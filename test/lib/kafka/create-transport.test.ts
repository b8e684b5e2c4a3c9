import { expect, it } from "vitest";
import { TRANSPORT_NAMES } from "../../../lib/config/settings.ts";
import { readConfig } from "../../../lib/config/config.ts";
import {
  carriesText,
  createTransport,
  TRANSPORTS_THERE_ARE,
  type TransportSurroundings,
} from "../../../lib/kafka/create-transport.ts";
import { CONTRACT_RUNS, contractRun } from "../../contract/transport-runs.ts";

const nowhere = (): never => {
  throw new Error("nothing is asked for here");
};
const around: TransportSurroundings = {
  embedded: { logs: { of: nowhere }, directory: { get: nowhere }, defaultTopics: [] },
  host: nowhere,
};
const base = { ENVIRONMENT: "development", KAFKA_BROKERS: "broker:9092" };

it("has one for each value of KAFKA_TRANSPORT, and each of them is run through the contract", () => {
  expect(TRANSPORTS_THERE_ARE.toSorted()).toEqual([...TRANSPORT_NAMES].toSorted());
  const run = new Set<string>(Object.values(CONTRACT_RUNS).map(({ transport }) => transport));
  expect([...run].toSorted()).toEqual([...TRANSPORT_NAMES].toSorted());
});

it.each(TRANSPORT_NAMES)("makes %s", (name) => {
  const config = readConfig({ ...base, KAFKA_TRANSPORT: name, KAFKA_READ_TRANSPORT: readerOf(name) });
  expect(createTransport(config, around).name).toBe(name === "rest-v3" ? "rest-v3+native" : name);
});

const readerOf = (name: string) => (name === "rest-v3" ? "native" : undefined);

it("puts a host that batches before it where KAFKA_LINGER_MS says so, and reads by another", () => {
  const config = readConfig({ ...base, KAFKA_LINGER_MS: "20", KAFKA_READ_TRANSPORT: "native" });
  expect(createTransport(config, around).name).toBe("rest-v2+native");
});

it("throws on a name that is not there, so that nothing can select nothing", () => {
  const config = { ...readConfig(base), KAFKA_TRANSPORT: "constructor" };
  expect(() => createTransport(config, around)).toThrow(/no transport is called constructor/);
  expect(() => contractRun("toString")).toThrow(/no contract run is called toString/);
});

it("knows without asking Kafka which carry text alone", () => {
  const carrying = (settings: Record<string, string>) => carriesText(readConfig({ ...base, ...settings }));
  expect(TRANSPORT_NAMES.filter((name) => carriesText({ KAFKA_TRANSPORT: name }))).toEqual(["upstash"]);
  expect(carrying({ KAFKA_TRANSPORT: "upstash" })).toBe(true);
  expect(carrying({ KAFKA_READ_TRANSPORT: "upstash" })).toBe(true);
  expect(carrying({})).toBe(false);
});
