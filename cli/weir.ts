#!/usr/bin/env node
// `weir`: operates a deployment over its HTTP API. Exit codes: 0 all well, 1 it failed, 2 it was called wrongly.
import { version } from "../package.json";
import { Api, ApiError, readApiSettings } from "./weir/api.ts";
import { GLOBAL_OPTIONS, parseCommand, renderHelp, renderOptions, UsageError } from "./weir/command.ts";
import type { Command, ExitCode } from "./weir/command.ts";
import { consume } from "./weir/consume.ts";
import { alertsNotifierAdd, alertsNotifierDelete, alertsNotifiers } from "./weir/alert-notifiers.ts";
import { alertsRuleDisable, alertsRuleEdit, alertsRuleEnable } from "./weir/alert-rule-changes.ts";
import { alertsRuleCreate, alertsRuleDelete, alertsRules, alertsRuleTest } from "./weir/alert-rules.ts";
import { alertsSilence, alertsSilences, alertsUnsilence } from "./weir/alert-silences.ts";
import { alertsList } from "./weir/alerts.ts";
import { dlqList, dlqReplay, dlqShow } from "./weir/dlq.ts";
import {
  groupsCancel,
  groupsDescribe,
  groupsList,
  groupsPause,
  groupsReplay,
  groupsReset,
  groupsResume,
} from "./weir/groups.ts";
import { keysCreate, keysList, keysRevoke, keysRotate } from "./weir/keys.ts";
import { ledger } from "./weir/ledger.ts";
import { Output } from "./weir/output.ts";
import { produce } from "./weir/produce.ts";
import { topicsDescribe, topicsInit, topicsList } from "./weir/topics.ts";

/** In the order of the help. */
const commands: readonly Command[] = [
  topicsList,
  topicsDescribe,
  topicsInit,
  consume,
  produce,
  ledger,
  groupsList,
  groupsDescribe,
  groupsPause,
  groupsResume,
  groupsReset,
  groupsReplay,
  groupsCancel,
  dlqList,
  dlqShow,
  dlqReplay,
  alertsList,
  alertsRules,
  alertsRuleCreate,
  alertsRuleTest,
  alertsRuleEdit,
  alertsRuleEnable,
  alertsRuleDisable,
  alertsRuleDelete,
  alertsSilences,
  alertsSilence,
  alertsUnsilence,
  alertsNotifiers,
  alertsNotifierAdd,
  alertsNotifierDelete,
  keysList,
  keysCreate,
  keysRotate,
  keysRevoke,
];

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read us has enough (`| head`): no fault of anybody's.
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

const output = new Output(process.stdout, process.stderr, process.env);

async function main(rawArgs: string[]): Promise<ExitCode> {
  const [first] = rawArgs;
  if (first === "--version" || first === "-V") {
    await output.line(`weir ${version}`);
    return 0;
  }
  const isHelp = first === "help" || first === "--help" || first === "-h";
  const words = wordsOf(isHelp ? rawArgs.slice(1) : rawArgs);
  if (first === undefined || (isHelp && words.length === 0)) {
    await output.line(overview());
    return first === undefined ? 2 : 0;
  }
  const { prefix, found } = find(words);
  const [command] = found;
  const isWhole = command?.name === prefix.join(" ");
  if (command && isWhole && !isHelp) return await run(command, rawArgs.slice(prefix.length));
  // What a command is given may stand behind its name in a call for help, too.
  const isKnown = isWhole || (prefix.length > 0 && prefix.length === words.length);
  const next = rawArgs[words.length];
  if (isKnown && (isHelp || next === "--help" || next === "-h")) {
    await output.line(found.map(renderHelp).join("\n").trimEnd());
    return 0;
  }
  throw new UsageError(unknownText(words, prefix, found, next));
}

/** Those before the first option. */
function wordsOf(args: readonly string[]): readonly string[] {
  const end = args.findIndex((arg) => arg.startsWith("-"));
  return end === -1 ? args : args.slice(0, end);
}

/** The commands that begin with the most of these words; none where no command has the first. */
function find(words: readonly string[]): { prefix: readonly string[]; found: readonly Command[] } {
  for (let length = words.length; length > 0; length--) {
    const prefix = words.slice(0, length);
    const found = commands.filter(({ name }) => `${name} `.startsWith(`${prefix.join(" ")} `));
    if (found.length > 0) return { prefix, found };
  }
  return { prefix: [], found: [] };
}

function unknownText(
  words: readonly string[],
  prefix: readonly string[],
  found: readonly Command[],
  option: string | undefined,
): string {
  const [first] = words;
  if (first === undefined) return `options go behind the command, as in weir COMMAND ${option}`;
  if (found.length === 0) return `there is no command ${first}`;
  const group = prefix.join(" ");
  const names = found.map(({ name }) => name.slice(group.length + 1)).join(", ");
  const other = words[prefix.length] ?? option;
  return `weir ${group} needs one of ${names}${other === undefined ? "" : `, not ${other}`}`;
}

async function run(command: Command, rawArgs: string[]): Promise<ExitCode> {
  try {
    const { positionals, args } = parseCommand(command, rawArgs);
    if (args.isSet("help")) {
      await output.line(renderHelp(command).trimEnd());
      return 0;
    }
    const settings = readApiSettings({ url: args.text("url"), key: args.text("api-key") }, process.env);
    const api = new Api(settings);
    return await command.run({ positionals, args, api, output, isJson: args.isSet("json") });
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`${error.message}\nSee weir ${command.name} --help.`);
    throw error;
  }
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "weir operates a Weir deployment over its HTTP API.",
    "",
    "Usage: weir COMMAND [options]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Options of all commands:",
    ...renderOptions(GLOBAL_OPTIONS),
    "",
    "weir COMMAND --help tells a command's own options; weir --version the version.",
  ].join("\n");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError || error instanceof ApiError)) throw error;
  const isUsage = error instanceof UsageError;
  const hint = isUsage && !error.message.includes("\n") ? "\nSee weir --help." : "";
  output.note(`weir: ${error.message}${hint}`);
  process.exitCode = isUsage ? 2 : 1;
}
