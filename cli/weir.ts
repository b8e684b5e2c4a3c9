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
  const [first, second] = rawArgs;
  if (first === "--version" || first === "-V") {
    await output.line(`weir ${version}`);
    return 0;
  }
  const isHelp = first === "help" || first === "--help" || first === "-h";
  if (first === undefined || isHelp) {
    const named = isHelp ? commandOf(rawArgs.slice(1)) : undefined;
    await output.line((named ? renderHelp(named) : overview()).trimEnd());
    return first === undefined ? 2 : 0;
  }
  const command = commandOf(rawArgs);
  if (!command) {
    const group = commands.filter(({ name }) => name.startsWith(`${first} `));
    if (group.length === 0) throw new UsageError(`there is no command ${first}`);
    if (second === "--help" || second === "-h") {
      await output.line(group.map(renderHelp).join("\n").trimEnd());
      return 0;
    }
    const names = group.map(({ name }) => name.slice(first.length + 1)).join(", ");
    throw new UsageError(
      `weir ${first} needs one of ${names}${second === undefined ? "" : `, not ${second}`}`,
    );
  }
  return await run(command, rawArgs.slice(command.name.split(" ").length));
}

function commandOf(words: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name.split(" ").every((word, i) => words[i] === word));
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
