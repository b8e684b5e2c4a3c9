// The command line of the chaos suite, read strictly: an unknown flag, fault or value stops it.
import { parseArgs } from "node:util";
import type { ArgsDef } from "citty";
import { FAULT_NAMES, type FaultName } from "./fault-names.ts";
import { MUTATION_NAMES, type MutationName } from "./mutation-names.ts";
import { isFault } from "./plan.ts";
import type { RunOptions } from "./run.ts";

export const ARGUMENTS = {
  seed: {
    type: "string",
    default: "1",
    description: "The same seed makes the same plan and the same requests",
  },
  seeds: { type: "string", default: "1", description: "How many seeds, from --seed on" },
  records: { type: "string", default: "50000", description: "Records to send, for each seed" },
  storage: { type: "string", default: "d1", valueHint: "d1|postgres", description: "Where results go" },
  kafka: {
    type: "string",
    default: "local",
    valueHint: "local|real",
    description: "local-kafka, or a real broker behind it",
  },
  faults: { type: "string", description: "Only these, with commas between; default: all" },
  acts: { type: "string", description: "Only the acts with these numbers, with commas between" },
  mutate: { type: "string", description: "Leaves one mechanism out; the run must fail then" },
  mutations: {
    type: "boolean",
    description: "Leaves out one mechanism after the other, and tells what caught each",
  },
  outage: { type: "string", description: "Instead: Kafka is away for so many seconds" },
  rate: { type: "string", default: "1000", description: "With --outage: records a second" },
  report: { type: "string", valueHint: "file.md|file.json", description: "Writes the results there, too" },
  minimise: { type: "string", default: "on", valueHint: "on|off", description: "Cuts a failing run down" },
} as const satisfies ArgsDef;

export interface ChaosOptions {
  run: RunOptions;
  seeds: number;
  mutations: boolean;
  outage: { seconds: number; recordsPerSecond: number } | undefined;
  report: string | undefined;
  minimise: boolean;
}

/** A command line that cannot be used. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** @throws UsageError; citty itself does not refuse an unknown flag */
export function parseOptions(rawArgs: string[]): ChaosOptions {
  const given = readFlags(rawArgs);
  return {
    run: {
      seed: whole("seed", given.seed, 0),
      records: whole("records", given.records, 1),
      storage: oneOf("storage", given.storage, ["d1", "postgres"]),
      kafka: oneOf("kafka", given.kafka, ["local", "real"]),
      faults: given.faults === undefined ? FAULT_NAMES : given.faults.split(",").map(faultNamed),
      only: given.acts?.split(",").map((number) => whole("acts", number, 0)),
      mutation: given.mutate === undefined ? undefined : mutationNamed(given.mutate),
    },
    seeds: whole("seeds", given.seeds, 1),
    mutations: given.mutations,
    outage:
      given.outage === undefined
        ? undefined
        : { seconds: whole("outage", given.outage, 1), recordsPerSecond: whole("rate", given.rate, 1) },
    report: given.report,
    minimise: oneOf("minimise", given.minimise, ["on", "off"]) === "on",
  };
}

function readFlags(rawArgs: string[]) {
  const withDefault = (name: "seed" | "seeds" | "records" | "storage" | "kafka" | "rate" | "minimise") =>
    ({ type: "string", default: ARGUMENTS[name].default }) as const;
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: rawArgs,
      options: {
        seed: withDefault("seed"),
        seeds: withDefault("seeds"),
        records: withDefault("records"),
        storage: withDefault("storage"),
        kafka: withDefault("kafka"),
        rate: withDefault("rate"),
        minimise: withDefault("minimise"),
        faults: text,
        acts: text,
        mutate: text,
        outage: text,
        report: text,
        mutations: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function whole(name: string, given: string, min: number): number {
  const value = Number(given);
  if (/^\d{1,9}$/.test(given) && value >= min) return value;
  throw new UsageError(`--${name} ${given}: must be a whole number from ${min}`);
}

function oneOf<T extends string>(name: string, given: string, known: readonly T[]): T {
  const found = known.find((one) => one === given);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} ${given}: must be one of ${known.join(", ")}`);
}

function faultNamed(name: string): FaultName {
  if (isFault(name)) return name;
  throw new UsageError(`--faults ${name}: there are ${FAULT_NAMES.join(", ")}`);
}

const mutationNamed = (name: string): MutationName => oneOf("mutate", name, MUTATION_NAMES);
