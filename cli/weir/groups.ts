// `weir groups list`, `describe`, `pause`, `resume`, `reset`, `replay`, `cancel`.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Api } from "./api.ts";
import { UsageError, type Command, type Invocation, type Option } from "./command.ts";
import { count, type Cell, type Output } from "./output.ts";

const topicTimes = z.array(z.looseObject({ topic: z.string(), from_time: z.string().nullable() }));

const groupRow = z.looseObject({
  group: z.string(),
  does: z.string(),
  signals: z.array(z.string()),
  epoch: z.int(),
  state: z.string(),
  start: z.string(),
  lag: z.int().nullable(),
  partitions: z.array(
    z.looseObject({
      topic: z.string(),
      partition: z.int(),
      committed: z.int().nullable(),
      end: z.int().nullable(),
      lag: z.int().nullable(),
      error: z.string().optional(),
    }),
  ),
  building: z
    .looseObject({
      epoch: z.int(),
      state: z.string(),
      since: z.string(),
      messages_left: z.int(),
      partitions_left: z.int(),
      topics: topicTimes,
    })
    .nullable(),
});
type Group = z.output<typeof groupRow>;

const resumedPartition = z.looseObject({ topic: z.string(), partition: z.int(), next_offset: z.int() });

const resetDone = z.looseObject({
  group: z.string(),
  outcome: z.string(),
  epoch: z.int(),
  topics: topicTimes,
  skipped_messages: z.int(),
});

const PATH = "/api/v1/admin/groups";
const pathOf = (group: string, action?: string) =>
  `${PATH}/${encodeURIComponent(group)}${action === undefined ? "" : `/${action}`}`;

/** How often a reset that is waited for is looked at. */
const LOOK_MS = 1_000;
/** As a shell tells of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

const GROUP_POSITIONAL = [{ name: "GROUP", required: true }];

const WAIT: Option = { type: "boolean", summary: "wait until the new epoch has taken over" };
const FROM_OPTIONS: Record<string, Option> = {
  to: { type: "string", hint: "PLACE", summary: "earliest, latest, or a time such as 2026-11-21T00:00:00Z" },
  offset: {
    type: "string",
    multiple: true,
    hint: "TOPIC/PARTITION=OFFSET",
    summary: "from the time of the message there, in place of --to",
  },
  wait: WAIT,
};

export const groupsList: Command = {
  name: "groups list",
  summary: "who reads what, and how far behind",
  positionals: [],
  options: {},
  async run({ api, output, isJson }) {
    const groups = await api.list(PATH, groupRow);
    if (isJson) {
      await output.json(groups);
      return 0;
    }
    await output.table(
      [
        { title: "GROUP" },
        { title: "DOES" },
        { title: "STATE" },
        { title: "EPOCH", isRight: true },
        { title: "PARTITIONS", isRight: true },
        { title: "LAG", isRight: true },
        { title: "NOTE", isOptional: true },
      ],
      groups.map((group) => [
        group.group,
        group.does,
        stateCell(group.state),
        String(group.epoch),
        String(group.partitions.length),
        numberOrDash(group.lag),
        progressText(group),
      ]),
    );
    return 0;
  },
};

export const groupsDescribe: Command = {
  name: "groups describe",
  summary: "one group: its partitions, and what is being built",
  positionals: GROUP_POSITIONAL,
  options: {},
  async run({ api, positionals: [name = ""], output, isJson }) {
    await tellGroup(await groupOf(api, name), output, isJson);
    return 0;
  },
};

export const groupsPause: Command = {
  name: "groups pause",
  summary: "stops a group's reading until it is resumed",
  positionals: GROUP_POSITIONAL,
  options: {},
  async run({ api, positionals: [name = ""], output, isJson }) {
    const group = await api.post(pathOf(name, "pause"), undefined, groupRow);
    if (isJson) await output.json(group);
    else await output.line(`${name} is paused, ${lagText(group.lag)}.`);
    return 0;
  },
};

export const groupsResume: Command = {
  name: "groups resume",
  summary: "lets a paused group go on, or a partition that stopped",
  positionals: GROUP_POSITIONAL,
  options: {
    topic: { type: "string", hint: "TOPIC", summary: "of the partition that stopped" },
    partition: { type: "string", hint: "N", summary: "its number" },
  },
  notes: ["A partition stops when its topic was made anew; resumed, it is read from its start."],
  async run({ api, args, positionals: [name = ""], output, isJson }) {
    const [topic, partition] = [args.text("topic"), args.wholeNumber("partition", 0, 999_999)];
    if ((topic === undefined) !== (partition === undefined))
      throw new UsageError("--topic and --partition are given together");
    if (topic !== undefined) {
      const resumed = await api.post(pathOf(name, "resume"), { topic, partition }, resumedPartition);
      if (isJson) await output.json(resumed);
      else await output.line(`${name} reads ${topic}/${partition} from ${resumed.next_offset}.`);
      return 0;
    }
    const group = await api.post(pathOf(name, "resume"), undefined, groupRow);
    if (isJson) await output.json(group);
    else await output.line(`${name} goes on, ${lagText(group.lag)}.`);
    return 0;
  },
};

export const groupsReset: Command = {
  name: "groups reset",
  summary: "has a group read anew from a place, or skip to the end",
  positionals: GROUP_POSITIONAL,
  options: FROM_OPTIONS,
  notes: [
    "latest passes over what was not read yet. All else opens a new epoch; that of the storage group is built beside",
    "the present one, from a midnight (UTC) on, and takes its place once it has caught up.",
  ],
  run: async (invocation) => await reset("reset", invocation),
};

export const groupsReplay: Command = {
  name: "groups replay",
  summary: "has a group read again what it has read, from a time or offsets",
  positionals: GROUP_POSITIONAL,
  options: FROM_OPTIONS,
  notes: ["As a reset, which it is; only that nothing can be skipped by it."],
  run: async (invocation) => await reset("replay", invocation),
};

export const groupsCancel: Command = {
  name: "groups cancel",
  summary: "gives up the epoch that is being built",
  positionals: GROUP_POSITIONAL,
  options: {},
  async run({ api, positionals: [name = ""], output, isJson }) {
    const group = await api.post(pathOf(name, "cancel"), undefined, groupRow);
    if (isJson) await output.json(group);
    else await output.line(`${name} stays in epoch ${group.epoch}.`);
    return 0;
  },
};

async function reset(
  action: "reset" | "replay",
  { api, args, positionals: [name = ""], output, isJson }: Invocation,
): Promise<0 | 1> {
  const done = await api.post(pathOf(name, action), { to: placeOf(args) }, resetDone);
  const isBuilt = done.outcome === "building";
  const group = isBuilt && args.isSet("wait") ? await waitFor(api, name, done.epoch, output) : undefined;
  // Somebody gave it up meanwhile.
  const isGivenUp = group !== undefined && group.epoch !== done.epoch;
  if (isJson) await output.json(group ?? done);
  else if (isGivenUp) await output.line(`Epoch ${done.epoch} was given up; ${name} stays in ${group.epoch}.`);
  else if (group) await output.line(`${name} is in epoch ${done.epoch}, ${lagText(group.lag)}.`);
  else await output.line(doneText(name, done));
  return isGivenUp ? 1 : 0;
}

/** @throws UsageError */
function placeOf(args: Invocation["args"]): string | object[] {
  const [to, offsets] = [args.text("to"), args.list("offset")];
  if ((to === undefined) === (offsets.length === 0))
    throw new UsageError("give --to, or --offset once or more");
  if (to !== undefined) return to;
  return offsets.map((text) => {
    const [, topic, partition, offset] = /^([^/=]+)\/(\d{1,6})=(\d{1,15})$/.exec(text) ?? [];
    if (topic === undefined) throw new UsageError(`--offset must be like logs.raw/0=1200, not ${text}`);
    return { topic, partition: Number(partition), offset: Number(offset) };
  });
}

