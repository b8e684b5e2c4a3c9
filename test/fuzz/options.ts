// The command line of the fuzzer, read strictly: an unknown flag or a value out of range stops it.
import { parseArgs } from "node:util";
import type { ArgsDef } from "citty";

export const ARGUMENTS = {
  seed: { type: "string", default: "1", description: "The same seed makes the same bodies" },
  bodies: { type: "string", default: "200000", description: "How many" },
  first: {
    type: "string",
    default: "0",
    description: "Number of the first one; with --bodies 1 only that one is run",
  },
  heavy: {
    type: "string",
    default: "1500",
    description: "Once in so many it is a body of megabytes; 0: never",
  },
} as const satisfies ArgsDef;

export type FuzzOptions = Record<keyof typeof ARGUMENTS, number>;

/** A command line that cannot be used. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** @throws UsageError; citty itself does not refuse an unknown flag */
export function parseOptions(rawArgs: string[]): FuzzOptions {
  const { seed, bodies, first, heavy } = readFlags(rawArgs);
  return {
    seed: whole("seed", seed, 0),
    bodies: whole("bodies", bodies, 1),
    first: whole("first", first, 0),
    heavy: whole("heavy", heavy, 0),
  };
}

function readFlags(rawArgs: string[]) {
  const text = (name: keyof typeof ARGUMENTS) =>
    ({ type: "string", default: ARGUMENTS[name].default }) as const;
  try {
    return parseArgs({
      args: rawArgs,
      options: { seed: text("seed"), bodies: text("bodies"), first: text("first"), heavy: text("heavy") },
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
