// The command line of the bench, read strictly: an unknown flag or a value out of range stops it.
import { parseArgs } from "node:util";
import type { ArgsDef } from "citty";
import { BenchError } from "./bench-error.ts";
import type { RunOptions } from "./rounds.ts";

/** V8 needs about three seconds of load to have optimised what it will. */
const MIN_WARM_UP_MS = 3_000;

export const ARGUMENTS = {
  seconds: { type: "string", default: "2", description: "Length of one lane's turn in a round" },
  rounds: { type: "string", default: "5", description: "Rounds after the warm-up" },
  connections: {
    type: "string",
    default: "16",
    description: "Connections, each with one request at a time",
  },
  json: { type: "boolean", description: "Print JSON instead of a table" },
} as const satisfies ArgsDef;

/** @throws BenchError `usage`; citty itself does not refuse an unknown flag */
export function parseOptions(rawArgs: string[]): { options: RunOptions; json: boolean } {
  const values = readFlags(rawArgs);
  const roundMs = inRange("seconds", values.seconds, 60) * 1_000;
  const options = {
    rounds: whole("rounds", values.rounds, 1_000),
    roundMs,
    warmUpMs: Math.max(MIN_WARM_UP_MS, roundMs),
    connections: whole("connections", values.connections, 1_000),
  };
  return { options, json: values.json };
}

function readFlags(rawArgs: string[]) {
  const { seconds, rounds, connections } = ARGUMENTS;
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      args: rawArgs,
      options: {
        seconds: { ...text, default: seconds.default },
        rounds: { ...text, default: rounds.default },
        connections: { ...text, default: connections.default },
        json: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new BenchError("usage", (error as Error).message);
  }
}

function whole(name: string, text: string, max: number): number {
  const value = inRange(name, text, max);
  if (Number.isInteger(value)) return value;
  throw new BenchError("usage", `--${name} ${text}: must be a whole number`);
}

function inRange(name: string, text: string, max: number): number {
  const value = Number(text);
  if (value > 0 && value <= max) return value;
  throw new BenchError("usage", `--${name} ${text}: must be a number above 0 and at most ${max}`);
}