async function waitFor(api: Api, name: string, epoch: number, output: Output): Promise<Group> {
  const leave = () => {
    output.note(
      `epoch ${epoch} goes on being built; \`weir groups describe ${name}\` shows it, \`weir groups cancel ${name}\` gives it up`,
    );
    process.exit(INTERRUPTED);
  };
  process.once("SIGINT", leave);
  try {
    for (;;) {
      const group = await groupOf(api, name);
      if (group.building?.epoch !== epoch) {
        output.progress("");
        return group;
      }
      output.progress(progressText(group));
      await sleep(LOOK_MS);
    }
  } finally {
    process.off("SIGINT", leave);
  }
}

async function groupOf(api: Api, name: string): Promise<Group> {
  return (await api.get(pathOf(name), groupRow)).value;
}

async function tellGroup(group: Group, output: Output, isJson: boolean): Promise<void> {
  if (isJson) {
    await output.json(group);
    return;
  }
  await output.line(
    `${output.tint(group.group, "bold")}  ${group.does} of ${group.signals.join(", ")}, ${group.state}, epoch ${group.epoch}`,
  );
  if (group.building) {
    await output.line(progressText(group));
    for (const { topic, from_time: from } of group.building.topics)
      await output.line(`  ${topic}: ${from === null ? "not built anew" : `from ${from}`}`);
  }
  await output.line("");
  await output.table(
    [
      { title: "TOPIC" },
      { title: "PARTITION", isRight: true },
      { title: "READ TO", isRight: true },
      { title: "END", isRight: true },
      { title: "LAG", isRight: true },
      { title: "NOTE", isOptional: true },
    ],
    group.partitions.map((one) => [
      one.topic,
      String(one.partition),
      numberOrDash(one.committed),
      numberOrDash(one.end),
      numberOrDash(one.lag),
      one.error ?? "",
    ]),
  );
}

function progressText({ building }: Group): string {
  if (!building) return "";
  const { epoch, state, messages_left: messages, partitions_left: partitions } = building;
  if (state === "handing_over") return `epoch ${epoch} takes over`;
  const left = partitions > 0 ? `, ${count(partitions, "partition")} not begun` : "";
  return `epoch ${epoch} is built: ${count(messages, "message")} left${left}`;
}

function doneText(name: string, done: z.output<typeof resetDone>): string {
  switch (done.outcome) {
    case "skipped":
      return `${name} skips ${count(done.skipped_messages, "message")}.`;
    case "building":
      return `${name} builds epoch ${done.epoch} beside the present one: see weir groups describe ${name}.`;
    default:
      return `${name} begins epoch ${done.epoch}.`;
  }
}

const lagText = (lag: number | null) =>
  lag === null ? "its lag is not known" : `${count(lag, "message")} behind`;

const stateCell = (state: string): Cell => ({ text: state, tint: state === "running" ? "good" : "warn" });

const numberOrDash = (value: number | null) => (value === null ? "-" : String(value));
