// What a command of `weir` is, declared once: its arguments are parsed and its help is written from the declaration.
// Refuses unknown flags, surplus arguments and a flag given twice where it stands for one value.
import { parseArgs } from "node:util";
import type { Api } from "./api.ts";
import type { Output } from "./output.ts";

export interface Option {
  type: "string" | "boolean";
  short?: string;
  multiple?: boolean;
  /** What stands for the value in the help, as in `N`. */
  hint?: string;
  summary: string;
}

export interface Command {
  /** As typed, `topics list`. */
  name: string;
  summary: string;
  positionals: { name: string; required: boolean }[];
  options: Record<string, Option>;
  /** Paragraphs and examples under the options. */
  notes?: string[];
  run(invocation: Invocation): Promise<ExitCode>;
}

/** 0 all well, 1 it failed, 2 it was called wrongly. */
export type ExitCode = 0 | 1 | 2;

export interface Invocation {
  positionals: string[];
  args: Arguments;
  api: Api;
  output: Output;
  isJson: boolean;
}

/** Told on stderr with a pointer to the help, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const GLOBAL_OPTIONS: Record<string, Option> = {
  url: {
    type: "string",
    hint: "URL",
    summary: "where Weir answers (WEIR_URL; http://127.0.0.1:8787)",
  },
  "api-key": {
    type: "string",
    hint: "KEY",
    summary: "a key with the scope that the command takes (WEIR_KEY; on this machine the development key)",
  },
  json: { type: "boolean", summary: "print JSON, for programs" },
  help: { type: "boolean", short: "h", summary: "print this" },
};

/** The flags of one call, by their declared names. */
export class Arguments {
  readonly #values: ReadonlyMap<string, string | boolean | (string | boolean)[]>;

  constructor(values: ReadonlyMap<string, string | boolean | (string | boolean)[]>) {
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === "string" ? value : undefined;
  }

  /** @throws UsageError */
  wholeNumber(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not ${text}`);
  }

  list(name: string): string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  isSet(name: string): boolean {
    return this.#values.get(name) === true;
  }
}

/** @throws UsageError */
export function parseCommand(
  command: Command,
  rawArgs: string[],
): { positionals: string[]; args: Arguments } {
  const options = { ...GLOBAL_OPTIONS, ...command.options };
  let parsed;
  try {
    parsed = parseArgs({
      args: rawArgs,
      allowPositionals: true,
      tokens: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { type, short, multiple }]) => [
          name,
          { type, ...(short === undefined ? {} : { short }), ...(multiple ? { multiple } : {}) },
        ]),
      ),
    });
  } catch (error) {
    throw new UsageError(faultOf((error as Error).message, options), { cause: error });
  }
  const seen = new Set<string>();
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    if (seen.has(token.name) && !options[token.name]?.multiple) {
      throw new UsageError(`--${token.name} is given twice`);
    }
    seen.add(token.name);
  }
  const { positionals } = parsed;
  const args = new Arguments(
    new Map(
      Object.entries(parsed.values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  );
  // Help may be asked for before the rest is right.
  if (args.isSet("help")) return { positionals, args };
  const required = command.positionals.filter((one) => one.required);
  const missing = required[positionals.length];
  if (missing) throw new UsageError(`${missing.name} is missing`);
  const surplus = positionals[command.positionals.length];
  if (surplus !== undefined) throw new UsageError(`unexpected argument ${surplus}`);
  return { positionals, args };
}

/** Of Node's words the first sentence, which is what is wrong; it goes on with advice on `--`. */
function faultOf(message: string, options: Readonly<Record<string, Option>>): string {
  const [, flag] =
    /^Option '(?:-\w, )?(--?[\w-]+)(?: <value>)?' argument (?:is ambiguous|missing)/.exec(message) ?? [];
  if (flag === undefined) return message.split(/\. |\n/)[0] ?? "";
  const long = Object.keys(options).find((name) => `-${options[name]?.short}` === flag);
  const name = long === undefined ? flag : `--${long}`;
  return `${name} needs a value; one that begins with - is written ${name}=…`;
}

export function renderHelp(command: Command): string {
  const usage = command.positionals.map(({ name, required }) => (required ? name : `[${name}]`));
  return [
    `weir ${command.name}: ${command.summary}`,
    "",
    `Usage: weir ${[command.name, ...usage, "[options]"].join(" ")}`,
    "",
    ...renderOptions({ ...command.options, ...GLOBAL_OPTIONS }),
    ...(command.notes ? ["", ...command.notes] : []),
    "",
  ].join("\n");
}

export function renderOptions(options: Record<string, Option>): string[] {
  const rows = Object.entries(options).map(([name, { short, hint, summary }]) => {
    const flag = `${short === undefined ? "    " : `-${short}, `}--${name}${hint === undefined ? "" : ` ${hint}`}`;
    return [flag, summary] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return rows.map(([flag, summary]) => `  ${flag.padEnd(width)}  ${summary}`);
}
